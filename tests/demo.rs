//! `ticketgate demo`: what it prints works as it stands.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::browser::Browser;

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

/// The address of the page that uses a WebSocket.
fn page_in(lines: &[String]) -> String {
    lines.iter().find_map(|line| line.split_once("WebSocket: ")).expect("a line about the page").1.to_owned()
}

#[test]
fn its_page_opens_a_websocket() {
    let (_demo, lines) = Demo::start();
    let page = page_in(&lines);
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

#[tokio::test]
async fn in_a_browser_its_page_logs_in_calls_and_resumes_and_a_stolen_token_opens_nothing() {
    let Some(browser) = Browser::start().await else { return };
    let (_demo, lines) = Demo::start();
    browser.open(&page_in(&lines)).await;

    browser.fill("[name=password]", "wrong").await;
    browser.click("#login button").await;
    browser.wait_for("#log", r#"{"type":"login","id":1,"code":0,"#).await;
    browser.fill("[name=password]", "lilei123").await;
    browser.click("#login button").await;
    browser.wait_for("#log", r#"{"type":"login","id":2,"code":1,"msg":"登录成功","token":"#).await;
    browser.click("#call").await;
    browser.wait_for("#log", r#""data":{"uid":7,"name":"李雷"}}"#).await;

    browser.click("#steal").await;
    browser.wait_for("#log", r#"{"type":"getuserinfo","id":4,"code":0,"msg":"Illegal Sources","token":"#).await;
    browser.wait_for("#log", "the second connection is closed: 1005").await;
    let over_http = "return fetch('/index.php?mod=user&ctl=info&act=show&user_id=7&user_token=' + session.token)
        .then(async (reply) => [reply.status, reply.headers.get('x-ticketgate-reason'), (await reply.json()).msg])";
    assert_eq!(browser.run(over_http).await, json!([403, "wrong_channel", "Illegal Sources"]));

    browser.click("#resume").await;
    browser.wait_for("#log", r#"{"type":"resume","id":5,"code":1,"msg":"resumed","token":"#).await;
    browser.click("#call").await;
    browser.wait_for("#log", r#"{"type":"getuserinfo","id":6,"code":1,"#).await;
    browser.click("#logout").await;
    browser.wait_for("#log", "the new connection is closed: 4401 session ended").await;
}

#[tokio::test]
async fn in_a_browser_the_reference_client_goes_on_after_its_connection_was_lost() {
    let Some(browser) = Browser::start().await else { return };
    let (_demo, lines) = Demo::start();
    browser.open(&page_in(&lines)).await;
    let module = std::fs::read_to_string("clients/javascript/socket.js").expect("the reference client");
    // `window.connections` are those that it opens, so that one can be lost under it.
    let script = format!(
        "const source = URL.createObjectURL(new Blob([{}], {{type: 'text/javascript'}}));
        return import(source).then(async ({{ TicketgateSocket }}) => {{
            window.connections = [];
            class Noted extends WebSocket {{ constructor(url) {{ super(url); connections.push(this); }} }}
            window.gate = new TicketgateSocket(url, {{ WebSocket: Noted, wait: 50 }});
            gate.onended = () => {{ window.ended = true; }};
            return (await gate.login({{ username: 'lilei', password: 'lilei123' }})).code;
        }})",
        Value::from(module)
    );
    assert_eq!(browser.run(&script).await, 1);
    let call = "return gate.call('getuserinfo').then((answer) => answer.data.name)";
    assert_eq!(browser.run(call).await, "李雷");
    browser.run("connections[0].close()").await;
    browser.wait_until("connections.length == 2 && connections[1].readyState == WebSocket.OPEN").await;
    assert_eq!(browser.run(call).await, "李雷");
    assert_eq!(browser.run("return gate.call('logout').then((answer) => answer.code)").await, 1);
    browser.wait_until("window.ended && connections[1].readyState == WebSocket.CLOSED").await;
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
