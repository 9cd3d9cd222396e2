//! What stands behind `store.url`: for `check --connect`.

use redis::Pipeline;

use crate::store::Fault;

use super::link::Link;
use super::route::{Route, Way};
use super::sentinel::field;

/// The least version that has all commands, `ZRANDMEMBER` and `HELLO` without arguments among them.
const LEAST: (u32, u32) = (6, 2);

/// What a server says of itself.
struct Greeting {
    /// `redis 7.0.15`
    name: String,
    /// `standalone`, `cluster`, `sentinel`
    mode: String,
}

impl Route {
    /// What answers there, in words; a fault where nothing does or it cannot be used.
    pub(super) async fn reached(&self) -> Result<String, Fault> {
        let mut name = String::new();
        for server in self.servers().await? {
            let greeting = self.greeting(&server).await?;
            self.fits(&greeting)?;
            name = greeting.name;
        }
        Ok(match self.way() {
            Way::One(_) => format!("{name}, standalone"),
            Way::Sentinel(_, sentinels) => {
                let (answering, all) = sentinels.count().await;
                format!("{name}, {sentinels}; {answering} of {all} Sentinels answer")
            }
            Way::Cluster(cluster) => {
                self.ping().await?;
                let (masters, replicas, orphans) = cluster.count(self.deadline()).await?;
                let masters = if masters == 1 { "1 master".into() } else { format!("{masters} masters") };
                let replicas = if replicas == 1 { "1 replica".into() } else { format!("{replicas} replicas") };
                let gap = if orphans == 0 { String::new() } else { format!("; {orphans} slots are nobody's") };
                format!("{name}, a Cluster of {masters} and {replicas}{gap}")
            }
        })
    }

    async fn greeting(&self, server: &Link) -> Result<Greeting, Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("HELLO").arg(3);
        let facts = server.exchange(&commands, self.deadline()).await?.value()?;
        let known = |name| field(&facts, name).unwrap_or_else(|| "unknown".into());
        let greeting = Greeting { name: format!("{} {}", known("server"), known("version")), mode: known("mode") };
        match is_old(&known("version")) {
            false => Ok(greeting),
            true => {
                Err(Fault::Failed(format!("{}: too old, {}.{} or newer is needed", greeting.name, LEAST.0, LEAST.1)))
            }
        }
    }

    fn fits(&self, greeting: &Greeting) -> Result<(), Fault> {
        let wanted = match (self.way(), greeting.mode.as_str()) {
            (Way::One(_), "sentinel") => "it is a Sentinel, write redis+sentinel://",
            (Way::One(_) | Way::Sentinel(..), "cluster") => "it is one of a Cluster, write redis+cluster://",
            (Way::Cluster(_), "standalone") => "it is no Cluster, write redis://",
            _ => return Ok(()),
        };
        Err(Fault::Failed(format!("{}: {wanted}", greeting.name)))
    }
}

/// Whether a version is known, and below the least.
fn is_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().ok());
    matches!((numbers.next().flatten(), numbers.next().flatten()), (Some(major), Some(minor)) if (major, minor) < LEAST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for old in ["6.0.16", "5.0.14", "6.1.241"] {
            assert!(is_old(old), "{old}");
        }
        for fine in ["6.2.0", "7.0.15", "8.0.1", "10.0.0", "255.255.255", "unknown", ""] {
            assert!(!is_old(fine), "{fine}");
        }
    }
}
