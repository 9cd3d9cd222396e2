//! What every store keeps to: each behaviour below is proven on each engine, with sealed and with plain values.

#![expect(unreachable_pub, reason = "a test has one crate")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use ticketgate::clock::{Clock, Timestamp};
use ticketgate::ids::{ClientId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::record::{Algorithm, LiveSecret};
use ticketgate::store::{
    Admission, Cap, ClientRecord, Created, Ending, Fault, Found, HeldCookie, Key, Live, Location, Question, Remembered,
    SessionRecord, Settings, Store, held,
};

#[path = "store/bench.rs"]
mod bench;
#[path = "store/clients.rs"]
mod clients;
#[path = "store/in_redis.rs"]
mod in_redis;
#[path = "store/keys.rs"]
mod keys;
#[path = "store/nonces.rs"]
mod nonces;
#[path = "support/redis.rs"]
mod redis_server;
#[path = "store/servers.rs"]
mod servers;
#[path = "store/sessions.rs"]
mod sessions;
#[path = "store/users.rs"]
mod users;

use bench::Bench;
use servers::Engine;

const IDLE: Duration = Duration::from_secs(7200);
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

fn sealing(byte: u8) -> Key {
    Key::Sealing(Secret::new([byte; 32]))
}

/// The id of every session here, unless a test says otherwise.
fn sid() -> SessionId {
    SessionId::new("sid").unwrap()
}

fn user_id(user: &str) -> UserId {
    UserId::new(user).unwrap()
}

fn cookie(name: &str, value: &str) -> HeldCookie {
    HeldCookie { name: name.into(), value: value.into(), path: "/".into(), expires: None }
}

fn client(id: &str) -> ClientRecord {
    ClientRecord {
        id: ClientId::new(id).unwrap(),
        secrets: vec![LiveSecret { secret: Secret::new("secret-of-the-client"), until: None }],
        enabled: true,
        algorithms: vec![Algorithm::Md5],
        endpoints: vec!["*".into()],
        signature: None,
        name: "a client".into(),
        created: Timestamp::from_secs(1),
    }
}

/// Every engine, with a key and without where that may make a difference.
const STORES: [(Engine, Option<u8>); 12] = [
    (Engine::Memory, None),
    (Engine::Memory, Some(1)),
    (Engine::File, None),
    (Engine::File, Some(1)),
    (Engine::Redis, None),
    (Engine::Redis, Some(1)),
    (Engine::Held, None),
    (Engine::Held, Some(1)),
    (Engine::Secure, Some(1)),
    (Engine::Sentinel, Some(1)),
    (Engine::Cluster, Some(1)),
    (Engine::Resharding, None),
];

/// Runs a behaviour on every engine, plain and sealed.
async fn on_every_store(behaviour: impl AsyncFn(Bench)) {
    for (engine, key) in STORES {
        // Shown where an assertion fails.
        println!("on {engine:?}, key {key:?}");
        behaviour(Bench::start(engine, key).await).await;
    }
}
