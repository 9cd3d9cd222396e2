//! `websocket` of `mode: bridge`

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::faults::Faults;
use crate::config::file;
use crate::config::file::websocket::{Fields, Method, Type, Websocket};
use crate::config::resolve::rules::Context;
use crate::config::resolve::{above_zero, all_of, bounded, endpoint, lasting, limits, requirement};
use crate::config::values::TextOr;
use crate::gate;
use crate::policy::Requirement;
use crate::policy::bridge::{self, Bounds, Bridge, Kind};
use crate::policy::endpoint::{Endpoint, Reader};
use crate::policy::rule::Rule;
use crate::policy::written::Written;

/// What a bridge needs of the rest of the file.
pub(in crate::config::resolve) struct Around<'a> {
    /// How endpoints are read, where that is sound.
    pub(in crate::config::resolve) reader: Option<&'a Reader>,
    /// Rules as written, some of which give a path an endpoint.
    pub(in crate::config::resolve) rules: &'a [file::rule::Rule],
    /// `limits.header`
    pub(in crate::config::resolve) header: u64,
    /// `timeouts.write`
    pub(in crate::config::resolve) write: Duration,
}

/// Types whose messages the gate itself knows what to do with.
const OWN: [&str; 2] = ["login", "resume"];

pub(super) fn bridge(
    route: &Websocket,
    key: &str,
    base: Option<&Rule>,
    (context, around): (&Context, &Around<'_>),
    faults: &mut Faults,
) -> Option<Bridge> {
    let at = |name: &str| format!("{key}.{name}");
    check_require(base, key, faults);
    let login = match &route.login {
        Some(text) => {
            let login = Type { endpoint: Some(text.clone()), ..Type::default() };
            kind(&login, &at("login"), route, (context, around), faults).map(|kind| Some(Arc::new(kind)))
        }
        None => Some(None),
    };
    let types = route.types.iter().map(|(name, written)| {
        let key = at(&format!("types.{name}"));
        if OWN.contains(&name.as_str()) {
            faults.add(&key, "is a type that the gate knows itself; give it another name");
        }
        let kind = kind(written, &format!("{key}.endpoint"), route, (context, around), faults);
        kind.map(|kind| (name.clone(), Arc::new(kind)))
    });
    let types = all_of(types);
    let (fields, bounds) = (fields(&route.fields, key, faults), bounds(route, key, around, faults));
    let (resume, rate) = (route.resume.0, limits::optional(route.rate.as_ref(), &at("rate"), faults));
    Some(Bridge {
        rule: resuming(base?),
        endpoint: base?.endpoint_is.clone(),
        login: login?,
        types: types?.into_iter().collect::<HashMap<_, _>>(),
        fields: fields?,
        resume,
        rate: rate?,
        bounds: bounds?,
    })
}

/// Users log in over the connection, so none can be asked for before there is one.
fn check_require(base: Option<&Rule>, key: &str, faults: &mut Faults) {
    if base.is_some_and(|rule| !matches!(rule.require, Requirement::Public | Requirement::Client)) {
        faults
            .add(&format!("{key}.require"), "must be public or client: of a bridge, users log in over the connection");
    }
}

/// What decides about a message that goes on with a session: what the route asks, and a user.
fn resuming(base: &Rule) -> Rule {
    Rule { require: base.require.and(Requirement::UserOnly), ..base.clone() }
}

fn kind(
    written: &Type,
    at: &str,
    route: &Websocket,
    (context, around): (&Context, &Around<'_>),
    faults: &mut Faults,
) -> Option<Kind> {
    let Some(text) = &written.endpoint else {
        faults.missing(at, "is missing");
        return None;
    };
    let endpoint = faults.take(at, endpoint::endpoint(text))?;
    let method = match written.method {
        Method::Post => "POST",
        Method::Get => "GET",
    };
    let request = of_rule(around.rules, &endpoint, method).or_else(|| around.reader?.write(&endpoint, method));
    if request.is_none() && around.reader.is_some() {
        faults.add(
            at,
            "no source of `endpoint` can name it in a request of that method, nor does a rule give it to a path",
        );
    }
    let require = written.require.map(requirement);
    let name = route.path.as_deref().unwrap_or_default().into();
    let rule = Rule { name, require: require.unwrap_or(Requirement::Deny), ..context.plain_rule() };
    Some(Kind { endpoint, require, rule, request: request? })
}

/// The path that a rule gives this endpoint, where it is one path.
fn of_rule(rules: &[file::rule::Rule], endpoint: &Endpoint, method: &str) -> Option<Written> {
    let gives = |rule: &&file::rule::Rule| match &rule.endpoint {
        Some(TextOr::Map(given)) => {
            given.is.as_deref().and_then(|text| endpoint::endpoint(text).ok()).as_ref() == Some(endpoint)
        }
        _ => false,
    };
    let path = rules.iter().find(gives)?.path.as_ref().filter(|path| !path.contains(['*', '?']))?;
    Some(Written { method: method.to_owned(), target: path.clone(), form: String::new() })
}

fn fields(written: &Fields, key: &str, faults: &mut Faults) -> Option<bridge::Fields> {
    let all =
        [&written.r#type, &written.id, &written.token, &written.wstoken, &written.code, &written.msg, &written.data];
    let distinct: HashSet<_> = all.iter().collect();
    if distinct.len() < all.len() || all.iter().any(|name| name.is_empty()) {
        faults.add(&format!("{key}.fields"), "must be names that differ, none of them empty");
        return None;
    }
    let Fields { r#type: kind, id, token, wstoken, code, msg, data } = written.clone();
    Some(bridge::Fields { kind, id, token, wstoken, code, msg, data })
}

fn bounds(route: &Websocket, key: &str, around: &Around<'_>, faults: &mut Faults) -> Option<Bounds> {
    let at = |name: &str| format!("{key}.{name}");
    let ping = lasting(faults, &at("ping"), route.ping);
    let frame = bounded(faults, &at("frame"), route.frame.0, 128, 1 << 30);
    let message = bounded(faults, &at("message"), route.message.0, 128, 1 << 30);
    let in_flight = above_zero(faults, &at("in_flight"), route.in_flight);
    Some(Bounds {
        ping: ping?,
        write: around.write,
        frame: usize::try_from(frame?).ok()?,
        message: usize::try_from(message?).ok()?,
        in_flight: in_flight?,
        head: usize::try_from(around.header).ok()?,
    })
}

/// What can be told only of the whole: whether messages reach what they are meant for.
pub(in crate::config::resolve) fn check(settings: &gate::Settings, faults: &mut Faults) {
    for (index, rule) in settings.policy.websockets.iter().enumerate() {
        let Some(bridge) = rule.websocket.as_deref().and_then(|channel| channel.bridge()) else { continue };
        if let Some(login) = &bridge.login
            && let Err(why) = settings.check_message(login, true)
        {
            faults.add(&format!("websocket[{index}].login"), why);
        }
        for (name, kind) in &bridge.types {
            if let Err(why) = settings.check_message(kind, false) {
                faults.add(&format!("websocket[{index}].types.{name}.endpoint"), why);
            }
        }
    }
}
