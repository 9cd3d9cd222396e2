//! What the caller presents: the values of the reserved names, unverified.

use crate::request::Inbound;
use crate::request::reserved::{Places, bearer};

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

impl Names {
    /// All of them.
    pub fn all(&self) -> [&[u8]; 7] {
        [&self.client_id, &self.api_token, &self.user_id, &self.user_token, &self.timestamp, &self.nonce, &self.sign]
    }
}

/// Where credentials are looked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `credentials`
    pub places: Places,
    /// `names`
    pub names: Names,
}

/// What a caller says of itself. Absent and empty are the same. Not `Debug`: it holds tokens.
#[derive(Clone, Copy, Default)]
pub struct Claims<'a> {
    /// Which client it says it is.
    pub client_id: Option<&'a [u8]>,
    /// What should prove that.
    pub api_token: Option<&'a [u8]>,
    /// Which user it says is logged in.
    pub user_id: Option<&'a [u8]>,
    /// What should prove that.
    pub user_token: Option<&'a [u8]>,
    /// When it says it signed the request, in Unix seconds.
    pub timestamp: Option<&'a [u8]>,
    /// What makes its signature different from every other.
    pub nonce: Option<&'a [u8]>,
    /// Its signature over the request.
    pub sign: Option<&'a [u8]>,
    /// Whether `Authorization` carried the user_token: then it is the gate's, not the application's.
    pub by_authorization: bool,
}

impl<'a> Claims<'a> {
    /// Takes them from where they may stand. The request was checked before: each name stands in one place at most.
    pub fn of(inbound: &'a Inbound, settings: &Settings) -> Self {
        let find = |name: &[u8], header: &str| parameter(inbound, settings.places, name, header);
        let names = &settings.names;
        let named = find(&names.user_token, "X-User-Token");
        let authorization = inbound.head.header("Authorization").filter(|_| settings.places.header);
        let bearer = authorization.and_then(bearer).filter(|token| !token.is_empty());
        Self {
            client_id: find(&names.client_id, "X-Client-Id"),
            api_token: find(&names.api_token, "X-Api-Token"),
            user_id: find(&names.user_id, "X-User-Id"),
            user_token: named.or(bearer),
            timestamp: find(&names.timestamp, "X-Timestamp"),
            nonce: find(&names.nonce, "X-Nonce"),
            sign: find(&names.sign, "X-Sign"),
            by_authorization: bearer.is_some(),
        }
    }
}

fn parameter<'a>(inbound: &'a Inbound, places: Places, name: &[u8], header: &str) -> Option<&'a [u8]> {
    let query = || if places.query { inbound.query.text(name) } else { None };
    let form = || if places.form { inbound.form.text(name) } else { None };
    let header = || if places.header { inbound.head.header(header) } else { None };
    query().or_else(form).or_else(header).filter(|value| !value.is_empty())
}
