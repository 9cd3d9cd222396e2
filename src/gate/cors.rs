//! Pages of other origins that may call (the Fetch standard, 3.2): their preflights are answered here, and whatever else they get
//! tells their browser that they may read it.

use std::time::Duration;

use http::header::{HeaderName, HeaderValue, VARY};
use http::{HeaderMap, Response};

use crate::gate::Gate;
use crate::gate::note::Note;
use crate::reply::{self, Body};
use crate::request::Inbound;
use crate::request::head::{Head, is_token};
use crate::telemetry::RuleLabel;

/// What outcomes name as the rule of a preflight.
pub(super) const PREFLIGHT: &str = "preflight";

/// `cors`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `origins`
    pub origins: Origins,
    /// `headers`, and those of the credentials.
    pub headers: Vec<String>,
    /// Methods that a page may ask for.
    pub methods: Vec<String>,
    /// `max_age`: how long a browser may remember a preflight's answer.
    pub max_age: Duration,
}

/// Which pages may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// All, but without cookies.
    Any,
    /// Those of these origins, `https://host` or `https://host:port`.
    These(Vec<String>),
}

/// What a page asks, and may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// Any page; the answer names none.
    Anybody,
    /// A page of this origin.
    Origin(HeaderValue),
}

/// Headers of the gate's own answers that a page may read.
const EXPOSED: &str = "X-Ticketgate-Reason, X-Ticketgate-Time, X-Request-Id, Retry-After, X-Guest-Token";

const ALLOW_ORIGIN: HeaderName = http::header::ACCESS_CONTROL_ALLOW_ORIGIN;
const ALLOW_CREDENTIALS: HeaderName = http::header::ACCESS_CONTROL_ALLOW_CREDENTIALS;
const EXPOSE: HeaderName = http::header::ACCESS_CONTROL_EXPOSE_HEADERS;

impl Settings {
    /// The page that asks, where it is one that may. An Origin that stands twice is nobody's.
    pub(super) fn asking(&self, head: &Head) -> Option<Asking> {
        let mut all = head.all("Origin");
        let (Some(origin), None) = (all.next(), all.next()) else { return None };
        match &self.origins {
            Origins::Any => Some(Asking::Anybody),
            Origins::These(these) if these.iter().any(|one| one.as_bytes() == origin) => {
                HeaderValue::from_bytes(origin).ok().map(Asking::Origin)
            }
            Origins::These(_) => None,
        }
    }

    /// Puts into an answer what tells a browser whether its page may read it. What the application says about that is taken out, but
    /// for the headers it exposes.
    pub(super) fn tell(&self, headers: &mut HeaderMap, asking: Option<&Asking>, preflight: Option<&[u8]>) {
        let mut exposed = EXPOSED.to_owned();
        for name in headers.get_all(EXPOSE).iter().filter_map(|value| value.to_str().ok()).flat_map(names) {
            exposed.push_str(", ");
            exposed.push_str(name);
        }
        let theirs: Vec<_> =
            headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
        for name in theirs {
            headers.remove(name);
        }
        if self.origins != Origins::Any {
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(asking) = asking else { return };
        match asking {
            Asking::Anybody => headers.insert(ALLOW_ORIGIN, HeaderValue::from_static("*")),
            Asking::Origin(origin) => {
                headers.insert(ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                headers.insert(ALLOW_ORIGIN, origin.clone())
            }
        };
        match preflight {
            Some(wanted) => self.grant(headers, wanted),
            None => put(headers, EXPOSE, &exposed),
        }
    }

    /// What a page may do, for its browser to remember.
    fn grant(&self, headers: &mut HeaderMap, wanted: &[u8]) {
        let wanted = std::str::from_utf8(wanted).unwrap_or_default();
        let any = self.headers.iter().any(|header| header == "*");
        // With cookies, a star is the name of a header like any other (the Fetch standard, 3.2.4), so what is wanted is named.
        let named: Vec<&str> = match any {
            true => names(wanted).collect(),
            false => self.headers.iter().map(String::as_str).collect(),
        };
        put(headers, http::header::ACCESS_CONTROL_ALLOW_METHODS, &self.methods.join(", "));
        put(headers, http::header::ACCESS_CONTROL_ALLOW_HEADERS, &named.join(", "));
        headers.insert(http::header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from(self.max_age.as_secs()));
        headers.append(VARY, HeaderValue::from_static("Access-Control-Request-Method, Access-Control-Request-Headers"));
    }
}

impl Gate {
    /// The answer to a preflight of a page that may call; before any rule, because a browser sends no credentials with it. Anybody
    /// else's is a request like others.
    pub(super) fn preflight(&self, inbound: &Inbound, note: &mut Note) -> Option<Response<Body>> {
        note.asking.as_ref()?;
        inbound.head.header("Access-Control-Request-Method").filter(|_| inbound.head.method() == "OPTIONS")?;
        note.rule = Some(RuleLabel { name: PREFLIGHT.into(), number: self.settings.policy.count() });
        note.preflight = Some(inbound.head.header("Access-Control-Request-Headers").unwrap_or_default().to_vec());
        Some(reply::nothing(note.asked()))
    }
}

/// The header names of a list.
fn names(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty() && name.bytes().all(is_token))
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
