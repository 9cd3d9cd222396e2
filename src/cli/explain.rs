//! `ticketgate explain`: what the gate would make of a request, without sending it.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use serde::Serialize;

use crate::cli::output::{say, say_json};
use crate::cli::{Failure, load};
use crate::config::{Overrides, Settings};
use crate::policy::endpoint::Endpoint;
use crate::request::head::Head;

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", env = "TICKETGATE_CONFIG")]
    config: PathBuf,
    /// A header of the request; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The request's form, as in 'a=1&b=2'
    #[arg(long)]
    form: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The request's method
    method: String,
    /// The request's target, as in '/index.php?mod=user'
    target: String,
}

/// How a request was read and what would become of it.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The path, decoded.
    pub path: String,
    /// `$_GET`
    pub query: Vec<Shown>,
    /// `$_POST`
    pub form: Vec<Shown>,
    /// `$_COOKIE`
    pub cookies: Vec<Shown>,
    /// `module/controller/action`, where the request names one.
    pub endpoint: Option<String>,
    /// The rule that decides.
    pub rule: Option<String>,
    /// What it requires.
    pub requirement: Option<String>,
    /// Credentials that it requires and the request lacks.
    pub missing: Vec<String>,
    /// Why it would be refused as it stands, as far as that can be told offline.
    pub refused: Option<Refused>,
}

/// A value as PHP will see it.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The name after PHP's folding.
    pub name: String,
    /// Its text; `None` for an array.
    pub value: Option<String>,
    /// Whether the value was replaced, because it is a credential.
    pub redacted: bool,
}

/// A refusal.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Its stable name.
    pub reason: String,
    /// What and where.
    pub why: String,
}

/// Prints the explanation.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let settings = load(&args.config, &Overrides::default())?.settings;
    let head = head(args).map_err(|wrong| Failure::Usage(format!("{wrong:#}")))?;
    let explanation = explain(&settings, &head, args.form.as_deref())?;
    if args.json {
        return Ok(say_json(&serde_json::to_value(&explanation)?)?);
    }
    Ok(say(&format!("{} {}\n{}", args.method, args.target, written(&explanation)?))?)
}

/// The endpoint that a request names, by that configuration.
pub(super) fn endpoint(
    settings: &Settings,
    method: &str,
    target: &str,
    form: Option<&str>,
) -> anyhow::Result<Option<Endpoint>> {
    let _ = (settings, method, target, form);
    bail!("reading endpoints by a configuration is to be connected; give --endpoint")
}

fn explain(settings: &Settings, head: &[u8], form: Option<&str>) -> anyhow::Result<Explanation> {
    let _ = (settings, head, form, Head::parse, Bytes::new());
    bail!("to be connected")
}

/// The request's head as a client would send it.
fn head(args: &ExplainArgs) -> anyhow::Result<Vec<u8>> {
    let mut lines = vec![format!("{} {} HTTP/1.1", args.method, args.target)];
    for header in &args.headers {
        if !header.contains(':') {
            bail!("-H '{header}': give 'NAME: VALUE'");
        }
        lines.push(header.clone());
    }
    let given = |name: &str| {
        let named = |header: &String| header.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
        args.headers.iter().any(named)
    };
    if !given("host") {
        lines.push("Host: localhost".to_owned());
    }
    if let Some(form) = &args.form {
        if !given("content-type") {
            lines.push("Content-Type: application/x-www-form-urlencoded".to_owned());
        }
        if !given("content-length") && !given("transfer-encoding") {
            lines.push(format!("Content-Length: {}", form.len()));
        }
    }
    if lines.iter().any(|line| line.contains(['\r', '\n'])) {
        bail!("a line break within the request would make it two");
    }
    Ok(format!("{}\r\n\r\n", lines.join("\r\n")).into_bytes())
}

fn written(explanation: &Explanation) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    for (what, values) in
        [("$_GET", &explanation.query), ("$_POST", &explanation.form), ("$_COOKIE", &explanation.cookies)]
    {
        let mut label = what;
        for shown in values {
            writeln!(text, "  {label:12}{}", line(shown))?;
            label = "";
        }
    }
    let mut fact = |label: &str, value: &str| writeln!(text, "  {label:12}{value}");
    fact("path", &explanation.path)?;
    fact("endpoint", explanation.endpoint.as_deref().unwrap_or("none"))?;
    if let Some(rule) = &explanation.rule {
        fact("rule", rule)?;
    }
    if let Some(requirement) = &explanation.requirement {
        fact("requires", requirement)?;
        fact("missing", &missing(&explanation.missing))?;
    }
    if let Some(Refused { reason, why }) = &explanation.refused {
        fact("refused", &format!("{reason}: {why}"))?;
    }
    Ok(text.trim_end().to_owned())
}

fn line(shown: &Shown) -> String {
    match shown {
        Shown { name, redacted: true, .. } => format!("{name} = [redacted]"),
        Shown { name, value: Some(value), .. } => format!("{name} = {}", value.escape_debug()),
        Shown { name, value: None, .. } => format!("{name} = (an array)"),
    }
}

fn missing(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
