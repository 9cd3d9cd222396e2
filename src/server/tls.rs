//! HTTPS on the public listener: certificate and key, taken up anew while connections go on.
//!
//! Connections under way keep what they were greeted with; handshakes take what is current. Files that cannot be used change
//! nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::listener::Socket;

mod pair;

pub use pair::{Fault, Files, Part, Validity};

use pair::Pair;

/// Protocols offered, the best first (RFC 7301).
const BOTH: [&[u8]; 2] = [b"h2", HTTP1];
const HTTP1: &[u8] = b"http/1.1";

/// Certificate and key in use. Cloning is shallow: all clones change together.
#[derive(Clone, Debug)]
pub struct Keys {
    current: Arc<ArcSwap<Current>>,
}

/// What handshakes take.
#[derive(Debug)]
struct Current {
    files: Files,
    pair: Pair,
    usual: Arc<ServerConfig>,
    /// For whom only HTTP/1.1 is spoken with.
    http1: Arc<ServerConfig>,
}

impl Keys {
    /// Reads both files. The error says which of them, and what is wrong with it.
    pub fn load(files: Files) -> Result<Self, Fault> {
        let pair = Pair::read(&files)?;
        Ok(Self { current: Arc::new(ArcSwap::from_pointee(Current::new(files, pair)?)) })
    }

    /// Reads both files again, and takes them up where they changed: `true`. Where they cannot be used everything stays.
    pub fn reload(&self) -> Result<bool, Fault> {
        let current = self.current.load();
        let pair = Pair::read(&current.files)?;
        if pair == current.pair {
            return Ok(false);
        }
        self.current.store(Arc::new(Current::new(current.files.clone(), pair)?));
        Ok(true)
    }

    /// Takes up what another has, its files included: for a configuration that names others.
    pub fn become_like(&self, other: &Self) {
        self.current.store(other.current.load_full());
    }

    /// How long the certificate holds.
    pub fn validity(&self, now: Duration) -> Validity {
        self.current.load().pair.validity(now)
    }

    /// Looks at the files again and again, for as long as it is polled, and takes up what was put there. What cannot be used
    /// is said once; not at first sight, because two files are not written at once.
    pub async fn watch(&self, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut seen, mut said) = (None, None);
        loop {
            ticks.tick().await;
            let fault = match self.reload() {
                Ok(is_new) => {
                    if is_new {
                        tracing::info!("a new TLS certificate is in use");
                    }
                    said = None;
                    None
                }
                Err(fault) => Some(fault),
            };
            if let Some(fault) = &fault
                && seen.as_ref() == Some(fault)
                && said.as_ref() != Some(fault)
            {
                tracing::error!(%fault, "the TLS certificate stays as it was");
                said = Some(fault.clone());
            }
            seen = fault;
        }
    }

    /// Greets a client.
    pub(super) async fn greet<IO: Socket>(&self, io: IO) -> io::Result<TlsStream<IO>> {
        TlsAcceptor::from(Arc::clone(&self.current.load().usual)).accept(io).await
    }

    /// Greets a client with whom only HTTP/1.1 is to be spoken.
    pub(super) async fn greet_http1<IO: Socket>(&self, io: IO) -> io::Result<TlsStream<IO>> {
        TlsAcceptor::from(Arc::clone(&self.current.load().http1)).accept(io).await
    }
}

impl Current {
    fn new(files: Files, pair: Pair) -> Result<Self, Fault> {
        let config = pair.config(&files)?;
        let offering = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            Arc::new(config)
        };
        Ok(Self { usual: offering(&BOTH), http1: offering(&[HTTP1]), files, pair })
    }
}

/// Whether HTTP/2 was agreed on.
pub(super) fn is_http2<IO>(stream: &TlsStream<IO>) -> bool {
    stream.get_ref().1.alpn_protocol() == BOTH.first().copied()
}

impl<IO: Socket> Socket for TlsStream<IO> {
    fn reset(self) {
        self.into_inner().0.reset();
    }
}
