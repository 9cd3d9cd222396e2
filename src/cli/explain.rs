//! `ticketgate explain`: what the gate would make of a request, without sending it.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;

use crate::cli::output::{say, say_json};
use crate::cli::{Failure, load};
use crate::config::{Overrides, Settings};
use crate::gate::explain::{Explanation, Refused, Shown};
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

/// Prints the explanation.
pub fn run(args: &ExplainArgs) -> Result<(), Failure> {
    let settings = load(&args.config, &Overrides::default())?.settings;
    let head = head(args).map_err(|wrong| Failure::Usage(format!("{wrong:#}")))?;
    let head = Head::parse(head.into(), &settings.server.methods);
    let explanation = settings.gate.explain(head, args.form.as_deref());
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
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = Head::parse(head.into(), &settings.server.methods);
    let inbound = settings.gate.read_offline(head, form)?;
    let decided =
        settings.gate.decide(&inbound).map_err(|refusal| anyhow!("{}: {}", refusal.reason.name(), refusal.detail))?;
    Ok(decided.endpoint)
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

fn missing(names: &[&str]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
