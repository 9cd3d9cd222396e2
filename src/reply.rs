//! Answers of the gate's own: the only file that knows status codes and the envelope.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, Response, StatusCode};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::ids::RequestId;
use crate::login::merge::ascii;
use crate::login::{self};
use crate::request::Unreadable;
use crate::store;
use crate::upstream::{self, ResponseBody};
use crate::verify::{self, Denial};

pub mod reason;

pub use reason::Reason;

/// Language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// By Accept-Language, English otherwise.
    Auto,
    /// English.
    English,
    /// Chinese.
    Chinese,
}

/// `reject`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `status: 200`: always answer 200.
    pub always_ok: bool,
    /// `language`
    pub language: Language,
    /// `codes` by reason.
    pub codes: HashMap<Reason, i64>,
    /// `messages` by reason.
    pub messages: HashMap<Reason, String>,
    /// `keys`: names of code, msg and data.
    pub keys: Keys,
}

/// The envelope's keys.
#[derive(Clone, Debug)]
pub struct Keys {
    /// `code`
    pub code: String,
    /// `msg`
    pub msg: String,
    /// `data`
    pub data: String,
}

/// A refusal on its way to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// What the log says beside it.
    pub detail: String,
    /// What the caller reads, where the reason's own words are not enough.
    pub message: Option<String>,
    /// When trying again makes sense, where that is known.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// For that reason; the detail goes to the log only.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), message: None, retry_after: None }
    }

    fn told(reason: Reason, detail: String) -> Self {
        Self { reason, message: Some(detail.clone()), detail, retry_after: None }
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        let reason = match &unreadable {
            Unreadable::Malformed(_) | Unreadable::Gone | Unreadable::TooSlow => Reason::Malformed,
            // The permit tells more; this is for whoever forgot to ask it.
            Unreadable::Withheld => Reason::SignRefused,
            Unreadable::Ambiguous(_) => Reason::Ambiguous,
            Unreadable::TooLarge(_) => Reason::TooLarge,
            Unreadable::HeaderTooLarge(_) => Reason::HeaderTooLarge,
        };
        Self::told(reason, unreadable.to_string())
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        let reason = match denial {
            Denial::Denied(_) => Reason::Denied,
            Denial::EndpointUnknown => Reason::EndpointUnknown,
            Denial::ClientMissing(_) => Reason::ClientMissing,
            Denial::ClientRefused(_) => Reason::ClientRefused,
            Denial::UserMissing(_) => Reason::UserMissing,
            Denial::UserRefused(_) => Reason::UserRefused,
            Denial::UserEnded(_) => Reason::UserEnded,
            Denial::WrongChannel(_) => Reason::WrongChannel,
            Denial::SignMissing(_) => Reason::SignMissing,
            Denial::SignRefused(_) => Reason::SignRefused,
            Denial::SignExpired => Reason::SignExpired,
            Denial::SignReplayed => Reason::SignReplayed,
            Denial::Limited(..) => Reason::Limited,
            Denial::Locked(..) => Reason::Locked,
        };
        Self { retry_after: denial.retry_after(), ..Self::new(reason, denial.detail()) }
    }
}

impl From<store::Fault> for Refusal {
    fn from(fault: store::Fault) -> Self {
        Self::new(Reason::StoreDown, fault.to_string())
    }
}

impl From<verify::Refusal> for Refusal {
    fn from(refusal: verify::Refusal) -> Self {
        match refusal {
            verify::Refusal::Denied(denial) => denial.into(),
            verify::Refusal::Undecided(fault) => fault.into(),
            verify::Refusal::Unreadable(unreadable) => unreadable.into(),
        }
    }
}

impl From<login::Trouble> for Refusal {
    fn from(trouble: login::Trouble) -> Self {
        match trouble {
            login::Trouble::Upstream(fault) => fault.into(),
            login::Trouble::Store(fault) => fault.into(),
            login::Trouble::Full => Self::told(Reason::Denied, trouble.to_string()),
        }
    }
}

impl From<upstream::Fault> for Refusal {
    fn from(fault: upstream::Fault) -> Self {
        let reason = match fault {
            upstream::Fault::Body(unreadable) => return unreadable.into(),
            upstream::Fault::Failed(_) => Reason::UpstreamFailed,
            upstream::Fault::TimedOut => Reason::UpstreamTimeout,
            upstream::Fault::Overloaded => Reason::Overloaded,
        };
        Self::new(reason, fault.to_string())
    }
}

/// The id under which a request stands in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REASON: HeaderName = HeaderName::from_static("x-ticketgate-reason");
const TIME: HeaderName = HeaderName::from_static("x-ticketgate-time");
const ENVELOPE: HeaderName = HeaderName::from_static("x-ticketgate-envelope");

/// Headers of an answer of ours: room for all that a refusal may have.
const OUR_HEADERS: usize = 10;

/// What an answer needs to know of the request it answers.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its id.
    pub request_id: &'a RequestId,
    /// Its Accept-Language.
    pub accept_language: Option<&'a [u8]>,
    /// Whether it was HEAD.
    pub is_head: bool,
    /// Now.
    pub now: Timestamp,
}

impl Settings {
    /// The envelope that tells a caller why it was refused.
    pub fn refuse(&self, refusal: &Refusal, asked: Asked<'_>) -> Response<Body> {
        let reason = refusal.reason;
        let (code, message) = self.told(refusal, asked.accept_language);
        let mut response = self.envelope(code, &message, &Value::Array(Vec::new()), asked);
        let status = if self.always_ok { 200 } else { reason.status() };
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        let headers = response.headers_mut();
        headers.insert(REASON, HeaderValue::from_static(reason.name()));
        if reason.status() == 401 {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"ticketgate\""));
        }
        if reason.passes_by_itself() {
            // Rounded up: a caller that waits as told is not refused again.
            headers.insert(RETRY_AFTER, HeaderValue::from(refusal.retry_after.map_or(1, whole_seconds)));
        }
        if reason == Reason::SignExpired {
            headers.insert(TIME, HeaderValue::from(asked.now.as_secs()));
        }
        response
    }

    /// The same for a proxy that asked on behalf of its client. There the status decides, so it always tells; the envelope stands in a
    /// header as well, for proxies that pass no body on.
    pub fn refuse_inquiry(&self, refusal: &Refusal, asked: Asked<'_>) -> Response<Body> {
        let mut response = self.refuse(refusal, asked);
        *response.status_mut() = StatusCode::from_u16(refusal.reason.status()).unwrap_or(StatusCode::FORBIDDEN);
        let envelope = match response.body() {
            Body::Own(Some(text)) => HeaderValue::from_maybe_shared(text.clone()).ok(),
            Body::Own(None) | Body::Upstream(_) => None,
        };
        response.headers_mut().extend(envelope.map(|envelope| (ENVELOPE, envelope)));
        response
    }

    /// Code and words of a refusal.
    pub fn told<'a>(&'a self, refusal: &'a Refusal, accept_language: Option<&[u8]>) -> (i64, Cow<'a, str>) {
        let code = self.codes.get(&refusal.reason).copied().unwrap_or(0);
        (code, self.message(refusal, accept_language))
    }

    /// An answer of status 200 in the envelope's shape.
    pub fn envelope(&self, code: i64, message: &str, data: &Value, asked: Asked<'_>) -> Response<Body> {
        let keys = [&self.keys.code, &self.keys.msg, &self.keys.data].map(|key| quoted(key));
        let [code_key, msg_key, data_key] = keys.each_ref().map(String::as_str);
        let values = (code.to_string(), quoted(message), ascii(&data.to_string()));
        let text =
            ["{", code_key, ":", &values.0, ",", msg_key, ":", &values.1, ",", data_key, ":", &values.2, "}"].concat();
        let length = text.len();
        let mut response = Response::new(if asked.is_head { Body::Own(None) } else { Body::own(text) });
        let headers = response.headers_mut();
        headers.reserve(OUR_HEADERS);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        if let Ok(id) = HeaderValue::from_str(asked.request_id.as_str()) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }

    /// Words for a login that succeeded.
    pub fn logged_in(&self, accept_language: Option<&[u8]>) -> &'static str {
        if self.speaks_chinese(accept_language) { "登录成功" } else { "logged in" }
    }

    fn message<'a>(&'a self, refusal: &'a Refusal, accept_language: Option<&[u8]>) -> Cow<'a, str> {
        let chinese = self.speaks_chinese(accept_language);
        match (self.messages.get(&refusal.reason), &refusal.message) {
            (Some(message), _) => Cow::Borrowed(message),
            // What and where is told in the names of the request itself.
            (None, Some(what)) if chinese => Cow::Owned(format!("{}: {what}", refusal.reason.message(chinese))),
            (None, Some(what)) => Cow::Borrowed(what),
            (None, None) => Cow::Borrowed(refusal.reason.message(chinese)),
        }
    }

    fn speaks_chinese(&self, accept_language: Option<&[u8]>) -> bool {
        match self.language {
            Language::English => false,
            Language::Chinese => true,
            Language::Auto => accept_language.is_some_and(prefers_chinese),
        }
    }
}

/// An answer that holds nothing.
pub fn nothing(asked: Asked<'_>) -> Response<Body> {
    let mut response = Response::new(Body::Own(None));
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(id) = HeaderValue::from_str(asked.request_id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

fn whole_seconds(after: Duration) -> u64 {
    after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1)
}

/// Whether Accept-Language (RFC 9110, 12.5.4) ranks any Chinese over any English.
fn prefers_chinese(accept_language: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(accept_language) else { return false };
    let weight = |wanted: &str| {
        let ranges = text.split(',').filter_map(|range| {
            let (tag, parameters) = range.split_once(';').unwrap_or((range, ""));
            let primary = tag.trim().split('-').next().unwrap_or_default();
            let q = parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
            q.filter(|_| primary.eq_ignore_ascii_case(wanted))
        });
        ranges.fold(0.0, f32::max)
    };
    // Between equals the first named one counts, as browsers write them in order.
    let first = |wanted: &str| text.to_ascii_lowercase().find(wanted).unwrap_or(usize::MAX);
    let (zh, en) = (weight("zh"), weight("en"));
    zh > 0.0 && (zh > en || (zh >= en && first("zh") < first("en")))
}

/// A JSON string in ASCII, with `\uXXXX` for the rest, as PHP's `json_encode` writes it: safe in any charset.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| (byte == b' ' || byte.is_ascii_graphic()) && !matches!(byte, b'"' | b'\\');
    // Nearly every text of ours, at a tenth of the cost.
    match text.bytes().all(plain) {
        true => ["\"", text, "\""].concat(),
        false => ascii(&Value::from(text).to_string()),
    }
}

/// The body of an answer.
#[derive(Debug)]
pub enum Body {
    /// Ours.
    Own(Option<Bytes>),
    /// The application's.
    Upstream(ResponseBody),
}

impl Body {
    /// Of those bytes.
    pub fn own(bytes: impl Into<Bytes>) -> Self {
        Self::Own(Some(bytes.into()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = upstream::Fault;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Own(bytes) => {
                Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Upstream(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Upstream(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beyond_ascii_is_written_as_php_writes_it() {
        assert_eq!(quoted("登录\"x\n"), r#""\u767b\u5f55\"x\n""#);
        assert_eq!(quoted("😀"), r#""\ud83d\ude00""#);
    }

    #[test]
    fn waiting_times_are_rounded_up() {
        for (micros, seconds) in [(0, 1), (1, 1), (1_000_000, 1), (1_000_001, 2), (1_999_999, 2), (60_000_400, 61)] {
            assert_eq!(whole_seconds(Duration::from_micros(micros)), seconds, "{micros} us");
        }
    }

    #[test]
    fn chinese_is_spoken_where_it_is_preferred() {
        let table: &[(&str, bool)] = &[
            ("zh-CN,zh;q=0.9,en;q=0.8", true),
            ("zh", true),
            ("en-US,en;q=0.9,zh;q=0.8", false),
            ("en,zh", false),
            ("zh;q=0", false),
            ("fr", false),
            ("fr, zh-TW;q=0.3", true),
            ("", false),
        ];
        for (header, expected) in table {
            assert_eq!(prefers_chinese(header.as_bytes()), *expected, "{header}");
        }
    }
}
