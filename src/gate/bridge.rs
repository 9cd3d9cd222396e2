//! `mode: bridge`: a WebSocket for an application that knows only HTTP. Its messages become requests, answers become messages.
//!
//! `incoming` reads a message, `message` makes a request of it and has it decided and forwarded as any other, `envelope` reads
//! the answer, `connection` keeps it all going.

use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};

use crate::gate::note::Note;
use crate::gate::{Gate, replies};
use crate::ids::ChannelId;
use crate::policy::bridge::Bridge;
use crate::reply::{Body, Reason, Refusal};
use crate::request::address::Peer;
use crate::request::{Inbound, upgrade};
use crate::telemetry::RuleLabel;
use crate::verify::Permit;
use crate::websocket::handshake;

mod connection;
pub mod envelope;
mod form;
pub(crate) mod incoming;
pub mod message;

use message::Opened;

impl Gate {
    /// Switches to a WebSocket whose messages the gate answers itself.
    pub(super) fn bridge(
        self: &Arc<Self>,
        (inbound, peer): (&Inbound, Peer),
        bridge: &Arc<Bridge>,
        permit: &Permit,
        note: &Note,
    ) -> Result<Response<Body>, Refusal> {
        let mut headers = HeaderMap::new();
        replies::put_request_id(&mut headers, &note.request_id);
        let head = handshake::head(&headers, upgrade::key(&inbound.head)?);
        let unnamed = || RuleLabel { name: Arc::clone(&bridge.rule.name), number: self.settings.policy.rules.len() };
        let label = note.rule.clone().unwrap_or_else(unnamed);
        let opened = Opened::new(self.next_channel()?, (Arc::clone(bridge), label), permit, inbound, peer);
        let (gate, counted) = (Arc::clone(self), self.settings.websockets.enter());
        note.switch.leave(async move |client| {
            connection::run(client, head, gate, opened).await;
            drop(counted);
        });
        let mut response = Response::new(Body::Own(None));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        Ok(response)
    }

    /// A name that no other connection has, of this gate or another.
    fn next_channel(&self) -> Result<ChannelId, Refusal> {
        let number = self.channels.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = ChannelId::new(format!("{}-{number}", self.instance));
        name.map_err(|error| Refusal::new(Reason::StoreDown, format!("a connection without a name: {error}")))
    }
}
