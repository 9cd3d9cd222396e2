//! A program that calls as a registered client: knows its secret, computes its api_token, keeps its user_token.

use hmac::{Hmac, KeyInit, Mac};
use jiff::tz::TimeZone;
use md5::{Digest, Md5};
use sha2::Sha256;
use ticketgate::clock::Clock;

use super::http::{Reply, Request};

/// What a login handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub user_id: String,
    pub user_token: String,
    pub expire_time: u64,
}

/// A client, perhaps with a user.
#[derive(Clone, Debug)]
pub struct Caller {
    address: String,
    clock: Clock,
    zone: TimeZone,
    id: String,
    secret: String,
    session: Option<Session>,
}

impl Caller {
    pub fn new(address: &str, clock: Clock, id: &str, secret: &str) -> Self {
        let zone = TimeZone::UTC;
        Self { address: address.to_owned(), clock, zone, id: id.to_owned(), secret: secret.to_owned(), session: None }
    }

    /// Goes by the dates of that zone.
    pub fn zone(mut self, name: &str) -> Self {
        self.zone = TimeZone::get(name).expect("a zone");
        self
    }

    /// The same program at another gate.
    pub fn at(mut self, gate: &super::gate::Gate) -> Self {
        self.address = gate.address.clone();
        self
    }

    /// The same program at another address of its gate.
    pub fn at_address(mut self, address: &str) -> Self {
        self.address = address.to_owned();
        self
    }

    /// The same program with this session.
    pub fn with(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// Its session; there must be one.
    pub fn session(&self) -> &Session {
        self.session.as_ref().expect("a session")
    }

    /// GET of an endpoint `m/c/a` of the MVC application.
    pub fn get(&self, endpoint: &str) -> Request {
        Request::new(&self.address, "GET", &self.target(&mvc(endpoint), endpoint))
    }

    /// POST to an endpoint `m/c/a` of the MVC application.
    pub fn post(&self, endpoint: &str, fields: &[(&str, &str)]) -> Request {
        Request::new(&self.address, "POST", &self.target(&mvc(endpoint), endpoint)).form(fields)
    }

    /// Any request, with the credentials for `endpoint` in its query.
    pub fn request(&self, method: &str, target: &str, endpoint: &str) -> Request {
        Request::new(&self.address, method, &self.target(target, endpoint))
    }

    /// Logs in at `user/auth/login` and keeps the session.
    pub async fn logged_in(&self, username: &str) -> Self {
        let password = format!("{username}123");
        let reply = self.post("user/auth/login", &[("username", username), ("password", &password)]).await;
        self.clone().with(session_of(&reply))
    }

    /// A target with the credentials for an endpoint in its query.
    pub fn target(&self, target: &str, endpoint: &str) -> String {
        let separator = if target.contains('?') { '&' } else { '?' };
        let user = self.session.as_ref().map_or(String::new(), |session| {
            format!("&user_id={}&user_token={}", super::http::escape(&session.user_id), session.user_token)
        });
        format!("{target}{separator}client_id={}&api_token={}{user}", self.id, self.api_token(endpoint))
    }

    /// The md5 api_token of today.
    pub fn api_token(&self, endpoint: &str) -> String {
        md5_token(endpoint, &self.today(), &self.secret)
    }

    /// The HMAC-SHA256 api_token of today.
    pub fn hmac_token(&self, endpoint: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key of any length");
        mac.update(format!("{}\n{}", endpoint.replacen('/', "\n", 2), self.today()).as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// Today by the clock of the gate, in the zone of this program.
    pub fn today(&self) -> String {
        let seconds = i64::try_from(self.clock.now().as_secs()).expect("a second");
        let now = jiff::Timestamp::from_second(seconds).expect("a second");
        now.to_zoned(self.zone.clone()).strftime("%Y-%m-%d").to_string()
    }
}

/// md5 over module, controller, action (`m/c/a`), date and secret.
pub fn md5_token(endpoint: &str, date: &str, secret: &str) -> String {
    hex::encode(Md5::digest(format!("{}{date}{secret}", endpoint.replacen('/', "", 2))))
}

/// How the MVC application is asked for an endpoint.
pub fn mvc(endpoint: &str) -> String {
    let mut parts = endpoint.split('/');
    let mut part = || parts.next().expect("m/c/a");
    format!("/index.php?mod={}&ctl={}&act={}", part(), part(), part())
}

/// The session in the reply to a login.
#[track_caller]
pub fn session_of(reply: &Reply) -> Session {
    let text = |pointer| reply.at(pointer).as_str().unwrap_or_else(|| panic!("no {pointer} in {reply:?}")).to_owned();
    let expire_time = reply.at("/data/expire_time").as_u64().unwrap_or_else(|| panic!("no expire_time in {reply:?}"));
    Session { user_id: text("/data/user_id"), user_token: text("/data/user_token"), expire_time }
}
