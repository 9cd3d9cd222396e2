//! The way to the data: to one Redis, or to the nodes of a Cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use crate::secret::Secret;
use crate::store::Fault;

use super::answers::Answers;
use super::cluster::Cluster;
use super::dial::Dialer;
use super::link::Link;
use super::notices::Notices;
use super::sentinel::Sentinels;
use super::server::Server;
use super::tls::Tls;
use super::tracking::Listener;
use super::url::{Layout, Target};

/// The way to the data. Cloning is shallow.
#[derive(Clone, Debug)]
pub(super) struct Route {
    way: Way,
    timeout: Duration,
}

#[derive(Clone, Debug)]
pub(super) enum Way {
    /// One Redis.
    One(Link),
    /// The master of a service.
    Sentinel(Link, Arc<Sentinels>),
    /// The nodes of a Cluster.
    Cluster(Cluster),
}

impl Route {
    /// Checks the URL; connects later.
    pub(super) fn new(url: &Secret, tls: &Tls, timeout: Duration) -> Result<Self, Fault> {
        let Target { layout, login, is_tls } =
            Target::parse(url).map_err(|what| Fault::Failed(format!("store.url {what}")))?;
        let dialer = |login| Arc::new(Dialer::new(login, is_tls.then(|| tls.clone())));
        let way = match layout {
            Layout::One(address) => Way::One(Link::new(Server::At(address), dialer(&login), timeout, None)),
            Layout::Sentinel { sentinels, service, login: theirs } => {
                let sentinels = Arc::new(Sentinels::new(&sentinels, &service, &dialer(&theirs), timeout));
                let master = Server::Master(Arc::clone(&sentinels));
                Way::Sentinel(Link::new(master, dialer(&login), timeout, None), sentinels)
            }
            Layout::Cluster(seeds) => Way::Cluster(Cluster::new(seeds, dialer(&login), timeout)),
        };
        Ok(Self { way, timeout })
    }

    /// The same way, over connections of its own.
    pub(super) fn another(&self) -> Self {
        self.listened(None)
    }

    /// The same, whose connections promise to tell that listener of changes.
    pub(super) fn listened(&self, listener: Option<&Arc<Listener>>) -> Self {
        let listener = listener.cloned();
        let way = match &self.way {
            Way::One(link) => Way::One(link.listened(listener)),
            Way::Sentinel(link, sentinels) => Way::Sentinel(link.listened(listener), Arc::clone(sentinels)),
            Way::Cluster(cluster) => Way::Cluster(cluster.listened(listener)),
        };
        Self { way, timeout: self.timeout }
    }

    /// Which it is.
    pub(super) const fn way(&self) -> &Way {
        &self.way
    }

    /// When an operation that starts now must have ended.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// One round trip: all commands out, all answers in, by `deadline`.
    pub(super) async fn exchange(&self, commands: &Pipeline, deadline: Instant) -> Result<Answers, Fault> {
        match &self.way {
            Way::One(link) | Way::Sentinel(link, _) => link.exchange(commands, deadline).await,
            Way::Cluster(cluster) => cluster.exchange(commands, deadline).await,
        }
    }

    /// Whether a server that is reached has refused to promise anything.
    pub(super) fn promises_nothing(&self) -> bool {
        match &self.way {
            Way::One(link) | Way::Sentinel(link, _) => link.promises_nothing(),
            Way::Cluster(cluster) => cluster.promises_nothing(),
        }
    }

    /// From now on hears notices. Of the nodes of a Cluster none is asked for them: who watches a session there looks by itself.
    pub(super) fn hear(&self, notices: impl FnOnce() -> Notices) {
        match &self.way {
            Way::One(link) | Way::Sentinel(link, _) => link.hear(notices),
            Way::Cluster(_) => {}
        }
    }

    /// Every server that has data of its own: to look through all keys.
    pub(super) async fn servers(&self) -> Result<Vec<Link>, Fault> {
        match &self.way {
            Way::One(link) | Way::Sentinel(link, _) => Ok(vec![link.clone()]),
            Way::Cluster(cluster) => cluster.masters(self.deadline()).await,
        }
    }

    /// Whether it serves.
    pub(super) async fn ping(&self) -> Result<(), Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("PING");
        match &self.way {
            Way::Cluster(cluster) => cluster.ping(self.deadline()).await,
            _ => self.exchange(&commands, self.deadline()).await?.value().map(drop),
        }
    }
}
