//! Requests for a WebSocket: what is asked of them besides what every request is asked, and what becomes of the connection.

use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::gate::Gate;
use crate::gate::note::Note;
use crate::policy::channel::{Channel, Mode};
use crate::policy::rule::Rule;
use crate::reply::{Body, Reason, Refusal};
use crate::request::{Inbound, upgrade};
use crate::verify::{Permit, Upkeep};
use crate::websocket::ended::Ended;
use crate::websocket::handshake;
use crate::websocket::tunnel::{self, Terms};

/// Whether it asks rightly, and from a page that may ask. Of a rule for other requests nothing is asked.
pub(super) fn check(inbound: &Inbound, rule: &Rule) -> Result<(), Refusal> {
    let Some(channel) = rule.websocket.as_deref() else { return Ok(()) };
    upgrade::key(&inbound.head)?;
    match channel.allows(upgrade::origin(&inbound.head)?) {
        true => Ok(()),
        false => Err(Refusal::new(Reason::Denied, "the page that asks is of no origin that may")),
    }
}

/// Tells a client that asks wrongly how to ask (RFC 6455, 4.2.2).
pub(super) fn tell_version(headers: &mut HeaderMap) {
    headers.insert("sec-websocket-version", HeaderValue::from_static(upgrade::VERSION));
}

/// The key with which the application is asked for a WebSocket; none where the rule is for other requests.
pub(super) fn key<'a>(inbound: &'a Inbound, rule: Option<&Rule>) -> Option<&'a [u8]> {
    match &rule?.websocket.as_deref()?.mode {
        Mode::Tunnel(_) => upgrade::key(&inbound.head).ok(),
        Mode::Bridge(_) => None,
    }
}

impl Gate {
    /// Where the application has switched to a WebSocket, leaves who goes on with the connection. Any other answer stays as it is.
    pub(super) fn go_on(
        &self,
        inbound: &Inbound,
        (rule, permit): (&Rule, Option<&Permit>),
        response: Response<Body>,
        note: &Note,
    ) -> Result<Response<Body>, Refusal> {
        match rule.websocket.as_deref() {
            Some(channel) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let upkeep = permit.and_then(|permit| self.verifier.upkeep(permit, rule));
                let session = permit.and_then(Permit::session);
                let watch = session.map(|live| self.store.watch(live.hash, live.record.id.clone(), None));
                let ended = watch.map_or_else(Ended::never, Ended::watched);
                self.tunnel(inbound, (channel, upkeep, ended), response, note)
            }
            _ => Ok(response),
        }
    }

    fn tunnel(
        &self,
        inbound: &Inbound,
        (channel, upkeep, ended): (&Channel, Option<Upkeep>, Ended),
        response: Response<Body>,
        note: &Note,
    ) -> Result<Response<Body>, Refusal> {
        let Mode::Tunnel(settings) = channel.mode else { return Err(failed("it was not asked to switch protocols")) };
        let key = upgrade::key(&inbound.head)?;
        let (parts, body) = response.into_parts();
        let Body::Upstream(body) = body else { return Err(failed("it switched protocols without a connection")) };
        if !handshake::is_accepted(&parts.headers, key) {
            return Err(failed("its Sec-WebSocket-Accept is not the one for the key"));
        }
        let upstream = body.into_switched().ok_or_else(|| failed("it switched protocols before it was asked"))?;
        let head = handshake::head(&parts.headers, key);
        let counted = self.settings.websockets.enter();
        let terms = Terms { settings, ended, used: self.keeping_up(upkeep) };
        note.switch.leave(async move |client| {
            tunnel::run(client, head, upstream, terms).await;
            drop(counted);
        });
        Ok(Response::from_parts(parts, Body::Own(None)))
    }

    /// So that messages count as requests do.
    fn keeping_up(&self, upkeep: Option<Upkeep>) -> Box<dyn FnMut() + Send> {
        let Some(mut upkeep) = upkeep else { return Box::new(|| {}) };
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Box::new(move || upkeep.used(&store, clock.now()))
    }
}

fn failed(why: &str) -> Refusal {
    Refusal::new(Reason::UpstreamFailed, format!("the application failed: {why}"))
}
