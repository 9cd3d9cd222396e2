//! Which endpoint a request names, as seen from the token that opens it.

use super::backend::FakeBackend;
use super::gate::Gate;
use super::http::{Reply, Request};

const BASE: &str = r#"
upstream: {url: "{upstream}"}
clients: [{id: ios, secret: s3cret}]
"#;

const RULES: &str = r#"
rules:
  - {path: "/open/**", require: public}
  - {endpoint: "*", require: client}
"#;

pub const FORM: &str = "application/x-www-form-urlencoded";

/// A request in short: `TARGET`, or `TARGET <- FORM` for a form that is posted.
pub type Row<'a> = (&'a str, &'a str);

/// A gate that asks every request for a client.
#[derive(Debug)]
pub struct Case {
    pub gate: Gate,
    pub backend: FakeBackend,
}

impl Case {
    /// With rules that ask for a client everywhere but under `/open`.
    pub async fn new(yaml: &str) -> Self {
        Self::bare(&format!("{RULES}\n{yaml}")).await
    }

    /// With rules of its own.
    pub async fn bare(yaml: &str) -> Self {
        let backend = FakeBackend::start().await;
        let gate = Gate::with(&format!("{BASE}\n{yaml}\n")).upstream(&backend.url).start().await;
        Self { gate, backend }
    }

    pub fn request(&self, line: &str) -> Request {
        match line.split_once(" <- ") {
            Some((target, form)) => self.gate.post(target).body(FORM, form),
            None => self.gate.get(line),
        }
    }

    /// Called with the token that opens `endpoint` and no other.
    pub async fn called(&self, line: &str, endpoint: &str) -> Reply {
        let token = self.gate.client("ios", "s3cret").hmac_token(endpoint);
        self.request(line).header("X-Client-Id", "ios").header("X-Api-Token", &token).await
    }

    /// Each row names the endpoint `m/c/a`, or is refused for that reason.
    pub async fn name(&self, rows: &[Row<'_>]) {
        for (line, expected) in rows {
            if expected.contains('/') {
                let reply = self.called(line, expected).await;
                assert_eq!((reply.status, reply.reason()), (200, ""), "{line} is not {expected}: {}", reply.text());
            } else {
                let before = self.backend.requests().len();
                let reply = self.request(line).await;
                assert_eq!(reply.reason(), *expected, "{line}: {}", reply.text());
                assert_eq!(self.backend.requests().len(), before, "{line} reached the backend");
            }
        }
    }
}

/// Each row names its endpoint under that configuration.
pub async fn name(yaml: &str, rows: &[Row<'_>]) {
    Case::new(yaml).await.name(rows).await;
}
