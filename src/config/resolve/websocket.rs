//! `websocket`

use std::sync::Arc;

use crate::config::faults::Faults;
use crate::config::file::websocket::{Mode, Websocket};
use crate::config::resolve::rules::{self, Context};
use crate::config::resolve::{all_of, endpoint, lasting, requirement};
use crate::policy::channel::{self, Channel, Tunnel};
use crate::policy::pattern::Glob;
use crate::policy::rule::{Matcher, Rule};

mod bridge;

pub(super) use bridge::{Around, check};

/// `websocket`: a rule for each route.
pub(super) fn all(
    routes: &[Websocket],
    context: &Context,
    around: &Around<'_>,
    faults: &mut Faults,
) -> Option<Vec<Rule>> {
    let resolved = routes.iter().enumerate();
    all_of(resolved.map(|(index, route)| one(route, &format!("websocket[{index}]"), (context, around), faults)))
}

fn one(route: &Websocket, key: &str, (context, around): (&Context, &Around<'_>), faults: &mut Faults) -> Option<Rule> {
    let at = |name: &str| format!("{key}.{name}");
    let path = match &route.path {
        Some(text) => faults.take(&at("path"), rules::path(text, &context.scripts)),
        None => {
            faults.missing(&at("path"), "is missing");
            None
        }
    };
    let endpoint = match &route.endpoint {
        Some(text) => faults.take(&at("endpoint"), endpoint::endpoint(text)).map(Some),
        None => Some(None),
    };
    let require = rules::checked(route.require.map(requirement), route.endpoint.is_some(), key, context, faults);
    let name = route.path.as_deref().unwrap_or_default().into();
    let rule = require.zip(endpoint).map(|(require, endpoint)| Rule {
        name,
        require,
        endpoint_is: endpoint,
        ..context.plain_rule()
    });
    let channel = channel(route, key, (context, around, rule.as_ref()), faults);
    let matcher = Matcher { path: Some(path?), ..Matcher::default() };
    Some(Rule { matcher, websocket: Some(Arc::new(channel?)), ..rule? })
}

fn channel(
    route: &Websocket,
    key: &str,
    (context, around, base): (&Context, &Around<'_>, Option<&Rule>),
    faults: &mut Faults,
) -> Option<Channel> {
    let origins = route.origins.iter().enumerate().map(|(index, text)| {
        let key = format!("{key}.origins[{index}]");
        faults.take(&key, origin(text))
    });
    let origins = all_of(origins);
    let mode = match route.mode {
        None => {
            faults.missing(&format!("{key}.mode"), "is missing; write tunnel or bridge");
            None
        }
        Some(Mode::Bridge) => {
            let bridge = bridge::bridge(route, key, base, (context, around), faults);
            bridge.map(|bridge| channel::Mode::Bridge(Arc::new(bridge)))
        }
        Some(Mode::Tunnel) => tunnel(route, key, faults).map(channel::Mode::Tunnel),
    };
    Some(Channel { origins: origins?, mode: mode? })
}

fn tunnel(route: &Websocket, key: &str, faults: &mut Faults) -> Option<Tunnel> {
    let idle = lasting(faults, &format!("{key}.idle"), route.idle);
    let max_age = lasting(faults, &format!("{key}.max_age"), route.max_age);
    Some(Tunnel { idle: idle?, max_age: max_age? })
}

/// As browsers write it: scheme, host, and the port where it is not the usual one.
fn origin(text: &str) -> Result<Glob, String> {
    let host = text.split_once("://").map(|(_, host)| host);
    match host {
        _ if text == "null" => Glob::parse(text),
        Some(host) if !host.is_empty() && !host.contains('/') => Glob::parse(text),
        _ => Err("must be an origin as browsers send it, as https://app.example, without a path".to_owned()),
    }
}
