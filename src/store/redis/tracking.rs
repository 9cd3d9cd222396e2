//! `CLIENT TRACKING`: asking a new connection for its promise, and hearing what it tells.
//!
//! Redis remembers who read a key and tells once when anybody writes it; then it must be read again. What would spare that:
//! - `NOLOOP`, by which a connection is not told of its own writes, is a trap. They end the promise all the same, and so do, also
//!   without a word, keys that Redis forgets because its table is full, where it was this connection's question that filled it
//!   (`tracking-table-max-keys`; seen with 7.0.15).
//! - `BCAST` keeps the promise over writes, and tells every gate of every write of every other: gates times writes.

use std::sync::Arc;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, Value};

use crate::ids::{ClientId, TokenHash};
use crate::store::codec::Codec;
use crate::store::held::{Held, Key, Promise};

/// Who listens to a link's connections.
pub(super) struct Listener {
    pub(super) held: Arc<Held>,
    codec: Arc<Codec>,
    /// The link, among those that promise.
    pub(super) name: u32,
}

impl Listener {
    pub(super) fn new(held: Arc<Held>, codec: Arc<Codec>) -> Self {
        Self { name: held.name_link(), held, codec }
    }

    /// Asks for the promise; `None` where this server does not give it, or not to us.
    pub(super) async fn ask(&self, line: &mut MultiplexedConnection) -> Result<Option<Arc<Promise>>, RedisError> {
        let asked = Instant::now();
        let mut command = redis::cmd("CLIENT");
        command.arg("TRACKING").arg("ON");
        match command.query_async::<()>(line).await {
            Ok(()) => Ok(Some(Arc::new(Promise::new(self.name, asked)))),
            Err(error) if error.is_io_error() => Err(error),
            Err(error) => {
                tracing::warn!(code = error.code(), "the store does not tell of changes: every request asks it");
                Ok(None)
            }
        }
    }

    /// Hears of changed keys. `true` where the whole database has changed.
    pub(super) fn hear(&self, told: &[Value]) -> bool {
        let mut emptied = false;
        for value in told {
            match value {
                Value::Array(keys) => keys.iter().for_each(|key| self.changed(key)),
                _ => emptied = true,
            }
        }
        emptied
    }

    fn changed(&self, key: &Value) {
        let key = match key {
            Value::BulkString(bytes) => self.key(bytes),
            Value::SimpleString(text) => self.key(text.as_bytes()),
            _ => None,
        };
        if let Some(key) = key {
            self.held.told(&key, self.name);
        }
    }

    fn key(&self, name: &[u8]) -> Option<Key> {
        if let Some(hash) = name.strip_prefix(self.codec.session_prefix().as_bytes()) {
            return std::str::from_utf8(hash).ok().and_then(TokenHash::from_hex).map(Key::Session);
        }
        let id = name.strip_prefix(self.codec.client_prefix().as_bytes())?;
        ClientId::new(id).ok().map(Key::Client)
    }
}
