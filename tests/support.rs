//! What the tests over sockets share: a gate in this process, a client that sends exact bytes, applications behind the gate.
//! Everything listens on free ports and stops when it is dropped.
#![expect(dead_code, unreachable_pub, reason = "each test crate uses a part of this")]
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

pub mod apps;
pub mod backend;
pub mod browser;
pub mod bytes;
pub mod caller;
pub mod fault_proxy;
pub mod gate;
pub mod http;
pub mod http2;
pub mod in_time;
pub mod load;
pub mod messages;
pub mod naming;
pub mod php;
pub mod process;
pub mod redis;
pub mod scrape;
pub mod scripted;
pub mod signing;
pub mod tls;
pub mod websocket;
