use super::*;
use crate::ids::RequestId;
use crate::telemetry::{RuleLabel, Verdict};

fn outcome() -> Outcome {
    Outcome {
        shown: true,
        at: Timestamp::from_millis(1_795_132_800_123),
        request_id: RequestId::new("r1").unwrap(),
        ip: [10, 0, 0, 1].into(),
        method: "GET".into(),
        path: "/a?b=\"".into(),
        rule: Some(RuleLabel { name: "news".into(), number: 0 }),
        verdict: Verdict::Refused,
        reason: Some(Reason::ClientMissing),
        detail: Some("api_token".into()),
        status: 401,
        client: None,
        user: None,
        session: None,
        login: None,
        ended: Vec::new(),
        duration: Duration::from_micros(1500),
        upstream: None,
        upstream_after: None,
        trace: None,
    }
}

#[test]
fn a_line_is_json_with_every_field() {
    let outcome = outcome();
    let written = |write: fn(&mut String, &Outcome, &str)| {
        let mut line = String::new();
        write(&mut line, &outcome, &Queue::default().moment(outcome.at));
        line
    };
    let line: Value = serde_json::from_str(&written(write_json)).unwrap();
    assert_eq!(line["ts"], "2026-11-20T00:00:00.123Z");
    assert_eq!(line["path"], "/a?b=\"");
    assert_eq!(line["duration_ms"], 1.5);
    assert_eq!(line["upstream_ms"], Value::Null);
    for key in ["request_id", "ip", "method", "rule", "outcome", "reason", "status", "client_id", "user_id", "session"]
    {
        assert!(line.get(key).is_some(), "{key}");
    }
    assert!(written(write_text).contains("refused client_missing"));
}

#[test]
fn every_line_has_been_written_when_the_last_handle_goes() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = AccessLog::memory(Arc::clone(&lines));
    let recording: Vec<_> = [log.clone(), log]
        .into_iter()
        .map(|log| thread::spawn(move || (0..1000).for_each(|_| log.record(&outcome()))))
        .collect();
    recording.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(locked(&lines).iter().filter(|byte| **byte == b'\n').count(), 2000);
}

#[test]
fn moments_and_durations_are_written_with_three_digits() {
    let queue = Queue::default();
    for (millis, text) in [
        (1_795_132_800_123, "2026-11-20T00:00:00.123Z"),
        (1_795_132_800_999, "2026-11-20T00:00:00.999Z"),
        (1_795_132_801_004, "2026-11-20T00:00:01.004Z"),
        (7, "1970-01-01T00:00:00.007Z"),
    ] {
        assert_eq!(queue.moment(Timestamp::from_millis(millis)), text);
    }
    for (nanos, text) in
        [(0, "0.000"), (499, "0.000"), (500, "0.001"), (1_234_567, "1.235"), (61_000_000_000, "61000.000")]
    {
        assert_eq!(Millis(Duration::from_nanos(nanos)).to_string(), text);
    }
}
