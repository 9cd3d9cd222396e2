//! The two applications of `tests/apps` behind a gate.

use super::caller::Caller;
use super::gate::Gate;
use super::php::Php;

/// The JSON application `mvc`.
pub const MVC: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients:
  - {id: ios, secret: s3cret}
  - {id: android, secret: dr0id}
endpoint:
  - query: {module: mod, controller: ctl, action: act}
rules:
  - endpoint: user/auth/login
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid"}
  - endpoint: user/auth/login_v1
    require: client
    login: {success: {json: {/code: 1}}, user_id: "json:/data/uid", user_token: "json:/data/token"}
  - endpoint: user/auth/login_brief
    require: client
    login: {success: {json: {/code: 1}}, user_id: "header:X-Uid"}
  - {endpoint: user/auth/logout, require: user, logout: this}
  - {endpoint: user/auth/logout_all, require: user, logout: all}
  - {endpoint: user/auth/password, require: user, logout: others}
  - {endpoint: message/box/poll, require: user, extend: false}
  - {endpoint: debug/echo/open, require: public}
  - {endpoint: debug/echo/client, require: client}
  - {endpoint: news, require: client}
  - {endpoint: file, require: client}
  - {endpoint: sse, require: client}
  - {endpoint: "*", require: user}
"#;

/// The application of HTML forms, `forms`.
pub const FORMS: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:"}
clients:
  - {id: ios, secret: s3cret}
endpoint:
  - path: "/{module}.php"
rules:
  - endpoint: login
    methods: [POST]
    require: client
    login: {success: {location: /home.php}, user_id: "cookie:uid", reply: envelope}
  - {endpoint: logout, require: user, logout: this}
  - {path: "/*.php", require: user}
"#;

/// An application and its gate.
#[derive(Debug)]
pub struct Site {
    pub gate: Gate,
    pub php: Php,
}

impl Site {
    /// The JSON application.
    pub async fn mvc() -> Self {
        Self::of("mvc", MVC).await
    }

    /// The application of HTML forms.
    pub async fn forms() -> Self {
        Self::of("forms", FORMS).await
    }

    /// An application under a configuration.
    pub async fn of(name: &str, yaml: &str) -> Self {
        let php = Php::application(name);
        let gate = Gate::with(yaml).upstream(&php.url).start().await;
        Self { gate, php }
    }

    /// The client `ios`.
    pub fn ios(&self) -> Caller {
        self.gate.client("ios", "s3cret")
    }

    /// The client `android`.
    pub fn android(&self) -> Caller {
        self.gate.client("android", "dr0id")
    }
}
