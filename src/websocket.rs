//! WebSocket: what becomes of a client's connection once the gate has decided that it may be one.
//!
//! [`takeover`] is the seam: the gate leaves there who goes on with the connection, the server hands it over. [`tunnel`] goes on with
//! it by passing bytes both ways.

pub mod ended;
pub mod handshake;
pub mod open;
pub mod socket;
pub mod takeover;
pub mod tunnel;

pub(crate) mod frames;
mod pipe;
