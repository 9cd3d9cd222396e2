//! The program itself in a process of its own, for what cannot be seen within a test: its memory, its signals, its end.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::caller::Caller;
use super::http::{Connection, Request};

/// After this long it will not come any more.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between looks at something that nobody tells us of.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A gate that serves; killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    /// `host:port` of its public listener, or `unix:PATH`.
    pub address: String,
    /// `host:port` of its admin listener.
    pub admin: String,
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    directory: TempDir,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    /// What it wrote to stderr, line by line.
    pub said: Vec<String>,
}

impl Process {
    /// Runs `serve` with that configuration until it listens.
    pub async fn serve(yaml: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ticketgate.yaml"), yaml).expect("a configuration");
        Self::serve_in(directory).await
    }

    /// Runs `serve` with the `ticketgate.yaml` that stands there until it listens.
    pub async fn serve_in(directory: TempDir) -> Self {
        Self::spawn(directory).listening().await
    }

    async fn listening(mut self) -> Self {
        let listening = self.line_with("ticketgate listening on ").await;
        let (address, admin) = listening.split_once(", admin on ").expect("both addresses");
        address.trim_start_matches("ticketgate listening on ").clone_into(&mut self.address);
        admin.clone_into(&mut self.admin);
        self
    }

    /// Runs `serve` with a configuration that it cannot serve with.
    pub async fn fails(yaml: &str) -> Ended {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ticketgate.yaml"), yaml).expect("a configuration");
        Self::spawn(directory).ended().await
    }

    /// [`Self::serve`] with so many file descriptors.
    pub async fn serve_with_files(yaml: &str, files: u64) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ticketgate.yaml"), yaml).expect("a configuration");
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ticketgate")]);
        Self::spawn_by(shell, directory).listening().await
    }

    fn spawn(directory: TempDir) -> Self {
        Self::spawn_by(Command::new(env!("CARGO_BIN_EXE_ticketgate")), directory)
    }

    fn spawn_by(mut command: Command, directory: TempDir) -> Self {
        let path = directory.path().join("ticketgate.yaml");
        command.args(["serve", "-c"]).arg(path).env_clear().kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let said = Arc::default();
        let lines = BufReader::new(child.stderr.take().expect("a piped stderr")).lines();
        tokio::spawn(listen(lines, Arc::clone(&said)));
        Self { address: String::new(), admin: String::new(), child, said, directory }
    }

    /// A file beside its configuration, `ticketgate.yaml`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("it can be signalled");
    }

    /// Waits until it has ended by itself.
    pub async fn ended(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("its status");
        // Its last lines may still be on their way.
        until(|| Arc::strong_count(&self.said) == 1).await;
        Ended { code: status.code(), said: self.said() }
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().expect("its status").is_some()
    }

    /// Waits for a line of its stderr that holds `mark`.
    pub async fn line_with(&mut self, mark: &str) -> String {
        let find = || self.said().into_iter().find(|line| line.contains(mark));
        until(|| find().is_some() || Arc::strong_count(&self.said) == 1).await;
        find().unwrap_or_else(|| panic!("no {mark:?} in {:#?}", self.said()))
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The most memory that it ever held resident, in bytes.
    pub fn most_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("kilobytes") * 1024
    }

    pub fn get(&self, target: &str) -> Request {
        Request::new(&self.address, "GET", target)
    }

    /// A request to the admin listener.
    pub fn admin(&self, method: &str, target: &str) -> Request {
        Request::new(&self.admin, method, target)
    }

    pub async fn connect(&self) -> Connection {
        Connection::open(&self.address).await
    }

    /// A program that calls as this client.
    pub fn client(&self, id: &str, secret: &str) -> Caller {
        Caller::new(&self.address, ticketgate::clock::Clock::system(), id, secret)
    }
}

/// Waits for something that nobody tells us of.
pub async fn until(mut holds: impl FnMut() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect("it comes to that");
}

async fn listen(mut lines: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>, said: Arc<Mutex<Vec<String>>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}
