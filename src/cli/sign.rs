//! `ticketgate sign`: what a client does before it sends a request.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cli::explain;
use crate::cli::output::{say, say_json};
use crate::cli::sign::names::{Name, Names};
use crate::cli::sign::url::Url;
use crate::cli::{Failure, load};
use crate::clock::{Clock, Timestamp};
use crate::config::{Overrides, Settings};
use crate::policy::endpoint::Endpoint;
use crate::store::record::Algorithm;
use crate::verify::FileClient;
use crate::verify::client::DEFAULT_DATE_FORMAT;
use crate::verify::client_token::{self, compute};
use crate::verify::signature::{self, Message, Request};

mod names;
mod url;

/// What may stand in a query value as it is (RFC 3986, 2.3).
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Arguments of `sign`.
#[derive(Args, Debug)]
pub struct SignArgs {
    /// The client's id
    #[arg(long, value_name = "ID")]
    client: String,
    /// The client's secret; the environment variable keeps it out of the process list
    #[arg(long, env = "TICKETGATE_CLIENT_SECRET", hide_env_values = true)]
    secret: Option<String>,
    /// The user's id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// The user's token
    #[arg(long)]
    token: Option<String>,
    /// The date within the api_token; today in UTC (or the configuration's zone) when left out
    #[arg(long)]
    date: Option<String>,
    /// How the api_token is computed
    #[arg(long, value_name = "ALGORITHM", default_value = "md5")]
    algorithm: Recipe,
    /// Also sign the request: timestamp, nonce and sign
    #[arg(long, value_name = "ALGORITHM", num_args = 0..=1, require_equals = true, default_missing_value = "hmac-sha256")]
    signed: Option<Recipe>,
    /// The form that will be sent, as in 'a=1&b=2'
    #[arg(long, value_name = "FORM")]
    data: Option<String>,
    /// The endpoint; read from the query's mod, ctl and act (or as the configuration says) when left out
    #[arg(long, value_name = "MODULE/CONTROLLER/ACTION")]
    endpoint: Option<String>,
    /// Take names, zone, endpoint and the client's secret from this configuration
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The request's method
    method: String,
    /// The request's URL
    url: String,
}

/// How tokens and signatures are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Recipe {
    #[value(name = "md5")]
    Md5,
    #[value(name = "hmac-sha256")]
    HmacSha256,
}

impl From<Recipe> for Algorithm {
    fn from(recipe: Recipe) -> Self {
        match recipe {
            Recipe::Md5 => Self::Md5,
            Recipe::HmacSha256 => Self::HmacSha256,
        }
    }
}

/// Prints the URL with its credentials, and a curl line.
pub fn run(args: &SignArgs) -> Result<(), Failure> {
    let loaded = args.config.as_deref().map(|path| load(path, &Overrides::default())).transpose()?;
    let settings = loaded.map(|loaded| loaded.settings);
    let setting = Setting::of(args, settings.as_ref()).map_err(|wrong| Failure::Usage(format!("{wrong:#}")))?;
    let signed = setting.sign(args)?;
    if args.json {
        return Ok(say_json(&signed.json)?);
    }
    say(&signed.url)?;
    Ok(say(&signed.curl)?)
}

/// What is needed besides the request: found in the arguments, else in the configuration, else usual.
struct Setting<'a> {
    url: Url<'a>,
    endpoint: Endpoint,
    secret: Vec<u8>,
    date: String,
    recipe: client_token::Recipe,
    names: Names,
    /// Whether credentials go as headers, because the configuration wants them nowhere in the query.
    headers: bool,
    now: Timestamp,
}

struct Signed {
    url: String,
    curl: String,
    json: Value,
}

impl<'a> Setting<'a> {
    fn of(args: &'a SignArgs, settings: Option<&'a Settings>) -> anyhow::Result<Self> {
        let url = Url::split(&args.url)?;
        let client = settings.and_then(|settings| file_client(settings, &args.client));
        let now = Clock::system().now();
        let places = settings.map(|settings| settings.gate.credentials.places);
        Ok(Self {
            endpoint: endpoint(args, settings, &url)?,
            secret: secret(args, client)?,
            date: match &args.date {
                Some(date) => date.clone(),
                None => today(now, settings, client),
            },
            recipe: client.map(|client| client.token.clone()).unwrap_or_default(),
            names: settings.map_or_else(Names::usual, Names::of),
            headers: places.is_some_and(|places| places.header && !places.query),
            now,
            url,
        })
    }

    fn sign(&self, args: &SignArgs) -> anyhow::Result<Signed> {
        let (endpoint, date) = (&self.endpoint, self.date.as_str());
        let api_token = compute(args.algorithm.into(), &self.recipe, endpoint, date, &self.secret);
        let mut given = vec![(Name::ClientId, args.client.clone()), (Name::ApiToken, api_token.clone())];
        given.extend(args.user.iter().map(|user| (Name::UserId, user.clone())));
        given.extend(args.token.iter().map(|token| (Name::UserToken, token.clone())));
        let timestamp = self.now.as_secs().to_string();
        if let Some(recipe) = args.signed {
            let nonce = nonce()?;
            given.push((Name::Timestamp, timestamp.clone()));
            given.push((Name::Nonce, nonce.clone()));
            let message = Message {
                request: Request {
                    method: &args.method,
                    path: self.url.path,
                    query: &self.query(&given),
                    // The query as it goes out holds none yet.
                    sign_name: None,
                    body: Some(Sha256::digest(args.data.as_deref().unwrap_or_default()).into()),
                },
                timestamp: timestamp.as_bytes(),
                nonce: nonce.as_bytes(),
                user_token: args.token.as_deref().unwrap_or_default().as_bytes(),
                api_token: api_token.as_bytes(),
            };
            let sign = signature::compute(recipe.into(), &message.text(recipe.into()), &self.secret);
            given.push((Name::Sign, sign));
        }
        Ok(self.finish(args, &given))
    }

    /// The query as it will be sent: the URL's own, without credentials it had, and the new ones behind.
    fn query(&self, given: &[(Name, String)]) -> String {
        let own = self.url.query.split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && !self.names.hold(name)
        });
        let new = given.iter().filter(|_| !self.headers);
        let new = new.map(|(name, value)| format!("{}={}", self.names.get(*name), utf8_percent_encode(value, VALUE)));
        own.map(str::to_owned).chain(new).collect::<Vec<_>>().join("&")
    }

    fn finish(&self, args: &SignArgs, given: &[(Name, String)]) -> Signed {
        let query = self.query(given);
        let mark = if query.is_empty() { "" } else { "?" };
        let url = format!("{}{}{mark}{query}", self.url.origin, self.url.path);
        let headers: Vec<(&str, &str)> =
            given.iter().filter(|_| self.headers).map(|(name, value)| (name.header(), value.as_str())).collect();
        let curl = curl(args, &url, &headers);
        let parts = [&self.endpoint.module, &self.endpoint.controller, &self.endpoint.action];
        let headers: serde_json::Map<_, _> =
            headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        let credentials: serde_json::Map<_, _> =
            given.iter().map(|(name, value)| (name.key().to_owned(), value.as_str().into())).collect();
        let json = json!({
            "method": args.method,
            "url": url,
            "headers": headers,
            "credentials": credentials,
            "endpoint": parts.map(|part| part.escape_ascii().to_string()).join("/"),
            "date": self.date,
            "curl": curl,
        });
        Signed { url, curl, json }
    }
}

fn file_client<'a>(settings: &'a Settings, id: &str) -> Option<&'a FileClient> {
    settings.gate.verify.clients.iter().find(|client| client.id.as_str() == id).map(|client| &**client)
}

fn secret(args: &SignArgs, client: Option<&FileClient>) -> anyhow::Result<Vec<u8>> {
    let of_file = client.and_then(|client| client.secrets.first()).map(|live| live.secret.expose().to_vec());
    args.secret.as_ref().map(|secret| secret.clone().into_bytes()).or(of_file).ok_or_else(|| {
        anyhow!("the secret of client `{}` is not known; give --secret or TICKETGATE_CLIENT_SECRET", args.client)
    })
}

fn endpoint(args: &SignArgs, settings: Option<&Settings>, url: &Url<'_>) -> anyhow::Result<Endpoint> {
    if let Some(written) = &args.endpoint {
        let parts: Vec<&str> = written.split('/').collect();
        let [module, controller, action] = parts.as_slice() else {
            bail!("--endpoint {written}: give MODULE/CONTROLLER/ACTION");
        };
        return Ok(Endpoint { module: (*module).into(), controller: (*controller).into(), action: (*action).into() });
    }
    let found = match settings {
        Some(settings) => explain::endpoint(settings, &args.method, &url.target(), args.data.as_deref())?,
        None => url.endpoint(),
    };
    found.ok_or_else(|| anyhow!("the URL names no endpoint; give --endpoint MODULE/CONTROLLER/ACTION"))
}

/// Today as the client's PHP would write it.
fn today(now: Timestamp, settings: Option<&Settings>, client: Option<&FileClient>) -> String {
    let zone = settings.map_or(TimeZone::UTC, |settings| settings.gate.verify.zone.clone());
    let format = client.map_or(DEFAULT_DATE_FORMAT, |client| client.date_format.as_str());
    client_token::date(&zone, now, format)
}

fn nonce() -> anyhow::Result<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn curl(args: &SignArgs, url: &str, headers: &[(&str, &str)]) -> String {
    let mut line = vec!["curl".to_owned()];
    match (args.method.as_str(), &args.data) {
        ("GET", None) | ("POST", Some(_)) => {}
        ("HEAD", None) => line.push("--head".to_owned()),
        (method, _) => line.extend(["-X".to_owned(), quoted(method)]),
    }
    for (name, value) in headers {
        line.extend(["-H".to_owned(), quoted(&format!("{name}: {value}"))]);
    }
    if let Some(data) = &args.data {
        line.extend(["--data-raw".to_owned(), quoted(data)]);
    }
    line.push(quoted(url));
    line.join(" ")
}

/// For a POSIX shell: within single quotes nothing but the quote itself is special.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
