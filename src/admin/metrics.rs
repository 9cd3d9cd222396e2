//! `/metrics`: everything that is counted, for Prometheus.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http_body_util::Full;

use crate::admin::Parts;
use crate::admin::answer::Response;
use crate::admin::tries::Tries;
use crate::store::Store;
use crate::telemetry::metrics::{Kind, Page};
use crate::upstream::Upstream;

pub(super) fn page(parts: &Parts, tries: &Tries) -> Response {
    let mut page = Page::default();
    parts.telemetry.write(&mut page);
    connections(parts, &mut page);
    upstream(&parts.upstream, &mut page);
    store(&parts.store, &mut page);
    let help = "Requests to the admin API with a wrong token.";
    page.family("ticketgate_admin_tokens_refused_total", Kind::Counter, help).sample(&[], tries.wrong());
    let mut response = Response::new(Full::new(Bytes::from(page.into_text())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(Page::CONTENT_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn connections(parts: &Parts, page: &mut Page) {
    let room = &parts.connections;
    page.family("ticketgate_connections", Kind::Gauge, "Open connections of clients.").sample(&[], room.taken());
    let help = "Most connections that may be open (limits.connections).";
    page.family("ticketgate_connections_limit", Kind::Gauge, help).sample(&[], room.limit());
    let help = "Connections turned away because too many were open.";
    page.family("ticketgate_connections_refused_total", Kind::Counter, help).sample(&[], room.refused());
    let help = "Open WebSocket connections.";
    page.family("ticketgate_websockets", Kind::Gauge, help).sample(&[], parts.websockets.count());
}

fn upstream(upstream: &Upstream, page: &mut Page) {
    let figures = upstream.figures();
    let mut connections = page.family(
        "ticketgate_upstream_connections",
        Kind::Gauge,
        "Connections to the application: with a request under way, or idle.",
    );
    connections.sample(&[("state", "busy")], figures.open.saturating_sub(figures.idle));
    connections.sample(&[("state", "idle")], figures.idle);
    let help = "Most connections to the application (upstream.max_connections); 0 for no limit.";
    page.family("ticketgate_upstream_connections_limit", Kind::Gauge, help).sample(&[], figures.limit);
    let help = "Requests that wait for a connection to the application.";
    page.family("ticketgate_upstream_queue", Kind::Gauge, help).sample(&[], figures.waiting);
}

fn store(store: &Store, page: &mut Page) {
    let sum = store.figures();
    let help = "From a question to the store until its answer, or until it was given up, by what was asked.";
    let mut took = page.family("ticketgate_store_duration_seconds", Kind::Histogram, help);
    for (op, times) in sum.took() {
        took.times(Some(("op", op)), times);
    }
    let help = "Questions that the store did not answer.";
    page.family("ticketgate_store_errors_total", Kind::Counter, help).sample(&[], sum.errors);
    let help =
        "Questions that held answers sufficed for (hit), did not (miss), or did while the store was down (trusted).";
    let mut held = page.family("ticketgate_held_answers_total", Kind::Counter, help);
    let counted = store.held_counted();
    for (result, count) in [("hit", counted.hits), ("miss", counted.misses), ("trusted", counted.trusted)] {
        held.sample(&[("result", result)], count);
    }
    let help = "Limits counted in this process alone, because the store could not count.";
    page.family("ticketgate_limits_counted_locally_total", Kind::Counter, help).sample(&[], store.counted_locally());
}
