//! `/api/v1/openapi.json` tells what the admin API answers: every operation is asked, and what comes fits its description.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic as tests do")]

mod support;

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use support::backend::FakeBackend;
use support::gate::{Gate, Setup};
use support::http::Reply;

const CONFIG: &str = r#"
upstream: {url: "{upstream}"}
store: {url: "memory:", key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}
admin: {listen: 127.0.0.1:0, token: [0perator, 0ld-operator]}
forward: {assertion_key: assert10n}
session: {idle: 90m}
clients: [{id: ios, secret: s3cret}]
endpoint: [{query: {module: mod, controller: ctl, action: act}}]
rules: [{endpoint: news, require: client}]
"#;

/// A gate whose API is described.
struct Api {
    gate: Gate,
    _backend: FakeBackend,
    description: Value,
    /// Operations that were asked, with the status that came.
    asked: BTreeSet<(String, String, u16)>,
}

impl Api {
    async fn start() -> Self {
        Self::of(Gate::with(CONFIG)).await
    }

    async fn of(setup: Setup) -> Self {
        let backend = FakeBackend::start().await;
        let gate = setup.upstream(&backend.url).start().await;
        let mut api = Self { gate, _backend: backend, description: Value::Null, asked: BTreeSet::new() };
        api.description = api.send("GET", "/openapi.json", None).await.json();
        api
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Reply {
        let request = self.gate.admin(method, &format!("/api/v1{path}")).header("Authorization", "Bearer 0perator");
        match body {
            Some(body) => request.body("application/json", body.to_string()).await,
            None => request.await,
        }
    }

    /// Asks, and holds the answer against the description.
    async fn ask(&mut self, method: &str, path: &str, body: Option<Value>, status: u16) -> Value {
        let template = self.template(path);
        let operation = self.description["paths"][&template][method.to_lowercase()].clone();
        assert!(operation.is_object(), "{method} {template} is not described");
        if let Some(body) = &body {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            assert_eq!(self.misfit(schema, body), None, "{method} {path}: the request");
        }
        let reply = self.send(method, path, body).await;
        self.assert_fits(method, path, status, &reply);
        self.asked.insert((method.to_owned(), template, status));
        reply.json()
    }

    /// Holds an answer against the description.
    #[track_caller]
    fn assert_fits(&self, method: &str, path: &str, status: u16, reply: &Reply) {
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text());
        let operation = &self.description["paths"][self.template(path)][method.to_lowercase()];
        let described = &operation["responses"][status.to_string()];
        assert!(described.is_object(), "{method} {path}: {status} is not described");
        let answer = reply.json();
        let schema = &described["content"]["application/json"]["schema"];
        assert_eq!(self.misfit(schema, &answer), None, "{method} {path}: {answer}");
    }

    /// The described path that this is one of.
    fn template(&self, path: &str) -> String {
        let fits = |template: &&String| {
            let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            wanted.len() == given.len()
                && wanted.iter().zip(&given).all(|(wanted, given)| wanted.starts_with('{') || wanted == given)
        };
        self.description["paths"].as_object().unwrap().keys().find(fits).unwrap_or_else(|| panic!("{path}")).clone()
    }

    /// Where a value does not fit a schema: types, enums, required and unknown properties.
    fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.strip_prefix("#/components/schemas/").unwrap();
            let schema = &self.description["components"]["schemas"][name];
            assert!(schema.is_object(), "{name} is not described");
            return self.misfit(schema, value);
        }
        let types = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return Some(format!("no type in {schema}")),
        };
        let own = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !(types.contains(&own) || own == "integer" && types.contains(&"number")) {
            return Some(format!("{value} is {own} and not {types:?}"));
        }
        if schema["enum"].as_array().is_some_and(|allowed| !allowed.contains(value)) {
            return Some(format!("{value} is none of {}", schema["enum"]));
        }
        let items = value.as_array().into_iter().flatten();
        items.filter_map(|item| self.misfit(&schema["items"], item)).next().or_else(|| self.object(schema, value))
    }

    fn object(&self, schema: &Value, value: &Value) -> Option<String> {
        let object = value.as_object()?;
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(missing) = required.into_iter().find(|name| !object.contains_key(*name)) {
            return Some(format!("{missing} is missing in {value}"));
        }
        for (name, value) in object {
            match &schema["properties"][name] {
                Value::Null if schema["additionalProperties"] == false => return Some(format!("{name} is unknown")),
                Value::Null => {}
                property => {
                    if let Some(misfit) = self.misfit(property, value) {
                        return Some(format!("{name}: {misfit}"));
                    }
                }
            }
        }
        None
    }
}

#[tokio::test]
async fn every_operation_answers_as_it_is_described() {
    let mut api = Api::start().await;
    api.gate.get("/?mod=news&ctl=a&act=b").await.assert_refused(401, "client_missing");
    api.ask("GET", "/openapi.json", None, 200).await;
    api.ask("GET", "/config", None, 200).await;
    let refusals = api.ask("GET", "/refusals", None, 200).await;
    assert_eq!(refusals["refusals"][0]["reason"], "client_missing");

    let new =
        json!({"name": "robot", "algorithms": ["md5"], "endpoints": ["news"], "signature": "always", "enabled": true});
    let id = api.ask("POST", "/clients", Some(new), 201).await["id"].as_str().unwrap().to_owned();
    api.ask("POST", "/clients", Some(json!({"id": id})), 409).await;
    api.ask("POST", "/clients", Some(json!({"id": ""})), 400).await;
    api.ask("GET", "/clients", None, 200).await;
    api.ask("GET", "/clients/ios", None, 200).await;
    api.ask("GET", "/clients/nobody", None, 404).await;
    let client = format!("/clients/{id}");
    api.ask("PATCH", &client, Some(json!({"signature": null, "enabled": false})), 200).await;
    api.ask("PATCH", "/clients/ios", Some(json!({"enabled": false})), 409).await;
    api.ask("POST", &format!("{client}/rotate"), Some(json!({"keep_old": "24h"})), 200).await;
    api.ask("POST", &format!("{client}/rotate"), Some(json!({"keep_old": "soon"})), 400).await;

    let issued = api.ask("POST", "/users/7/sessions", Some(json!({"client_id": "ios"})), 201).await;
    api.ask("GET", "/users/7/sessions", None, 200).await;
    api.ask("DELETE", &format!("/users/7/sessions/{}", issued["session"].as_str().unwrap()), None, 200).await;
    api.ask("DELETE", "/users/7/sessions/none", None, 404).await;
    api.ask("DELETE", "/users/7/sessions", None, 200).await;
    api.ask("DELETE", &client, None, 200).await;
    api.ask("POST", "/reload", None, 503).await;

    let asked: BTreeSet<_> = api.asked.iter().map(|(method, path, _)| (method.clone(), path.clone())).collect();
    let described: BTreeSet<_> = api.description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let elsewhere = ("GET".to_owned(), "/events".to_owned());
    let unasked: Vec<_> = described.difference(&asked).filter(|operation| **operation != elsewhere).collect();
    assert!(unasked.is_empty(), "{unasked:?}");
}

#[tokio::test]
async fn a_reload_answers_as_it_is_described() {
    let api = Api::start().await;
    let gate = Gate::with(CONFIG).upstream("http://127.0.0.1:1").process().await;
    let file = gate.file("ticketgate.yaml");
    let yaml = fs::read_to_string(&file).unwrap();
    for (text, status) in [(yaml.replace("90m", "80m"), 200), (yaml.replace("90m", "soon"), 422)] {
        fs::write(&file, text).unwrap();
        let reply = gate.admin("POST", "/api/v1/reload").header("Authorization", "Bearer 0perator").await;
        api.assert_fits("POST", "/reload", status, &reply);
    }
}

#[tokio::test]
async fn what_is_not_described_is_not_there() {
    let api = Api::start().await;
    for (path, operations) in api.description["paths"].as_object().unwrap() {
        let given = path.replace("{id}", "x").replace("{session}", "y");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if operations.get(method.to_lowercase()).is_none() {
                assert_eq!(api.send(method, &given, None).await.status, 405, "{method} {path}");
            }
        }
        let closed = api.gate.admin("GET", &format!("/api/v1{given}")).await;
        assert_eq!(closed.status, 401, "{path} without a token");
    }
}

#[tokio::test]
async fn the_configuration_in_force_is_shown_without_its_secrets() {
    let mut api = Api::of(Gate::with(CONFIG)).await;
    let config = api.ask("GET", "/config", None, 200).await;
    assert_eq!(config["session"]["idle"], "90m");
    assert_eq!(config["session"]["max_age"], "30d", "what the file leaves out has its default");
    assert_eq!(config["clients"][0]["id"], "ios");
    assert_eq!(config["store"]["url"], "memory:");
    assert_eq!(config["rules"][0]["endpoint"], "news");
    for pointer in ["/clients/0/secret", "/store/key", "/admin/token/1", "/forward/assertion_key"] {
        assert_eq!(config.pointer(pointer), Some(&json!("[redacted]")), "{pointer}");
    }
    let text = config.to_string();
    for secret in ["s3cret", "AAECAw", "0perator", "0ld-operator", "assert10n"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn of_a_stores_address_the_password_is_left_out() {
    for (url, shown) in [
        ("redis://gate:hunter2@127.0.0.1:1/3", "redis://gate:[redacted]@127.0.0.1:1/3"),
        ("redis://:hun@ter2@127.0.0.1:1", "redis://[redacted]@127.0.0.1:1"),
        ("redis://127.0.0.1:1", "redis://127.0.0.1:1"),
    ] {
        let yaml = CONFIG.replace("memory:", url);
        let mut api = Api::of(Gate::with(&yaml)).await;
        assert_eq!(api.ask("GET", "/config", None, 200).await["store"]["url"], shown);
    }
}
