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
