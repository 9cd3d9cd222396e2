//! `rules` and `default`

use std::sync::Arc;

use crate::config::faults::Faults;
use crate::config::file::File;
use crate::config::file::rule::{self, EndpointIs};
use crate::config::refusal::none_of;
use crate::config::resolve::{all_of, before, endpoint, lasting, limits, login, requirement, signature};
use crate::config::values::TextOr;
use crate::policy::Requirement;
use crate::policy::before::Before;
use crate::policy::csrf::{self, Csrf};
use crate::policy::endpoint::Endpoint;
use crate::policy::pattern::{EndpointPattern, Glob};
use crate::policy::rule::{Guests, Limit, Logout, Matcher, Rule, Signatures};
use crate::request::head::Methods;

/// Methods that pass without being listed.
const USUAL: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What rules must know of the rest of the file.
pub(super) struct Context {
    /// Whether any source of endpoints is configured.
    has_sources: bool,
    /// Whether a form can decide where a request goes.
    form_routes: bool,
    /// Whether tokens are sealed under a client's secret.
    sealed: bool,
    /// Whether any rule gives guests a session.
    has_guests: bool,
    /// Front controllers, which no path has any more when rules look at it.
    pub(super) scripts: Vec<String>,
    /// `signature`
    signatures: Arc<Signatures>,
}

impl Context {
    /// Of this file, whose `signature` is that.
    pub(super) fn of(file: &File, signatures: Signatures) -> Self {
        let form_source = file.endpoint.0.iter().any(|source| source.form.is_some() || source.request.is_some());
        Self {
            has_sources: !file.endpoint.0.is_empty(),
            form_routes: form_source || !file.selectors.is_empty(),
            sealed: file.session.sealed,
            has_guests: file.rules.iter().any(|rule| rule.guest),
            scripts: file.scripts.clone(),
            signatures: Arc::new(signatures),
        }
    }

    /// What guests' sessions are to a rule.
    fn guests(&self, rule: &rule::Rule) -> Guests {
        match &rule.login {
            _ if rule.guest => Guests::Welcome,
            Some(login) if self.has_guests && login.cookies == rule::Cookies::Hold => Guests::TakenOver,
            _ => Guests::Unknown,
        }
    }

    /// A rule that matches everything, lets nothing pass and says nothing more.
    pub(super) fn plain_rule(&self) -> Rule {
        Rule {
            name: "default".into(),
            matcher: Matcher::default(),
            require: Requirement::Deny,
            guests: Guests::Unknown,
            login: None,
            logout: None,
            logout_before: None,
            csrf: None,
            extend: true,
            limit: None,
            signatures: Arc::clone(&self.signatures),
            endpoint_is: None,
            opaque_body: false,
            max_body: None,
            response_timeout: None,
            websocket: None,
        }
    }
}

/// `rules`
pub(super) fn all(rules: &[rule::Rule], context: &Context, faults: &mut Faults) -> Option<Vec<Rule>> {
    let resolved = rules.iter().enumerate().map(|(index, rule)| one(rule, &format!("rules[{index}]"), context, faults));
    all_of(resolved)
}

/// The methods that may pass: the usual ones, and those that rules list.
pub(super) fn methods(rules: &[rule::Rule]) -> Methods {
    let mut extra: Vec<String> = Vec::new();
    for method in rules.iter().filter_map(|rule| rule.methods.as_ref()).flat_map(|methods| &methods.0) {
        if !USUAL.contains(&method.as_str()) && !extra.contains(method) {
            extra.push(method.clone());
        }
    }
    Methods::with(extra)
}

/// `default`
pub(super) fn default(require: rule::Requirement, context: &Context, faults: &mut Faults) -> Option<Rule> {
    let require = requirement(require);
    if asks_for_client(require) && !context.has_sources {
        faults.add(
            "default",
            "asks for a client, whose token is made of an endpoint, but no `endpoint` source is configured",
        );
        return None;
    }
    Some(Rule { require, ..context.plain_rule() })
}

fn one(rule: &rule::Rule, key: &str, context: &Context, faults: &mut Faults) -> Option<Rule> {
    let matcher = matcher(rule, key, context, faults);
    let endpoint_is = endpoint_is(rule, key, faults);
    let require = required(rule, key, context, faults);
    let login = rule.login.as_ref().map(|login| login::rule(login, &format!("{key}.login"), faults));
    let csrf = csrf(rule, key, faults);
    let logout_before = logout_before(rule, key, faults);
    let logout = logout(rule, key, faults);
    let signatures = signature::of_rule(rule, key, &context.signatures, faults);
    check_body(rule, key, context, faults);
    check_login(rule, key, context, faults);
    check_guest(rule, key, context, faults);
    let limit = limit(rule, key, faults);
    let response_timeout = rule.response_timeout.map(|span| lasting(faults, &format!("{key}.response_timeout"), span));
    Some(Rule {
        name: name(rule).into(),
        matcher: matcher?,
        require: require?,
        guests: context.guests(rule),
        login: login.map(|login| login.map(Arc::new)).map_or(Some(None), |login| login.map(Some))?,
        logout: logout?,
        logout_before: logout_before?,
        csrf: csrf?,
        extend: rule.extend,
        limit: limit?,
        signatures: signatures?,
        endpoint_is: endpoint_is?,
        opaque_body: rule.body.is_some(),
        max_body: rule.max_body.map(|size| size.0),
        response_timeout: response_timeout.map_or(Some(None), |timeout| timeout.map(Some))?,
        websocket: None,
    })
}

/// The rule's label in logs and metrics.
fn name(rule: &rule::Rule) -> String {
    match (&rule.endpoint, &rule.path, &rule.methods) {
        (Some(TextOr::Text(endpoint)), ..) => endpoint.clone(),
        (_, Some(path), _) => path.clone(),
        _ if !rule.params.is_empty() => {
            rule.params.iter().map(|(name, glob)| format!("{name}={}", glob.0)).collect::<Vec<_>>().join("&")
        }
        (_, _, Some(methods)) => methods.0.join(","),
        _ => "rule".to_owned(),
    }
}

fn matcher(rule: &rule::Rule, key: &str, context: &Context, faults: &mut Faults) -> Option<Matcher> {
    let pattern = match &rule.endpoint {
        Some(TextOr::Text(text)) => Some(text),
        _ => None,
    };
    if rule.path.is_none()
        && pattern.is_none()
        && rule.methods.is_none()
        && rule.params.is_empty()
        && !faults.is_damaged(key)
    {
        faults.add(key, "matches everything; give it path, endpoint, methods or params, or set `default`");
    }
    if pattern.is_some() && !context.has_sources {
        faults.add(&format!("{key}.endpoint"), "can never match: no `endpoint` source is configured");
    }
    let path = rule.path.as_ref().map(|text| faults.take(&format!("{key}.path"), path(text, &context.scripts)));
    let endpoint = pattern.map(|text| faults.take(&format!("{key}.endpoint"), EndpointPattern::parse(text)));
    let params = rule.params.iter().map(|(name, glob)| {
        let glob = faults.take(&format!("{key}.params.{name}"), Glob::parse(&glob.0));
        glob.map(|glob| (name.clone(), glob))
    });
    let params = all_of(params);
    let methods = listed(rule, key, faults);
    Some(Matcher {
        path: path.map_or(Some(None), |path| path.map(Some))?,
        endpoint: endpoint.map_or(Some(None), |endpoint| endpoint.map(Some))?,
        methods: methods?,
        params: params?,
    })
}

/// A rule may name a front controller (`/index.php/user/**`), but it is taken off the request's path, so off the rule's as well.
pub(super) fn path(text: &str, scripts: &[String]) -> Result<Glob, String> {
    let behind = |script: &String| {
        let (start, rest) = text.split_at_checked(script.len())?;
        (start.eq_ignore_ascii_case(script) && rest.starts_with('/')).then_some(rest)
    };
    if text.starts_with('/') || text.starts_with("**") || text == "*" {
        Glob::parse(scripts.iter().find_map(behind).unwrap_or(text))
    } else {
        Err("must begin with / or **: it matches the whole path".to_owned())
    }
}

fn listed(rule: &rule::Rule, key: &str, faults: &mut Faults) -> Option<Vec<String>> {
    let Some(methods) = &rule.methods else { return Some(Vec::new()) };
    if methods.0.is_empty() {
        faults.missing(&format!("{key}.methods"), "must name at least one method; leave it out for any");
    }
    let checked = methods.0.iter().enumerate().map(|(index, method)| {
        let token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
        let checked = match method.as_str() {
            "CONNECT" => Err("CONNECT asks for a tunnel and cannot be forwarded".to_owned()),
            _ if token => Ok(method.clone()),
            _ => Err("must be a method in upper case, as GET or PROPFIND".to_owned()),
        };
        faults.take(&format!("{key}.methods[{index}]"), checked)
    });
    all_of(checked)
}

fn endpoint_is(rule: &rule::Rule, key: &str, faults: &mut Faults) -> Option<Option<Endpoint>> {
    let Some(TextOr::Map(EndpointIs { is })) = &rule.endpoint else { return Some(None) };
    let at = format!("{key}.endpoint.is");
    if rule.path.is_none() && !faults.is_damaged(key) {
        faults.add(&at, "gives a path an endpoint, but the rule has no path");
    }
    match is {
        Some(text) => faults.take(&at, endpoint::endpoint(text)).map(Some),
        None => {
            faults.missing(&at, "is missing");
            None
        }
    }
}

fn asks_for_client(require: Requirement) -> bool {
    matches!(require, Requirement::Client | Requirement::User)
}

fn required(rule: &rule::Rule, key: &str, context: &Context, faults: &mut Faults) -> Option<Requirement> {
    let names_endpoint = matches!(rule.endpoint, Some(TextOr::Map(_)));
    checked(rule.require.map(requirement), names_endpoint, key, context, faults)
}

/// `require` of a rule that may name an endpoint itself.
pub(super) fn checked(
    require: Option<Requirement>,
    names_endpoint: bool,
    key: &str,
    context: &Context,
    faults: &mut Faults,
) -> Option<Requirement> {
    let at = format!("{key}.require");
    let Some(require) = require else {
        faults.missing(&at, "is missing; write public, client, user, user_only or deny");
        return None;
    };
    if asks_for_client(require) && !names_endpoint && !context.has_sources && !faults.is_damaged(key) {
        faults.add(&at, "asks for a client, whose token is made of an endpoint: configure `endpoint`, or give the rule one of its own");
    }
    Some(require)
}

fn logout(rule: &rule::Rule, key: &str, faults: &mut Faults) -> Option<Option<Logout>> {
    let at = format!("{key}.logout");
    let (at, text) = match &rule.logout {
        None => return Some(None),
        Some(TextOr::Text(text)) => (at, text.as_str()),
        Some(TextOr::Map(map)) => match &map.end {
            Some(end) => (format!("{at}.end"), end.as_str()),
            None => {
                faults.missing(&format!("{at}.end"), "is missing; write this, others or all");
                return None;
            }
        },
    };
    let user = matches!(rule.require, Some(rule::Requirement::User | rule::Requirement::UserOnly) | None);
    if !user {
        faults.add(&at, "ends sessions of the user who asks, so the rule must require user or user_only");
    }
    let ends = match text {
        "this" => Ok(Logout::This),
        "others" => Ok(Logout::Others),
        "all" => Ok(Logout::All),
        other => Err(none_of(other, &["this", "others", "all"])),
    };
    faults.take(&at, ends).map(Some)
}

fn csrf(rule: &rule::Rule, key: &str, faults: &mut Faults) -> Option<Option<Csrf>> {
    let Some(written) = &rule.csrf else { return Some(None) };
    let (field_at, from_at) = (format!("{key}.csrf.form"), format!("{key}.csrf.from"));
    if !matches!(rule.require, Some(rule::Requirement::User | rule::Requirement::UserOnly) | None) {
        faults.add(&format!("{key}.csrf"), "is for requests of users, so the rule must require user or user_only");
    }
    let field = match written.form.as_deref() {
        Some(field) => faults.take(&field_at, endpoint::php_name(field)).map(|_| field.to_owned()),
        None => {
            faults.missing(&field_at, "is missing; give the name of the form field");
            None
        }
    };
    let from = match written.from.as_deref() {
        Some(text) => faults.take(&from_at, csrf_origin(text)),
        None => {
            faults.missing(&from_at, "is missing; give cookie:NAME or header:NAME");
            None
        }
    };
    Some(Some(Csrf { field: field?, from: from? }))
}

fn csrf_origin(text: &str) -> Result<csrf::Origin, &'static str> {
    const WANTED: &str = "must be cookie:NAME, or header:NAME of the last reply";
    match text.split_once(':') {
        Some(("cookie", name)) if !name.is_empty() => Ok(csrf::Origin::Cookie(name.to_owned())),
        Some(("header", name)) => {
            let name = name.strip_suffix(" of the last reply").unwrap_or(name);
            name.parse().map(csrf::Origin::Header).map_err(|_| WANTED)
        }
        _ => Err(WANTED),
    }
}

fn logout_before(rule: &rule::Rule, key: &str, faults: &mut Faults) -> Option<Option<Arc<Before>>> {
    let Some(TextOr::Map(map)) = &rule.logout else { return Some(None) };
    before::resolve(map.before.as_ref(), &format!("{key}.logout.before"), faults).map(|before| before.map(Arc::new))
}

/// Two rules may go by one name, so their place tells their limits apart.
fn limit(rule: &rule::Rule, key: &str, faults: &mut Faults) -> Option<Option<Limit>> {
    let at = format!("{key}.limit");
    let rate = limits::optional(rule.limit.as_ref(), &at, faults)?;
    if rate.is_some() && rule.require == Some(rule::Requirement::Deny) {
        faults.add(&at, "the rule denies, so there is nothing to limit");
    }
    Some(rate.map(|rate| Limit { name: format!("{key} {}", name(rule)).into(), rate }))
}

fn check_body(rule: &rule::Rule, key: &str, context: &Context, faults: &mut Faults) {
    if rule.body.is_none() {
        return;
    }
    let at = format!("{key}.body");
    if context.form_routes {
        faults.add(&at, "a form could route the request (form or request sources, selectors), so bodies must be read");
    }
    if !rule.params.is_empty() {
        faults.add(&at, "params are looked for in forms, so bodies must be read");
    }
    if login::takes_a_page(rule) {
        faults.add(&at, "a page's fields are laid into the form, so bodies must be read");
    }
    if rule.login.as_ref().is_some_and(login::reads_form) {
        faults.add(&at, "the login reads its form, so bodies must be read");
    }
}

fn check_login(rule: &rule::Rule, key: &str, context: &Context, faults: &mut Faults) {
    if rule.login.is_some() && rule.require == Some(rule::Requirement::Deny) {
        faults.add(&format!("{key}.login"), "the rule denies, so no login is ever seen");
    }
    if rule.login.is_some() && rule.logout.is_some() {
        faults.add(&format!("{key}.logout"), "a rule is a login or a logout, not both");
    }
    let without_client = matches!(rule.require, Some(rule::Requirement::Public | rule::Requirement::UserOnly));
    if rule.login.is_some() && context.sealed && without_client {
        faults.add(
            &format!("{key}.login"),
            "session.sealed seals tokens under the secret of the client that logs in, so the rule must require client",
        );
    }
}

fn check_guest(rule: &rule::Rule, key: &str, context: &Context, faults: &mut Faults) {
    if !rule.guest {
        return;
    }
    let at = format!("{key}.guest");
    match rule.require {
        Some(rule::Requirement::User | rule::Requirement::UserOnly) => {
            faults.add(&at, "a guest is no user: the rule must require public or client");
        }
        Some(rule::Requirement::Deny) => faults.add(&at, "the rule denies, so there are no guests"),
        Some(rule::Requirement::Public) if context.sealed => faults.add(
            &at,
            "session.sealed seals tokens under the secret of the client that calls, so the rule must require client",
        ),
        Some(rule::Requirement::Public | rule::Requirement::Client) | None => {}
    }
    if rule.login.is_some() {
        faults.add(&at, "a login goes on from a guest's session by itself; give `guest` to the page before it");
    }
}
