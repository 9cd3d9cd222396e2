//! Headers of answers and requests that name the gate's own side of things.

use http::header::HeaderValue;
use http::{HeaderMap, HeaderName};

use crate::ids::RequestId;

/// Tells the client the id under which this request stands in the log.
pub(super) fn put_request_id(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
}

/// The trace context for the application (W3C Trace Context, level 1): the caller's trace continued under a span of our own, or a
/// new trace.
pub(super) fn traceparent(incoming: Option<&[u8]>) -> String {
    let mut ids = [0; 48];
    let (trace, span) = ids.split_at_mut(32);
    // The rooms are as long as the digits, so that there is no error to meet.
    let _ = hex::encode_to_slice(fastrand::u128(1..).to_be_bytes(), trace);
    let _ = hex::encode_to_slice(fastrand::u64(1..).to_be_bytes(), span);
    let text = std::str::from_utf8(&ids).unwrap_or_default();
    let (trace, span) = text.split_at_checked(32).unwrap_or_default();
    let continued = incoming.and_then(|value| std::str::from_utf8(value).ok()).and_then(trace_of);
    let (trace, flags) = continued.unwrap_or((trace, "00"));
    ["00", trace, span, flags].join("-")
}

fn trace_of(value: &str) -> Option<(&str, &str)> {
    let mut fields = value.split('-');
    let (version, trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let whole = hex(version, 2) && version != "ff" && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    (whole && !zero(trace) && !zero(parent)).then_some((trace, flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_continued_or_begun() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let continued = traceparent(Some(format!("00-{trace}-b7ad6b7169203331-01").as_bytes()));
        assert!(continued.starts_with(&format!("00-{trace}-")) && continued.ends_with("-01"), "{continued}");
        assert!(!continued.contains("b7ad6b7169203331"));
        for bad in ["", "00-xyz", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "ff-a-b-c"] {
            assert!(!traceparent(Some(bad.as_bytes())).contains(trace));
            assert_eq!(traceparent(Some(bad.as_bytes())).len(), 55);
        }
    }
}
