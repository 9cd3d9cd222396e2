//! `ticketgate test-login`: tries a login rule against the application that runs, and shows each step.

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cli::output::say;
use crate::cli::{Failure, load};
use crate::clock::Clock;
use crate::config::{Overrides, Settings};
use crate::gate::{Arrived, Gate, Mode};
use crate::login::steps::{Step, Steps};
use crate::policy::Requirement;
use crate::policy::login_rule::LoginRule;
use crate::policy::rule::{Rule, Signatures};
use crate::request::address::Peer;
use crate::request::body::Arriving;
use crate::request::head::Head;
use crate::store::{Location, Store};
use crate::telemetry::{AccessLog, Telemetry};
use crate::upstream::{Interim, Upstream};
use crate::websocket::takeover::Switch;

mod shown;
mod target;

/// What may stand in a field as it is.
const FIELD: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Arguments of `test-login`.
#[derive(Args, Debug)]
pub struct TestLoginArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE", env = "TICKETGATE_CONFIG")]
    config: PathBuf,
    /// Who logs in
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Read the password from standard input
    #[arg(long, required = true)]
    password_stdin: bool,
    /// The form's field for the user; left out, the first of login.fields, or login.user_name
    #[arg(long, value_name = "FIELD")]
    user_field: Option<String>,
    /// The form's field for the password; left out, the second of login.fields
    #[arg(long, value_name = "FIELD")]
    password_field: Option<String>,
    /// Another field of the form; may be repeated
    #[arg(long = "field", value_name = "NAME=VALUE")]
    fields: Vec<String>,
    /// What the client asks for; left out, it is made of the rule
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// The Host by which the client asks
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    host: String,
    /// The login rule, by its endpoint (or path) as written; needed where there are several
    endpoint: Option<String>,
}

/// Tries it. Fails where nobody is logged in afterwards.
pub fn run(args: &TestLoginArgs) -> Result<(), Failure> {
    let mut settings = load(&args.config, &Overrides::default())?.settings;
    let password = password()?;
    let number = chosen(&settings, args.endpoint.as_deref())?;
    let request = request(args, &settings, number, &password).map_err(|wrong| Failure::Usage(wrong.to_string()))?;
    let Some(rule) = settings.gate.policy.rules.get_mut(number) else { return Err(Failure::Said) };
    open(rule);
    let name = Arc::clone(&rule.name);
    say(&format!("rule {name}"))?;
    settings.gate.mode = Mode::Enforce;
    settings.gate.verify.session.sealed = false;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")?;
    let (steps, refused) = runtime.block_on(tried(settings, request))?;
    say(&shown::all(&steps, &password))?;
    let user = steps.iter().rev().find_map(|step| match step {
        Step::User(_, user) => user.as_deref(),
        _ => None,
    });
    match (user, refused) {
        (Some(user), None) => Ok(say(&format!("logged in: {user}"))?),
        (_, Some(reason)) => Err(anyhow!("nobody is logged in: the gate answers {reason}").into()),
        (None, None) => Err(anyhow!("nobody is logged in: see which condition does not hold").into()),
    }
}

/// The password is whatever stands there, but for the end of its line.
fn password() -> anyhow::Result<String> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("the password cannot be read from standard input")?;
    let password = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() {
        bail!("no password came on standard input");
    }
    Ok(password.to_owned())
}

/// The place of the rule that is meant.
fn chosen(settings: &Settings, name: Option<&str>) -> Result<usize, Failure> {
    let rules = &settings.gate.policy.rules;
    let logins: Vec<_> = rules.iter().enumerate().filter(|(_, rule)| rule.login.is_some()).collect();
    let names = || logins.iter().map(|(_, rule)| &*rule.name).collect::<Vec<_>>().join(", ");
    let wanted = |rule: &Rule| name.is_none_or(|name| rule.name.eq_ignore_ascii_case(name));
    let fitting: Vec<usize> = logins.iter().filter(|(_, rule)| wanted(rule)).map(|(number, _)| *number).collect();
    match (fitting.as_slice(), name) {
        ([one], _) | ([one, ..], Some(_)) => Ok(*one),
        _ if logins.is_empty() => Err(Failure::Usage("no rule of the configuration has a login".to_owned())),
        (_, Some(name)) => Err(Failure::Usage(format!("no login rule goes by {name}; there are: {}", names()))),
        (_, None) => Err(Failure::Usage(format!("several rules have a login; name one: {}", names()))),
    }
}

/// The rule asks for no client here: what is tried is the login.
fn open(rule: &mut Rule) {
    rule.require = Requirement::Public;
    rule.signatures = Arc::new(Signatures::default());
    rule.limit = None;
}

/// The bytes of the client's request: its head and its form.
struct Request {
    head: Vec<u8>,
    form: Vec<u8>,
}

fn request(args: &TestLoginArgs, settings: &Settings, number: usize, password: &str) -> anyhow::Result<Request> {
    let policy = &settings.gate.policy;
    let rule = policy.rules.get(number).context("no such rule")?;
    let login = rule.login.as_deref().context("the rule has no login")?;
    let user_field = args.user_field.as_deref().or_else(|| user_field(login));
    let user_field = user_field.context("which field takes the user's name? Give --user-field, or login.fields")?;
    let password_field = args.password_field.as_deref().or_else(|| login.fields.get(1).map(String::as_str));
    let password_field =
        password_field.context("which field takes the password? Give --password-field, or login.fields")?;
    let mut fields = vec![(user_field, args.user.as_str()), (password_field, password)];
    for field in &args.fields {
        fields.push(field.split_once('=').with_context(|| format!("--field {field}: give NAME=VALUE"))?);
    }
    let made = target::of(rule, policy);
    fields.extend(made.form.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let target = args.target.clone().or(made.target).context("the rule is open to many targets: give --target")?;
    let pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    let form = pairs.join("&").into_bytes();
    if [&target, &args.host].iter().any(|text| text.bytes().any(|byte| !byte.is_ascii_graphic())) {
        bail!("neither a target nor a host may hold blanks, or what is not ASCII");
    }
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: ticketgate-test-login\r\nAccept: */*\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        args.host,
        form.len()
    );
    let parsed = Head::parse(head.clone().into_bytes().into(), &settings.server.methods);
    let inbound = settings.gate.read_offline(parsed, Some(&form)).map_err(|wrong| anyhow!("{target}: {wrong}"))?;
    let decided = settings.gate.decide(&inbound);
    match decided {
        Ok(decided) if decided.number == number => Ok(Request { head: head.into_bytes(), form }),
        Ok(decided) => bail!("{target} goes to the rule {}, not to {}: give --target", decided.rule.name, rule.name),
        Err(refusal) => bail!("{target}: {}: {}: give --target", refusal.reason.name(), refusal.detail),
    }
}

fn user_field(login: &LoginRule) -> Option<&str> {
    login.fields.first().or(login.user_name.as_ref()).map(String::as_str)
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, FIELD).to_string()
}

/// The gate's own login, over a store of its own. What it went through, and the reason where the gate refused.
async fn tried(settings: Settings, request: Request) -> anyhow::Result<(Vec<Step>, Option<String>)> {
    let clock = Clock::system();
    let place = crate::store::Settings { location: Location::Memory, ..settings.store };
    let store = Store::open(&place, clock.clone()).await?;
    let recorder = Telemetry::new(AccessLog::off(), clock.now()).recorder(settings.gate.labels());
    let upstream = Upstream::new(settings.gate.upstream.clone());
    let steps = Steps::kept();
    let head = Head::parse(request.head.into(), &settings.server.methods);
    let gate = Gate::new(Arc::new(settings.gate), store, upstream, clock, recorder).telling(steps.clone());
    let arrived = Arrived {
        head,
        body: Arriving::Whole(Bytes::from(request.form)),
        peer: Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), local_port: 80, tls: false },
        interim: Interim::default(),
        sent: None,
        switch: Switch::default(),
    };
    let reply = Arc::new(gate).answer(arrived).await;
    let reason = reply.headers().get("X-Ticketgate-Reason").and_then(|reason| reason.to_str().ok()).map(str::to_owned);
    Ok((steps.take(), reason))
}
