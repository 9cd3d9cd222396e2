//! What is noted of a request on its way, for its outcome.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::gate::Arrived;
use crate::ids::RequestId;
use crate::reply::{Asked, Refusal};
use crate::request::address::Origin;
use crate::request::head::Head;
use crate::request::php::{fold_name, url_decode};
use crate::request::reserved::{Kind, Reserved};
use crate::telemetry::{Outcome, Verdict};
use crate::verify::Identity;

/// Longest path that is logged, in bytes.
const MAX_PATH: usize = 2048;

/// Filled in as the walk goes.
#[derive(Debug)]
pub(super) struct Note {
    at: Timestamp,
    pub(super) request_id: RequestId,
    ip: IpAddr,
    method: String,
    path: String,
    accept_language: Option<Vec<u8>>,
    is_head: bool,
    pub(super) rule: Option<Arc<str>>,
    pub(super) identity: Identity,
    pub(super) upstream: Option<Duration>,
    verdict: Verdict,
    refusal: Option<Refusal>,
}

impl Note {
    pub(super) fn new(at: Timestamp, arrived: &Arrived) -> Self {
        Self {
            at,
            request_id: RequestId::ulid(at.as_millis(), fastrand::u128(..)),
            ip: arrived.peer.ip,
            method: String::new(),
            path: String::new(),
            accept_language: None,
            is_head: false,
            rule: None,
            identity: Identity::default(),
            upstream: None,
            verdict: Verdict::Forwarded,
            refusal: None,
        }
    }

    /// The head could be read.
    pub(super) fn saw(&mut self, head: &Head, origin: &Origin, reserved: &Reserved) {
        self.ip = origin.ip;
        self.method = head.method().to_owned();
        self.path = redacted(head.target(), reserved);
        self.accept_language = head.header("Accept-Language").map(<[u8]>::to_vec);
        self.is_head = head.method() == "HEAD";
    }

    /// It was refused, or our side failed.
    pub(super) fn refused(&mut self, refusal: Refusal) {
        self.verdict = if refusal.reason.is_fault() { Verdict::Failed } else { Verdict::Refused };
        self.refusal = Some(refusal);
    }

    /// It would have been; the first reason counts.
    pub(super) fn observed(&mut self, refusal: &Refusal) {
        self.verdict = Verdict::Observed;
        self.refusal.get_or_insert_with(|| refusal.clone());
    }

    /// What an answer of ours needs to know.
    pub(super) fn asked(&self) -> Asked<'_> {
        Asked {
            request_id: &self.request_id,
            accept_language: self.accept_language.as_deref(),
            is_head: self.is_head,
            now: self.at,
        }
    }

    /// The finished outcome.
    pub(super) fn outcome(self, status: u16, duration: Duration) -> Outcome {
        let reason = self.refusal.as_ref().map(|refusal| refusal.reason.name());
        Outcome {
            at: self.at,
            request_id: self.request_id,
            ip: self.ip,
            method: self.method,
            path: self.path,
            rule: self.rule,
            verdict: self.verdict,
            reason,
            detail: self.refusal.map(|refusal| refusal.detail),
            status,
            client: self.identity.client,
            user: self.identity.user,
            session: self.identity.session,
            duration,
            upstream: self.upstream,
        }
    }
}

/// The target with the values of credentials and login fields blotted out, whatever spelling PHP would fold to them.
fn redacted(target: &str, reserved: &Reserved) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut out = String::with_capacity(target.len());
    out.push_str(path);
    for (index, pair) in query.split('&').enumerate().filter(|_| !query.is_empty()) {
        out.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            Some((name, _)) if is_secret(name, reserved) => {
                out.push_str(name);
                out.push_str("=[redacted]");
            }
            _ => out.push_str(pair),
        }
    }
    if out.len() > MAX_PATH {
        out.truncate(out.floor_char_boundary(MAX_PATH));
        out.push_str("[...]");
    }
    out
}

fn is_secret(name: &str, reserved: &Reserved) -> bool {
    let decoded = url_decode(name.as_bytes());
    let folded = fold_name(&decoded).map(|(folded, _)| folded);
    let kind = folded.and_then(|folded| reserved.find(&folded)).map(|name| name.kind);
    let lower = decoded.to_ascii_lowercase();
    // Passwords are no credentials of this gate, but nothing that a log should hold either.
    let password = lower == b"pwd" || lower.windows(4).any(|word| word == b"pass");
    password || matches!(kind, Some(Kind::Credential { .. } | Kind::LoginField))
}
