//! A gate in this process, on free ports.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ticketgate::app::{self, Manner, Running};
use ticketgate::clock::{Clock, Timestamp};
use ticketgate::config::{self, Overrides, Settings};
use ticketgate::telemetry::AccessLog;

use super::caller::Caller;
use super::http::{Connection, Reply, Request};
use super::process::Process;

/// A running gate.
#[derive(Debug)]
pub struct Gate {
    /// The time it goes by.
    pub clock: Clock,
    /// `host:port` of its public listener.
    pub address: String,
    /// `host:port` of its admin listener.
    pub admin: String,
    running: Running,
    lines: Arc<Mutex<Vec<u8>>>,
}

/// Enough for what one worker does to be wrong for another.
const WORKERS: usize = 2;

/// A gate that is being set up.
#[derive(Debug)]
pub struct Setup {
    yaml: String,
    values: HashMap<&'static str, String>,
    variables: HashMap<&'static str, String>,
    clock: Clock,
}

impl Gate {
    /// A gate of that configuration, in which `{NAME}` stands for what [`Setup::put`] gives. Listeners are on free ports of
    /// the loopback, and only errors are logged, unless it says otherwise.
    pub fn with(yaml: &str) -> Setup {
        Setup { yaml: yaml.to_owned(), values: HashMap::new(), variables: HashMap::new(), clock: Clock::movable() }
    }

    pub fn get(&self, target: &str) -> Request {
        self.request("GET", target)
    }

    pub fn post(&self, target: &str) -> Request {
        self.request("POST", target)
    }

    pub fn request(&self, method: &str, target: &str) -> Request {
        Request::new(&self.address, method, target)
    }

    /// A request to the admin listener.
    pub fn admin(&self, method: &str, target: &str) -> Request {
        Request::new(&self.admin, method, target)
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(&self.address).await
    }

    /// Sends exactly these bytes, and nothing more; `None` where the gate closes without a reply.
    pub async fn raw(&self, bytes: &[u8]) -> Option<Reply> {
        let mut connection = self.connect().await;
        connection.send(bytes).await;
        connection.reply_to("GET").await
    }

    /// A program that calls as this client.
    pub fn client(&self, id: &str, secret: &str) -> Caller {
        Caller::new(&self.address, self.clock.clone(), id, secret)
    }

    /// `host:port` of each of its public listeners.
    pub fn addresses(&self) -> &[String] {
        &self.running.addresses
    }

    /// Where proxies ask; there must be such a listener.
    pub fn decide(&self) -> &str {
        self.running.decide.as_deref().expect("a listener for proxies")
    }

    /// Its access log so far, as text. A line is written soon after its reply was sent.
    pub fn log(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8(lines.clone()).expect("a log in UTF-8")
    }

    /// Moves the clock to that Unix second, forward or back.
    pub fn move_to(&self, second: u64) {
        move_to(&self.clock, second);
    }

    /// Puts another configuration in force, as its file would when it changes. The error is every key that needs a restart.
    pub fn take_up(&mut self, setup: &Setup) -> Result<(), Vec<&'static str>> {
        let bound = self.running.take_up(setup.settings()).err().unwrap_or_default();
        if bound.is_empty() { Ok(()) } else { Err(bound.into_iter().map(|bound| bound.key).collect()) }
    }

    /// Ends the gate as an operator would, and waits until it has ended.
    pub async fn stop(self) {
        self.running.drain().await;
    }
}

/// Moves a clock to a Unix second.
pub fn move_to(clock: &Clock, second: u64) {
    let (now, then) = (clock.now(), Timestamp::from_secs(second));
    clock.advance(then.since(now));
    clock.set_back(now.since(then));
}

impl Setup {
    /// What stands in place of `{upstream}`.
    pub fn upstream(self, url: &str) -> Self {
        self.put("upstream", url)
    }

    /// What stands in place of `{name}`.
    pub fn put(mut self, name: &'static str, value: &str) -> Self {
        self.values.insert(name, value.to_owned());
        self
    }

    /// Sets an environment variable, for [`Setup::start`]; there are no others.
    pub fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.insert(name, value.to_owned());
        self
    }

    /// Shares the time with others.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// What it says.
    pub fn settings(&self) -> Settings {
        let yaml = self.text();
        let environment = |name: &str| Ok(self.variables.get(name).cloned());
        let loaded = config::parse_in(&yaml, Path::new("test.yaml"), &Overrides::default(), &environment)
            .unwrap_or_else(|faults| panic!("{faults:#?}\nin\n{yaml}"));
        loaded.settings
    }

    pub async fn start(self) -> Gate {
        let lines = Arc::default();
        let manner = Manner { clock: self.clock.clone(), log: AccessLog::memory(Arc::clone(&lines)), workers: WORKERS };
        let mut running = app::start(self.settings(), manner).await.expect("a gate that starts");
        // It has no file to take up.
        running.asks.close();
        let address = running.addresses.first().expect("a public address").clone();
        Gate { clock: self.clock, address, admin: running.admin.clone(), running, lines }
    }

    /// The same gate as a process of its own: the program as an operator runs it.
    pub async fn process(self) -> Process {
        Process::serve(&self.text()).await
    }

    /// Its configuration.
    pub fn text(&self) -> String {
        let mut text = self.yaml.clone();
        for (name, value) in &self.values {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        for line in ["listen: 127.0.0.1:0", "admin: {listen: 127.0.0.1:0}", "log: {level: error, access: false}"] {
            let key = line.split_inclusive(':').next().expect("a key");
            if !text.lines().any(|own| own.starts_with(key)) {
                text = format!("{line}\n{text}");
            }
        }
        text
    }
}
