//! `/api/v1/events`: what happens, sent as it happens (Server-Sent Events). `/api/v1/refusals`: the latest that were refused.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use http_body_util::channel::{Channel, Sender};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::admin::Parts;
use crate::admin::answer::{self, Problem};
use crate::telemetry::events::{Event, Listener};

/// Between signs of life, by which both sides learn that the other is gone.
const BEAT: Duration = Duration::from_secs(15);
/// A listener that takes nothing for so long is dropped.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces under way to one listener.
const UNDER_WAY: usize = 8;

/// A stream of events.
pub(super) type Stream = Channel<Bytes, Infallible>;

/// Begins a stream.
pub(super) fn stream(parts: &Parts) -> Result<Response<Stream>, Problem> {
    let Some(listener) = parts.telemetry.events().listen() else {
        return Err(Problem::unavailable("as many listen as may; end another one first"));
    };
    let (sender, stream) = Channel::new(UNDER_WAY);
    tokio::spawn(send(listener, sender));
    let mut response = Response::new(stream);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would hold events back otherwise.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Until the listener leaves, is too far behind, or takes nothing any more.
async fn send(mut listener: Listener, mut sender: Sender<Bytes, Infallible>) {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (piece, last) = tokio::select! {
            biased;
            event = listener.next() => match event {
                Some(event) => (written(&event), false),
                None => (Bytes::from_static(b"event: dropped\ndata: {\"why\":\"too slow\"}\n\n"), true),
            },
            // The first one at once, so that the head goes out.
            _ = beat.tick() => (Bytes::from_static(b":\n\n"), false),
        };
        let taken = timeout(PATIENCE, sender.send_data(piece)).await;
        if last || !matches!(taken, Ok(Ok(()))) {
            return;
        }
    }
}

fn written(event: &Event) -> Bytes {
    // JSON in one line: a line break would end the data.
    Bytes::from(format!("event: {}\ndata: {}\n\n", event.kind, event.data))
}

/// The latest refusals, the newest first, as they stand in the log.
pub(super) fn refusals(parts: &Parts) -> answer::Response {
    let lines = parts.telemetry.events().refusals();
    let refusals: Vec<&RawValue> = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
    answer::ok(&json!({"refusals": refusals}))
}
