//! A Cluster of real nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use redis::{Connection, cmd};

use super::{RedisServer, free_port, manual, until};

/// Slots of every Cluster.
pub const SLOTS: usize = 16384;

/// Its nodes: the masters first, then a replica of each of the first masters.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: Vec<RedisServer>,
    masters: usize,
}

impl Cluster {
    /// Starts it with further arguments for every node, and waits until all nodes agree.
    pub fn start(masters: usize, replicas: usize, arguments: &[&str]) -> Self {
        Self::start_by(masters, replicas, |_| arguments.iter().map(|&argument| argument.to_owned()).collect())
    }

    /// The same, where every node listens for TLS as well, and tells clients who came so of the others' ports for it.
    pub fn start_encrypted(masters: usize, replicas: usize, arguments: &[&str]) -> Self {
        Self::start_by(masters, replicas, |_| {
            let port = free_port().to_string();
            let arguments = ["--tls-port", &port, "--tls-cluster", "yes"].into_iter().chain(arguments.iter().copied());
            arguments.map(str::to_owned).collect()
        })
    }

    fn start_by(masters: usize, replicas: usize, arguments: impl Fn(&Path) -> Vec<String>) -> Self {
        let recommended = manual("cluster-enabled");
        let own = |directory: &Path| {
            let (port, mut own) = (free_port().to_string(), Vec::new());
            for (option, value) in recommended.iter().filter_map(|line| line.split_once(' ')) {
                own.extend([format!("--{option}"), value.to_owned()]);
            }
            let local = ["--cluster-port", &port, "--cluster-announce-ip", "127.0.0.1"];
            let quick = ["--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"];
            own.extend(local.iter().chain(&quick).map(|&word| word.to_owned()));
            own.extend(arguments(directory));
            own
        };
        let nodes = (0..masters + replicas).map(|_| start(&own)).collect();
        let this = Self { nodes, masters };
        this.introduce();
        this.hand_out_slots();
        this.replicate();
        this
    }

    /// `redis+cluster://…` with all masters.
    pub fn url(&self) -> String {
        format!("redis+cluster://{}", self.hosts())
    }

    /// `127.0.0.1:1,127.0.0.1:2,127.0.0.1:3`
    pub fn hosts(&self) -> String {
        let masters = self.nodes[..self.masters].iter();
        masters.map(|node| format!("127.0.0.1:{}", node.port())).collect::<Vec<_>>().join(",")
    }

    /// Those that were masters at first.
    pub fn masters(&self) -> &[RedisServer] {
        &self.nodes[..self.masters]
    }

    fn introduce(&self) {
        for (number, node) in self.nodes.iter().enumerate() {
            node.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            let (port, bus) = (node.port().to_string(), node.argument("--cluster-port"));
            self.nodes[0].command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, bus]);
        }
        let known = format!("cluster_known_nodes:{}\r", self.nodes.len());
        until("all nodes know each other", || {
            self.nodes.iter().all(|node| node.command::<String>(&["CLUSTER", "INFO"]).contains(&known))
        });
    }

    fn hand_out_slots(&self) {
        for (number, node) in self.masters().iter().enumerate() {
            let slots: Vec<_> = (number * SLOTS / self.masters..(number + 1) * SLOTS / self.masters).collect();
            cmd("CLUSTER").arg("ADDSLOTS").arg(slots).exec(&mut node.connect()).unwrap();
        }
        until("the Cluster is well", || {
            let is_well = |info: &str| info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384");
            self.nodes.iter().all(|node| is_well(&node.command::<String>(&["CLUSTER", "INFO"])))
        });
    }

    fn replicate(&self) {
        let replicas = &self.nodes[self.masters..];
        for (replica, master) in replicas.iter().zip(self.masters()) {
            replica.command::<()>(&["CLUSTER", "REPLICATE", &id(master)]);
        }
        until("the replicas are in step, and all nodes know", || {
            let knows = |node: &RedisServer| {
                let ranges: Vec<Vec<redis::Value>> = node.command(&["CLUSTER", "SLOTS"]);
                ranges.iter().filter(|range| range.len() > 3).count() == replicas.len()
            };
            let in_step = |master: &RedisServer| master.replication().contains("state=online");
            self.nodes.iter().all(knows) && self.masters().iter().take(replicas.len()).all(in_step)
        });
    }

    /// Begins to move every slot from each master to the next, and leaves it at that: what is new belongs to the next.
    pub fn begin_to_move_everything(&self) {
        for (number, node) in self.masters().iter().enumerate() {
            let next = &self.masters()[(number + 1) % self.masters];
            let (own, theirs) = (id(node), id(next));
            let (mut leaving, mut coming) = (redis::pipe(), redis::pipe());
            for slot in number * SLOTS / self.masters..(number + 1) * SLOTS / self.masters {
                leaving.cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("MIGRATING").arg(&theirs);
                coming.cmd("CLUSTER").arg("SETSLOT").arg(slot).arg("IMPORTING").arg(&own);
            }
            coming.exec(&mut next.connect()).unwrap();
            leaving.exec(&mut node.connect()).unwrap();
        }
    }

    /// Moves a slot with its keys from one node to another, as `redis-cli --cluster reshard` does.
    pub fn move_slot(&self, slot: usize, from: &RedisServer, to: &RedisServer) {
        let (mut source, mut target, slot) = (from.connect(), to.connect(), slot.to_string());
        let set = |connection: &mut Connection, words: &[&str]| {
            cmd("CLUSTER").arg("SETSLOT").arg(&slot).arg(words).exec(connection).unwrap();
        };
        set(&mut target, &["IMPORTING", &id(from)]);
        set(&mut source, &["MIGRATING", &id(to)]);
        loop {
            let keys =
                cmd("CLUSTER").arg("GETKEYSINSLOT").arg(&slot).arg(10).query::<Vec<Vec<u8>>>(&mut source).unwrap();
            if keys.is_empty() {
                break;
            }
            let mut migrate = cmd("MIGRATE");
            migrate.arg("127.0.0.1").arg(to.port()).arg("").arg(0).arg(5000).arg("KEYS").arg(keys);
            migrate.exec(&mut source).unwrap();
        }
        set(&mut target, &["NODE", &id(to)]);
        // Before that, a late word of the former owner may count for more than the new one's.
        until("all nodes know that the new owner counts", || self.agree_on_epochs());
        set(&mut source, &["NODE", &id(to)]);
        // A late word of the former owner may yet undo it at one of them.
        until("all nodes know the slot's owner", || {
            let strayed = |node: &&RedisServer| owner(node, &slot).as_deref() != Some(&id(to));
            let strayed: Vec<_> = self.masters().iter().filter(strayed).collect();
            strayed.iter().for_each(|node| set(&mut node.connect(), &["NODE", &id(to)]));
            strayed.is_empty()
        });
    }

    /// Waits until the replica of that master has everything that was written there.
    pub fn replicated(&self, master: usize) {
        until("the replica has everything", || {
            let told = self.nodes[master].replication();
            let number = |name: &str| {
                let from = told.find(name)? + name.len();
                told[from..].split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
            };
            number(",offset=").zip(number("master_repl_offset:")).is_some_and(|(theirs, ours)| theirs >= ours)
        });
    }

    /// Whether no two masters have the same epoch, and all say the same of each.
    fn agree_on_epochs(&self) -> bool {
        let seen = |node: &RedisServer| -> BTreeMap<String, String> {
            let nodes: String = node.command(&["CLUSTER", "NODES"]);
            let masters = nodes.lines().filter(|line| line.contains("master"));
            masters
                .map(|line| line.split(' ').collect::<Vec<_>>())
                .map(|words| (words[0].into(), words[6].into()))
                .collect()
        };
        let views: BTreeSet<_> = self.masters().iter().map(seen).collect();
        let epochs = views.first().map(|view| view.values().collect::<BTreeSet<_>>().len());
        views.len() == 1 && epochs == Some(self.masters)
    }

    /// How many slots each node has, by its own account.
    pub fn slots(&self) -> BTreeMap<u16, usize> {
        let own = |node: &RedisServer| {
            let nodes: String = node.command(&["CLUSTER", "NODES"]);
            let line = nodes.lines().find(|line| line.contains("myself")).unwrap();
            line.split(' ').skip(8).filter(|range| !range.starts_with('[')).map(length).sum()
        };
        self.nodes.iter().map(|node| (node.port(), own(node))).collect()
    }
}

fn start(arguments: &dyn Fn(&Path) -> Vec<String>) -> RedisServer {
    RedisServer::start_by(arguments)
}

/// Of `0-5460` or `7`.
fn length(range: &str) -> usize {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    last.parse::<usize>().unwrap() + 1 - first.parse::<usize>().unwrap()
}

/// Whom a node takes for the owner of a slot.
fn owner(node: &RedisServer, slot: &str) -> Option<String> {
    let slot: usize = slot.parse().unwrap();
    let nodes: String = node.command(&["CLUSTER", "NODES"]);
    let owns = |line: &&str| {
        line.split(' ').skip(8).filter(|range| !range.starts_with('[')).any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&slot)
        })
    };
    nodes.lines().find(owns)?.split(' ').next().map(str::to_owned)
}

/// What a node is called in its Cluster.
pub fn id(node: &RedisServer) -> String {
    node.command(&["CLUSTER", "MYID"])
}
