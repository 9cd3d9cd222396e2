//! A master, its replicas, and three Sentinels that watch over them.

use std::path::Path;

use super::{RedisServer, manual, until};

/// What the Sentinels call the master.
pub const SERVICE: &str = "mymaster";

/// Servers and the Sentinels that watch over them.
#[derive(Debug)]
pub struct Sentinels {
    /// Those with the data; the first was the master at first.
    pub servers: Vec<RedisServer>,
    pub sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts a master with that many replicas, all with further arguments, and waits until all know of all.
    pub fn start(replicas: usize, arguments: &[&str]) -> Self {
        Self::start_with(replicas, arguments, "")
    }

    /// The same with further lines for the Sentinels' configuration.
    pub fn start_with(replicas: usize, arguments: &[&str], lines: &str) -> Self {
        let base = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
        let master = RedisServer::start_with(&[&base, arguments].concat());
        let port = master.port().to_string();
        let of_master = [&base[..], &["--replicaof", "127.0.0.1", &port], arguments].concat();
        let mut servers = vec![master];
        servers.extend((0..replicas).map(|_| RedisServer::start_with(&of_master)));
        until("the replicas are in step", || servers[0].replication().matches("state=online").count() == replicas);
        let configuration = configuration(&port, lines);
        let sentinels = (0..3).map(|_| RedisServer::start_by(|directory| vec![written(directory, &configuration)]));
        let this = Self { servers, sentinels: sentinels.collect() };
        let known = format!("slaves={replicas},sentinels=3");
        until("the Sentinels know each other", || {
            this.sentinels.iter().all(|one| one.command::<String>(&["INFO", "sentinel"]).contains(&known))
        });
        this
    }

    /// Where they listen: `127.0.0.1:1,127.0.0.1:2,127.0.0.1:3`.
    pub fn hosts(&self) -> String {
        self.sentinels.iter().map(|one| format!("127.0.0.1:{}", one.port())).collect::<Vec<_>>().join(",")
    }

    /// `redis+sentinel://…/mymaster`
    pub fn url(&self) -> String {
        format!("redis+sentinel://{}/{SERVICE}", self.hosts())
    }

    /// The master by its own account.
    pub fn master(&self) -> &RedisServer {
        self.servers.iter().find(|server| server.replication().contains("role:master")).unwrap()
    }
}

fn written(directory: &Path, configuration: &str) -> String {
    let path = directory.join("sentinel.conf");
    std::fs::write(&path, configuration.replace("DIRECTORY", directory.to_str().unwrap())).unwrap();
    path.to_str().unwrap().to_owned()
}

fn configuration(port: &str, lines: &str) -> String {
    let recommended = manual("sentinel monitor").join("\n").replace("10.0.0.1 6379", &format!("127.0.0.1 {port}"));
    format!("dir DIRECTORY\n{recommended}\n{lines}\n")
}
