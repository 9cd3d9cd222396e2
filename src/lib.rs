//! Ticketgate stands before a legacy PHP application and lets programs use it with two keys: an `api_token` that proves
//! which program calls, and a `user_token` that proves which user is logged in.
//!
//! # The walk of a request
//!
//! ```text
//! inbound  = read what PHP will see             request      bytes -> Inbound, or malformed
//! rule     = the first rule that matches        policy       pure
//! claims   = what the caller presents           credentials  pure, unverified
//! permit   = verified against records           verify       one store question, then pure judgement
//! response = forwarded                          upstream     the same bytes out
//! response = login watched                      login        only where the rule says so
//! ```
//!
//! The modules below stand in layer order: each may use only those above it. `tests/layers.rs` holds that line.

pub mod clock;
pub mod ids;
pub mod measure;
pub mod reload;
pub mod secret;
pub mod shutdown;

pub mod request;
pub mod store;

pub mod policy;

pub mod credentials;

pub mod verify;

pub mod upstream;

pub mod login;

pub mod reply;
pub mod telemetry;
pub mod websocket;

pub mod gate;

pub mod admin;
pub mod server;

pub mod config;

pub mod app;

pub mod cli;

/// Built for `fuzz/` and for tests only.
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
