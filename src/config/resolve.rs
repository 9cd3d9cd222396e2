//! From the file as written to finished values. Each part tells all that is wrong with it and gives nothing where anything is.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::config::Settings;
use crate::config::faults::Faults;
use crate::config::file::{self, File};
use crate::config::resolve::rules::Context;
use crate::config::shown;
use crate::config::values::Span;
use crate::policy::{self, Policy};
use crate::request::address::TrustedProxies;
use crate::request::body;
use crate::request::target::Lenient;
use crate::websocket::open::Open;
use crate::{admin, gate, server, telemetry, verify};

mod address;
mod before;
mod clients;
mod cors;
mod decide;
mod endpoint;
mod limits;
mod login;
mod reply;
mod reserved;
mod rules;
mod secrets;
mod session;
mod signature;
mod store;
mod tls;
mod upstream;
mod websocket;

/// Everything, or nothing where a fault was told.
pub(crate) fn settings(file: &File, faults: &mut Faults) -> Option<Settings> {
    let server = server(file, faults);
    let decide = decide::listener(file, server.as_ref(), faults);
    let store = store::settings(&file.store, faults);
    let held = store::held(&file.store, faults);
    let admin = admin(file, faults);
    let gate = gate(file, faults);
    Some(Settings {
        gate: gate?,
        server: server?,
        decide: decide?,
        store: store?,
        held: held?,
        admin: admin?,
        log: log(&file.log),
        drain_delay: file.drain_delay.0,
        shown: shown::of(file),
    })
}

fn gate(file: &File, faults: &mut Faults) -> Option<gate::Settings> {
    let reader = endpoint::reader(file, faults);
    let signatures = signature::settings(&file.signature, faults);
    let context = Context::of(file, signatures.unwrap_or_default());
    let rules = rules::all(&file.rules, &context, faults);
    let around = websocket::Around {
        reader: reader.as_ref(),
        rules: &file.rules,
        header: file.limits.header.0,
        write: file.timeouts.write.0,
    };
    let websockets = websocket::all(&file.websocket, &context, &around, faults);
    let default = rules::default(file.default, &context, faults);
    let credentials = reserved::credentials(file, faults);
    let reserved = reserved::names(file, faults);
    let trusted = trusted_proxies(&file.trusted_proxies, faults);
    let limits = body_limits(file, faults);
    let verify = verify(file, faults);
    let upstream = upstream::settings(&file.upstream, faults);
    let forward = upstream::headers(&file.forward, upstream.as_ref(), reserved.as_ref(), faults);
    let reply = reply::settings(&file.reject, faults);
    let cors = cors::settings(file, faults);
    let inquiry = decide::inquiry(file, faults);
    let settings = gate::Settings {
        mode: match file.mode {
            file::Mode::Enforce => gate::Mode::Enforce,
            file::Mode::Observe => gate::Mode::Observe,
        },
        reading: gate::Reading { lenient: lenient(file), reserved: reserved?, trusted: trusted?, limits: limits? },
        lost: login::any_of(&file.session.lost.0, "session.lost", faults)?,
        policy: Policy { reader: reader?, rules: rules?, websockets: websockets?, default: default? },
        credentials: credentials?,
        verify: verify?,
        upstream: upstream?,
        forward: forward?,
        reply: reply?,
        cors: cors?,
        inquiry: inquiry?,
        websockets: Open::default(),
        access_log: file.log.access,
    };
    websocket::check(&settings, faults);
    decide::warn(file, settings.policy.holds_cookies(), faults);
    Some(settings)
}

fn server(file: &File, faults: &mut Faults) -> Option<server::Settings> {
    let listen = address::listeners(&file.listen.0, faults);
    let header = bounded(faults, "limits.header", file.limits.header.0, 1024, 1 << 20);
    let connections = above_zero(faults, "limits.connections", file.limits.connections);
    let timeouts = &file.timeouts;
    let header_timeout = lasting(faults, "timeouts.header", timeouts.header);
    let keep_alive = lasting(faults, "timeouts.keep_alive", timeouts.keep_alive);
    let write = lasting(faults, "timeouts.write", timeouts.write);
    let tls = tls::keys(file.tls.as_ref(), faults);
    Some(server::Settings {
        listen: listen?,
        methods: rules::methods(&file.rules),
        header: usize::try_from(header?).ok()?,
        connections: server::Room::for_connections(connections?),
        header_timeout: header_timeout?,
        keep_alive: keep_alive?,
        write: write?,
        drain: timeouts.drain.0,
        tls: tls?,
    })
}

fn admin(file: &File, faults: &mut Faults) -> Option<admin::Settings> {
    let listen = faults.take("admin.listen", address::listen(&file.admin.listen));
    let port = file.admin.listen.rsplit(':').next();
    if port != Some("0") && file.listen.0.contains(&file.admin.listen) {
        faults.add("admin.listen", "is an address of `listen`; operators need one of their own");
    }
    let tokens = secrets::list(&file.admin.token, "admin.token", 2, faults);
    Some(admin::Settings { listen: listen?, tokens: tokens? })
}

fn verify(file: &File, faults: &mut Faults) -> Option<verify::Settings> {
    let clients = clients::all(&file.clients, faults);
    let zone = faults.take(
        "time.zone",
        jiff::tz::TimeZone::get(&file.time.zone)
            .map_err(|_| "is no time zone; write UTC or an IANA name such as Asia/Shanghai"),
    );
    if file.time.skew.0 > Duration::from_secs(12 * 3600) {
        faults.add("time.skew", "must be 12h or less: with more, tokens of any day would do");
    }
    let session = session::settings(&file.session, faults);
    let limits = limits::settings(&file.limits, faults);
    Some(verify::Settings {
        clients: clients?,
        zone: zone?,
        skew: file.time.skew.0,
        session: session?,
        limits: limits?,
        fold: endpoint::fold(file),
    })
}

fn body_limits(file: &File, faults: &mut Faults) -> Option<body::Limits> {
    let form = bounded(faults, "limits.form", file.limits.form.0, 1, 1 << 30);
    let body = bounded(faults, "limits.body", file.limits.body.0, 1, u64::MAX);
    let idle = lasting(faults, "timeouts.body_idle", file.timeouts.body_idle);
    Some(body::Limits { form: form?, body: body?, idle: idle?, rate: file.timeouts.body_rate.0 })
}

fn lenient(file: &File) -> Lenient {
    use file::routing::Leniency;
    let has = |wanted| file.lenient_paths.contains(&wanted);
    Lenient {
        encoded_slash: has(Leniency::EncodedSlash),
        encoded_question: has(Leniency::EncodedQuestion),
        encoded_percent: has(Leniency::EncodedPercent),
        semicolon: has(Leniency::Semicolon),
        double_slash: has(Leniency::DoubleSlash),
        backslash: has(Leniency::Backslash),
    }
}

fn trusted_proxies(texts: &[String], faults: &mut Faults) -> Option<TrustedProxies> {
    let nets = texts.iter().enumerate().map(|(index, text)| {
        let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let key = format!("trusted_proxies[{index}]");
        faults.take(&key, net.map_err(|_| "must be a network such as 10.0.0.0/8, or an address"))
    });
    all_of(nets).map(TrustedProxies)
}

fn log(log: &file::sections::Log) -> telemetry::Settings {
    use file::sections::{Format, Level};
    let level = match log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace => "trace",
    };
    telemetry::Settings { json: log.format == Format::Json, level: level.to_owned(), access: log.access, traces: None }
}

fn requirement(written: file::rule::Requirement) -> policy::Requirement {
    use file::rule::Requirement;
    match written {
        Requirement::Public => policy::Requirement::Public,
        Requirement::Client => policy::Requirement::Client,
        Requirement::User => policy::Requirement::User,
        Requirement::UserOnly => policy::Requirement::UserOnly,
        Requirement::Deny => policy::Requirement::Deny,
    }
}

/// A duration that is not zero.
fn lasting(faults: &mut Faults, key: &str, span: Span) -> Option<Duration> {
    faults.take(key, if span.0.is_zero() { Err("must be more than 0") } else { Ok(span.0) })
}

/// A number that is not zero.
fn above_zero(faults: &mut Faults, key: &str, number: usize) -> Option<usize> {
    faults.take(key, if number == 0 { Err("must be more than 0") } else { Ok(number) })
}

/// A size between two bounds.
fn bounded(faults: &mut Faults, key: &str, size: u64, least: u64, most: u64) -> Option<u64> {
    use crate::config::values::Size;
    let refusal = if size < least {
        Some(format!("must be at least {}", Size(least)))
    } else if size > most {
        Some(format!("must be at most {}", Size(most)))
    } else {
        None
    };
    faults.take(key, refusal.map_or(Ok(size), Err))
}

/// All of them, or nothing where one is missing. Unlike a plain `collect`, it looks at every one.
fn all_of<T>(options: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let options: Vec<Option<T>> = options.collect();
    options.into_iter().collect()
}
