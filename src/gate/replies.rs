//! Headers of answers and requests that name the gate's own side of things.

use http::HeaderMap;
use http::header::HeaderValue;

use crate::ids::RequestId;
use crate::reply::REQUEST_ID;

/// Tells the client the id under which this request stands in the log.
pub(super) fn put_request_id(headers: &mut HeaderMap, id: &RequestId) {
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
}
