//! `ticketgate session …`: the sessions of a running gate.

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value};

use crate::cli::Failure;
use crate::cli::api::{Api, ApiArgs, path};
use crate::cli::output::{say, say_json, sheet, table, text, time};

/// Arguments of `session`.
#[derive(Args, Debug)]
pub struct SessionArgs {
    #[command(flatten)]
    api: ApiArgs,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List a user's sessions
    List {
        /// The user's id
        user: String,
    },
    /// Show one session of a user
    Show {
        /// The user's id
        user: String,
        /// The session's id
        session: String,
    },
    /// Log a user in; the token is shown this once
    Issue(IssueArgs),
    /// End one session of a user, or all of them
    End(EndArgs),
}

#[derive(Args, Debug)]
struct IssueArgs {
    /// The user's id
    user: String,
    /// The client that the session is for
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The address it will be used from, where `session.bind` asks for it
    #[arg(long)]
    ip: Option<String>,
    /// The User-Agent it will be used with, where `session.bind` asks for it
    #[arg(long)]
    user_agent: Option<String>,
}

#[derive(Args, Debug)]
struct EndArgs {
    /// The user's id
    user: String,
    /// The session's id
    #[arg(required_unless_present = "all")]
    session: Option<String>,
    /// All of the user's sessions
    #[arg(long, conflicts_with = "session")]
    all: bool,
}

/// Does it.
pub fn run(args: &SessionArgs) -> Result<(), Failure> {
    let api = args.api.open()?;
    match &args.action {
        Action::List { user } => list(&api, user)?,
        Action::Show { user, session } => show(&api, user, session)?,
        Action::Issue(args) => issue(&api, args)?,
        Action::End(args) => end(&api, args)?,
    }
    Ok(())
}

fn list(api: &Api, user: &str) -> anyhow::Result<()> {
    let answer = api.ask(Method::GET, &path(&["users", user, "sessions"]), None)?;
    if api.json {
        return Ok(say_json(&answer)?);
    }
    let rows: Vec<[String; 6]> = sessions(&answer).iter().map(row).collect();
    Ok(say(&table(["SESSION", "CLIENT", "CREATED", "LAST USE", "EXPIRES", "ADDRESS"], &rows))?)
}

fn sessions(answer: &Value) -> &[Value] {
    answer.get("sessions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn row(session: &Value) -> [String; 6] {
    let at = |key| time(session, key);
    let client = text(session, "client_id");
    [text(session, "id"), client, at("created"), at("last_use"), at("expires"), text(session, "ip")]
}

fn show(api: &Api, user: &str, session: &str) -> anyhow::Result<()> {
    let answer = api.ask(Method::GET, &path(&["users", user, "sessions"]), None)?;
    let found = sessions(&answer).iter().find(|found| found.get("id").and_then(Value::as_str) == Some(session));
    let found = found.ok_or_else(|| anyhow!("user `{user}` has no living session `{session}`"))?;
    if api.json {
        return Ok(say_json(found)?);
    }
    let fields = [
        ("session", text(found, "id")),
        ("user", user.to_owned()),
        ("client", text(found, "client_id")),
        ("created", time(found, "created")),
        ("last use", time(found, "last_use")),
        ("expires", time(found, "expires")),
        ("address", text(found, "ip")),
        ("user agent", text(found, "user_agent")),
    ];
    Ok(say(&sheet(&fields))?)
}

fn issue(api: &Api, args: &IssueArgs) -> anyhow::Result<()> {
    let mut new = Map::new();
    for (key, value) in [("client_id", &args.client), ("ip", &args.ip), ("user_agent", &args.user_agent)] {
        if let Some(value) = value {
            new.insert(key.to_owned(), value.as_str().into());
        }
    }
    let issued = api.ask(Method::POST, &path(&["users", &args.user, "sessions"]), Some(&Value::Object(new)))?;
    if api.json {
        return Ok(say_json(&issued)?);
    }
    let fields = [
        ("user_id", text(&issued, "user_id")),
        ("user_token", text(&issued, "user_token")),
        ("session", text(&issued, "session")),
        ("expires", time(&issued, "expire_time")),
    ];
    Ok(say(&sheet(&fields))?)
}

fn end(api: &Api, args: &EndArgs) -> anyhow::Result<()> {
    let path = match &args.session {
        Some(session) => path(&["users", &args.user, "sessions", session]),
        None => path(&["users", &args.user, "sessions"]),
    };
    let answer = api.ask(Method::DELETE, &path, None)?;
    if api.json {
        return Ok(say_json(&answer)?);
    }
    let ended = answer.get("ended").and_then(Value::as_u64).context("the gate did not say how many it ended")?;
    Ok(say(&format!("{ended} ended"))?)
}
