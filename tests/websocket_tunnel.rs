//! `websocket: [{mode: tunnel}]`: decided like any request, then bytes both ways.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

#[path = "websocket_tunnel/deciding.rs"]
mod deciding;
#[path = "websocket_tunnel/ending.rs"]
mod ending;
#[path = "websocket_tunnel/makes.rs"]
mod makes;
#[path = "websocket_tunnel/passing.rs"]
mod passing;
mod support;

use support::caller::Caller;
use support::gate::{Gate, Setup};
use support::scripted::Backend;
use support::websocket::{WebSocket, ask, echo};

const YAML: &str = r#"
upstream: {url: "{upstream}", response_timeout: 1s}
store: {url: "memory:"}
clients: [{id: ios, secret: s3cret}, {id: robot, secret: r0b0t, endpoints: [shop]}]
rules:
  - {endpoint: user/auth/login, require: client, login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}}
  - {endpoint: user/auth/logout, require: user, logout: this}
  - {path: "/plain/**", require: public}
websocket:
  - {path: /ws/open, mode: tunnel, require: public}
  - {path: /ws/client, mode: tunnel, require: client, endpoint: chat/room/join}
  - {path: /ws/user, mode: tunnel, require: user, endpoint: chat/room/join}
  - {path: /ws/page, mode: tunnel, require: public, origins: ["https://app.example", "https://*.shop.example"]}
  - {path: /ws/denied, mode: tunnel, require: deny}
  - {path: "/ws/{more}", mode: tunnel, require: public}
"#;

/// A gate before an application that echoes.
struct Site {
    gate: Gate,
    backend: Backend,
}

impl Site {
    async fn new() -> Self {
        Self::with("", "idle: 5m").await
    }

    /// With more keys in the file, and more in the route `/ws/more`.
    async fn with(yaml: &str, route: &str) -> Self {
        Self::before(echo().await, yaml, route).await
    }

    async fn before(backend: Backend, yaml: &str, route: &str) -> Self {
        let gate = setup(yaml, route).upstream(&backend.url()).start().await;
        Self { gate, backend }
    }

    async fn open(&self, target: &str) -> WebSocket {
        WebSocket::open(ask(&self.gate.address, target)).await
    }

    fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    async fn user(&self) -> Caller {
        let ios = self.ios();
        let reply = ios.post("user/auth/login", &[]).await;
        ios.with(support::caller::session_of(&reply))
    }
}

fn setup(yaml: &str, route: &str) -> Setup {
    Gate::with(&(YAML.replace("{more}\", mode: tunnel", &format!("more\", mode: tunnel, {route}")) + yaml))
}
