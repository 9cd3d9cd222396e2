//! Real applications, unmodified, through the gate: those of Debian's packages that need no database server. `scripts/test-apps` drives
//! them, and the others, too.
#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::process::Command;

fn drive(name: &str, needs: &str) {
    assert!(Path::new(needs).exists(), "{needs} is missing: scripts/test installs Debian's package {name}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/test-apps");
    let mut command = Command::new("python3");
    command.arg(script).args(["--gate", env!("CARGO_BIN_EXE_ticketgate"), name]);
    let output = command.output().expect("python3");
    let said = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
    assert!(output.status.success() && said.contains(" checks hold, 0 do not"), "{said}");
}

#[test]
fn dokuwiki_is_used_by_tokens_alone() {
    drive("dokuwiki", "/usr/share/dokuwiki/doku.php");
}

#[test]
fn mediawiki_is_used_by_tokens_alone() {
    drive("mediawiki", "/usr/share/mediawiki/api.php");
}
