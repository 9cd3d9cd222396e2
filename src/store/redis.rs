//! To be written.

/// The Redis engine.
#[derive(Clone, Debug)]
pub struct Redis;
