//! The way to the application, over real sockets to applications that do as scripted.

#[cfg(test)]
#[path = "upstream/backend.rs"]
mod backend;
#[cfg(test)]
#[path = "upstream/bodies.rs"]
mod bodies;
#[cfg(test)]
#[path = "upstream/pool.rs"]
mod pool;
#[cfg(test)]
#[path = "upstream/replies.rs"]
mod replies;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of the whole gate use the rest")]
#[path = "support/scripted.rs"]
mod scripted;
