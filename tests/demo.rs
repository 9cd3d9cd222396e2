//! `ticketgate demo`: what it prints works as it stands.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// The demo, killed when dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Demo {
    fn command(listen: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
        command.args(["demo", "--listen", listen]).stdin(Stdio::null());
        command
    }

    /// Starts it, and reads what it prints up to the last command.
    fn start() -> (Self, Vec<String>) {
        let mut child = Self::command("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("a demo that starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        let mut lines = vec![];
        for line in stdout.by_ref().lines().map_while(Result::ok) {
            let last =
                line.starts_with("curl") && lines.iter().any(|line: &String| line.contains("refused from now on"));
            lines.push(line);
            if last {
                break;
            }
        }
        (Self(child), lines)
    }
}

/// Runs lines in one shell, as if they were pasted there, and returns what each printed.
fn paste(commands: &[&str]) -> Vec<String> {
    const MARK: &str = "---- next ----";
    let script: String = commands.iter().map(|line| format!("{line}\necho; echo '{MARK}'\n")).collect();
    let output = Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).output().expect("a shell");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut printed: Vec<String> = text.split(MARK).map(|part| part.trim().to_owned()).collect();
    printed.pop();
    printed
}

#[test]
fn every_printed_line_works_in_the_order_it_stands() {
    let (_demo, lines) = Demo::start();
    let commands: Vec<&str> =
        lines.iter().map(String::as_str).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let printed = paste(&commands);
    let expected: [&[&str]; 9] = [
        &["关于我们"],
        &[r#""code":1"#, "商城上线了"],
        &["HTTP/1.1 401", "x-ticketgate-reason: client_missing", r#"{"code":0,"msg":"#],
        &["user_token: "],
        &[r#""code":1"#, r#""uid":7"#, "李雷"],
        &[r#""code":1"#, r#""uid":7"#],
        &["HTTP/1.1 403", "x-ticketgate-reason: denied"],
        &[r#""code":1"#, "已退出"],
        &["HTTP/1.1 401", "x-ticketgate-reason: user_refused"],
    ];
    assert_eq!(printed.len(), expected.len(), "{printed:#?}");
    for ((command, printed), expected) in commands.iter().zip(&printed).zip(expected) {
        for part in expected {
            assert!(printed.to_lowercase().contains(&part.to_lowercase()), "no {part} in\n{printed}\nafter\n{command}");
        }
    }
    let token = printed[3].trim_start_matches("user_token: ");
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
}

#[test]
fn its_page_opens_a_websocket() {
    let (_demo, lines) = Demo::start();
    let page =
        lines.iter().find_map(|line| line.split_once("WebSocket: ")).expect("a line about the page").1.to_owned();
    let printed = paste(&[&format!("curl -s '{page}'")]).remove(0);
    let credentials = printed.split("/demo/ws?").nth(1).and_then(|rest| rest.split('"').next()).expect("its address");
    let upgrade = format!(
        "curl -si --max-time 1 -H 'Upgrade: websocket' -H 'Connection: Upgrade' -H 'Sec-WebSocket-Version: 13' \
         -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' '{}?{credentials}'",
        page.trim_end_matches(".html")
    );
    let printed = paste(&[&upgrade]).remove(0);
    assert!(printed.starts_with("HTTP/1.1 101 "), "{printed}");
}

#[test]
fn ctrl_c_ends_it_well() {
    let (mut demo, _lines) = Demo::start();
    let pid = rustix::process::Pid::from_child(&demo.0);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    assert_eq!(demo.0.wait().expect("an end").code(), Some(0));
}

#[test]
fn a_port_that_is_taken_is_said_in_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let mut child = Demo::command(&address).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a demo");
    let mut said = String::new();
    child.stderr.take().expect("its errors").read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("an end").code(), Some(1));
    assert!(said.trim_end().lines().count() == 1 && said.contains(&address), "{said}");
}
