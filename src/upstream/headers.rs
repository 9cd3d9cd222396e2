//! Heads for the application: the caller's headers without what must not pass, then ours.

use std::borrow::Cow;

use crate::clock::Timestamp;
use crate::ids::RequestId;
use crate::request::Inbound;
use crate::request::address::Origin;
use crate::request::body::Body;
use crate::request::headers::{is_hop_by_hop, may_be_named_by_connection, may_pass};
use crate::request::php::{BodyKind, fold_name, url_decode};
use crate::request::reserved::{Kind, Name, Places, Reserved};
use crate::request::upgrade;
use crate::secret::Secret;
use crate::upstream::HostHeader;
use crate::verify::Identity;

mod told;

pub use told::told_apart;

/// How many parameters PHP takes up (`max_input_vars`).
const MAX_INPUT_VARS: usize = 1000;

/// Written by whoever sends the head, or settled with the client already.
const NOT_PASSED: [&str; 5] = ["host", "content-length", "transfer-encoding", "expect", "cookie"];

/// Written anew where a WebSocket is asked for.
const OF_HANDSHAKE: [&str; 3] = ["sec-websocket-key", "sec-websocket-version", "sec-websocket-accept"];

/// What a page that the gate asks for has of the caller's headers.
const CARRIED: [&str; 3] = ["user-agent", "accept", "accept-language"];

/// What a request in place of the caller's has of its own.
const REPLACED: [&str; 3] = ["content-type", "referer", "origin"];

/// `forward`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `hide_credentials`: take credentials out of query and headers before forwarding.
    pub hide_credentials: bool,
    /// The reserved names, of which credentials are hidden in the places where they may stand.
    pub reserved: Reserved,
    /// `headers.user`
    pub user: String,
    /// `headers.client`
    pub client: String,
    /// `headers.session`
    pub session: String,
    /// `assertion_key`
    pub assertion_key: Option<Secret>,
    /// `upstream.host`
    pub host: HostHeader,
    /// The name the application goes by, for `host: upstream`: `host:port`.
    pub upstream_name: String,
}

impl Settings {
    fn host_for<'a>(&'a self, asked: &'a [u8]) -> &'a [u8] {
        match &self.host {
            HostHeader::Keep => asked,
            HostHeader::Upstream => self.upstream_name.as_bytes(),
            HostHeader::Name(name) => name.as_bytes(),
        }
    }
}

/// What else the head needs to know.
#[derive(Clone, Debug)]
pub struct Context<'a> {
    /// Proved identity.
    pub identity: &'a Identity,
    /// This request's id.
    pub request_id: &'a RequestId,
    /// Now, for the assertion.
    pub now: Timestamp,
    /// The Cookie line that replaces the client's: `None` keeps the client's, `Some("")` sends none.
    pub cookies: Option<&'a [u8]>,
    /// Whether `Authorization` is dropped (where a session is held, at a login, and where it carried a credential to be hidden).
    pub drop_authorization: bool,
    /// Whether the application is asked for an uncompressed reply (login requests).
    pub plain_reply: bool,
    /// `traceparent` to send.
    pub traceparent: &'a str,
    /// The key of a request for a WebSocket, which goes on as one.
    pub websocket: Option<&'a [u8]>,
}

/// Request line and headers, without framing headers (Content-Length, Transfer-Encoding, Connection) and without the empty line.
pub fn head(inbound: &Inbound, context: &Context<'_>, settings: &Settings) -> Vec<u8> {
    let spoken = Spoken {
        method: inbound.head.method(),
        target: target(inbound, settings),
        host: inbound.head.host(),
        headers: inbound.head.headers().collect(),
        origin: &inbound.origin,
    };
    spoken.rebuilt(context, settings)
}

/// The head of a GET that the gate makes of itself, on behalf of a caller: of the caller's headers it has those that tell which
/// program and language it is for.
pub fn page(target: &str, inbound: &Inbound, context: &Context<'_>, settings: &Settings) -> Vec<u8> {
    let carried = |(name, _): &(&[u8], &[u8])| CARRIED.iter().any(|kept| name.eq_ignore_ascii_case(kept.as_bytes()));
    let spoken = Spoken {
        method: "GET",
        target: Cow::Borrowed(target.as_bytes()),
        host: inbound.head.host(),
        headers: inbound.head.headers().filter(carried).collect(),
        origin: &inbound.origin,
    };
    spoken.rebuilt(context, settings)
}

/// A request that goes in place of the caller's.
#[derive(Clone, Copy, Debug)]
pub struct Instead<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its target.
    pub target: &'a [u8],
    /// The page that a browser would have come from; `None` for what the caller says of that.
    pub referer: Option<&'a str>,
}

/// The head of a request that goes in place of the caller's, with the caller's headers but for those that told of its own body and
/// origin. A POST has an urlencoded form.
pub fn instead(instead: Instead<'_>, inbound: &Inbound, context: &Context<'_>, settings: &Settings) -> Vec<u8> {
    let replaced = if instead.referer.is_some() { &REPLACED[..] } else { &["content-type"] };
    let kept = |(name, _): &(&[u8], &[u8])| !replaced.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes()));
    let mut headers: Vec<(&[u8], &[u8])> = inbound.head.headers().filter(kept).collect();
    headers.extend(instead.referer.map(|referer| (&b"Referer"[..], referer.as_bytes())));
    if instead.method == "POST" {
        headers.push((b"Content-Type", b"application/x-www-form-urlencoded"));
    }
    let spoken = Spoken {
        method: instead.method,
        target: Cow::Borrowed(instead.target),
        host: inbound.head.host(),
        headers,
        origin: &inbound.origin,
    };
    spoken.rebuilt(context, settings)
}

/// Whether PHP would take a header of that name for the identity that the gate tells.
pub fn is_identity(name: &[u8], settings: &Settings) -> bool {
    let ours = [&settings.user, &settings.client, &settings.session];
    ours.iter().any(|other| is_same_to_php(name, other.as_bytes()))
}

/// The name by which the application is asked.
pub fn host<'a>(inbound: &'a Inbound, settings: &'a Settings) -> &'a [u8] {
    settings.host_for(inbound.head.host())
}

/// A query or an urlencoded form without the credentials that may stand in it, as `place` tells (`|places| places.form`).
pub fn without_credentials<'a>(raw: &'a [u8], reserved: &Reserved, place: impl Fn(Places) -> bool) -> Cow<'a, [u8]> {
    without(raw, |name| {
        let folded = fold_name(&url_decode(name));
        let found = folded.and_then(|(name, _)| reserved.find(&name));
        found.is_some_and(|name| places(name).is_some_and(&place))
    })
}

/// The body as the application gets it: where credentials are hidden, an urlencoded form that was gathered goes without them.
pub fn body(body: Body, content_type: Option<&[u8]>, settings: &Settings) -> Body {
    match body {
        Body::Gathered(form) if settings.hide_credentials && BodyKind::of(content_type) == BodyKind::Form => {
            match without_credentials(&form, &settings.reserved, |places| places.form) {
                Cow::Borrowed(_) => Body::Gathered(form),
                Cow::Owned(rest) => Body::Gathered(rest.into()),
            }
        }
        other => other,
    }
}

/// Where a credential may stand; `None` for other names.
fn places(name: &Name) -> Option<Places> {
    match name.kind {
        Kind::Credential { places, .. } => Some(places),
        Kind::Endpoint { .. } | Kind::Selector | Kind::RuleParam | Kind::LoginField => None,
    }
}

/// The parameters whose raw names are not `hidden`. Where some are, those that PHP would not have taken up go as well, or they
/// would move up to where it does.
fn without(raw: &[u8], hidden: impl Fn(&[u8]) -> bool) -> Cow<'_, [u8]> {
    let is_hidden = |param: &&[u8]| hidden(param.split(|byte| *byte == b'=').next().unwrap_or_default());
    if !params(raw).any(|param| is_hidden(&param)) {
        return Cow::Borrowed(raw);
    }
    let kept: Vec<_> = params(raw).take(MAX_INPUT_VARS).filter(|param| !is_hidden(param)).collect();
    Cow::Owned(kept.join(&b'&'))
}

fn params(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    raw.split(|byte| *byte == b'&').filter(|param| !param.is_empty())
}

/// The target that the application is asked for.
pub fn target<'a>(inbound: &'a Inbound, settings: &Settings) -> Cow<'a, [u8]> {
    let whole = Cow::Borrowed(inbound.head.target_bytes());
    let Some(query) = inbound.target.raw_query.as_deref().filter(|_| settings.hide_credentials) else { return whole };
    match without_credentials(query.as_bytes(), &settings.reserved, |places| places.query) {
        Cow::Borrowed(_) => whole,
        Cow::Owned(rest) if rest.is_empty() => Cow::Borrowed(inbound.target.raw_path.as_bytes()),
        Cow::Owned(rest) => Cow::Owned([inbound.target.raw_path.as_bytes(), &rest].join(&b'?')),
    }
}

/// What the caller said, as far as it concerns the head.
struct Spoken<'a> {
    method: &'a str,
    target: Cow<'a, [u8]>,
    host: &'a [u8],
    headers: Vec<(&'a [u8], &'a [u8])>,
    origin: &'a Origin,
}

impl Spoken<'_> {
    /// The caller's headers are taken off before ours are put on, so nothing the caller says can remove ours.
    fn rebuilt(&self, context: &Context<'_>, settings: &Settings) -> Vec<u8> {
        let mut lines = Lines::begin(self.method, &self.target);
        lines.put("Host", settings.host_for(self.host));
        let named = self.named_by_connection();
        for (name, value) in &self.headers {
            if self.passes(name, &named) && !is_dropped(name, context) && !is_replaced(name, settings) {
                lines.put(name, value);
            }
        }
        self.put_cookies(&mut lines, context);
        put_identity(&mut lines, context, settings);
        self.put_forwarding(&mut lines, context);
        if let Some(key) = &settings.assertion_key {
            lines.put("X-Ticketgate-Assertion", told::assertion(key, (self.method, &self.target), context));
        }
        if let Some(key) = context.websocket {
            put_upgrade(&mut lines, key);
        }
        lines.0
    }

    fn all<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s [u8]> {
        let found = self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| *value)
    }

    fn named_by_connection(&self) -> Vec<&[u8]> {
        let names = self.all("connection").flat_map(|value| value.split(|byte| *byte == b','));
        names.map(<[u8]>::trim_ascii).filter(|name| may_be_named_by_connection(name)).collect()
    }

    fn passes(&self, name: &[u8], named: &[&[u8]]) -> bool {
        may_pass(name, self.origin.trusted)
            && !is_hop_by_hop(name)
            && !NOT_PASSED.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
            && !named.iter().any(|other| other.eq_ignore_ascii_case(name))
    }

    /// One line, however many the client sent: of several, PHP behind FastCGI sees the last alone.
    fn put_cookies(&self, lines: &mut Lines, context: &Context<'_>) {
        let cookies = match context.cookies {
            Some(ours) => Cow::Borrowed(ours),
            None => Cow::Owned(self.all("cookie").collect::<Vec<_>>().join(b"; ".as_slice())),
        };
        if !cookies.is_empty() {
            lines.put("Cookie", cookies);
        }
    }

    fn put_forwarding(&self, lines: &mut Lines, context: &Context<'_>) {
        let origin = self.origin;
        let usual_port = if origin.https { 443 } else { 80 };
        let port = &origin.port.to_string();
        lines.put("X-Request-Id", context.request_id.as_str());
        lines.put("X-Forwarded-For", &origin.forwarded_for);
        lines.put("X-Forwarded-Proto", if origin.https { "https" } else { "http" });
        match origin.host.as_str() {
            "" => {}
            host if origin.port == usual_port => lines.put("X-Forwarded-Host", host),
            host => lines.put("X-Forwarded-Host", [host, port].join(":")),
        }
        lines.put("X-Forwarded-Port", port);
        if !context.traceparent.is_empty() {
            lines.put("traceparent", context.traceparent);
        }
    }
}

fn put_identity(lines: &mut Lines, context: &Context<'_>, settings: &Settings) {
    let identity = context.identity;
    if let Some(user) = &identity.user {
        lines.put(&settings.user, user.as_str());
    }
    if let Some(client) = &identity.client {
        lines.put(&settings.client, client.as_str());
    }
    if let Some(session) = &identity.session {
        lines.put(&settings.session, session.as_str());
    }
}

/// What asks for a WebSocket: the one thing about a connection that the application is told.
fn put_upgrade(lines: &mut Lines, key: &[u8]) {
    lines.put("Connection", "Upgrade");
    lines.put("Upgrade", "websocket");
    lines.put("Sec-WebSocket-Version", upgrade::VERSION);
    lines.put("Sec-WebSocket-Key", key);
}

/// What this request in particular goes without.
fn is_dropped(name: &[u8], context: &Context<'_>) -> bool {
    context.drop_authorization && name.eq_ignore_ascii_case(b"authorization")
        || context.plain_reply && name.eq_ignore_ascii_case(b"accept-encoding")
        || context.websocket.is_some() && OF_HANDSHAKE.iter().any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
}

/// What stands for an identity, ours to give, or for a credential that is hidden.
fn is_replaced(name: &[u8], settings: &Settings) -> bool {
    is_identity(name, settings)
        || settings.hide_credentials && settings.reserved.iter().any(|reserved| is_credential(name, reserved))
}

fn is_credential(name: &[u8], reserved: &Name) -> bool {
    let header = reserved.header.filter(|_| places(reserved).is_some_and(|places| places.header));
    header.is_some_and(|header| is_same_to_php(name, header.as_bytes()))
}

/// Whether two header names are one in `$_SERVER`.
fn is_same_to_php(one: &[u8], other: &[u8]) -> bool {
    let fold = |byte: &u8| if matches!(byte, b'.' | b'_' | b' ') { b'-' } else { byte.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().map(fold).eq(other.iter().map(fold))
}

/// A head as it grows, line by line.
struct Lines(Vec<u8>);

impl Lines {
    fn begin(method: &str, target: &[u8]) -> Self {
        let mut line = Vec::with_capacity(1024);
        for part in [method.as_bytes(), b" ", target, b" HTTP/1.1\r\n"] {
            line.extend_from_slice(part);
        }
        Self(line)
    }

    /// Values were checked where they came from. One that could end its line all the same is left out, whatever that breaks.
    fn put(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        if memchr::memchr3(b'\r', b'\n', 0, value.as_ref()).is_some() {
            return;
        }
        for part in [name.as_ref(), b": ", value.as_ref(), b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests;
