//! A program that signs its calls, by a recipe of its own: what the gate computes is measured by it.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::caller::{Caller, Session};
use super::gate::Gate;
use super::http::{Reply, Request, escape};

/// How a call is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Hmac,
    Md5,
}

/// Both.
pub const ALGORITHMS: [Algorithm; 2] = [Algorithm::Hmac, Algorithm::Md5];

/// A call with everything that is signed. Change a field before [`Call::sign`], and it is signed; after it, and it is forged.
#[derive(Clone, Debug)]
pub struct Call {
    pub algorithm: Algorithm,
    pub method: String,
    pub path: String,
    /// Without credentials.
    pub query: String,
    pub client_id: String,
    pub api_token: String,
    pub secret: String,
    pub session: Option<Session>,
    pub timestamp: String,
    pub nonce: Option<String>,
    pub content_type: String,
    pub body: Vec<u8>,
    /// Whether credentials go as headers.
    pub headers: bool,
}

impl Call {
    /// GET of an endpoint `m/c/a`, signed now with a nonce that nobody else uses.
    pub fn get(gate: &Gate, id: &str, secret: &str, endpoint: &str) -> Self {
        let caller: Caller = gate.client(id, secret);
        let mut parts = endpoint.split('/');
        let mut part = || parts.next().expect("m/c/a");
        Self {
            algorithm: Algorithm::Hmac,
            method: "GET".to_owned(),
            path: "/index.php".to_owned(),
            query: format!("mod={}&ctl={}&act={}", part(), part(), part()),
            client_id: id.to_owned(),
            api_token: caller.api_token(endpoint),
            secret: secret.to_owned(),
            session: None,
            timestamp: gate.clock.now().as_secs().to_string(),
            nonce: Some(format!("{:016x}", fastrand::u64(..))),
            content_type: String::new(),
            body: Vec::new(),
            headers: false,
        }
    }

    /// The same with a body, as POST.
    pub fn posting(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { method: "POST".to_owned(), content_type: content_type.to_owned(), body: body.into(), ..self }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// What it is signed over, for `Hmac`.
    pub fn canonical(&self) -> String {
        let query = self.sent_query();
        let mut pairs: Vec<&str> = query.split('&').collect();
        pairs.sort_unstable();
        let body = hex::encode(Sha256::digest(&self.body));
        let nonce = self.nonce.as_deref().unwrap_or_default();
        let lines = [&self.method, &self.path, &pairs.join("&"), &self.timestamp, nonce, self.user_token(), &body];
        lines.join("\n")
    }

    /// Its signature.
    pub fn sign(&self) -> String {
        match self.algorithm {
            Algorithm::Hmac => {
                let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).expect("a key of any length");
                mac.update(self.canonical().as_bytes());
                hex::encode(mac.finalize().into_bytes())
            }
            Algorithm::Md5 => {
                let query = self.sent_query();
                let mark = if query.is_empty() { "" } else { "?" };
                let token = if self.session.is_some() { self.user_token() } else { &self.api_token };
                let Self { path, timestamp, secret, .. } = self;
                hex::encode(Md5::digest(format!("{path}{mark}{query}{timestamp}{token}{secret}")))
            }
        }
    }

    /// The request, with its signature.
    pub fn request(&self, gate: &Gate) -> Request {
        self.request_with(gate, &self.sign())
    }

    /// The request, with that signature.
    pub fn request_with(&self, gate: &Gate, sign: &str) -> Request {
        let mut target = format!("{}?{}", self.path, self.sent_query());
        if !self.headers {
            target = format!("{target}&sign={sign}");
        }
        let mut request = gate.request(&self.method, target.trim_end_matches('?'));
        if self.headers {
            for (name, value) in self.credentials() {
                request = request.header(&format!("X-{}", name.replace('_', "-")), &value);
            }
            request = request.header("X-Sign", sign);
        }
        if self.content_type.is_empty() { request } else { request.body(&self.content_type, self.body.clone()) }
    }

    pub async fn send(&self, gate: &Gate) -> Reply {
        self.request(gate).await
    }

    /// The query without the signature.
    fn sent_query(&self) -> String {
        let credentials = self.credentials();
        let credentials = credentials.iter().filter(|_| !self.headers);
        let credentials = credentials.map(|(name, value)| format!("{name}={}", escape(value)));
        let own = Some(self.query.clone()).filter(|query| !query.is_empty());
        own.into_iter().chain(credentials).collect::<Vec<_>>().join("&")
    }

    fn credentials(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("client_id", self.client_id.clone()), ("api_token", self.api_token.clone())];
        if let Some(session) = &self.session {
            all.extend([("user_id", session.user_id.clone()), ("user_token", session.user_token.clone())]);
        }
        all.push(("timestamp", self.timestamp.clone()));
        all.extend(self.nonce.iter().map(|nonce| ("nonce", nonce.clone())));
        all
    }

    fn user_token(&self) -> &str {
        self.session.as_ref().map_or("", |session| &session.user_token)
    }
}
