//! To be written.

/// The embedded engine.
#[derive(Clone, Debug)]
pub struct Embedded;
