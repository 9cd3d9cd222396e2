//! Servers that take long to start and are shared by all tests of a process. Nothing in a process drops them, so somebody outside
//! waits for its end.

use std::process::{Child, Command, Stdio};

use super::RedisServer;

/// Ends servers when this process is gone, however it went: its end closes the pipe.
#[derive(Debug)]
pub struct Watch(#[expect(dead_code, reason = "held for its pipe")] Child);

impl Watch {
    pub fn over<'a>(servers: impl IntoIterator<Item = &'a RedisServer>) -> Self {
        let (mut pids, mut folders) = (String::new(), Vec::new());
        for server in servers {
            pids += &format!(" {}", server.pid());
            folders.push(server.directory().to_owned());
        }
        let line = format!("read -r _; kill -9{pids}; rm -rf -- \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &line, "sh"]).args(folders);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}
