//! Which Redis a link is to, and whether it is still that one.

use std::fmt;
use std::sync::Arc;

use redis::Value;
use redis::aio::MultiplexedConnection;

use crate::store::Fault;

use super::cluster::Member;
use super::link::fault;
use super::sentinel::Sentinels;
use super::url::Address;

/// Which Redis it is.
#[derive(Clone)]
pub(super) enum Server {
    /// Always the same.
    At(Address),
    /// A Sentinel that is asked for it.
    Sentinel(Address),
    /// The one that Sentinels name at the time.
    Master(Arc<Sentinels>),
    /// One of a Cluster.
    Node(Address, Member),
}

impl Server {
    /// Where it is now.
    pub(super) async fn find(&self) -> Result<Address, Fault> {
        match self {
            Self::At(address) | Self::Sentinel(address) | Self::Node(address, _) => Ok(address.clone()),
            Self::Master(sentinels) => sentinels.master().await,
        }
    }

    /// Whether nothing says that it is elsewhere by now.
    pub(super) fn is_still_at(&self, address: &Address) -> bool {
        match self {
            Self::At(_) | Self::Sentinel(_) => true,
            Self::Master(sentinels) => sentinels.still_name(address),
            Self::Node(_, member) => {
                member.look();
                true
            }
        }
    }

    /// A server that was a master may be one no more, or not yet.
    pub(super) async fn check_role(&self, line: &mut MultiplexedConnection, address: &Address) -> Result<(), Fault> {
        let Self::Master(_) = self else { return Ok(()) };
        let role = line.send_packed_command(&redis::cmd("ROLE")).await.map_err(|error| fault(address, &error))?;
        match role {
            Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(role)) if role == b"master") => {
                Ok(())
            }
            Value::ServerError(error) => Err(Fault::Failed(format!("{address}: ROLE: {}", error.code()))),
            _ => Err(Fault::Failed(format!("{address}: the Sentinels name it, but it is no master"))),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) | Self::Node(address, _) => address.fmt(f),
            Self::Sentinel(address) => write!(f, "Sentinel {address}"),
            Self::Master(sentinels) => sentinels.fmt(f),
        }
    }
}
