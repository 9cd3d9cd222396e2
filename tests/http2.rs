//! HTTP/2 on the public listener: read by the same rules as HTTP/1, bounded where it can be abused, ended in time.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

#[path = "http2/floods.rs"]
mod floods;
#[path = "http2/lifetimes.rs"]
mod lifetimes;
#[path = "http2/reading.rs"]
mod reading;

use support::backend::FakeBackend;
use support::gate::{Gate, Setup};
use support::tls::Certificate;

/// Everything is public, so that nothing but the reading of a request can refuse it.
const OPEN: &str = r#"
upstream: {url: "{upstream}"}
store: {key: plain}
default: public
"#;

/// A gate in front of that backend, with more in its configuration.
fn setup(backend: &FakeBackend, certificate: &Certificate, more: &str) -> Setup {
    Gate::with(&format!("{}{OPEN}{more}", certificate.yaml())).upstream(&backend.url)
}

async fn open() -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    let gate = setup(&backend, &Certificate::new(), "").start().await;
    (gate, backend)
}
