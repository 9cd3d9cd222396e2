//! What the application is told of who asks, as values.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Context, Settings};
use crate::ids::{ClientId, SessionId, UserId};
use crate::request::Inbound;
use crate::secret::Secret;

/// What the application is told of who asks where somebody else forwards the request. A name without a value takes the place of what
/// the caller says under it.
pub fn told_apart<'a>(inbound: &Inbound, context: &Context<'_>, settings: &'a Settings) -> Vec<(&'a str, String)> {
    let Context { identity, request_id, traceparent, .. } = context;
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let mut told = vec![
        (settings.user.as_str(), text(identity.user.as_ref().map(UserId::as_str))),
        (&settings.client, text(identity.client.as_ref().map(ClientId::as_str))),
        (&settings.session, text(identity.session.as_ref().map(SessionId::as_str))),
        ("X-Request-Id", request_id.as_str().to_owned()),
        ("traceparent", (*traceparent).to_owned()),
    ];
    if let Some(key) = &settings.assertion_key {
        let line = (inbound.head.method(), inbound.head.target_bytes());
        told.push(("X-Ticketgate-Assertion", assertion(key, line, context)));
    }
    told
}

/// `t=UNIX,id=REQUEST_ID,u=USER,c=CLIENT,sig=HEX`: what lets PHP see that a request of that method and target came through the gate.
pub(super) fn assertion(key: &Secret, (method, target): (&str, &[u8]), context: &Context<'_>) -> String {
    let user = context.identity.user.as_ref().map_or("", UserId::as_str);
    let client = context.identity.client.as_ref().map_or("", ClientId::as_str);
    let time = context.now.as_secs().to_string();
    let id = context.request_id.as_str();
    let said: [&[u8]; 7] =
        [b"v1", method.as_bytes(), target, user.as_bytes(), client.as_bytes(), time.as_bytes(), id.as_bytes()];
    format!("t={time},id={id},u={user},c={client},sig={}", signature(key, &said.join(&b'\n')))
}

/// Hex of HMAC-SHA256, which takes keys of any length.
fn signature(key: &Secret, message: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose()) {
        mac.update(message);
        for byte in mac.finalize().into_bytes() {
            let _ = write!(hex, "{byte:02x}");
        }
    }
    hex
}
