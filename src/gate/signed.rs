//! What of a request is signed, and how that is told to whoever looks for what is wrong with a signature.

use tracing::Level;

use crate::credentials::{self, Claims};
use crate::gate::note::Note;
use crate::gate::redact;
use crate::gate::{Gate, Settings};
use crate::reply::{Reason, Refusal};
use crate::request::Inbound;
use crate::request::reserved::Kind;
use crate::verify::signature::{self, BodyHash, Message, Request};

/// What of a request is signed, but for the body.
pub(super) fn request<'a>(inbound: &'a Inbound, settings: &'a credentials::Settings) -> Request<'a> {
    Request {
        method: inbound.head.method(),
        path: &inbound.target.raw_path,
        query: inbound.target.raw_query.as_deref().unwrap_or_default(),
        sign_name: settings.places.query.then_some(&settings.names.sign),
        body: None,
    }
}

impl Gate {
    /// At log level `debug`, tells what a wrong signature should have been over.
    pub(super) fn tell_signed(
        &self,
        refusal: &Refusal,
        (inbound, claims): (&Inbound, &Claims<'_>),
        body: impl FnOnce() -> Option<BodyHash>,
        note: &Note,
    ) {
        let Some(algorithm) = claims.sign.and_then(signature::algorithm_of) else { return };
        if refusal.reason != Reason::SignRefused || !tracing::enabled!(Level::DEBUG) {
            return;
        }
        let request = Request { body: body(), ..request(inbound, &self.settings.credentials) };
        let canonical = Message::of(request, claims).shown(algorithm, &|name| self.settings.hides(name));
        tracing::debug!(request_id = %note.request_id, detail = refusal.detail, canonical, "a signature was refused");
    }
}

impl Settings {
    /// Whether the value of a parameter must not be shown, although the ones around it are.
    pub(super) fn hides(&self, name: &[u8]) -> bool {
        let names = &self.credentials.names;
        let token = [&names.api_token, &names.user_token, &names.sign].into_iter().any(|token| token == name);
        let of_login = self.reading.reserved.find(name).is_some_and(|name| name.kind == Kind::LoginField);
        token || of_login || redact::tells_of_a_secret(name)
    }
}
