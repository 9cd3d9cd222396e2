//! What is told to whoever looks for what is wrong with a signature.

use std::process::{Command, Stdio};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};
use ticketgate::clock::Clock;

use crate::SIGNED;
use crate::support::backend::FakeBackend;
use crate::support::caller::{Caller, Session};
use crate::support::process::Process;
use crate::support::signing::{Algorithm, Call};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A signed POST of a user, at a gate that nobody has started.
fn call() -> Call {
    let caller = Caller::new("127.0.0.1:1", Clock::system(), "ios", "s3cret");
    let session = Session { user_id: "7".to_owned(), user_token: TOKEN.to_owned(), expire_time: 0 };
    let call = Call::by(&caller, "user/info/save").posting("application/x-www-form-urlencoded", "title=a&b=1");
    call.with(|call| {
        call.session = Some(session);
        call.query.push_str("&z=%20x&a=1");
    })
}

/// What `explain` says of a call with that signature. The file knows the client, unless `arguments` say more.
fn explain(call: &Call, sign: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("t.yaml");
    let text = SIGNED.replace("{upstream}", "http://127.0.0.1:1").replace("{store}", "memory:").replace("{more}", "");
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    command.args(["explain", "-c"]).arg(&config).args([&call.method, &call.target(sign)]);
    command.args(["--form", std::str::from_utf8(&call.body).unwrap()]).args(arguments);
    let output = command.env_clear().stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{}", output.stderr.escape_ascii());
    let said = String::from_utf8(output.stdout).unwrap();
    // The first line is the request as it was typed in.
    let said = said.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap();
    for secret in [TOKEN, &call.api_token, "s3cret", sign] {
        assert!(secret.is_empty() || !said.contains(secret), "{secret} in {said}");
    }
    said
}

fn hmac(text: &[u8], secret: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text);
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn what_should_be_signed_is_shown_line_by_line_and_whether_the_signature_fits() {
    let call = call();
    let said = explain(&call, &call.sign(), &[]);
    let expected = [
        "  signature   always; hmac-sha256 over",
        "              method      POST",
        "              path        /index.php",
        "              query       a=1&act=save&api_token=[32 bytes, redacted]&client_id=ios&ctl=info&mod=user&nonce=",
        "              user_token  [32 bytes, redacted]",
        "  sign        fits",
    ];
    for line in expected {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(said.contains(&format!("timestamp   {}", call.timestamp)) && !said.contains("refused"), "{said}");
    assert!(said.contains(&hex::encode(Sha256::digest(&call.body))), "{said}");
}

#[test]
fn a_usual_mistake_is_recognised_by_the_signature_it_makes() {
    let call = call();
    let text = call.canonical();
    let lines: Vec<&str> = text.split('\n').collect();
    let line = |at: usize, other: &str| {
        let mut lines = lines.clone();
        lines[at] = other;
        lines.join("\n")
    };
    let unsorted = call.target("");
    let unsorted = unsorted.split_once('?').unwrap().1.trim_end_matches("&sign=");
    let empty = hex::encode(Sha256::digest(b""));
    for (wrong, mistake) in [
        (line(0, "post"), "the method is in lower case"),
        (line(2, unsorted), "the pairs of the query are not sorted"),
        (line(2, ""), "the query is left out"),
        (line(2, &lines[2].replace("%20", " ")), "the query is decoded"),
        (line(2, "a=1&act=save&ctl=info&mod=user&z=%20x"), "the query's credentials are left out"),
        (line(4, ""), "the nonce is left out"),
        (line(5, ""), "the token is left out"),
        (line(5, &call.api_token), "api_token stands in the place of user_token"),
        (line(6, &empty), "the body is left out"),
        (line(6, "title=a&b=1"), "the body stands in the place of its hash"),
        (lines[..6].join("\n"), "the last line is missing"),
        (format!("{text}\n"), "there is a line break at the end"),
        (lines.join("\r\n"), "the lines are joined by carriage return and line feed"),
    ] {
        let said = explain(&call, &hmac(wrong.as_bytes(), "s3cret"), &[]);
        assert!(said.contains(&format!("it would fit if {mistake}\n")) || said.ends_with(mistake), "{mistake}\n{said}");
        assert!(said.contains("sign_refused"), "{said}");
    }
    let said = explain(&call, &hmac(text.as_bytes(), "s3cret\n"), &[]);
    assert!(said.contains("it would fit if the secret ends in a line break"), "{said}");
    let said = explain(&call, &hmac(text.as_bytes(), "another"), &[]);
    assert!(said.contains("sign        is wrong\n") || said.trim_end().ends_with("sign        is wrong"), "{said}");
    let said = explain(&call, &hmac(text.as_bytes(), "another"), &["--secret", "another"]);
    assert!(said.contains("sign        fits"), "{said}");
}

#[test]
fn mistakes_of_md5_are_recognised_as_well() {
    let call = call().with(|call| call.algorithm = Algorithm::Md5);
    assert!(explain(&call, &call.sign(), &[]).contains("sign        fits"));
    let query = call.target("");
    let query = query.split_once('?').unwrap().1.trim_end_matches("&sign=");
    let md5 = |text: String| hex::encode(Md5::digest(text));
    let (path, timestamp) = (&call.path, &call.timestamp);
    for (wrong, mistake) in [
        (format!("{path}{query}{timestamp}{TOKEN}s3cret"), "the query is without its ?"),
        (format!("{path}?{query}{timestamp}s3cret"), "the token is left out"),
        (format!("{path}?{query}{TOKEN}s3cret"), "the timestamp is left out"),
        (format!("{path}?{query}{timestamp}{}s3cret", call.api_token), "api_token stands in the place of user_token"),
        (format!("s3cret{path}?{query}{timestamp}{TOKEN}"), "the secret stands first"),
    ] {
        let said = explain(&call, &md5(wrong), &[]);
        assert!(said.contains(&format!("it would fit if {mistake}")), "{mistake}\n{said}");
    }
}

#[test]
fn the_first_place_where_a_clients_own_text_differs_is_told() {
    let call = call();
    let text = call.canonical();
    let differs = |canonical: &str| {
        let said = explain(&call, "", &["--canonical", canonical]);
        said.lines().find_map(|line| line.trim().strip_prefix("differs")).unwrap().trim().to_owned()
    };
    assert_eq!(differs(&text), "nowhere: it is the same text");
    assert_eq!(differs(&text.replace("POST", "GET")), "line 1 (method), byte 1: here `POST`, yours `GET`");
    assert_eq!(differs(&text.replace("a=1&act", "act")), "line 3 (query), pair 1: here `a=1`, yours `act=save`");
    assert_eq!(
        differs(&text.replace(&call.timestamp, "1")).split(':').next(),
        Some("line 3 (query), pair 8"),
        "the query holds it as well"
    );
    let other_token = text.replace(&format!("\n{TOKEN}\n"), "\n\n");
    assert_eq!(differs(&other_token), "line 6 (user_token): here it has 32 bytes, yours is empty");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("signed.txt");
    std::fs::write(&file, format!("{text}\n")).unwrap();
    assert_eq!(differs(&format!("@{}", file.display())), "the end: yours has a line break behind the last line");
    let md5 = format!("{}{}{TOKEN}s3cret", call.target("").trim_end_matches("&sign="), call.timestamp);
    assert_eq!(differs(&md5), "nowhere: it is the same text", "its secret is nobody's business");
}

#[test]
fn what_is_missing_or_too_old_is_told() {
    let call = call();
    assert!(explain(&call, "", &[]).contains("missing     sign"));
    let old = call.clone().with(|call| call.timestamp = "1795132800".to_owned());
    assert!(explain(&old, &old.sign(), &[]).contains("refused     sign_expired"));
    let unknown = call.with(|call| call.client_id = "registered".to_owned());
    let said = explain(&unknown, &unknown.sign(), &[]);
    assert!(said.contains("signature   always") && !said.contains("sign        "), "nobody can tell: {said}");
    assert!(explain(&unknown, &unknown.sign(), &["--secret", "s3cret"]).contains("sign        fits"));
    assert!(explain(&unknown, &unknown.sign(), &["--client", "ios"]).contains("signature   always"));
}

#[tokio::test]
async fn the_log_tells_at_level_debug_what_should_have_been_signed_and_no_secret() {
    let backend = FakeBackend::start().await;
    let yaml = SIGNED.replace("{upstream}", &backend.url).replace("{store}", "memory:").replace("{more}", "");
    let yaml = yaml.replace("level: error", "level: debug") + "listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n";
    let mut gate = Process::serve(&yaml).await;
    for (path, body) in [("/index.php", 10), ("/index.php/", 200_000)] {
        let call = Call::by(&gate.client("ios", "s3cret"), "news/list/save").posting("text/plain", vec![b'x'; body]);
        let session = Session { user_id: "7".to_owned(), user_token: TOKEN.to_owned(), expire_time: 0 };
        let call = call.with(|call| (call.session, call.path) = (Some(session), path.to_owned()));
        let wrong = hmac(call.canonical().as_bytes(), "another");
        call.request_to(&gate.address, &wrong).await.assert_refused(401, "sign_refused");
        let line = gate.line_with(call.nonce.as_deref().unwrap()).await;
        for part in ["a signature was refused", "POST", &call.timestamp, &hex::encode(Sha256::digest(&call.body))] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        for secret in [TOKEN, &call.api_token, "s3cret", &wrong, &call.sign()] {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}
