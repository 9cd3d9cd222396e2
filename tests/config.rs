//! The configuration: what it says, what is wrong with it, and that example, schema and documentation know the same keys.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use ticketgate::config::{self, Loaded, Overrides, Remark};
use ticketgate::secret::Secret;
use ticketgate::store::Key;

const MINIMAL: &str = "upstream: {url: \"http://127.0.0.1:8081\"}\n";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLD_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn environment(name: &str) -> Result<Option<String>, String> {
    Ok(match name {
        "IOS_SECRET" => Some("s3cret".to_owned()),
        "IDLE" => Some("3h".to_owned()),
        "MANY" => Some("12".to_owned()),
        "YES" => Some("true".to_owned()),
        _ => None,
    })
}

fn parse(text: &str) -> Result<Loaded, Vec<Remark>> {
    config::parse_in(text, Path::new("t.yaml"), &Overrides::default(), &environment)
}

fn fine(text: &str) -> Loaded {
    parse(text).unwrap_or_else(|faults| panic!("{faults:#?}\nin\n{text}"))
}

/// Every fault as it is shown, after the minimal configuration in line 1.
fn faults(text: &str) -> Vec<String> {
    let text = format!("{MINIMAL}{text}");
    let faults = parse(&text).map(|_| ()).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

fn warnings(text: &str) -> Vec<String> {
    fine(&format!("{MINIMAL}{text}")).warnings.iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_fault(text: &str, place: &str, part: &str) {
    let faults = faults(text);
    let [fault] = faults.as_slice() else { panic!("one fault was expected in\n{text}\nnot {faults:#?}") };
    assert!(
        fault.starts_with(&format!("t.yaml:{place}: ")) && fault.contains(part),
        "{fault}\nis not at {place}: {part}"
    );
}

#[test]
fn a_file_that_names_the_upstream_alone_is_enough() {
    let settings = fine(MINIMAL).settings;
    assert!(settings.gate.policy.rules.is_empty());
    assert_eq!(settings.gate.policy.default.require, ticketgate::policy::Requirement::Deny);
    assert_eq!(settings.gate.policy.reader.sources.len(), 1);
}

#[test]
fn every_fault_is_told_in_one_run_with_its_line_and_key() {
    let text = "mode: enforc
session:
  idle: soon
  per_user: -1
  what: 1
rules:
  - {path: /a, require: public}
  - nonsense
  - {path: /b, requir: public}
  - path: /c
    require: user
    logout: that
";
    assert_eq!(
        faults(text),
        [
            "t.yaml:2: mode: `enforc` is none of enforce, observe; did you mean `enforce`?",
            "t.yaml:4: session.idle: must be a duration such as 250ms, 2s, 5m, 2h or 30d",
            "t.yaml:5: session.per_user: must be a whole number from 0, not such a number",
            "t.yaml:6: session.what: unknown key; known here: idle, max_age, extend_every, per_user, when_full, bind, user_id, \
             sealed, guest, lost",
            "t.yaml:9: rules[1]: must be a map of keys, not a text",
            "t.yaml:10: rules[2].requir: unknown key; did you mean `require`?",
            "t.yaml:10: rules[2].require: is missing; write public, client, user, user_only or deny",
            "t.yaml:13: rules[3].logout: `that` is none of this, others, all",
        ]
    );
}

#[test]
fn what_was_refused_is_not_also_called_missing() {
    assert_eq!(parse("upstream: {url: [1]}\n").unwrap_err().len(), 1);
    assert_eq!(parse("upstream: 5\n").unwrap_err().len(), 1);
    assert_fault("rules: [{path: [1], require: public}]\n", "2: rules[0].path", "must be a text, not a list");
    assert_fault("rules: [{path: /a, require: publik}]\n", "2: rules[0].require", "did you mean `public`?");
}

#[test]
fn a_syntax_error_is_told_with_its_line() {
    let faults = parse("upstream:\n  url: x\n bad\n").unwrap_err();
    assert_eq!((faults.len(), faults[0].line), (1, 3), "{faults:?}");
    assert!(faults[0].to_string().starts_with("t.yaml:3: is no YAML: "));
}

#[test]
fn a_key_given_twice_is_a_fault() {
    assert_fault("mode: enforce\nmode: observe\n", "3: mode", "is given twice, first in line 2");
    assert_fault("session: {idle: 1h, idle: 2h}\n", "2: session.idle", "is given twice");
}

#[test]
fn a_missing_upstream_is_a_fault() {
    for text in ["", "# nothing\n", "mode: enforce\n", "upstream:\n", "upstream: {host: keep}\n"] {
        let faults = parse(text).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.key.as_str()).collect::<Vec<_>>(), ["upstream.url"], "{text:?}");
    }
}

#[test]
fn variables_serve_as_numbers_durations_and_truth_values() {
    let settings = fine(&format!(
        "{MINIMAL}session: {{idle: \"${{IDLE}}\", per_user: \"${{MANY}}\"}}\nforward: {{hide_credentials: \"${{YES}}\"}}\n\
         log: {{access: \"${{NO:-false}}\"}}\n"
    ))
    .settings;
    assert_eq!(settings.gate.verify.session.idle.as_secs(), 3 * 3600);
    assert_eq!(settings.gate.verify.session.per_user, 12);
    assert!(settings.gate.forward.hide_credentials);
    assert!(!settings.log.access);
}

#[test]
fn a_variable_that_is_not_set_is_a_fault_and_an_empty_default_leaves_the_key_out() {
    assert_fault("clients: [{id: a, secret: \"${NOPE}\"}]\n", "2: clients[0].secret", "NOPE is not set");
    assert_fault("clients: [{id: a, secret: \"${NOPE:-}\"}]\n", "2: clients[0].secret", "is missing");
    assert!(fine(&format!("{MINIMAL}store: {{key: \"${{NOPE:-}}\"}}\n")).settings.store.keys.is_empty());
}

#[test]
fn secrets_are_read_from_files_without_their_last_newline() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "s3cret\n\n").unwrap();
    fs::write(folder.path().join("key"), format!("{KEY}\n")).unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    let name = folder.path().join("t.yaml");
    let parse = |text: &str| config::parse_in(text, &name, &Overrides::default(), &environment);

    let loaded =
        parse(&format!("{MINIMAL}clients: [{{id: a, secret: {{file: secret}}}}]\nstore: {{key: {{file: key}}}}\n"));
    let settings = loaded.unwrap().settings;
    assert_eq!(settings.gate.verify.clients[0].secrets[0].secret.expose(), b"s3cret\n");
    assert_eq!(settings.store.keys.len(), 1);

    for (file, key, part) in
        [("missing", "admin.token.file", "missing: cannot be read"), ("empty", "admin.token", "is empty")]
    {
        let faults = parse(&format!("{MINIMAL}admin: {{token: {{file: {file}}}}}\n")).unwrap_err();
        assert_eq!((faults.len(), faults[0].line, faults[0].key.as_str()), (1, 2, key));
        assert!(faults[0].what.contains(part), "{faults:?}");
    }
}

#[test]
fn secrets_that_can_be_replaced_are_one_or_a_list_with_the_new_one_first() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), format!("{OLD_KEY}\n")).unwrap();
    let name = folder.path().join("t.yaml");
    let text = format!(
        "{MINIMAL}store: {{key: [\"{KEY}\", {{file: old}}, \"${{NOPE:-}}\", plain]}}\n\
         admin: {{token: [new, \"${{IOS_SECRET}}\"]}}\nclients: [{{id: a, secret: [fresh, ~]}}]\n"
    );
    let settings = config::parse_in(&text, &name, &Overrides::default(), &environment).unwrap().settings;
    let [Key::Sealing(new), Key::Sealing(old), Key::Plain] = settings.store.keys.as_slice() else { panic!("{text}") };
    assert_eq!((new.expose()[31], old.expose()[31]), (31, 0));
    let shown = |secrets: &[Secret]| -> Vec<Vec<u8>> { secrets.iter().map(|one| one.expose().to_vec()).collect() };
    assert_eq!(shown(&settings.admin.tokens), [b"new".to_vec(), b"s3cret".to_vec()]);
    assert_eq!(settings.gate.verify.clients[0].secrets.len(), 1);

    for (text, place, part) in [
        (format!("store: {{key: [\"{KEY}\", AAAA]}}\n"), "2: store.key", "must be 32 bytes"),
        (format!("store: {{key: [\"{KEY}\", \"{KEY}\"]}}\n"), "2: store.key[1]", "given twice"),
        ("store: {key: [plain, plain]}\n".to_owned(), "2: store.key[1]", "given twice"),
        ("store: {key: [a, b, c, d, e]}\n".to_owned(), "2: store.key", "more than 4"),
        ("admin: {token: [a, b, c]}\n".to_owned(), "2: admin.token", "more than 2"),
        ("clients: [{id: a, secret: [a, b, c]}]\n".to_owned(), "2: clients[0].secret", "more than 2"),
        ("clients: [{id: a, secret: []}]\n".to_owned(), "2: clients[0].secret", "is missing"),
        ("clients: [{id: a, secret: [a, \"\"]}]\n".to_owned(), "2: clients[0].secret[1]", "is empty"),
    ] {
        assert_fault(&text, place, part);
    }
}

#[test]
fn no_secret_is_shown_by_faults_or_settings() {
    let text = "store: {url: \"redis://:hunter2@host:x\", key: hunter2}\nclients: [{id: a, secret: hunter2, algorithms: hunter2}]\n\
                admin: {token: hunter2}\nforward: {assertion_key: [hunter2]}\nsession: hunter2\n";
    let shown = faults(text).join("\n");
    assert!(shown.contains("store.url") && !shown.contains("hunter2"), "{shown}");
    let text = format!(
        "{MINIMAL}store: {{url: \"redis://:hunter2@host\"}}\nadmin: {{token: hunter2}}\nclients: [{{id: a, secret: hunter2}}]\n"
    );
    assert!(!format!("{:?}", fine(&text)).contains("hunter2"));
}

#[test]
fn flags_stand_in_for_what_the_file_says() {
    let overrides = Overrides {
        listen: Some("127.0.0.1:0".to_owned()),
        upstream: Some("unix:/run/php.sock".to_owned()),
        store: Some("file:/tmp/x.redb".to_owned()),
    };
    let text = "listen: [bad, worse]\nstore: {url: \"${NOPE}\", prefix: \"x:\"}\n";
    let loaded = config::parse_in(text, Path::new("t.yaml"), &overrides, &environment).unwrap();
    let settings = loaded.settings;
    assert_eq!(format!("{:?}", settings.server.listen), "[Tcp(\"127.0.0.1:0\")]");
    assert_eq!(format!("{:?}", settings.gate.upstream.address), "Unix(\"/run/php.sock\")");
    assert_eq!(
        (format!("{:?}", settings.store.location).as_str(), settings.store.prefix.as_str()),
        ("File(\"/tmp/x.redb\")", "x:")
    );

    let overrides = Overrides { upstream: Some("ftp://x".to_owned()), ..Overrides::default() };
    let faults = config::parse_in(MINIMAL, Path::new("t.yaml"), &overrides, &environment).unwrap_err();
    assert_eq!(faults[0].to_string(), "t.yaml: upstream.url: must be http://host:port or unix:/path");
}

#[test]
fn sealed_tokens_need_logins_that_need_a_client() {
    let rules = |require| {
        format!(
            "session: {{sealed: true}}\nrules:\n  - {{path: /l, endpoint: {{is: a/b/c}}, require: {require}, \
             login: {{success: {{status: 200}}, user_id: \"json:/u\"}}}}\n"
        )
    };
    for require in ["public", "user_only"] {
        assert_fault(&rules(require), "4: rules[0].login", "session.sealed");
    }
    for require in ["client", "user"] {
        assert!(fine(&format!("{MINIMAL}{}", rules(require))).settings.gate.verify.session.sealed);
    }
}

#[test]
fn guests_are_for_rules_that_want_no_user() {
    let rules = |what: &str| format!("rules: [{{path: /a, {what}, guest: true}}]\n");
    for (what, told) in [
        ("require: user", "a guest is no user"),
        ("require: user_only", "a guest is no user"),
        ("require: deny", "there are no guests"),
        ("require: client, login: {success: {status: 200}, user_id: \"json:/u\"}", "goes on from a guest's session"),
    ] {
        assert_fault(&rules(what), "2: rules[0].guest", told);
    }
    let sealed = format!("{}session: {{sealed: true}}\n", rules("require: public"));
    assert_fault(&sealed, "2: rules[0].guest", "session.sealed");
    let warned = |yaml: &str| warnings(yaml).iter().any(|warning| warning.contains("rules[0].guest"));
    assert!(warned(&rules("require: public")));
    assert!(!warned(&rules("require: client")));
    assert!(!warned(&rules("require: public, limit: 10/s")));
    assert!(!warned(&format!("{}limits: {{per_ip: 10/s}}\n", rules("require: public"))));
}

#[test]
fn what_is_wrong_with_tls_to_the_store_is_told() {
    for (tls, url, place, part) in [
        ("{name: h}", "redis://h", "2: store.tls", "store.url is none of them"),
        ("{cert: a.pem}", "rediss://h", "2: store.tls", "needs cert and key"),
        ("{ca: nowhere.pem}", "rediss://h", "2: store.tls", "No such file"),
    ] {
        assert_fault(&format!("store: {{url: \"{url}\", tls: {tls}}}\n"), place, part);
    }
}

#[test]
fn faults_of_bridges_are_told() {
    let bridge = |more: &str| {
        format!(
            "clients: [{{id: a, secret: b}}]\nrules:\n  - {{endpoint: u/l/in, require: client, login: {{success: {{status: 200}}, user_id: \"json:/u\"}}}}\n  \
             - {{path: /a.php, endpoint: {{is: a/b/c}}, require: client}}\n\
             websocket:\n  - {{path: /ws, mode: bridge, require: client, endpoint: w/s/o, {more}}}\n"
        )
    };
    for (more, key, part) in [
        ("login: x/y/z", "login", "watches no login"),
        ("login: x/y", "login", "module/controller/action"),
        ("types: {t: {endpoint: u/l/in}}", "types.t.endpoint", "only login messages"),
        ("types: {t: {require: user}}", "types.t.endpoint", "is missing"),
        ("types: {resume: {endpoint: a/b/d}}", "types.resume", "another name"),
        ("fields: {id: token}", "fields", "differ"),
        ("in_flight: 0", "in_flight", "more than 0"),
        ("frame: 1B", "frame", "at least"),
        ("ping: 0s", "ping", "more than 0"),
    ] {
        assert_fault(&bridge(more), &format!("7: websocket[0].{key}"), part);
    }
    fine(&format!(
        "{MINIMAL}{}",
        bridge("login: u/l/in, types: {t: {endpoint: x/y/z}, file: {endpoint: a/b/c, method: GET}}")
    ));
    assert_fault(
        &bridge("").replace("require: client, endpoint: w", "require: user, endpoint: w"),
        "7: websocket[0].require",
        "public or client",
    );
    let form = "endpoint: {form: {module: m, controller: c, action: a}}\n";
    assert_fault(
        &format!("{form}{}", bridge("types: {t: {endpoint: x/y/z, method: GET}}")),
        "8: websocket[0].types.t.endpoint",
        "no source",
    );
}

#[test]
fn faults_of_the_process_and_of_clients_are_told() {
    for (text, place, part) in [
        ("listen: []\n", "2: listen", "at least one address"),
        ("listen: [\"0.0.0.0:80\", nonsense]\n", "2: listen[1]", "must be host:port"),
        ("listen: \":80\"\n", "2: listen", "must be host:port"),
        ("time: {zone: Mars/Olympus}\n", "2: time.zone", "no time zone"),
        ("time: {skew: 1d}\n", "2: time.skew", "12h or less"),
        ("store: {prefix: \"a b\"}\n", "2: store.prefix", "visible ASCII"),
        ("store: {timeout: 0s}\n", "2: store.timeout", "more than 0"),
        ("session: {idle: 0s}\n", "2: session.idle", "more than 0"),
        ("session: {max_age: 0s}\n", "2: session.max_age", "more than 0"),
        ("limits: {header: 10B}\n", "2: limits.header", "at least 1KiB"),
        ("limits: {per_ip: fast}\n", "2: limits.per_ip", "must be a rate such as 50/s"),
        ("limits: {per_ip: 50/d}\n", "2: limits.per_ip", "must be a rate such as 50/s"),
        ("limits: {per_client: 0/s}\n", "2: limits.per_client", "lets nothing pass"),
        ("limits: {per_user: 20000/s}\n", "2: limits.per_user", "at most 10000/s"),
        ("limits: {per_user: {burst: 5}}\n", "2: limits.per_user.rate", "must be a rate"),
        ("limits: {per_user: {rate: 5/s, burst: 0}}\n", "2: limits.per_user.burst", "from 1 to 1000000"),
        ("limits: {failed_logins: 5}\n", "2: limits.failed_logins", "0 for none"),
        ("limits: {failed_logins: {tries: 5000}}\n", "2: limits.failed_logins.tries", "at most 1000"),
        ("limits: {failed_tokens: {within: 0s}}\n", "2: limits.failed_tokens.within", "1s or more"),
        ("trusted_proxies: [10.0.0.0/8, ten]\n", "2: trusted_proxies[1]", "must be a network"),
        ("reject: {codes: {user_mising: 3}}\n", "2: reject.codes.user_mising", "did you mean `user_missing`?"),
        ("reject: {keys: {code: msg}}\n", "2: reject.keys.msg", "a name of its own"),
        ("forward: {headers: {user: X_User}}\n", "2: forward.headers.user", "letters, digits and dashes"),
        (
            "forward: {headers: {user: x-auth-client-id}}\n",
            "2: forward.headers.client",
            "two of user, client and session",
        ),
        ("admin: {listen: \"0.0.0.0:8080\"}\n", "2: admin.listen", "one of their own"),
        ("clients: [{id: a, secret: x}, {id: a, secret: y}]\n", "2: clients[1].id", "given twice"),
        ("clients: [{id: a, secret: x, token: \"{module}\"}]\n", "2: clients[0].token", "{secret}"),
        ("clients: [{id: a, secret: x, endpoints: [a/b/c/d]}]\n", "2: clients[0].endpoints[0]", "more than three"),
        ("clients: [{id: a, secret: x, algorithms: []}]\n", "2: clients[0].algorithms", "at least one"),
    ] {
        assert_fault(text, place, part);
    }
}

#[test]
fn faults_of_names_and_endpoints_are_told() {
    for (text, place, part) in [
        ("credentials: []\n", "2: credentials", "at least one"),
        ("names: {user_id: uid, user_token: uid}\n", "2: names.user_token", "taken by names.user_id"),
        ("names: {user_id: user.id}\n", "2: names.user_id", "as PHP holds it"),
        ("selectors: [mod]\n", "2: selectors[0]", "taken by endpoint[0].query.module"),
        ("endpoint: {query: {module: user_id}}\n", "2: endpoint.query.module", "taken by names.user_id"),
        ("endpoint: {query: {module: a, action: a}}\n", "2: endpoint.query.action", "another part already"),
        (
            "endpoint: [{path: \"/{module}/x\", form: {module: m}}]\n",
            "2: endpoint[0].form.module",
            "has that part already",
        ),
        ("endpoint: [{}]\n", "2: endpoint[0]", "gives no part"),
        ("endpoint: [{path: \"x/{module}\"}]\n", "2: endpoint[0].path", "must begin with"),
        ("endpoint: [{query_path: {name: s}}]\n", "2: endpoint[0].query_path.template", "is missing"),
        ("endpoint_defaults: {action: a/b}\n", "2: endpoint_defaults.action", "letters, digits"),
        ("scripts: [index.php]\n", "2: scripts[0]", "a path such as /index.php"),
        ("suffixes: html\n", "2: suffixes", "a suffix such as .html"),
    ] {
        assert_fault(text, place, part);
    }
}

#[test]
fn faults_of_rules_are_told() {
    for (text, place, part) in [
        ("rules: [{require: public}]\n", "2: rules[0]", "matches everything"),
        ("rules: [{path: /a}]\n", "2: rules[0].require", "is missing"),
        ("rules: [{path: a, require: public}]\n", "2: rules[0].path", "must begin with /"),
        ("rules: [{path: /a, methods: [], require: public}]\n", "2: rules[0].methods", "at least one method"),
        ("rules: [{path: /a, methods: get, require: public}]\n", "2: rules[0].methods", "upper case"),
        ("rules: [{endpoint: a/b/c/d, require: public}]\n", "2: rules[0].endpoint", "more than three"),
        ("rules: [{endpoint: {is: a/b/c}, methods: GET, require: public}]\n", "2: rules[0].endpoint.is", "has no path"),
        (
            "rules: [{path: /a, endpoint: {is: a/b}, require: client}]\n",
            "2: rules[0].endpoint.is",
            "module/controller/action",
        ),
        ("rules: [{path: /a, require: public, limit: 5}]\n", "2: rules[0].limit", "must be a rate such as 50/s"),
        ("rules: [{path: /a, require: deny, limit: 5/s}]\n", "2: rules[0].limit", "nothing to limit"),
        ("rules: [{path: /a, require: client, logout: this}]\n", "2: rules[0].logout", "must require user"),
        ("endpoint: []\nrules: [{path: /a, require: client}]\n", "3: rules[0].require", "configure `endpoint`"),
        ("endpoint: []\nrules: [{endpoint: a, require: public}]\n", "3: rules[0].endpoint", "can never match"),
        ("endpoint: []\ndefault: user\n", "3: default", "no `endpoint` source"),
        (
            "selectors: [d]\nrules: [{path: /a, require: public, body: opaque}]\n",
            "3: rules[0].body",
            "a form could route",
        ),
    ] {
        assert_fault(text, place, part);
    }
}

#[test]
fn faults_of_logins_are_told() {
    let login = |login: &str| format!("rules:\n  - path: /login\n    require: public\n    login: {login}\n");
    for (text, key, part) in [
        ("{user_id: \"json:/u\"}", "success", "is missing"),
        ("{success: {}, user_id: \"json:/u\"}", "success", "names no condition"),
        ("{success: [{status: 200}, {not: {}}], user_id: \"json:/u\"}", "success[1].not", "names no condition"),
        ("{success: {status: [200, 1000]}, user_id: \"json:/u\"}", "success.status", "an HTTP status"),
        ("{success: {json: {code: 1}}, user_id: \"json:/u\"}", "success.json.code", "a JSON pointer"),
        ("{success: {body: \"a(\"}, user_id: \"json:/u\"}", "success.body", "no regular expression"),
        ("{success: {status: 200}}", "user_id", "is missing"),
        ("{success: {status: 200}, user_id: uid}", "user_id", "must be json:POINTER"),
        ("{success: {status: 200}, user_id: {decode: url}}", "user_id.from", "must be json:POINTER"),
        ("{success: {status: 200}, user_id: \"body:uid\"}", "user_id", "needs a group"),
        ("{success: {status: 200}, user_id: \"json:/u\", user_name: u}", "user_name", "form:NAME"),
        ("{success: {status: 200}, user_id: \"json:/u\", user_token: make}", "user_token", "issue"),
        (
            "{success: {status: 200}, user_id: \"json:/u\", fields: [user_token]}",
            "fields[0]",
            "taken by names.user_token",
        ),
    ] {
        assert_fault(&login(text), &format!("5: rules[0].login.{key}"), part);
    }
    assert_fault(
        "rules: [{path: /l, require: public, body: opaque, login: {success: {status: 200}, user_id: \"form:u\"}}]\n",
        "2: rules[0].body",
        "the login reads its form",
    );
    assert_fault(
        "rules: [{path: /l, require: deny, login: {success: {status: 200}, user_id: \"form:u\"}}]\n",
        "2: rules[0].login",
        "no login is ever seen",
    );
}

#[test]
fn a_login_is_resolved() {
    let text = format!(
        "{MINIMAL}rules:
  - endpoint: user/auth/login
    require: client
    login:
      success: [{{json: {{/code: 1, /ok: true}}}}, {{status: 302, location: \"/home*\"}}]
      user_id: {{from: \"form:LoginForm[name]\", fold: lower, match: \"^(.*)@\"}}
      fields: [\"LoginForm[name]\", \"LoginForm[pw]\"]
      reply: envelope
      failed: envelope
      cookies: pass
"
    );
    let settings = fine(&text).settings;
    let login = settings.gate.policy.rules[0].login.clone().unwrap();
    assert_eq!(login.success.len(), 2);
    assert_eq!(login.success[0].json, [("/code".to_owned(), "1".to_owned()), ("/ok".to_owned(), "true".to_owned())]);
    assert_eq!(login.user_name.as_deref(), Some("LoginForm[name]"));
    assert!(login.user_id.lower && login.failed_envelope && !login.hold_cookies);
    assert!(settings.gate.reading.reserved.find(b"LoginForm").is_some());
}

#[test]
fn every_kind_of_source_is_resolved_and_its_names_are_reserved() {
    let text = format!(
        "{MINIMAL}endpoint:
  - query: {{module: m, action: a}}
  - form: {{module: m}}
  - request: {{controller: c}}
  - path: \"/{{module}}/{{controller}}/{{action}}/**\"
  - {{path: \"/{{module}}.php\", query: {{action: do}}}}
  - query_path: {{name: s, template: \"/{{module}}/{{action}}\"}}
  - query_path: {{name: \"\", template: \"/{{module}}\"}}
  - path: \"{{path}}\"
suffixes: [.html, any]
"
    );
    let settings = fine(&text).settings;
    let reader = &settings.gate.policy.reader;
    assert_eq!((reader.sources.len(), reader.any_suffix, reader.suffixes.len()), (8, true, 1));
    let reserved = &settings.gate.reading.reserved;
    let kind = |name: &str| format!("{:?}", reserved.find(name.as_bytes()).unwrap().kind);
    assert_eq!(kind("m"), "Endpoint { places: Places { query: true, form: true, header: false } }");
    assert_eq!(kind("a"), "Endpoint { places: Places { query: true, form: false, header: false } }");
    assert_eq!(kind("c"), "Endpoint { places: Places { query: true, form: true, header: false } }");
    assert_eq!(kind("do"), kind("a"));
    assert_eq!(kind("s"), kind("a"));
}

#[test]
fn limits_are_resolved_and_turned_off_by_zero_or_nothing() {
    let limits = |text: &str| fine(&format!("{MINIMAL}limits: {text}\n")).settings.gate.verify.limits;
    let default = fine(MINIMAL).settings.gate.verify.limits;
    assert!(default.per_ip.is_none() && default.per_client.is_none() && default.per_user.is_none());
    let logins = default.failed_logins.unwrap();
    assert_eq!((logins.tries, logins.within.as_secs(), logins.lock.as_secs()), (5, 900, 900));
    assert_eq!(default.failed_tokens.unwrap().tries, 100);

    let some = limits("{per_ip: 50/s, per_user: {rate: 600/m, burst: 100}, failed_logins: {tries: 3}}");
    assert_eq!(some.per_ip.unwrap().interval().as_millis(), 20);
    assert_eq!((some.per_user.unwrap().interval().as_millis(), some.per_user.unwrap().burst()), (100, 100));
    let logins = some.failed_logins.unwrap();
    assert_eq!((logins.tries, logins.within.as_secs()), (3, 900), "what is not given is as in the default");

    for off in ["{per_ip: 0, failed_logins: 0, failed_tokens: 0}", "{per_ip: ~, failed_logins: ~, failed_tokens: null}"]
    {
        let off = limits(off);
        assert!(off.per_ip.is_none() && off.failed_logins.is_none() && off.failed_tokens.is_none());
    }
    assert!(limits("{failed_logins: {tries: 0}}").failed_logins.is_none());
    assert!(limits("{failed_logins: \"${NOPE:-}\"}").failed_logins.is_some(), "left out, and not turned off");
}

#[test]
fn methods_of_rules_may_pass() {
    let text = format!("{MINIMAL}rules: [{{path: /dav/**, methods: [GET, PROPFIND], require: user_only}}]\n");
    let methods = fine(&text).settings.server.methods;
    assert!(methods.allows(b"PROPFIND") && methods.allows(b"POST") && !methods.allows(b"LOCK"));
}

#[test]
fn doubtful_configurations_are_warned_of() {
    for (text, expected) in [
        ("mode: observe\n", vec!["t.yaml:2: mode: observe"]),
        ("default: public\n", vec!["t.yaml:2: default: public"]),
        ("limits: {per_ip: {rate: 10/h, burst: 5}, per_user: 60/m}\n", vec![]),
        (
            "rules: [{path: /a, require: public, login: {success: {status: 200}, user_id: \"json:/u\"}}]\n",
            vec!["t.yaml:2: rules[0].login: names no user_name"],
        ),
        ("store: {url: \"file:/tmp/x\"}\n", vec!["t.yaml:2: store.key: is not set"]),
        ("store: {url: \"memory:\"}\n", vec![]),
        ("admin: {token: [0123456789abcdef, short]}\n", vec!["t.yaml:2: admin.token: is shorter than 16"]),
        ("store: {key: plain}\n", vec!["t.yaml:2: store.key: holds plain"]),
        (
            "rules: [{endpoint: a/bc/d, require: client}]\nwebsocket:\n  - {path: \"/ws/**\", mode: tunnel, require: client, endpoint: ab/c/d}\n  - {path: /ws/a, mode: tunnel, require: public}\n",
            vec![
                "t.yaml:4: websocket[0].endpoint: shares its md5 api_token with a/bc/d (line 2)",
                "t.yaml:5: websocket[1]: can never match: the route in line 4",
            ],
        ),
        (
            "rules:\n  - {endpoint: a/bc/d, require: client}\n  - {endpoint: ab/c/d, require: user}\n  - {endpoint: abc//d, require: public}\n",
            vec!["t.yaml:4: rules[1].endpoint: shares its md5 api_token with a/bc/d (line 3)"],
        ),
        (
            "rules:\n  - {path: \"/a/**\", require: public}\n  - {path: /A/b, require: user}\n  - {path: /b, require: public}\n",
            vec!["t.yaml:4: rules[1]: can never match: the rule in line 3"],
        ),
        (
            "rules:\n  - {endpoint: news, methods: [GET, POST], require: public}\n  - {endpoint: news/list, methods: GET, require: user}\n",
            vec!["t.yaml:4: rules[1]: can never match"],
        ),
        (
            "rules:\n  - {endpoint: news, methods: GET, require: public}\n  - {endpoint: news, require: user}\n  - {endpoint: \"*\", params: {a: 1}, require: user}\n  - {endpoint: \"*\", require: user}\n",
            vec![],
        ),
    ] {
        let warnings = warnings(text);
        assert_eq!(warnings.len(), expected.len(), "{text}{warnings:#?}");
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{warning}");
        }
    }
}

#[test]
fn routes_for_websockets_are_rules_that_stand_before_all_others() {
    use ticketgate::policy::channel::Mode;
    let text = "websocket: [{path: /ws, mode: tunnel, require: user, endpoint: a/b/c, origins: [\"https://*.example\"], idle: 1m}]\n";
    let policy = fine(&format!("{MINIMAL}{text}")).settings.gate.policy;
    let rule = &policy.websockets[0];
    assert_eq!((&*rule.name, rule.require.name()), ("/ws", "user"));
    assert_eq!(rule.endpoint_is.as_ref().unwrap().to_string(), "a/b/c");
    let channel = rule.websocket.as_ref().unwrap();
    let Mode::Tunnel(tunnel) = &channel.mode else { panic!("no tunnel: {channel:?}") };
    assert_eq!((tunnel.idle.as_secs(), tunnel.max_age.as_secs()), (60, 86_400));
    assert!(channel.allows(Some(b"https://a.example")) && !channel.allows(Some(b"https://a.evil")));
    for (route, place, part) in [
        ("mode: tunnel, require: public", "websocket[0].path", "is missing"),
        ("path: ws, mode: tunnel, require: public", "websocket[0].path", "must begin with /"),
        ("path: /ws, require: public", "websocket[0].mode", "is missing"),
        ("path: /ws, mode: tunel, require: public", "websocket[0].mode", "did you mean `tunnel`"),
        ("path: /ws, mode: tunnel", "websocket[0].require", "is missing"),
        (
            "path: /ws, mode: tunnel, require: client, endpoint: a/b",
            "websocket[0].endpoint",
            "module/controller/action",
        ),
        ("path: /ws, mode: tunnel, require: public, idle: 0s", "websocket[0].idle", "more than 0"),
        ("path: /ws, mode: tunnel, require: public, max_age: 0s", "websocket[0].max_age", "more than 0"),
        ("path: /ws, mode: tunnel, require: public, origins: [app.example]", "websocket[0].origins[0]", "an origin"),
        (
            "path: /ws, mode: tunnel, require: public, origins: [\"https://a/b\"]",
            "websocket[0].origins[0]",
            "an origin",
        ),
    ] {
        assert_fault(&format!("websocket: [{{{route}}}]\n"), &format!("2: {place}"), part);
    }
    let without = "endpoint: []\nwebsocket: [{path: /ws, mode: tunnel, require: client}]\n";
    assert_fault(without, "3: websocket[0].require", "whose token is made of an endpoint");
}

fn example() -> String {
    fs::read_to_string("config.example.yaml").unwrap()
}

/// The lines of top-level keys of the example.
fn section(key: &str) -> String {
    let example = example();
    let start = example.find(&format!("\n{key}:")).unwrap() + 1;
    let rest = &example[start..];
    let length = rest
        .match_indices('\n')
        .map(|(at, _)| at + 1)
        .find(|at| rest[*at..].chars().next().is_none_or(|first| !first.is_whitespace() && first != '#'));
    rest[..length.unwrap_or(rest.len())].to_owned()
}

#[test]
fn the_example_holds_the_defaults() {
    let minimal = format!("{MINIMAL}{}{}", section("clients"), section("rules"));
    let (example, minimal) = (fine(&example()), fine(&minimal));
    assert_eq!(format!("{:#?}", example.settings), format!("{:#?}", minimal.settings));
    assert_eq!(example.warnings, []);
}

#[test]
fn signatures_of_a_rule_are_laid_over_the_usual_ones() {
    let text = "signature: {require: when_present, window: 2m}\nrules:
  - {endpoint: a, require: client}
  - {endpoint: b, require: client, signature: always}
  - {endpoint: c, require: user, signature: {algorithms: [md5], nonce: required}}
  - {endpoint: d, require: public, signature: never}
clients: [{id: old, secret: s, signature: never}, {id: new, secret: s}]\n";
    let gate = fine(&format!("{MINIMAL}{text}")).settings.gate;
    let rules: Vec<_> = gate.policy.rules.iter().map(|rule| &*rule.signatures).collect();
    let demanded: Vec<_> = rules.iter().map(|rule| rule.demand(None).name()).collect();
    assert_eq!(demanded, ["when_present", "always", "when_present", "never"]);
    assert!(rules.iter().all(|rule| rule.window.as_secs() == 120));
    assert_eq!((rules[2].algorithms.len(), rules[2].nonce_required, rules[1].algorithms.len()), (1, true, 2));
    assert_eq!(gate.policy.default.signatures.demand(None).name(), "when_present");
    let clients: Vec<_> = gate.verify.clients.iter().map(|client| client.signature.map(|own| own.name())).collect();
    assert_eq!(clients, [Some("never"), None]);
}

#[test]
fn signatures_that_nobody_could_make_are_refused() {
    for (text, place, part) in [
        ("signature: {require: sometimes}\n", "2: signature.require", "none of never, when_present, always"),
        ("signature: {algorithms: []}\n", "2: signature.algorithms", "at least one"),
        ("signature: {window: 500ms}\n", "2: signature.window", "between 1s and 24h"),
        ("signature: {window: 25h}\n", "2: signature.window", "between 1s and 24h"),
        ("signature: {max_nonces: 0}\n", "2: signature.max_nonces", "more than 0"),
        (
            "rules: [{path: /a, require: public, signature: always}]\n",
            "2: rules[0].signature",
            "does not require a client",
        ),
        (
            "rules: [{path: /a, require: user_only, signature: {require: always}}]\n",
            "2: rules[0].signature",
            "does not require a client",
        ),
        ("rules: [{path: /a, require: client, signature: alwys}]\n", "2: rules[0].signature", "did you mean `always`"),
        (
            "rules: [{endpoint: a, require: client, signature: {algorithms: []}}]\n",
            "2: rules[0].signature.algorithms",
            "at least one",
        ),
        ("clients: [{id: a, secret: s, signature: yes}]\n", "2: clients[0].signature", "none of never"),
    ] {
        assert_fault(text, place, part);
    }
}

#[test]
fn pages_of_other_origins_are_named_as_browsers_name_them() {
    for (origin, part) in [
        ("https://app.example.com/", "without a path"),
        ("https://App.example.com", "lower case"),
        ("app.example.com", "must be as https://app.example.com"),
        ("https://*.example.com", "must be as"),
        ("https://app.example.com:443", "usual port"),
        ("\"null\"", "must be as"),
    ] {
        assert_fault(&format!("cors: {{origins: [{origin}]}}\n"), "2: cors.origins[0]", part);
    }
    assert_fault("cors: {origins: [\"https://a.example\", \"*\"]}\n", "2: cors.origins[1]", "stands alone");
    assert_fault("cors: {headers: [x]}\n", "2: cors.origins", "is missing");
    assert_fault("cors: {origins: [\"*\"], headers: [\"a b\"]}\n", "2: cors.headers[0]", "no name of a header");
    let fine = fine(&format!("{MINIMAL}cors: {{origins: [\"http://localhost:3000\"], headers: [X-A]}}\n"));
    let cors = fine.settings.gate.cors.unwrap();
    assert!(cors.headers.iter().any(|header| header == "X-A") && cors.headers.iter().any(|header| header == "X-Sign"));
    assert_eq!(cors.max_age.as_secs(), 600);
}

/// A certificate and key made by openssl, with these options, in that directory.
fn certificate(directory: &Path, name: &str, options: &[&str]) -> String {
    let (cert, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-subj", "/CN=gate.example", "-out"])
        .arg(&cert)
        .arg("-keyout")
        .arg(&key)
        .args(options)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    format!("cert: \"{}\", key: \"{}\"", cert.display(), key.display())
}

const EC: [&str; 4] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

#[test]
fn a_certificate_that_cannot_be_used_is_a_fault_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    certificate(here, "one", &[&EC[..], &["-days", "90"]].concat());
    certificate(here, "two", &[&["-newkey", "rsa:2048"][..], &["-days", "90"]].concat());
    fs::write(here.join("text.pem"), "-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n").unwrap();
    fs::write(here.join("cut.pem"), "-----BEGIN CERTIFICATE-----\nbm8=\n").unwrap();
    fs::write(here.join("odd.key"), "-----BEGIN PRIVATE KEY-----\nbm8=\n-----END PRIVATE KEY-----\n").unwrap();
    let sealed = fs::read_to_string(here.join("one.key")).unwrap().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    fs::write(here.join("sealed.key"), sealed).unwrap();
    let path = |name: &str| here.join(name).display().to_string();
    for (cert, key, place, part) in [
        ("one.pem", "two.key", "2: tls.key", "is not the key of the first certificate"),
        ("gone.pem", "one.key", "2: tls.cert", "cannot be read: No such file"),
        ("one.pem", "gone.key", "2: tls.key", "cannot be read: No such file"),
        ("one.key", "one.key", "2: tls.cert", "holds no certificate"),
        ("one.pem", "one.pem", "2: tls.key", "holds no private key"),
        ("one.pem", "sealed.key", "2: tls.key", "holds no private key that is not encrypted"),
        ("text.pem", "one.key", "2: tls.cert", "its first certificate cannot be read"),
        ("cut.pem", "one.key", "2: tls.cert", "is not PEM"),
        ("one.pem", "odd.key", "2: tls.key", "is no RSA, ECDSA or Ed25519 key"),
    ] {
        let text = format!("tls: {{cert: \"{}\", key: \"{}\"}}\n", path(cert), path(key));
        let file = if place.ends_with("cert") { cert } else { key };
        assert_fault(&text, place, part);
        assert_fault(&text, place, &path(file));
    }
    assert_fault("tls: {key: a}\n", "2: tls.cert", "is missing");
    assert_fault(&format!("tls: {{cert: \"{}\"}}\n", path("one.pem")), "2: tls.key", "is missing");
}

/// Signs that certificate anew, for other days.
fn date_anew(directory: &Path, name: &str, from: &str, to: &str) {
    let here = directory.display();
    let ca = format!(
        "[ca]\ndefault_ca = own\n[own]\nnew_certs_dir = {here}\ndatabase = {here}/{name}.txt\nrand_serial = yes\n\
         default_md = sha256\npolicy = any\nx509_extensions = end\n[any]\ncommonName = supplied\n\
         [end]\nbasicConstraints = CA:FALSE\n"
    );
    fs::write(directory.join("ca.cnf"), ca).unwrap();
    fs::write(directory.join(format!("{name}.txt")), "").unwrap();
    let (cert, key) = (format!("{name}.pem"), format!("{name}.key"));
    for arguments in [
        &["req", "-new", "-subj", "/CN=gate.example", "-key", &key, "-out", "new.csr"][..],
        &[
            "ca",
            "-config",
            "ca.cnf",
            "-selfsign",
            "-batch",
            "-notext",
            "-keyfile",
            &key,
            "-in",
            "new.csr",
            "-out",
            &cert,
            "-startdate",
            from,
            "-enddate",
            to,
        ],
    ] {
        let made = Command::new("openssl").args(arguments).current_dir(directory).output().unwrap();
        assert!(made.status.success(), "{made:?}");
    }
}

#[test]
fn a_certificate_that_ends_or_has_ended_or_has_not_begun_is_doubtful() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let told = |name: &str, days: &str, dates: Option<(&str, &str)>| {
        let tls = certificate(here, name, &[&EC[..], &["-days", days]].concat());
        if let Some((from, to)) = dates {
            date_anew(here, name, from, to);
        }
        let told = warnings(&format!("tls: {{{tls}}}\n"));
        told.into_iter().filter(|warning| warning.contains("tls.cert")).collect::<String>()
    };
    assert_eq!(told("fine", "90", None), "");
    assert!(told("soon", "5", None).contains("the certificate expires on 20"));
    let over = told("over", "90", Some(("20200101000000Z", "20200301000000Z")));
    assert!(over.contains("the certificate expired on 2020-03-01"), "{over}");
    let early = told("early", "90", Some(("20490101000000Z", "20491231000000Z")));
    assert!(early.contains("holds from 2049-01-01 on only"), "{early}");
}

/// Every key of the schema, as `Section.key` of the type it belongs to.
fn schema_keys() -> BTreeSet<(String, String)> {
    let schema = config::schema();
    let types = schema.get("$defs").and_then(Value::as_object).unwrap().iter().map(|(name, def)| (name.as_str(), def));
    let mut keys = BTreeSet::new();
    for (name, def) in types.chain([("", &schema)]) {
        assert!(def.get("description").is_some(), "{name} has no description");
        for (key, property) in def["properties"].as_object().into_iter().flatten() {
            assert!(property.get("description").is_some(), "{name}.{key} has no description");
            keys.insert((name.to_owned(), key.clone()));
        }
    }
    assert!(keys.len() > 100, "{}", keys.len());
    keys
}

#[test]
fn the_example_knows_every_key() {
    let example = example();
    let whole: Value = serde_yaml::from_str(&example).unwrap();
    for (name, key) in schema_keys() {
        let written = regex::Regex::new(&format!(r"(?m)(^|[\s{{,#]){key}\b[^\n]*")).unwrap();
        assert!(written.is_match(&example), "{name}.{key} is not in the example");
        if name.is_empty() {
            assert!(whole.get(&key).is_some(), "{key} is not in the example");
        }
    }
    let schema = config::schema();
    let sections = schema["properties"].as_object().unwrap().iter();
    // `endpoint` is a list, whose default happens to be a single map.
    for (section, keys) in sections.filter(|(section, _)| *section != "endpoint") {
        for (key, _) in keys["default"].as_object().into_iter().flatten() {
            assert!(whole[section].get(key).is_some(), "{section}.{key} is not in the example");
        }
    }
}

#[test]
fn the_documentation_knows_every_key() {
    let text = fs::read_to_string("docs/configuration.md").unwrap();
    for (name, key) in schema_keys() {
        let written = regex::Regex::new(&format!(r"`([a-z_.\[\]]*\.)?{key}[`.\[:]|[{{ ]{key}: ")).unwrap();
        assert!(written.is_match(&text), "{name}.{key} is not in the documentation");
    }
}

fn check(text: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    command.current_dir(folder.path()).env_clear().args(["check", "-c", "t.yaml"]).args(arguments).output().unwrap()
}

#[test]
fn check_tells_faults_on_stderr_and_exits_with_1() {
    let output = check("mode: enforc\n", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(output.stdout, b"");
    let lines = String::from_utf8(output.stderr).unwrap();
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.starts_with("t.yaml:1: mode: `enforc` is none of"), "{lines}");
}

#[test]
fn check_says_fine_with_counts_and_warnings() {
    let output = check(&format!("{MINIMAL}default: public\n"), &[]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("t.yaml: fine\n  0 rules, 0 clients, 1 endpoint source, 1 warning\n"), "{text}");
    assert!(text.contains("warning: t.yaml:2: default: public"), "{text}");
}

#[test]
fn check_lists_as_json() {
    let output = check("mode: enforc\n", &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&list[0]["line"], &list[0]["key"], &list[0]["level"]), (&1.into(), &"mode".into(), &"fault".into()));

    let output = check(&format!("{MINIMAL}mode: observe\n"), &["--json"]);
    assert_eq!(output.status.code(), Some(0));
    let list: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["level"]), (1, &"warning".into()));
}

#[test]
fn check_with_connect_tells_what_does_not_answer() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = check(&format!("upstream: {{url: \"http://{free}\"}}\n"), &["--connect"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("t.yaml: upstream.url: "), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let faults = config::load(Path::new("/nonexistent/t.yaml"), &Overrides::default()).unwrap_err();
    assert!(faults[0].to_string().starts_with("/nonexistent/t.yaml: cannot be read: "), "{faults:?}");

    let folder = tempfile::tempdir().unwrap();
    let name = folder.path().join("t.yaml");
    fs::write(&name, b"# fine\nmode: \xff\n").unwrap();
    let faults = config::load(&name, &Overrides::default()).unwrap_err();
    assert_eq!((faults[0].line, faults[0].what.as_str()), (2, "is not UTF-8"));
}

#[test]
fn faults_of_the_listener_for_proxies_are_told() {
    let trusted = "trusted_proxies: [127.0.0.1]\n";
    for (written, at, part) in [
        ("decide: {listen: \"127.0.0.1:9901\", proxy: nginx}\n".to_owned(), "2: decide", "nobody may ask"),
        (format!("{trusted}decide: {{proxy: nginx}}\n"), "3: decide.listen", "is missing"),
        (format!("{trusted}decide: {{listen: \"127.0.0.1:9901\"}}\n"), "3: decide.proxy", "is missing"),
        (format!("{trusted}decide: {{listen: x, proxy: caddy}}\n"), "3: decide.listen", "must be host:port"),
        (
            format!("{trusted}decide: {{listen: \"127.0.0.1:9900\", proxy: caddy}}\n"),
            "3: decide.listen",
            "one of their own",
        ),
        (format!("{trusted}decide: {{listen: \"127.0.0.1:1\", proxy: haproxy}}\n"), "3: decide.proxy", "nginx"),
    ] {
        assert_fault(&written, at, part);
    }
    let fine = fine(&format!("{MINIMAL}{trusted}decide: {{listen: \"unix:/run/d.sock\", proxy: envoy}}\n"));
    assert!(fine.settings.decide.is_some() && fine.settings.gate.inquiry.is_some());
    assert!(fine.warnings.is_empty(), "{:?}", fine.warnings);
}

#[test]
fn what_does_nothing_for_proxies_that_ask_is_warned_of() {
    let login = "rules: [{endpoint: a/b/c, require: client, login: {success: {status: 200}, user_id: form:u}}]\n";
    let decide = "trusted_proxies: [127.0.0.1]\ndecide: {listen: \"127.0.0.1:9901\", proxy: nginx}\n";
    let more = "forward: {hide_credentials: true}\ncors: {origins: [\"https://a.example\"]}\n";
    let fine = fine(&format!("{MINIMAL}{login}{decide}{more}"));
    let warned: Vec<_> =
        fine.warnings.iter().filter(|warning| warning.key == "decide").map(|warning| &warning.what).collect();
    assert_eq!(warned.len(), 3, "{warned:?}");
}
