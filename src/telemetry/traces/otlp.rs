//! Outcomes as spans of the OpenTelemetry protocol (OTLP 1, JSON): one of the gate, and one of the application where it was asked.

use std::time::Duration;

use serde_json::{Value, json};

use super::Trace;
use crate::clock::Timestamp;
use crate::telemetry::{Outcome, Verdict};

/// Kinds of spans (opentelemetry/proto/trace/v1/trace.proto).
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// Status of a span whose work failed.
const ERROR: u8 = 2;

/// `ExportTraceServiceRequest`
pub(super) fn request(outcomes: &[Outcome], resource: &[(String, String)]) -> Value {
    let resource: Vec<Value> = resource.iter().map(|(key, value)| text(key, value)).collect();
    let spans: Vec<Value> = outcomes.iter().flat_map(spans).collect();
    let scope = json!({"name": "ticketgate", "version": env!("CARGO_PKG_VERSION")});
    json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]})
}

fn spans(outcome: &Outcome) -> Vec<Value> {
    let Some(trace) = &outcome.trace else { return Vec::new() };
    let mut spans = vec![own(outcome, trace)];
    if let Some((after, took)) = outcome.upstream_after.zip(outcome.upstream) {
        let ids = (trace.upstream, Some(trace.span));
        let begun = nanos(outcome.at) + after.as_nanos();
        spans.push(span((trace, ids), CLIENT, &outcome.method, (begun, took), &[]));
    }
    spans
}

fn own(outcome: &Outcome, trace: &Trace) -> Value {
    // Bounded, as names of spans must be: never the path.
    let name = match &outcome.rule {
        Some(rule) => format!("{} {}", outcome.method, rule.name),
        None => outcome.method.clone(),
    };
    let path = outcome.path.split('?').next().unwrap_or_default();
    let mut attributes = vec![
        text("http.request.method", &outcome.method),
        text("url.path", path),
        json!({"key": "http.response.status_code", "value": {"intValue": outcome.status.to_string()}}),
        text("client.address", &outcome.ip.to_string()),
        text("ticketgate.request_id", outcome.request_id.as_str()),
        text("ticketgate.outcome", outcome.verdict.name()),
    ];
    let rule = outcome.rule.as_ref().map(|rule| ("ticketgate.rule", &*rule.name));
    let reason = outcome.reason.map(|reason| ("ticketgate.reason", reason.name()));
    let client = outcome.client.as_ref().map(|client| ("ticketgate.client_id", client.as_str()));
    attributes.extend([rule, reason, client].into_iter().flatten().map(|(key, value)| text(key, value)));
    let ids = (trace.span, trace.parent);
    let mut span = span((trace, ids), SERVER, &name, (nanos(outcome.at), outcome.duration), &attributes);
    if outcome.verdict == Verdict::Failed
        && let Some(span) = span.as_object_mut()
    {
        span.insert("status".to_owned(), json!({"code": ERROR, "message": outcome.reason.map(|reason| reason.name())}));
    }
    span
}

fn span(
    (trace, (id, parent)): (&Trace, (u64, Option<u64>)),
    kind: u8,
    name: &str,
    (begun, took): (u128, Duration),
    attributes: &[Value],
) -> Value {
    json!({
        "traceId": format!("{:032x}", trace.id),
        "spanId": format!("{id:016x}"),
        "parentSpanId": parent.map(|parent| format!("{parent:016x}")).unwrap_or_default(),
        "flags": trace.flags,
        "name": name,
        "kind": kind,
        "startTimeUnixNano": begun.to_string(),
        "endTimeUnixNano": (begun + took.as_nanos()).to_string(),
        "attributes": attributes,
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn nanos(at: Timestamp) -> u128 {
    u128::from(at.as_millis()) * 1_000_000
}
