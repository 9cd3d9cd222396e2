//! `deploy/php/ticketgate_prepend.php`: PHP answers what came through the gate, and nothing else.

#![expect(clippy::expect_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use support::apps::MVC;
use support::backend::FakeBackend;
use support::gate::Gate;
use support::http::{Reply, Request};
use support::php::{PhpFpm, application};
use tempfile::TempDir;
use ticketgate::clock::Clock;

const KEY: &str = "assert-key";
const REFUSED: &str = r#"{"code":0,"msg":"This request did not come through the gate.","data":[]}"#;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn prepend() -> PathBuf {
    repository("deploy/php/ticketgate_prepend.php")
}

/// The header's value for method, target, user, client and Unix second.
fn assertion(key: &str, [method, target, user, client]: [&str; 4], time: u64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(format!("v1\n{method}\n{target}\n{user}\n{client}\n{time}\nr1").as_bytes());
    format!("t={time},id=r1,u={user},c={client},sig={}", hex::encode(mac.finalize().into_bytes()))
}

fn now() -> u64 {
    Clock::system().now().as_secs()
}

/// One request to a script that prints `hello`, as a web server gives it to php-cgi.
struct Cgi {
    environment: Vec<(&'static str, String)>,
    settings: Vec<String>,
    prepend: PathBuf,
}

const INFO: [&str; 4] = ["GET", "/index.php?mod=user&ctl=info&act=get", "7", "ios"];

impl Cgi {
    /// Everything is right until a test changes it.
    fn right() -> Self {
        let [method, target, user, client] = INFO;
        let environment = vec![
            ("REQUEST_METHOD", method.to_owned()),
            ("REQUEST_URI", target.to_owned()),
            ("HTTP_X_TICKETGATE_ASSERTION", assertion(KEY, INFO, now())),
            ("HTTP_X_AUTH_USER_ID", user.to_owned()),
            ("HTTP_X_AUTH_CLIENT_ID", client.to_owned()),
            ("TICKETGATE_ASSERTION_KEY", KEY.to_owned()),
        ];
        Self { environment, settings: vec![], prepend: prepend() }
    }

    /// With another variable of the environment.
    fn put(mut self, name: &'static str, value: &str) -> Self {
        self = self.without(name);
        self.environment.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.environment.retain(|(other, _)| *other != name);
        self
    }

    fn assertion(self, value: &str) -> Self {
        self.put("HTTP_X_TICKETGATE_ASSERTION", value)
    }

    /// With a line of php.ini.
    fn ini(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// Head and body as PHP answers them.
    fn run(&self) -> String {
        let folder = tempfile::tempdir().expect("a directory");
        let script = folder.path().join("hello.php");
        fs::write(&script, "<?php echo 'hello', count(array_diff_key(get_defined_vars(), $GLOBALS));")
            .expect("a script");
        let mut command = Command::new("php-cgi");
        command.args(["-n", "-d", "error_log=/dev/null", "-d"]);
        command.arg(format!("auto_prepend_file={}", self.prepend.display()));
        for line in &self.settings {
            command.args(["-d", line]);
        }
        command.env_clear().env("REDIRECT_STATUS", "200").env("SCRIPT_FILENAME", &script).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value.as_str())));
        let output = command.output().expect("the tests need php-cgi");
        String::from_utf8(output.stdout).expect("text")
    }

    #[track_caller]
    fn assert_passes(&self) {
        let reply = self.run();
        assert!(reply.ends_with("\r\n\r\nhello0") && !reply.contains("Status:"), "{:?}\n{reply}", self.environment);
    }

    #[track_caller]
    fn assert_refused(&self) {
        let reply = self.run();
        let fine = reply.starts_with("Status: 403 Forbidden\r\n")
            && reply.contains("Content-Type: application/json; charset=utf-8\r\n")
            && reply.contains("Cache-Control: no-store\r\n")
            && reply.ends_with(&format!("\r\n\r\n{REFUSED}"));
        assert!(fine, "{:?}\n{reply}", self.environment);
    }
}

#[test]
fn an_assertion_of_this_request_passes() {
    Cgi::right().assert_passes();
    let nobody = Cgi::right().assertion(&assertion(KEY, ["GET", INFO[1], "", ""], now()));
    nobody.without("HTTP_X_AUTH_USER_ID").without("HTTP_X_AUTH_CLIENT_ID").assert_passes();
    for user in ["王五", "a,c=b", "a b", "7,sig="] {
        let cgi = Cgi::right().assertion(&assertion(KEY, ["GET", INFO[1], user, "ios"], now()));
        cgi.put("HTTP_X_AUTH_USER_ID", user).assert_passes();
    }
}

#[test]
fn a_missing_or_unreadable_assertion_is_refused() {
    let right = assertion(KEY, INFO, now());
    Cgi::right().without("HTTP_X_TICKETGATE_ASSERTION").assert_refused();
    for text in ["", "x", "t=1", &right.replace("sig=", "sig=0"), &format!("{right}\n"), &right.to_uppercase()] {
        Cgi::right().assertion(text).assert_refused();
    }
}

#[test]
fn an_assertion_of_another_request_is_refused() {
    for (name, value) in [
        ("REQUEST_METHOD", "POST"),
        ("REQUEST_METHOD", "get"),
        ("REQUEST_URI", "/index.php?mod=user&ctl=info&act=save"),
        ("REQUEST_URI", "/index.php?mod=user&ctl=info&act=ge%74"),
        ("HTTP_X_AUTH_USER_ID", "8"),
        ("HTTP_X_AUTH_CLIENT_ID", "android"),
    ] {
        Cgi::right().put(name, value).assert_refused();
    }
    Cgi::right().without("HTTP_X_AUTH_USER_ID").assert_refused();
    let right = assertion(KEY, INFO, now());
    for (from, to) in [("u=7", "u=8"), ("u=7", "u="), ("c=ios", "c=android"), ("id=r1", "id=r2")] {
        Cgi::right().assertion(&right.replace(from, to)).assert_refused();
    }
    let nobody = Cgi::right().assertion(&assertion(KEY, ["GET", INFO[1], "", "ios"], now()));
    nobody.assert_refused();
}

#[test]
fn an_assertion_under_another_key_is_refused() {
    Cgi::right().assertion(&assertion("other", INFO, now())).assert_refused();
    Cgi::right().assertion(&assertion("", INFO, now())).assert_refused();
}

#[test]
fn before_php_5_6_signatures_are_compared_all_the_same() {
    let old = || Cgi::right().ini("disable_functions=hash_equals");
    old().assert_passes();
    for wrong in [assertion("other", INFO, now()), assertion(KEY, INFO, now()).replace("id=r1", "id=r2")] {
        old().assertion(&wrong).assert_refused();
    }
}

#[test]
fn an_assertion_of_another_time_is_refused() {
    for (time, passes) in [(now() - 290, true), (now() + 290, true), (now() - 310, false), (now() + 310, false)] {
        let cgi = Cgi::right().assertion(&assertion(KEY, INFO, time));
        if passes { cgi.assert_passes() } else { cgi.assert_refused() }
    }
    let old = Cgi::right().assertion(&assertion(KEY, INFO, now() - 310));
    old.put("TICKETGATE_ASSERTION_WINDOW", "600").assert_passes();
    let right = assertion(KEY, INFO, now());
    let (_, rest) = right.split_once(',').expect("a time");
    Cgi::right().assertion(&format!("t={},{rest}", now() - 5)).assert_refused();
}

#[test]
fn the_key_stands_in_the_environment_php_ini_a_file_or_a_constant() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).expect("a key");
    let unset = || Cgi::right().without("TICKETGATE_ASSERTION_KEY");
    let path = file.display().to_string();
    unset().put("TICKETGATE_ASSERTION_KEY_FILE", &path).assert_passes();
    unset().ini(&format!("ticketgate.assertion_key={KEY}")).assert_passes();
    unset().ini(&format!("ticketgate.assertion_key_file={path}")).assert_passes();

    let wrapper = folder.path().join("wrapper.php");
    let text = format!("<?php define('TICKETGATE_ASSERTION_KEY', '{KEY}'); require '{}';", prepend().display());
    fs::write(&wrapper, text).expect("a wrapper");
    Cgi { prepend: wrapper, ..unset() }.assert_passes();
}

#[test]
fn without_a_key_nothing_passes() {
    Cgi::right().without("TICKETGATE_ASSERTION_KEY").assert_refused();
    let unreadable = Cgi::right().put("TICKETGATE_ASSERTION_KEY_FILE", "/no/such/file");
    unreadable.assertion(&assertion("", INFO, now())).assert_refused();
    Cgi::right().put("TICKETGATE_ASSERTION_KEY", "").assertion(&assertion("", INFO, now())).assert_refused();
}

#[test]
fn renamed_identity_headers_are_looked_for_by_their_names() {
    let renamed = Cgi::right().without("HTTP_X_AUTH_USER_ID").put("HTTP_X_USER", "7");
    renamed.assert_refused();
    let renamed = Cgi::right().without("HTTP_X_AUTH_USER_ID").put("HTTP_X_USER", "7");
    renamed.put("TICKETGATE_USER_HEADER", "x-user").assert_passes();
}

#[test]
fn exempt_targets_pass_exactly_as_they_are_written() {
    let request = |method: &str, target: &str| {
        let cgi =
            Cgi::right().without("HTTP_X_TICKETGATE_ASSERTION").put("TICKETGATE_EXEMPT", " /ping.php  /status?full=1 ");
        cgi.put("REQUEST_METHOD", method).put("REQUEST_URI", target)
    };
    for (method, target) in [("GET", "/ping.php"), ("GET", "/status?full=1")] {
        request(method, target).assert_passes();
    }
    for target in ["/ping.php?s=/admin", "/ping.php/admin", "/PING.php", "//ping.php", "/status", "/", ""] {
        request("GET", target).assert_refused();
    }
    request("POST", "/ping.php").assert_refused();
    Cgi::right().without("HTTP_X_TICKETGATE_ASSERTION").put("REQUEST_URI", "").assert_refused();
}

#[test]
fn commands_are_none_of_its_business() {
    let code = format!("require '{}'; echo 'hello';", prepend().display());
    let output = Command::new("php").args(["-n", "-r", &code]).output().expect("php");
    assert_eq!(output.stdout, b"hello");
}

/// The JSON application with the file before each of its scripts, behind nginx and php-fpm.
struct Guarded {
    php: PhpFpm,
    _folder: TempDir,
}

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path().join("www");
        copy(&application("mvc"), &root);
        fs::write(folder.path().join("key"), KEY).expect("a key");
        let wrapper = folder.path().join("prepend.php");
        let file = folder.path().join("key").display().to_string();
        let text =
            format!("<?php define('TICKETGATE_ASSERTION_KEY_FILE', '{file}'); require '{}';", prepend().display());
        fs::write(&wrapper, text).expect("a wrapper");
        let user_ini = format!("auto_prepend_file={}\nlog_errors=0\n", wrapper.display());
        fs::write(root.join(".user.ini"), user_ini).expect("an ini file");
        Self { php: PhpFpm::serve(&root), _folder: folder }
    }

    fn direct(&self, method: &str, target: &str) -> Request {
        Request::new(self.php.url.trim_start_matches("http://"), method, target)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

async fn gate(url: &str, key: &str) -> Gate {
    Gate::with(&format!("{MVC}forward: {{assertion_key: {key}}}\n")).upstream(url).start().await
}

fn assert_refused_by_php(reply: &Reply) {
    assert_eq!((reply.status, reply.reason(), reply.text().as_str()), (403, "", REFUSED));
}

#[tokio::test]
async fn what_comes_through_the_gate_passes_and_what_comes_past_it_is_refused() {
    let guarded = Guarded::start();
    let gate = gate(&guarded.php.url, KEY).await;
    let lilei = gate.client("ios", "s3cret").logged_in("lilei").await;
    assert_eq!(lilei.get("user/info/get").await.at("/data/name"), "李雷");
    assert_eq!(lilei.post("user/info/save", &[("name", "雷哥")]).await.at("/code"), 1);
    assert_eq!(gate.get("/index.php?mod=debug&ctl=echo&act=open&x=%e4%b8%80+%2F").await.status, 200);

    let info = "/index.php?mod=user&ctl=info&act=get";
    assert_refused_by_php(&guarded.direct("GET", info).await);
    let forged = guarded.direct("GET", info).header("X-Auth-User-Id", "7").header("X-Auth-Client-Id", "ios");
    assert_refused_by_php(&forged.header("X-Ticketgate-Assertion", &assertion("other", INFO, now())).await);
    assert_eq!(guarded.direct("HEAD", info).await.status, 403);
}

#[tokio::test]
async fn an_assertion_that_was_copied_serves_no_other_request() {
    let backend = FakeBackend::start().await;
    let spied = gate(&backend.url, KEY).await;
    let target = spied.client("ios", "s3cret").target("/index.php?mod=news&ctl=list&act=index", "news/list/index");
    spied.get(&target).await.assert_passed();
    let asked = backend.last();
    let copied = asked.lines().find_map(|line| line.strip_prefix("X-Ticketgate-Assertion: ")).expect("an assertion");

    let guarded = Guarded::start();
    let with = |method, target: &str, user: &str| {
        let request = guarded.direct(method, target).header("X-Ticketgate-Assertion", copied);
        let request = request.header("X-Auth-Client-Id", "ios");
        if user.is_empty() { request } else { request.header("X-Auth-User-Id", user) }
    };
    assert_eq!(with("GET", &target, "").await.status, 200, "a repetition is not noticed");
    assert_refused_by_php(&with("GET", &target, "7").await);
    assert_refused_by_php(&with("POST", &target, "").await);
    assert_refused_by_php(&with("GET", &target.replace("act=index", "act=gbk"), "").await);
}

#[tokio::test]
async fn a_gate_with_another_key_is_not_the_gate() {
    let guarded = Guarded::start();
    let other = gate(&guarded.php.url, "another-key").await;
    assert_refused_by_php(&other.client("ios", "s3cret").get("news/list/index").await);
}

#[test]
fn its_syntax_and_functions_are_those_of_php_5_4() {
    assert_old_php("deploy/php/ticketgate_prepend.php", "5.4");
    assert_old_php("clients/php/Ticketgate.php", "5.6");
}

#[test]
fn newer_syntax_would_be_noticed() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("new.php");
    for code in [
        "$a = $b ?? $c;",
        "[$a, $b] = $c;",
        "function f(int $x) {}",
        "function f(?A $x) {}",
        "function f(): int {}",
        "function f(...$x) {}",
        "$a = A::class;",
        "$a = 2 ** 3;",
        "$a = 1_000;",
        "$a = fn($x) => 1;",
        "(function () {})();",
        "$a = new class {};",
        "foreach ($a as list($b)) {}",
        "foreach ($a as [$b]) {}",
        "$a = empty(trim($b));",
        "class A { private const B = 1; }",
        "class A { const B = 1 + 2; }",
        "class A { private int $b; }",
        "$a = $b?->c;",
        "try {} finally {}",
        "try {} catch (A | B $e) {}",
        "function f() { yield 1; }",
        "$a = trim($b,);",
        "$a = random_bytes(8);",
        "$a = trim(string: $b);",
        "use function a\\b;",
        "$a = array(1, 2)[0];",
    ] {
        fs::write(&file, format!("<?php\n{code}\n")).expect("a file");
        let script = repository("tests/old_php.php");
        let output = Command::new("php").arg(script).arg("5.4").arg(&file).output().expect("php");
        assert!(!output.status.success() && !output.stdout.is_empty(), "{code}");
    }
}

/// `php -l` of the PHP that is here, and `tests/old_php.php` for what would be too new.
fn assert_old_php(file: &str, version: &str) {
    let run = |arguments: &[&str]| {
        let output = Command::new("php").args(arguments).current_dir(repository("")).output().expect("php");
        (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).expect("text"))
    };
    let (fine, said) = run(&["-l", file]);
    assert!(fine, "{said}");
    assert_eq!(run(&["tests/old_php.php", version, file]), (true, String::new()), "{file}");
}
