//! The command, as it is run.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use ticketgate::shutdown::Phase;

use crate::support::{Admin, Setting, TOKEN};

#[path = "support/admin.rs"]
#[expect(dead_code, reason = "the command asks in our place")]
mod support;

/// What one run said.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Said {
    command(arguments).output().unwrap().into()
}

fn run_with_input(mut command: Command, input: &str) -> Said {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

/// A command on a running gate.
fn on(admin: &Admin, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.env("TICKETGATE_ADMIN", &admin.address).env("TICKETGATE_ADMIN_TOKEN", TOKEN);
    command
}

fn ask(admin: &Admin, arguments: &[&str]) -> Said {
    on(admin, arguments).output().unwrap().into()
}

#[test]
fn the_version_is_the_packages() {
    let said = run(&["--version"]);
    assert_eq!((said.code, said.out.trim()), (0, concat!("ticketgate ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_usage_ends_with_2_and_says_so_on_stderr() {
    for arguments in [
        &[][..],
        &["fly"],
        &["serve"],
        &["serve", "-c"],
        &["client"],
        &["client", "show"],
        &["session", "end", "7"],
        &["session", "end", "7", "abc", "--all"],
        &["completions", "cobol"],
        &["sign", "--client", "ios", "--secret", "s", "GET", "no-url"],
        &["sign", "--client", "ios", "--secret", "s", "GET", "http://h/?without=endpoint"],
        &["sign", "--client", "ios", "GET", "http://h/?mod=a"],
        &["sign", "--client", "ios", "--secret", "s", "--endpoint", "a/b", "GET", "http://h/"],
    ] {
        let said = run(arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?}: {said:?}");
        assert!(!said.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_names_every_command() {
    let said = run(&["--help"]);
    assert_eq!(said.code, 0);
    for name in
        ["serve", "check", "demo", "explain", "learn", "sign", "client", "session", "health", "schema", "completions"]
    {
        assert!(said.out.contains(&format!("\n  {name} ")), "{name}: {}", said.out);
    }
}

#[test]
fn every_flag_of_serve_is_also_an_environment_variable() {
    let help = run(&["serve", "--help"]).out;
    for name in ["TICKETGATE_CONFIG", "TICKETGATE_LISTEN", "TICKETGATE_UPSTREAM", "TICKETGATE_STORE"] {
        assert!(help.contains(name), "{name}: {help}");
    }
}

#[test]
fn completions_come_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = run(&["completions", shell]);
        assert!(said.code == 0 && said.out.contains("ticketgate"), "{shell}: {said:?}");
    }
}

#[test]
fn health_is_told_by_the_exit_code_and_needs_no_token() {
    let application = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = Admin::with(Setting { upstream: application.local_addr().unwrap().port(), ..Setting::default() });
    let health = |arguments: &[&str]| -> Said {
        let mut command = command(&[&["health", "--admin", &admin.address], arguments].concat());
        command.output().unwrap().into()
    };
    let alive = health(&[]);
    assert_eq!((alive.code, alive.out.as_str()), (0, "ok\n"), "{alive:?}");
    let ready = health(&["--ready"]);
    assert_eq!((ready.code, ready.out.as_str()), (0, "ready\n"), "{ready:?}");
    assert_eq!(health(&["--ready", "--json"]).json()["upstream"], "ok");

    admin.trigger.announce(Phase::Leaving);
    let leaving = health(&["--ready"]);
    assert_eq!((leaving.code, leaving.out.as_str()), (1, ""), "{leaving:?}");
    assert!(leaving.err.contains("draining: true"), "{leaving:?}");
    let leaving = health(&["--ready", "--json"]);
    assert_eq!((leaving.code, leaving.json()["status"].clone()), (1, json!("not_ready")));
    assert_eq!(health(&[]).code, 0, "it lives until it ends");
}

#[test]
fn health_of_a_gate_that_is_not_there_fails() {
    let said = run(&["health", "--admin", "http://127.0.0.1:1"]);
    assert_eq!((said.code, said.out.as_str()), (1, ""));
    assert!(said.err.contains("cannot reach http://127.0.0.1:1"), "{said:?}");
}

const SIGN: [&str; 7] = ["sign", "--client", "ios", "--secret", "s3cret", "--date", "2013-12-18"];

#[test]
fn a_url_gets_its_credentials_and_a_curl_line() {
    let url = "http://127.0.0.1:8080/index.php?mod=user&ctl=auth&act=login";
    let said = run(&[&SIGN[..], &["GET", url]].concat());
    let signed = format!("{url}&client_id=ios&api_token=ea5c241756c8c8c441090ba291f47d83");
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out, format!("{signed}\ncurl '{signed}'\n"));
}

#[test]
fn a_user_and_a_form_go_along() {
    let url = "http://h/?mod=user&ctl=auth&act=login&user_id=8#top";
    let more = ["--user", "王 五", "--token", "abc", "--data", "it's=1", "POST", url];
    let said = run(&[&SIGN[..], &more].concat());
    let signed = "http://h/?mod=user&ctl=auth&act=login&client_id=ios&api_token=ea5c241756c8c8c441090ba291f47d83\
        &user_id=%E7%8E%8B%20%E4%BA%94&user_token=abc";
    assert_eq!(said.out, format!("{signed}\ncurl --data-raw 'it'\\''s=1' '{signed}'\n"), "{said:?}");
}

#[test]
fn an_endpoint_may_be_given_and_the_algorithm_chosen() {
    let more = ["--endpoint", "user/auth/login", "--algorithm", "hmac-sha256", "--json", "GET", "/login"];
    let said = run(&[&SIGN[..], &more].concat()).json();
    let token = "6c3aa135dcce96cf44ae4e2006fb8848fe673d703b4ee2296e2481172c9488ff";
    assert_eq!(said["credentials"], json!({"client_id": "ios", "api_token": token}));
    assert_eq!(said["url"], format!("/login?client_id=ios&api_token={token}"));
    assert_eq!((&said["endpoint"], &said["date"]), (&json!("user/auth/login"), &json!("2013-12-18")));
}

#[test]
fn a_signed_url_holds_timestamp_nonce_and_sign() {
    for (flag, length) in [("--signed", 64), ("--signed=hmac-sha256", 64), ("--signed=md5", 32)] {
        let said = run(&[&SIGN[..], &[flag, "--json", "GET", "http://h/?mod=a&ctl=b&act=c"]].concat()).json();
        let credentials = &said["credentials"];
        assert_eq!(credentials["sign"].as_str().unwrap().len(), length, "{flag}");
        let nonce = credentials["nonce"].as_str().unwrap();
        assert!((8..=64).contains(&nonce.len()), "{nonce}");
        assert!(said["url"].as_str().unwrap().contains(&format!("&nonce={nonce}&sign=")), "{said}");
    }
}

#[test]
fn a_secret_comes_from_the_environment_too() {
    let arguments = ["sign", "--client", "ios", "--date", "2013-12-18", "GET", "/?mod=user&ctl=auth&act=login"];
    let said: Said = command(&arguments).env("TICKETGATE_CLIENT_SECRET", "s3cret").output().unwrap().into();
    assert!(said.out.contains("ea5c241756c8c8c441090ba291f47d83"), "{said:?}");
    let help = command(&["sign", "--help"]).env("TICKETGATE_CLIENT_SECRET", "s3cret").output().unwrap();
    assert!(!Said::from(help).out.contains("s3cret"), "help shows no secret");
}

#[test]
fn clients_are_added_listed_changed_and_removed() {
    let admin = Admin::start();
    let added = ask(
        &admin,
        &["client", "add", "--id", "web", "--name", "Web 王", "--endpoint", "news", "--signature", "always", "--json"],
    );
    assert_eq!((added.code, &added.json()["signature"]), (0, &json!("always")), "{added:?}");
    assert_eq!(added.json()["secret"].as_str().unwrap().len(), 20);

    let listed = ask(&admin, &["client", "list"]);
    let lines: Vec<&str> = listed.out.lines().collect();
    assert!(lines[0].starts_with("ID   NAME    STATUS   SOURCE  ENDPOINTS  CREATED"), "{}", listed.out);
    assert!(lines[1].starts_with("ios  -       enabled  file    *          -"), "{}", listed.out);
    assert!(lines[2].starts_with("web  Web 王  enabled  store   news       20"), "{}", listed.out);

    assert_eq!(ask(&admin, &["client", "disable", "web"]).out, "web: disabled\n");
    assert!(ask(&admin, &["client", "show", "web"]).out.contains("\nstatus            disabled\n"));
    assert_eq!(ask(&admin, &["client", "enable", "web"]).out, "web: enabled\n");
    let rotated = ask(&admin, &["client", "rotate", "web", "--keep-old", "24h", "--json"]).json();
    assert!(rotated["old_secret_until"].is_u64() && rotated["secret"] != added.json()["secret"], "{rotated}");
    assert_eq!(ask(&admin, &["client", "remove", "web"]).out, "web: removed\n");
    let gone = ask(&admin, &["client", "show", "web"]);
    assert_eq!((gone.code, gone.err.as_str()), (1, "ticketgate: there is no client `web`\n"));
}

#[test]
fn a_client_of_the_file_is_not_changed_from_the_command_line() {
    let admin = Admin::start();
    let said = ask(&admin, &["client", "disable", "ios"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("configuration file"), "{said:?}");
}

#[test]
fn sessions_are_issued_listed_shown_and_ended() {
    let admin = Admin::start();
    let user = "a/b 王";
    let issued = ask(&admin, &["session", "issue", user, "--client", "ios", "--json"]);
    assert_eq!(issued.code, 0, "{issued:?}");
    let (session, token) = (issued.json()["session"].clone(), issued.json()["user_token"].clone());
    let session = session.as_str().unwrap();
    assert_eq!(token.as_str().unwrap().len(), 32);

    let listed = ask(&admin, &["session", "list", user]);
    assert!(listed.out.lines().nth(1).unwrap().starts_with(&format!("{session}  ios     20")), "{}", listed.out);
    assert!(!listed.out.contains(token.as_str().unwrap()));
    assert_eq!(ask(&admin, &["session", "list", user, "--json"]).json()["sessions"][0]["id"], session);
    assert!(ask(&admin, &["session", "show", user, session]).out.contains(&format!("user        {user}\n")));

    assert_eq!(ask(&admin, &["session", "end", user, session]).out, "1 ended\n");
    assert_eq!(ask(&admin, &["session", "end", user, session]).code, 1);
    ask(&admin, &["session", "issue", user]);
    ask(&admin, &["session", "issue", user]);
    assert_eq!(ask(&admin, &["session", "end", user, "--all"]).out, "2 ended\n");
}

#[test]
fn an_import_goes_on_after_a_bad_line_and_fails_in_the_end() {
    let admin = Admin::start();
    let table =
        "id\tclient_id\tclient_secret\tstatus\n1\tweb\told-1\t1\n2\tios\told-2\t1\n3\tpc\told-3\t0\n4\t\tx\t1\n";
    let said = run_with_input(on(&admin, &["client", "import", "-"]), table);
    assert_eq!(said.code, 1, "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], "line 2: web: added");
    assert!(lines[1].starts_with("line 3: failed: client `ios` stands in the configuration file"), "{}", said.out);
    assert_eq!(lines[2], "line 4: pc: added");
    assert_eq!(lines[3], "line 5: failed: the id is empty");
    assert_eq!(said.err, "");

    assert_eq!(ask(&admin, &["client", "show", "pc", "--json"]).json()["enabled"], false);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("clients.csv");
    std::fs::write(&file, "secret,id\nx,tv\n").unwrap();
    let said = ask(&admin, &["client", "import", file.to_str().unwrap(), "--json"]);
    assert_eq!((said.code, said.json()), (0, json!([{"line": 2, "id": "tv", "error": null}])));
}

#[test]
fn an_unreachable_gate_is_said_with_what_to_look_at() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let said = run(&["client", "list", "--admin", &format!("http://{free}"), "--admin-token", "x"]);
    let hint = "is the gate running, and is admin.listen that address?";
    let expected = format!("ticketgate: cannot reach http://{free}: connection refused; {hint}\n");
    assert_eq!((said.code, said.err), (1, expected));

    let said = run(&["client", "list", "--admin", "unix:/nowhere/admin.sock"]);
    assert!(said.code == 1 && said.err.contains("cannot reach unix:/nowhere/admin.sock: no such file"), "{said:?}");
}

#[test]
fn a_gate_is_reached_over_a_socket_of_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let admin = Admin::on_socket(&directory.path().join("admin.sock"));
    let said = ask(&admin, &["client", "list"]);
    assert!(said.code == 0 && said.out.contains("ios"), "{said:?}");
}

#[test]
fn a_wrong_token_is_said_with_how_to_give_it() {
    let admin = Admin::start();
    for token in ["", "wrong"] {
        let said: Said = on(&admin, &["client", "list"]).env("TICKETGATE_ADMIN_TOKEN", token).output().unwrap().into();
        assert_eq!(said.code, 1);
        assert!(said.err.contains("--admin-token or TICKETGATE_ADMIN_TOKEN"), "{said:?}");
    }
}

#[test]
fn a_listener_that_is_no_gate_is_told_as_such() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").unwrap();
    });
    let said = run(&["client", "list", "--admin", &address.to_string(), "--admin-token", "x"]);
    answering.join().unwrap();
    assert!(said.code == 1 && said.err.contains("is that address the gate's admin.listen?"), "{said:?}");
}
