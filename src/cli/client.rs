//! `ticketgate client …`: the registered clients of a running gate.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};

use crate::cli::api::{Api, ApiArgs, path};
use crate::cli::output::{say, say_json, sheet, table, text, time};
use crate::cli::{Failure, import};

/// Arguments of `client`.
#[derive(Args, Debug)]
pub struct ClientArgs {
    #[command(flatten)]
    api: ApiArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all clients, also those of the configuration file
    List,
    /// Register a client; its secret is shown this once
    Add(AddArgs),
    /// Show one client
    Show {
        /// Its id
        id: String,
    },
    /// Give a client a new secret; it is shown this once
    Rotate(RotateArgs),
    /// Refuse a client until it is enabled again
    Disable {
        /// Its id
        id: String,
    },
    /// Accept a disabled client again
    Enable {
        /// Its id
        id: String,
    },
    /// Forget a client
    Remove {
        /// Its id
        id: String,
    },
    /// Register the clients of a CSV or tab-separated file with a header line (id, secret, name, status)
    Import {
        /// The file; `-` for standard input
        file: PathBuf,
    },
}

#[derive(Args, Debug)]
struct AddArgs {
    /// Its id; made up when left out
    #[arg(long)]
    id: Option<String>,
    /// Its secret; made up when left out
    #[arg(long)]
    secret: Option<String>,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// How it may compute its api_token: md5, hmac-sha256 (both when left out)
    #[arg(long = "algorithm", value_name = "ALGORITHM", value_delimiter = ',')]
    algorithms: Vec<String>,
    /// An endpoint that it may call, as in rules (all when left out); may be repeated
    #[arg(long = "endpoint", value_name = "PATTERN", value_delimiter = ',')]
    endpoints: Vec<String>,
    /// Whether its requests must be signed: never, when_present or always (as the configuration says when left out)
    #[arg(long, value_name = "WHEN")]
    signature: Option<String>,
}

#[derive(Args, Debug)]
struct RotateArgs {
    /// Its id
    id: String,
    /// How long the old secret stays live, as in 24h or 7d
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    keep_old: String,
    /// The new secret; made up when left out
    #[arg(long)]
    secret: Option<String>,
}

/// Does it.
pub fn run(args: &ClientArgs) -> Result<(), Failure> {
    let api = args.api.open()?;
    match &args.action {
        Action::List => list(&api)?,
        Action::Add(args) => add(&api, args)?,
        Action::Show { id } => show(&api, &api.ask(Method::GET, &path(&["clients", id]), None)?)?,
        Action::Rotate(args) => rotate(&api, args)?,
        Action::Disable { id } => enable(&api, id, false)?,
        Action::Enable { id } => enable(&api, id, true)?,
        Action::Remove { id } => remove(&api, id)?,
        Action::Import { file } => import::run(&api, file)?,
    }
    Ok(())
}

fn list(api: &Api) -> anyhow::Result<()> {
    let answer = api.ask(Method::GET, "/api/v1/clients", None)?;
    if api.json {
        return Ok(say_json(&answer)?);
    }
    let clients = answer.get("clients").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<[String; 6]> = clients.iter().map(row).collect();
    Ok(say(&table(["ID", "NAME", "STATUS", "SOURCE", "ENDPOINTS", "CREATED"], &rows))?)
}

fn row(client: &Value) -> [String; 6] {
    let plain = |key| text(client, key);
    [plain("id"), plain("name"), status(client), plain("source"), plain("endpoints"), time(client, "created")]
}

fn status(client: &Value) -> String {
    let enabled = client.get("enabled").and_then(Value::as_bool).unwrap_or(false);
    if enabled { "enabled" } else { "disabled" }.to_owned()
}

fn show(api: &Api, client: &Value) -> anyhow::Result<()> {
    if api.json {
        return Ok(say_json(client)?);
    }
    let mut fields = vec![("id", text(client, "id"))];
    if client.get("secret").is_some() {
        fields.push(("secret", text(client, "secret")));
    }
    fields.push(("name", text(client, "name")));
    fields.push(("status", status(client)));
    fields.push(("source", text(client, "source")));
    fields.push(("algorithms", text(client, "algorithms")));
    fields.push(("endpoints", text(client, "endpoints")));
    fields.push(("signature", text(client, "signature")));
    fields.push(("created", time(client, "created")));
    fields.push(("old secret until", time(client, "old_secret_until")));
    Ok(say(&sheet(&fields))?)
}

fn add(api: &Api, args: &AddArgs) -> anyhow::Result<()> {
    let mut new = Map::new();
    let mut put = |key: &str, value: Option<Value>| value.map(|value| new.insert(key.to_owned(), value));
    put("id", args.id.as_deref().map(Value::from));
    put("secret", args.secret.as_deref().map(Value::from));
    put("name", args.name.as_deref().map(Value::from));
    put("algorithms", (!args.algorithms.is_empty()).then(|| args.algorithms.clone().into()));
    put("endpoints", (!args.endpoints.is_empty()).then(|| args.endpoints.clone().into()));
    put("signature", args.signature.as_deref().map(Value::from));
    let client = api.ask(Method::POST, "/api/v1/clients", Some(&Value::Object(new)))?;
    show(api, &client)
}

fn rotate(api: &Api, args: &RotateArgs) -> anyhow::Result<()> {
    let mut rotation = json!({"keep_old": args.keep_old});
    if let (Some(secret), Some(rotation)) = (&args.secret, rotation.as_object_mut()) {
        rotation.insert("secret".to_owned(), secret.as_str().into());
    }
    show(api, &api.ask(Method::POST, &path(&["clients", &args.id, "rotate"]), Some(&rotation))?)
}

fn enable(api: &Api, id: &str, enabled: bool) -> anyhow::Result<()> {
    let client = api.ask(Method::PATCH, &path(&["clients", id]), Some(&json!({"enabled": enabled})))?;
    if api.json {
        return Ok(say_json(&client)?);
    }
    Ok(say(&format!("{id}: {}", status(&client)))?)
}

fn remove(api: &Api, id: &str) -> anyhow::Result<()> {
    let answer = api.ask(Method::DELETE, &path(&["clients", id]), None)?;
    if api.json {
        return Ok(say_json(&answer)?);
    }
    Ok(say(&format!("{id}: removed"))?)
}
