//! `ticketgate explain`: what the gate would make of a request, without sending it.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::cli::output::{say, say_json};
use crate::cli::{Failure, load};
use crate::clock::Clock;
use crate::config::{Overrides, Settings};
use crate::gate::explain::{Aid, Explanation, Refused, Shown, SignedShown};
use crate::policy::endpoint::Endpoint;
use crate::request::Unreadable;
use crate::request::head::Head;
use crate::secret::Secret;

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
    /// The request's body, or @FILE that holds it
    #[arg(long, value_name = "TEXT|@FILE", conflicts_with = "form")]
    body: Option<String>,
    /// The client that signs, where the request does not say so
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// The client's secret, where it does not stand in the configuration; tells whether the signature fits
    #[arg(long, env = "TICKETGATE_CLIENT_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// What the client signed, or @FILE that holds it; tells where it first differs from what should be signed
    #[arg(long, value_name = "TEXT|@FILE")]
    canonical: Option<String>,
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
    let body = args.body.as_deref().map(text_or_file).transpose()?;
    let canonical = args.canonical.as_deref().map(text_or_file).transpose()?;
    let content = args.form.as_deref().map(Content::Form).or(body.as_deref().map(Content::Other));
    let head =
        head(&args.method, &args.target, &args.headers, content).map_err(|wrong| Failure::Usage(wrong.to_string()))?;
    let aid = Aid {
        client: args.client.as_deref(),
        secret: args.secret.as_ref().map(Secret::new),
        canonical: canonical.as_deref(),
        now: Clock::system().now(),
    };
    let head = match head.len() > settings.server.header {
        true => Err(Unreadable::HeaderTooLarge(settings.server.header)),
        false => Head::parse(head.into(), &settings.server.methods),
    };
    let explanation = settings.gate.explain(head, content.map(Content::bytes), &aid);
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
    let content = form.map(Content::Form);
    let head = Head::parse(head(method, target, &[], content)?.into(), &settings.server.methods);
    let inbound = settings.gate.read_offline(head, content.map(Content::bytes))?;
    let decided =
        settings.gate.decide(&inbound).map_err(|refusal| anyhow!("{}: {}", refusal.reason.name(), refusal.detail))?;
    Ok(decided.endpoint)
}

/// What a request carries.
#[derive(Clone, Copy)]
enum Content<'a> {
    Form(&'a str),
    /// Of whatever type the headers say.
    Other(&'a [u8]),
}

impl<'a> Content<'a> {
    fn bytes(self) -> &'a [u8] {
        match self {
            Self::Form(form) => form.as_bytes(),
            Self::Other(body) => body,
        }
    }
}

/// A text as it stands, or what the file behind an `@` holds.
fn text_or_file(argument: &str) -> anyhow::Result<Vec<u8>> {
    match argument.strip_prefix('@') {
        Some(path) => std::fs::read(path).with_context(|| format!("{path} cannot be read")),
        None => Ok(argument.as_bytes().to_vec()),
    }
}

/// The request's head as a client would send it: what was given, and what is needed besides.
fn head(method: &str, target: &str, headers: &[String], content: Option<Content<'_>>) -> anyhow::Result<Vec<u8>> {
    if let Some(odd) = headers.iter().find(|header| !header.contains(':')) {
        bail!("-H '{odd}': give 'NAME: VALUE'");
    }
    let mut lines = vec![format!("{method} {target} HTTP/1.1")];
    lines.extend_from_slice(headers);
    let mut needed = vec![("Host", "localhost".to_owned())];
    if let Some(Content::Form(_)) = content {
        needed.push(("Content-Type", "application/x-www-form-urlencoded".to_owned()));
    }
    if let Some(content) = content {
        needed.push(("Content-Length", content.bytes().len().to_string()));
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
    if let Some(signature) = &explanation.signature {
        put_signature(&mut text, signature)?;
    }
    Ok(text.trim_end().to_owned())
}

fn put_signature(text: &mut String, signature: &SignedShown) -> std::fmt::Result {
    let SignedShown { demand, algorithm, canonical, away, fits, mistake, difference } = signature;
    let mut fact = |label: &str, value: &str| writeln!(text, "  {label:12}{value}");
    fact("signature", &format!("{demand}; {algorithm} over"))?;
    for part in canonical {
        let away = away.filter(|_| part.name == "timestamp").map(|away| format!(" ({away} s from now)"));
        let text = if part.text.is_empty() { "(empty)" } else { &part.text };
        fact("", &format!("{:11} {text}{}", part.name, away.unwrap_or_default()))?;
    }
    if *algorithm == "md5" {
        fact("", &format!("{:11} [the secret]", ""))?;
    }
    match (fits, mistake) {
        (Some(true), _) => fact("sign", "fits")?,
        (Some(false), Some(mistake)) => fact("sign", &format!("is wrong; it would fit if {mistake}"))?,
        (Some(false), None) => fact("sign", "is wrong")?,
        (None, _) => {}
    }
    difference.as_ref().map_or(Ok(()), |difference| fact("differs", difference))
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
        let text = |headers: &[&str], form: Option<&str>| {
            let headers: Vec<String> = headers.iter().map(ToString::to_string).collect();
            head("POST", "/", &headers, form.map(Content::Form)).map(|head| String::from_utf8(head).unwrap())
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
