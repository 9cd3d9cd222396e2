//! The reference clients of `clients/`, each by the published vectors and against a gate, where its interpreter is installed.

mod support;

use std::process::{Command, Stdio};

use support::apps::{MVC, Site};

/// Runs a client's own tests, over the vectors and against a gate whose tokens are sealed.
async fn prove(interpreter: &str, test: &str) {
    let mut probe = Command::new(interpreter);
    probe.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if probe.status().is_err() {
        eprintln!("{test}: SKIPPED, no {interpreter}");
        return;
    }
    let site = Site::of("mvc", &format!("session: {{sealed: true}}\n{MVC}")).await;
    let output = Command::new(interpreter)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args([test, "tests/vectors.json", &format!("http://{}", site.gate.address)])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap_or_else(|error| panic!("{interpreter} {test}: {error}"));
    let said = [output.stdout, output.stderr].concat().escape_ascii().to_string().replace("\\n", "\n");
    assert!(output.status.success() && said == "ok\n", "{interpreter} {test}:\n{said}");
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
async fn the_python_client() {
    prove("python3", "clients/python/test.py").await;
}

#[tokio::test]
async fn the_shell_client() {
    for shell in ["sh", "bash"] {
        prove(shell, "clients/shell/test.sh").await;
    }
}
