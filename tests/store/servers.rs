//! The engines, and the servers behind those that are Redis. What takes long to start is started once.

use std::sync::{Arc, OnceLock};

use redis::{Cmd, Connection, FromRedisValue};
use ticketgate::store::Tls;

use super::redis_server::authority::Authority;
use super::redis_server::cluster::Cluster;
use super::redis_server::sentinels::Sentinels;
use super::redis_server::shared::Watch;
use super::redis_server::{RedisServer, free_port};

/// Which store.
#[derive(Clone, Copy, Debug)]
pub enum Engine {
    Memory,
    File,
    Redis,
    /// Whose answers are held, as those of the last three are.
    Held,
    /// Over TLS with a certificate of its own, as a user that may do no more than is documented.
    Secure,
    /// A master that Sentinels name, with a replica.
    Sentinel,
    /// Three nodes, over TLS, as a user that may do no more than is documented.
    Cluster,
    /// Three nodes, where every slot is on its way from one to the next.
    Resharding,
}

/// The servers of one engine.
#[derive(Clone)]
pub struct Servers(Arc<Inner>);

struct Inner {
    kind: Kind,
    authority: Option<Authority>,
    _watch: Option<Watch>,
}

enum Kind {
    One(RedisServer),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

/// A connection to a server, for whoever looks inside.
pub struct Node {
    connection: Connection,
    in_cluster: bool,
}

impl Engine {
    /// Whether answers are held.
    pub fn holds(self) -> bool {
        matches!(self, Self::Held | Self::Sentinel | Self::Cluster | Self::Resharding)
    }
}

impl Servers {
    pub fn of(engine: Engine) -> Option<Self> {
        static SECURE: OnceLock<Servers> = OnceLock::new();
        static SENTINEL: OnceLock<Servers> = OnceLock::new();
        static CLUSTER: OnceLock<Servers> = OnceLock::new();
        static RESHARDING: OnceLock<Servers> = OnceLock::new();
        match engine {
            Engine::Memory | Engine::File => None,
            Engine::Redis | Engine::Held => Some(Self::new(Kind::One(RedisServer::start()), None, false)),
            Engine::Secure => Some(SECURE.get_or_init(secure).clone()),
            Engine::Sentinel => Some(SENTINEL.get_or_init(sentinel).clone()),
            Engine::Cluster => Some(CLUSTER.get_or_init(cluster).clone()),
            Engine::Resharding => Some(RESHARDING.get_or_init(resharding).clone()),
        }
    }

    fn new(kind: Kind, authority: Option<Authority>, shared: bool) -> Self {
        let watch = shared.then(|| match &kind {
            Kind::One(server) => Watch::over([server]),
            Kind::Sentinels(sentinels) => Watch::over(sentinels.servers.iter().chain(&sentinels.sentinels)),
            Kind::Cluster(cluster) => Watch::over(&cluster.nodes),
        });
        Self(Arc::new(Inner { kind, authority, _watch: watch }))
    }

    pub fn url(&self) -> String {
        let tls_port = |server: &RedisServer| server.argument("--tls-port").to_owned();
        match (&self.0.kind, &self.0.authority) {
            (Kind::One(server), None) => server.url(),
            (Kind::One(server), Some(_)) => format!("rediss://gate:GATE_PASSWORD@localhost:{}", tls_port(server)),
            (Kind::Sentinels(sentinels), _) => sentinels.url().replace("://", "://gate:GATE_PASSWORD@"),
            (Kind::Cluster(cluster), None) => cluster.url(),
            (Kind::Cluster(cluster), Some(_)) => {
                let seed = &cluster.nodes[0];
                format!("rediss+cluster://gate:GATE_PASSWORD@localhost:{}", tls_port(seed))
            }
        }
    }

    pub fn tls(&self) -> Tls {
        let Some(authority) = &self.0.authority else { return Tls::default() };
        let identity = Some((authority.path("client.pem"), authority.path("client.key")));
        Tls { ca: Some(authority.ca()), identity, name: None }
    }

    /// The one server.
    pub fn one(&self) -> &RedisServer {
        match &self.0.kind {
            Kind::One(server) => server,
            _ => panic!("there are several"),
        }
    }

    /// Every key with that prefix, and a connection to the server that has it.
    pub fn each_key(&self, prefix: &str, mut visit: impl FnMut(&mut Node, &str)) {
        let (servers, in_cluster) = match &self.0.kind {
            Kind::One(server) => (vec![server], false),
            Kind::Sentinels(sentinels) => (vec![sentinels.master()], false),
            Kind::Cluster(cluster) => (cluster.masters().iter().collect(), true),
        };
        for server in servers {
            let mut node = Node { connection: server.connect(), in_cluster };
            let pattern = format!("{}*", prefix.replace('*', "\\*"));
            let keys: Vec<String> = node.ask(redis::cmd("KEYS").arg(pattern));
            keys.iter().for_each(|key| visit(&mut node, key));
        }
    }
}

impl Node {
    pub fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        if self.in_cluster {
            // So that it answers for a slot that is on its way to it, too.
            redis::cmd("ASKING").exec(&mut self.connection).unwrap();
        }
        command.query(&mut self.connection).unwrap()
    }
}

/// The documented rule for the gate's user, for keys of these tests.
fn acl() -> Vec<String> {
    let manual = std::fs::read_to_string("docs/scaling.md").unwrap();
    let rule = manual.lines().find(|line| line.trim().starts_with("ACL SETUSER gate")).unwrap();
    let words = rule.trim().split(' ').skip(2).map(|word| word.replace("~ticketgate:*", "~t\\*g*"));
    ["--user".to_owned()].into_iter().chain(words).collect()
}

fn secure() -> Servers {
    let authority = Authority::new();
    let server = RedisServer::start_by(|_| {
        let own = ["--tls-port".to_owned(), free_port().to_string()];
        own.into_iter().chain(authority.arguments("yes")).chain(acl()).collect()
    });
    Servers::new(Kind::One(server), Some(authority), true)
}

fn sentinel() -> Servers {
    let acl = acl();
    let acl: Vec<_> = acl.iter().map(String::as_str).collect();
    // They must not think that a busy machine is a dead master.
    let patient = "sentinel down-after-milliseconds mymaster 60000";
    Servers::new(Kind::Sentinels(Sentinels::start_with(1, &acl, patient)), None, true)
}

fn cluster() -> Servers {
    let authority = Authority::new();
    let arguments = [authority.arguments("yes"), acl()].concat();
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    arguments.extend(["--cluster-node-timeout", "60000"]);
    Servers::new(Kind::Cluster(Cluster::start_encrypted(3, 0, &arguments)), Some(authority), true)
}

fn resharding() -> Servers {
    let cluster = Cluster::start(3, 0, &["--cluster-node-timeout", "60000"]);
    cluster.begin_to_move_everything();
    Servers::new(Kind::Cluster(cluster), None, true)
}
