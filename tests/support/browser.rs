//! A real Chromium without a screen, driven by its own driver (Debian's `chromium` and `chromium-driver`) over HTTP, as the W3C's
//! WebDriver says.

use std::future::Future;
use std::io::{ErrorKind, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::http::Request;

/// So often a driver is started before it is given up.
const TRIES: usize = 5;
/// A browser on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between looks at a page.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// The name of an element's reference (WebDriver, 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// No screen, no sandbox (tests run as root in containers), and nothing that it would ask of the network by itself.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    // Every name but the loopback's leads nowhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// A running browser with one empty page; gone when dropped, with all that it wrote.
#[derive(Debug)]
pub struct Browser {
    driver: Driver,
    session: String,
}

/// What drives it. Both are in one group of processes, to be killed as one.
#[derive(Debug)]
struct Driver {
    process: Child,
    /// `host:port`
    address: String,
    home: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(group) = self.process.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Browser {
    /// Starts one with a new, empty profile. `None` only where there is none on this machine, which is said so that it cannot be
    /// overlooked.
    pub async fn start() -> Option<Self> {
        let started = match Driver::start().await {
            Some(driver) => Self::with(driver).await,
            None => Err("chromedriver is not installed".to_owned()),
        };
        match started {
            Ok(browser) => Some(browser),
            Err(why) => {
                // Past the test harness, which shows nothing of tests that pass.
                let _ = writeln!(std::io::stderr(), "\n*** NOT TESTED in a browser: {why}; see scripts/test ***\n");
                None
            }
        }
    }

    /// The error is why there is no browser.
    async fn with(driver: Driver) -> Result<Self, String> {
        let profile = format!("--user-data-dir={}", driver.home.path().join("profile").display());
        let flags: Vec<&str> = FLAGS.into_iter().chain([profile.as_str()]).collect();
        let wanted = json!({"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}});
        match driver.ask("/session", &json!({"capabilities": {"alwaysMatch": wanted}})).await {
            Ok(answer) => Ok(Self { session: format!("/session/{}", text(&answer["sessionId"])), driver }),
            Err(why) if why.contains("cannot find Chrome binary") => Err("chromium is not installed".to_owned()),
            Err(why) => panic!("no browser: {why}"),
        }
    }

    /// Goes to a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.ask("/url", &json!({"url": url})).await;
    }

    /// Runs the body of a function in the page, and gives what it returns; of a promise, what becomes of that.
    pub async fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", &json!({"script": script, "args": []})).await
    }

    /// Waits until an expression is neither false, null nor empty, and gives its value.
    pub async fn wait_until(&self, expression: &str) -> Value {
        let script = format!("return ({expression})");
        self.wait(expression, || self.run(&script)).await
    }

    /// Waits until the element that a CSS selector names shows a text, and gives all that it shows.
    pub async fn wait_for(&self, selector: &str, part: &str) -> String {
        let what = format!("{part:?} in {selector}");
        let shown = || async {
            let shown = self.text(selector).await;
            if shown.contains(part) { Value::from(shown) } else { Value::Null }
        };
        text(&self.wait(&what, shown).await)
    }

    /// What the element shows; empty while it is not there.
    pub async fn text(&self, selector: &str) -> String {
        text(&self.run(&format!("return document.querySelector({})?.innerText ?? ''", Value::from(selector))).await)
    }

    /// Clicks on it as a mouse would: it has to be in view, and nothing before it.
    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        self.ask(&format!("/element/{element}/click"), &json!({})).await;
    }

    /// Types into it, in place of what it holds.
    pub async fn fill(&self, selector: &str, keys: &str) {
        let element = self.find(selector).await;
        self.ask(&format!("/element/{element}/clear"), &json!({})).await;
        self.ask(&format!("/element/{element}/value"), &json!({"text": keys})).await;
    }

    /// Presses keys, one after the other, where the focus is. Those without a character stand in the private area (WebDriver, 17.4.2).
    pub async fn press(&self, keys: &str) {
        let strokes = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()})));
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": strokes.collect::<Vec<_>>()});
        self.ask("/actions", &json!({"actions": [keyboard]})).await;
    }

    /// A command of Chromium's own (DevTools protocol).
    pub async fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.ask("/goog/cdp/execute", &json!({"cmd": command, "params": parameters})).await
    }

    /// What was written to the console since this was last asked, and what the browser complained of: level and message, line by line.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.ask("/se/log", &json!({"type": "browser"})).await;
        let lines = entries.as_array().expect("entries").iter();
        lines.map(|entry| format!("{} {}", text(&entry["level"]), text(&entry["message"]))).collect()
    }

    /// The element that a CSS selector names, once it is there.
    async fn find(&self, selector: &str) -> String {
        let by = json!({"using": "css selector", "value": selector});
        let found = || async { self.driver.ask(&format!("{}/element", self.session), &by).await.unwrap_or_default() };
        text(&self.wait(selector, found).await[ELEMENT])
    }

    async fn wait<F: Future<Output = Value>>(&self, what: &str, look: impl Fn() -> F) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = look().await;
            if !matches!(&seen, Value::Null | Value::Bool(false)) && seen != "" {
                return seen;
            }
            if Instant::now() > deadline {
                panic!("waited for {what} in vain; the page shows\n{}", self.text("body").await);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    async fn ask(&self, command: &str, parameters: &Value) -> Value {
        let answer = self.driver.ask(&format!("{}{command}", self.session), parameters).await;
        answer.unwrap_or_else(|why| panic!("{command} {parameters}: {why}"))
    }
}

impl Driver {
    /// One on a free port; `None` where there is none. It takes the same port of IPv4 and IPv6, and exits where a test that runs
    /// beside it has just taken one of them.
    async fn start() -> Option<Self> {
        for _ in 0..TRIES {
            if let Some(driver) = Self::try_start().await? {
                return Some(driver);
            }
        }
        panic!("chromedriver does not say its port");
    }

    async fn try_start() -> Option<Option<Self>> {
        let home = tempfile::tempdir().expect("a directory");
        let mut command = Command::new("chromedriver");
        command.args(["--port=0", "--log-level=SEVERE"]).env("HOME", home.path()).env("TMPDIR", home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => panic!("chromedriver: {error}"),
        };
        let mut said = BufReader::new(process.stdout.take().expect("a piped stdout")).lines();
        let mut driver = Self { process, address: String::new(), home };
        let port = async {
            while let Ok(Some(line)) = said.next_line().await {
                if let Some((_, port)) = line.split_once("successfully on port ") {
                    return Some(port.trim_end_matches('.').to_owned());
                }
            }
            None
        };
        let Some(port) = timeout(PATIENCE, port).await.expect("a driver in time") else { return Some(None) };
        driver.address = format!("127.0.0.1:{port}");
        // It has the other end as long as it lives.
        tokio::spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
        Some(Some(driver))
    }

    /// One command. The error is its message.
    async fn ask(&self, command: &str, parameters: &Value) -> Result<Value, String> {
        let request = Request::new(&self.address, "POST", command).patience(PATIENCE);
        let reply = request.body("application/json", parameters.to_string()).await;
        let value = reply.at("/value");
        if reply.status == 200 { Ok(value) } else { Err(text(&value["message"])) }
    }
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
