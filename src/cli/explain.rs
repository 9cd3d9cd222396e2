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
use crate::request::Unreadable;
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
    let form = args.form.as_deref();
    let head =
        head(&args.method, &args.target, &args.headers, form).map_err(|wrong| Failure::Usage(wrong.to_string()))?;
    let head = match head.len() > settings.server.header {
        true => Err(Unreadable::HeaderTooLarge(settings.server.header)),
        false => Head::parse(head.into(), &settings.server.methods),
    };
    let explanation = settings.gate.explain(head, form);
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
    let head = Head::parse(head(method, target, &[], form)?.into(), &settings.server.methods);
    let inbound = settings.gate.read_offline(head, form)?;
    let decided =
        settings.gate.decide(&inbound).map_err(|refusal| anyhow!("{}: {}", refusal.reason.name(), refusal.detail))?;
    Ok(decided.endpoint)
}

/// The request's head as a client would send it: what was given, and what is needed besides.
fn head(method: &str, target: &str, headers: &[String], form: Option<&str>) -> anyhow::Result<Vec<u8>> {
    if let Some(odd) = headers.iter().find(|header| !header.contains(':')) {
        bail!("-H '{odd}': give 'NAME: VALUE'");
    }
    let mut lines = vec![format!("{method} {target} HTTP/1.1")];
    lines.extend_from_slice(headers);
    let mut needed = vec![("Host", "localhost".to_owned())];
    if let Some(form) = form {
        needed.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
        needed.push(("Content-Length", form.len().to_string()));
    }
    let names =
        |header: &String, name: &str| header.split(':').next().is_some_and(|found| found.eq_ignore_ascii_case(name));
    needed.retain(|(name, _)| !headers.iter().any(|header| names(header, name)));
    lines.extend(needed.into_iter().map(|(name, value)| format!("{name}: {value}")));
    if lines.iter().any(|line| line.contains(['\r', '\n'])) {
        bail!("a line break within a request would make it two");
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
    if !explanation.path.is_empty() {
        fact("path", &explanation.path)?;
    }
    if let Some(rule) = &explanation.rule {
        fact("endpoint", explanation.endpoint.as_deref().unwrap_or("none"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, value: Option<&str>, redacted: bool) -> Shown {
        Shown { name: name.to_owned(), value: value.map(str::to_owned), redacted }
    }

    #[test]
    fn a_head_is_completed_with_what_was_not_given() {
        let text = |headers: &[&str], form| {
            let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
            head("POST", "/", &headers, form).map(|head| String::from_utf8(head).unwrap())
        };
        assert_eq!(text(&[], None).unwrap(), "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n\r\n";
        assert_eq!(text(&["host: a"], Some("a=1")).unwrap(), format!("POST / HTTP/1.1\r\nhost: a\r\n{form}"));
        assert!(text(&["no header"], None).is_err());
        assert!(text(&["A: b\r\nC: d"], None).is_err());
    }

    #[test]
    fn an_explanation_reads_from_what_php_sees_to_what_is_missing() {
        let explanation = Explanation {
            path: "/index.php".to_owned(),
            query: vec![shown("mod", Some("user"), false), shown("api_token", None, true), shown("a", None, false)],
            cookies: vec![shown("lang", Some("en"), false)],
            endpoint: Some("user/info/get".to_owned()),
            rule: Some("user".to_owned()),
            requirement: Some("user"),
            missing: vec!["user_id", "user_token"],
            ..Explanation::default()
        };
        let expected = [
            "  $_GET       mod = user",
            "              api_token = [redacted]",
            "              a = (an array)",
            "  $_COOKIE    lang = en",
            "  path        /index.php",
            "  endpoint    user/info/get",
            "  rule        user",
            "  requires    user",
            "  missing     user_id, user_token",
        ];
        assert_eq!(written(&explanation).unwrap(), expected.join("\n"));
        let why = "user_id in query and cookie".to_owned();
        let refused = Explanation { refused: Some(Refused { reason: "ambiguous", why }), ..Explanation::default() };
        assert_eq!(written(&refused).unwrap(), "  refused     ambiguous: user_id in query and cookie");
    }
}
