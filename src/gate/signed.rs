//! What of a request is signed, and how that is told to whoever looks for what is wrong with a signature.

use std::borrow::Cow;

use tracing::Level;

use crate::credentials::{self, Claims};
use crate::gate::note::Note;
use crate::gate::redact;
use crate::gate::{Gate, Settings};
use crate::reply::{Reason, Refusal};
use crate::request::Inbound;
use crate::request::php::{fold_name, url_decode};
use crate::request::reserved::Kind;
use crate::store::record::Algorithm;
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
        let canonical = self.settings.shown_signed(&Message::of(request, claims), algorithm);
        tracing::debug!(request_id = %note.request_id, detail = refusal.detail, canonical, "a signature was refused");
    }
}

impl Settings {
    /// What a request is signed over, without tokens, passwords and the like.
    fn shown_signed(&self, message: &Message<'_>, algorithm: Algorithm) -> String {
        let parts = message.shown(algorithm, |piece| self.shown_piece(piece));
        let texts: Vec<_> = parts.iter().map(|part| part.text.escape_ascii().to_string()).collect();
        texts.join(if algorithm == Algorithm::Md5 { "" } else { "\n" })
    }

    /// A path, or a pair of a query. Ids, timestamps and nonces are no secrets, and tell most.
    pub(super) fn shown_piece<'a>(&self, piece: &'a str) -> Cow<'a, str> {
        match piece.split_once('=') {
            Some((name, value)) if self.hides(name) => Cow::Owned(format!("{name}=[{} bytes, redacted]", value.len())),
            _ => redact::open_text(piece, &self.reading.reserved),
        }
    }

    /// Whether the value of a parameter must not be shown, although the ones around it are.
    fn hides(&self, name: &str) -> bool {
        let decoded = url_decode(name.as_bytes());
        let folded = fold_name(&decoded).map(|(folded, _)| folded).unwrap_or_default();
        let names = &self.credentials.names;
        let token = [&names.api_token, &names.user_token, &names.sign];
        let of_login = self.reading.reserved.find(&folded).is_some_and(|name| name.kind == Kind::LoginField);
        of_login
            || token.into_iter().any(|token| token.eq_ignore_ascii_case(&folded))
            || redact::tells_of_a_secret(&decoded)
    }
}
