//! Traces: the context goes on to the application, and spans to a collector where the environment names one.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic as tests do")]

mod support;

use serde_json::Value;
use support::backend::{Answer, FINE, FakeBackend};
use support::gate::{Gate, Setup};
use support::scrape::Scrape;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const CONFIG: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules:
  - {path: "/assets/**", require: public}
  - {path: "/broken/**", require: public}
  - {endpoint: news, require: client}
"#;

/// A gate before an application, with a collector of spans beside it.
struct Case {
    gate: Gate,
    backend: FakeBackend,
    collector: FakeBackend,
}

impl Case {
    async fn new(set: impl FnOnce(Setup) -> Setup) -> Self {
        Self::with(FakeBackend::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await, set).await
    }

    async fn with(collector: FakeBackend, set: impl FnOnce(Setup) -> Setup) -> Self {
        let backend = FakeBackend::with(|request| match request.starts_with(b"GET /broken") {
            true => Answer::Close,
            false => Answer::Bytes(FINE.to_vec()),
        });
        let backend = backend.await;
        let setup = Gate::with(CONFIG).upstream(&backend.url).variable("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
        Self { gate: set(setup).start().await, backend, collector }
    }

    /// Ends the gate; every span that the collector got, and its requests as they came.
    async fn end(self) -> (Vec<Value>, Vec<String>) {
        self.gate.stop().await;
        let requests = self.collector.requests();
        let mut spans = Vec::new();
        for request in &requests {
            let (head, body) = request.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");
            let body: Value = serde_json::from_str(body).unwrap();
            for resource in body["resourceSpans"].as_array().unwrap() {
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    spans.extend(scope["spans"].as_array().unwrap().clone());
                }
            }
        }
        (spans, requests)
    }
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    let value = attributes.iter().find(|attribute| attribute["key"] == key).map(|attribute| &attribute["value"]);
    value.and_then(|value| value.as_object()?.values().next()).unwrap_or(&Value::Null)
}

fn nanos(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

fn caller(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

#[tokio::test]
async fn a_request_leaves_a_span_of_the_gate_and_one_of_the_application() {
    let case = Case::new(|setup| setup.variable("OTEL_SERVICE_NAME", "shop")).await;
    let reply =
        case.gate.get("/assets/a?user_token=s3cr3t&user_token=s3cr3t").header("traceparent", &caller("01")).await;
    reply.assert_refused(400, "ambiguous");
    let reply = case.gate.get("/assets/a?b=1").header("traceparent", &caller("01")).await;
    reply.assert_passed();
    let told = case.backend.last();
    let (spans, requests) = case.end().await;
    let [refused, own, upstream] = spans.as_slice() else { panic!("{spans:#?}") };
    for span in &spans {
        assert_eq!(span["traceId"], TRACE);
        assert!(nanos(span, "endTimeUnixNano") > nanos(span, "startTimeUnixNano"));
    }
    assert_eq!(
        (&own["parentSpanId"], &own["kind"], &own["name"]),
        (&CALLER.into(), &2.into(), &"GET /assets/**".into())
    );
    assert_eq!((&upstream["parentSpanId"], &upstream["kind"]), (&own["spanId"], &3.into()));
    let traceparent = format!("traceparent: 00-{TRACE}-{}-01", upstream["spanId"].as_str().unwrap());
    assert!(told.to_lowercase().contains(&traceparent), "{traceparent}\n{told}");
    assert!(nanos(upstream, "startTimeUnixNano") >= nanos(own, "startTimeUnixNano"));
    assert_eq!(attribute(own, "http.response.status_code"), "200");
    assert_eq!(attribute(own, "url.path"), "/assets/a");
    assert_eq!(attribute(own, "ticketgate.request_id").as_str(), reply.header("x-request-id"));
    assert_eq!(attribute(refused, "ticketgate.reason"), "ambiguous");
    assert!(
        requests.iter().any(|request| request.contains(r#"{"key":"service.name","value":{"stringValue":"shop"}}"#))
    );
    assert!(!requests.iter().any(|request| request.contains("s3cr3t")), "{requests:?}");
}

#[tokio::test]
async fn what_fails_is_an_error_and_headers_open_the_collector() {
    let case =
        Case::new(|setup| setup.variable("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20c0llector")).await;
    case.gate.get("/broken/a").await.assert_refused(502, "upstream_failed");
    case.gate.get("/nowhere").await.assert_refused(403, "denied");
    let (spans, requests) = case.end().await;
    let failed = spans.iter().find(|span| attribute(span, "ticketgate.reason") == "upstream_failed").unwrap();
    assert_eq!((&failed["status"]["code"], &failed["parentSpanId"]), (&2.into(), &"".into()));
    let denied = spans.iter().find(|span| attribute(span, "ticketgate.reason") == "denied").unwrap();
    assert_eq!(denied["status"], Value::Null, "the caller's mistakes are no errors of the gate");
    assert!(requests.iter().all(|request| request.to_lowercase().contains("authorization: bearer c0llector")));
}

#[tokio::test]
async fn the_caller_and_the_sampler_decide_what_is_told() {
    let case = Case::new(|setup| setup).await;
    case.gate.get("/assets/quiet").header("traceparent", &caller("00")).await.assert_passed();
    assert!(case.backend.last().to_lowercase().contains(&format!("traceparent: 00-{TRACE}-")));
    case.gate.get("/assets/own").await.assert_passed();
    assert!(case.backend.last().contains("-01\r\n"), "a trace that begins here is told: {}", case.backend.last());
    let (spans, _) = case.end().await;
    assert_eq!(spans.len(), 2, "{spans:#?}");
    assert!(spans.iter().all(|span| span["traceId"] != TRACE));

    let case = Case::new(|setup| setup.variable("OTEL_TRACES_SAMPLER", "always_off")).await;
    case.gate.get("/assets/own").header("traceparent", &caller("01")).await.assert_passed();
    let told = case.backend.last().to_lowercase();
    assert!(told.contains(&format!("traceparent: 00-{TRACE}-")) && told.contains("-00\r\n"), "{told}");
    assert!(case.end().await.0.is_empty());
}

#[tokio::test]
async fn a_collector_that_hangs_holds_up_nothing_and_what_it_misses_is_counted() {
    let collector = FakeBackend::with(|_| Answer::Never).await;
    let set =
        |setup: Setup| setup.variable("OTEL_BSP_MAX_QUEUE_SIZE", "4").variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1");
    let case = Case::with(collector, set).await;
    for _ in 0..20 {
        case.gate.get("/assets/a").await.assert_passed();
    }
    let scrape = Scrape::of(&case.gate.admin).await;
    assert!(scrape.value("ticketgate_spans_lost_total") >= 10.0, "{}", scrape.0);
}
