//! The reference clients of `clients/`, each by the published vectors and against a gate, where its interpreter is installed.

mod support;

use std::process::{Command, Stdio};

use support::apps::{MVC, Site};

/// Runs a client's own tests, over the vectors and against a gate that seals tokens and checks signatures.
async fn prove(interpreter: &str, test: &str) {
    if !is_there(interpreter) {
        return;
    }
    let site =
        Site::of("mvc", &format!("session: {{sealed: true}}\nsignature: {{require: when_present}}\n{MVC}")).await;
    run(interpreter, &[test, "tests/vectors.json", &format!("http://{}", site.gate.address)]);
}

fn is_there(interpreter: &str) -> bool {
    let mut probe = Command::new(interpreter);
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let there = probe.status().is_ok();
    if !there {
        eprintln!("SKIPPED, no {interpreter}");
    }
    there
}

fn run(interpreter: &str, arguments: &[&str]) {
    let output = Command::new(interpreter)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{interpreter} {arguments:?}: {error}"));
    let said = [output.stdout, output.stderr].concat().escape_ascii().to_string().replace("\\n", "\n");
    assert!(output.status.success() && said == "ok\n", "{interpreter} {arguments:?}:\n{said}");
}

#[tokio::test]
async fn the_php_client() {
    prove("php", "clients/php/test.php").await;
}

#[tokio::test]
async fn the_javascript_client() {
    prove("node", "clients/javascript/test.js").await;
}

#[tokio::test]
async fn the_javascript_client_of_bridges() {
    if !is_there("node") {
        return;
    }
    let route = "websocket:\n  - path: /ws\n    mode: bridge\n    require: client\n    endpoint: ws/main/open\n    login: user/auth/login\n    \
                 types:\n      getuserinfo: {endpoint: user/info/get, require: user}\n      look: {endpoint: debug/echo/client, method: GET}\n      \
                 logout: {endpoint: user/auth/logout, require: user}\n";
    let site = Site::of("mvc", &format!("session: {{sealed: true}}\n{route}{MVC}")).await;
    let address = format!("http://{}", site.gate.address);
    run("node", &["clients/javascript/test-socket.js", &address]);
}

#[tokio::test]
async fn the_python_client() {
    prove("python3", "clients/python/test.py").await;
}

#[tokio::test]
async fn the_shell_client() {
    for shell in ["sh", "bash"] {
        prove(shell, "clients/shell/test.sh").await;
    }
}
