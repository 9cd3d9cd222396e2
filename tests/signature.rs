//! Signed requests, asked of whole gates: what counts as signed, what was used before, and bodies on their way.

mod support;

#[cfg(test)]
#[path = "signature/bodies.rs"]
mod bodies;
#[cfg(test)]
#[path = "signature/judging.rs"]
mod judging;
#[cfg(test)]
#[path = "signature/replay.rs"]
mod replay;
#[cfg(test)]
#[path = "signature/telling.rs"]
mod telling;

use support::backend::FakeBackend;
use support::caller::session_of;
use support::gate::Gate;
use support::signing::Call;

/// Every kind of rule and client.
const SIGNED: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "{store}"}
clients:
  - {id: ios, secret: s3cret}
  - {id: web, secret: [n3w, 0ld]}
  - {id: weak, secret: s3cret, signature: never}
  - {id: strict, secret: s3cret, signature: always}
rules:
  - {endpoint: user/auth/login, require: client, signature: never, login: {success: {json: {/code: 1}}, user_id: "form:name"}}
  - {endpoint: public, require: public}
  - {endpoint: message, require: user_only}
  - {endpoint: free, require: client, signature: never}
  - {endpoint: maybe, require: client, signature: when_present}
  - {endpoint: pay, require: client, signature: {require: always, algorithms: [hmac-sha256], nonce: required, window: 30s}}
  - {endpoint: user, require: user}
  - {endpoint: "*", require: client}
signature: {require: always, max_nonces: 50}
limits: {form: 64KiB, body: 16MiB}
log: {level: error, access: true}
{more}
"#;

/// 2026-11-20T12:00:00Z
const NOON: u64 = 1_795_176_000;

/// A gate of that configuration, with more of it, before a backend that records what comes.
async fn gate_with(more: &str) -> (Gate, FakeBackend) {
    let backend = FakeBackend::start().await;
    let gate = Gate::with(SIGNED).upstream(&backend.url).put("store", "memory:").put("more", more).start().await;
    // Far from midnight, where the dates of tokens change.
    gate.move_to(NOON);
    (gate, backend)
}

async fn gate() -> (Gate, FakeBackend) {
    gate_with("").await
}

/// A signed GET of the usual client.
fn get(gate: &Gate) -> Call {
    Call::get(gate, "ios", "s3cret", "news/list/index")
}

/// The same with a user who has just logged in.
async fn user(gate: &Gate) -> Call {
    let login = gate.client("ios", "s3cret").post("user/auth/login", &[("name", "7")]).await;
    let session = Some(session_of(&login));
    Call { session, ..Call::get(gate, "ios", "s3cret", "user/info/get") }
}
