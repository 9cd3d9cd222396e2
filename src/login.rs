//! Logins.

pub mod issue;
