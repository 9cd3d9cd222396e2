//! `ticketgate test-login` against a real application whose forms are guarded.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use support::php::Php;

const GUARDED: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint:
  - path: "/{module}.php"
session: {sealed: true}
default: client
rules:
  - endpoint: login
    require: client
    login: {before: {get: /login.php, form: true}, success: {location: /home.php}, user_id: "form:user", fields: [user, pass], reply: envelope}
  - endpoint: api_login
    require: client
    signature: always
    login: {before: {get: /token.php, take: {token: "json:/tokens/login"}}, success: {json: {/code: 1}}, user_id: "json:/data/uid", user_name: "form:user"}
  - endpoint: no_form
    require: client
    login: {before: {get: /token.php, form: true}, success: {location: /home.php}, user_id: "form:user"}
  - {path: "/*/open.php", endpoint: {is: open/x/y}, require: client, login: {success: {status: 200}, user_id: "form:user"}}
"#;

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn tried(php: &Php, password: &str, arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ticketgate.yaml");
    std::fs::write(&file, GUARDED.replace("{upstream}", &php.url)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    command.args(["test-login", "-c"]).arg(&file).args(["--user", "anna", "--password-stdin"]).args(arguments);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) };
    let password = password.trim();
    assert!(!said.out.contains(password) && !said.err.contains(password), "{} {}", said.out, said.err);
    said
}

fn shows(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest.find(part).unwrap_or_else(|| panic!("no {part:?}, in that order, in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_login_is_shown_from_its_page_to_its_cookies() {
    let said = tried(&Php::application("guarded"), "anna123\n", &["login"]);
    assert_eq!(said.code, 0, "{} {}", said.out, said.err);
    shows(
        &said.out,
        &[
            "rule login\n",
            "fetched    GET /login.php\n",
            "status 200\n",
            "asks for a password",
            "form       to ",
            "sent       POST ",
            "user = \"anna\"\n",
            "pass = [redacted]\n",
            "answered   ",
            "status 302\n",
            "Location /home.php\n",
            "success    1. location /home.php: holds (/home.php)\n",
            "user_id    form:user: anna\n",
            "held       ",
            "logged in: anna\n",
        ],
    );
}

#[test]
fn what_a_wrong_password_leads_to_is_shown_and_fails() {
    let php = Php::application("guarded");
    let said = tried(&php, "no-such-password\r\n", &["login"]);
    assert_eq!(said.code, 1, "{}", said.out);
    shows(&said.out, &["success    1. location /home.php: FAILS (no Location)\n", "held       "]);
    assert!(said.err.contains("nobody is logged in"), "{}", said.err);
    let json = tried(&php, "no-such-password", &["API_login", "--password-field", "pass"]);
    assert_eq!(json.code, 1, "{}", json.out);
    shows(&json.out, &["took       token (", "/code = ", "success    1. json /code: 1: FAILS ("]);
}

#[test]
fn a_login_in_json_is_shown_by_its_values_and_needs_neither_client_nor_signature() {
    let said = tried(&Php::application("guarded"), "anna123", &["api_login", "--password-field", "pass"]);
    assert_eq!(said.code, 0, "{} {}", said.out, said.err);
    shows(&said.out, &["token = (text of ", "/code = 1", "holds", "user_id    json:/data/uid: ", "logged in: "]);
}

#[test]
fn a_page_without_what_is_looked_for_is_named() {
    let said = tried(&Php::application("guarded"), "anna123", &["no_form", "--password-field", "pass"]);
    assert_eq!(said.code, 1, "{}", said.out);
    shows(&said.out, &["fetched    GET /token.php", "stopped    ", "/token.php (status 200) has not such a form"]);
    assert!(said.err.contains("upstream_failed"), "{}", said.err);
}

#[test]
fn what_cannot_be_tried_is_said_before_anything_is_sent() {
    let php = Php::application("guarded");
    for (arguments, told) in [
        (&[][..], "several rules have a login; name one: login, api_login, no_form"),
        (&["nothing"][..], "no login rule goes by nothing"),
        (&["api_login"][..], "--password-field"),
        (&["login", "--field", "x"][..], "give NAME=VALUE"),
        (&["/*/open.php", "--password-field", "p"][..], "give --target"),
        (&["login", "--target", "/home.php"][..], "user in form, where no login is: give --target"),
        (&["login", "--target", "/a b"][..], "blanks"),
    ] {
        let said = tried(&php, "anna123", arguments);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{arguments:?} {}", said.err);
        assert!(said.err.contains(told), "{arguments:?}: {}", said.err);
    }
    assert_eq!(tried(&php, "anna123", &["/*/open.php", "--password-field", "p", "--target", "/x/open.php"]).code, 1);
}
