//! What the caller presents: the values of the reserved names, unverified.

use crate::request::reserved::Places;

/// Parameter names of the credentials (`names`), as PHP folds them.
#[derive(Clone, Debug)]
pub struct Names {
    /// `client_id`
    pub client_id: Vec<u8>,
    /// `api_token`
    pub api_token: Vec<u8>,
    /// `user_id`
    pub user_id: Vec<u8>,
    /// `user_token`
    pub user_token: Vec<u8>,
    /// `timestamp`
    pub timestamp: Vec<u8>,
    /// `nonce`
    pub nonce: Vec<u8>,
    /// `sign`
    pub sign: Vec<u8>,
}

/// Where credentials are looked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `credentials`
    pub places: Places,
    /// `names`
    pub names: Names,
}
