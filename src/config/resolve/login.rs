//! `rules[].login`

use regex::bytes::Regex;

use crate::config::faults::Faults;
use crate::config::file::rule::{self, Cookies, Login, LoginFailed};
use crate::config::resolve::{all_of, before};
use crate::config::values::TextOr;
use crate::policy::login_rule::{Conditions, Decode, LoginReply, LoginRule, Source, TokenSource, UserSource};
use crate::policy::pattern::Glob;

const SOURCES: &str = "must be json:POINTER, form:NAME, header:NAME, cookie:GLOB or body:REGEX";

/// `login`
pub(super) fn rule(login: &Login, key: &str, faults: &mut Faults) -> Option<LoginRule> {
    let success = success(login, key, faults);
    let user_id = user_id(login, key, faults);
    let user_name = user_name(login, key, user_id.as_ref(), faults);
    let user_page = user_page(login, key, faults);
    let user_token = faults.take(&format!("{key}.user_token"), token(&login.user_token));
    Some(LoginRule {
        success: success?,
        user_id: user_id?,
        user_page: user_page?,
        user_name: user_name?,
        user_token: user_token?,
        reply: match login.reply {
            rule::LoginReply::Merge => LoginReply::Merge,
            rule::LoginReply::Envelope => LoginReply::Envelope,
        },
        failed_envelope: login.failed == LoginFailed::Envelope,
        hold_cookies: login.cookies == Cookies::Hold,
        fields: login.fields.clone(),
        before: before::resolve(login.before.as_ref(), &format!("{key}.before"), faults)?,
    })
}

/// Whether the login takes anything from the request's form.
pub(super) fn reads_form(login: &Login) -> bool {
    let from = match &login.user_id {
        Some(TextOr::Text(text)) => Some(text.as_str()),
        Some(TextOr::Map(map)) => map.from.as_deref(),
        None => None,
    };
    [from, login.user_name.as_deref()].into_iter().flatten().any(|source| source.starts_with("form:"))
}

/// Whether a login or logout begins with a page.
pub(super) fn takes_a_page(rule: &rule::Rule) -> bool {
    let logs_out = matches!(&rule.logout, Some(TextOr::Map(logout)) if logout.before.is_some());
    logs_out || rule.login.as_ref().is_some_and(|login| login.before.is_some())
}

fn success(login: &Login, key: &str, faults: &mut Faults) -> Option<Vec<Conditions>> {
    let key = format!("{key}.success");
    if login.success.0.is_empty() {
        faults.missing(&key, "is missing; say how a login that succeeded can be told, as {json: {/code: 1}}");
        return None;
    }
    any_of(&login.success.0, &key, faults)
}

pub(super) fn any_of(written: &[rule::Conditions], key: &str, faults: &mut Faults) -> Option<Vec<Conditions>> {
    all_of(written.iter().enumerate().map(|(index, written)| conditions(written, &format!("{key}[{index}]"), faults)))
}

fn conditions(written: &rule::Conditions, key: &str, faults: &mut Faults) -> Option<Conditions> {
    let given = !written.status.0.is_empty()
        || !written.json.is_empty()
        || [&written.cookie, &written.location, &written.body].into_iter().any(Option::is_some)
        || !written.not.0.is_empty();
    if !given && !faults.is_damaged(key) {
        faults.add(key, "names no condition: give status, json, cookie, location, body or not");
        return None;
    }
    let status = all_of(written.status.0.iter().map(|status| {
        let known = (100..=599).contains(status);
        faults.take(&format!("{key}.status"), if known { Ok(*status) } else { Err("must be an HTTP status") })
    }));
    let json = all_of(written.json.iter().map(|(at, value)| {
        let at = faults.take(&format!("{key}.json.{at}"), pointer(at));
        at.map(|at| (at, value.0.clone()))
    }));
    let cookie = optional(written.cookie.as_deref(), &format!("{key}.cookie"), Glob::parse, faults);
    let location = optional(written.location.as_deref(), &format!("{key}.location"), Glob::parse, faults);
    let body = optional(written.body.as_deref(), &format!("{key}.body"), regex, faults);
    let not = any_of(&written.not.0, &format!("{key}.not"), faults);
    Some(Conditions { status: status?, json: json?, cookie: cookie?, location: location?, body: body?, not: not? })
}

fn optional<T>(
    text: Option<&str>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    faults: &mut Faults,
) -> Option<Option<T>> {
    faults.take(key, text.map(parse).transpose())
}

fn user_id(login: &Login, key: &str, faults: &mut Faults) -> Option<UserSource> {
    let key = format!("{key}.user_id");
    match &login.user_id {
        None => {
            faults.missing(&key, "is missing; say where the user's id stands, as json:/data/uid");
            None
        }
        Some(TextOr::Text(text)) => {
            let from = faults.take(&key, source(text))?;
            Some(UserSource { from, decode: Decode::None, extract: None, lower: false })
        }
        Some(TextOr::Map(map)) => user_source(map, &key, faults),
    }
}

fn user_source(map: &rule::UserSource, key: &str, faults: &mut Faults) -> Option<UserSource> {
    let from = match &map.from {
        Some(text) => faults.take(&format!("{key}.from"), source(text)),
        None => {
            faults.missing(&format!("{key}.from"), SOURCES);
            None
        }
    };
    let extract = optional(map.extract.as_deref(), &format!("{key}.match"), regex, faults);
    Some(UserSource {
        from: from?,
        decode: match map.decode {
            None => Decode::None,
            Some(rule::Decode::Base64) => Decode::Base64,
            Some(rule::Decode::Url) => Decode::Url,
        },
        extract: extract?,
        lower: map.fold.is_some(),
    })
}

fn user_page(login: &Login, key: &str, faults: &mut Faults) -> Option<Option<String>> {
    let page = match &login.user_id {
        Some(TextOr::Map(map)) => map.get.as_deref(),
        Some(TextOr::Text(_)) | None => None,
    };
    optional(page, &format!("{key}.user_id.get"), target, faults)
}

/// What a request line may hold (RFC 9112, 3.2.1).
pub(super) fn target(text: &str) -> Result<String, String> {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\'));
    if text.starts_with('/') && visible {
        Ok(text.to_owned())
    } else {
        Err("must be path and query of a page, as /user.php?act=me, percent-encoded where needed".to_owned())
    }
}

fn user_name(login: &Login, key: &str, user_id: Option<&UserSource>, faults: &mut Faults) -> Option<Option<String>> {
    let Some(text) = &login.user_name else {
        return Some(match user_id.map(|source| &source.from) {
            Some(Source::Form(name)) => Some(name.clone()),
            _ => None,
        });
    };
    let name = text.strip_prefix("form:").filter(|name| !name.is_empty());
    faults.take(&format!("{key}.user_name"), name.ok_or("must be form:NAME")).map(|name| Some(name.to_owned()))
}

fn token(text: &str) -> Result<TokenSource, String> {
    match text.split_once(':') {
        None if text == "issue" => Ok(TokenSource::Issue),
        Some(("json", at)) => pointer(at).map(TokenSource::Json),
        _ => Err("must be issue, or json:POINTER".to_owned()),
    }
}

pub(super) fn source(text: &str) -> Result<Source, String> {
    match text.split_once(':') {
        Some(("json", at)) => pointer(at).map(Source::Json),
        Some(("form", name)) if !name.is_empty() => Ok(Source::Form(name.to_owned())),
        Some(("header", name)) => match http::HeaderName::from_bytes(name.as_bytes()) {
            Ok(_) => Ok(Source::Header(name.to_owned())),
            Err(_) => Err("header: must be followed by the name of a header".to_owned()),
        },
        Some(("cookie", glob)) if !glob.is_empty() => Glob::parse(glob).map(Source::Cookie),
        Some(("body", text)) => {
            let regex = regex(text)?;
            // Group 0 is the whole match.
            if regex.captures_len() < 2 {
                Err("the expression needs a group in ( ) around the id".to_owned())
            } else {
                Ok(Source::Body(regex))
            }
        }
        _ => Err(SOURCES.to_owned()),
    }
}

/// RFC 6901
fn pointer(text: &str) -> Result<String, String> {
    let escapes_are_whole = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    if (text.is_empty() || text.starts_with('/')) && escapes_are_whole {
        Ok(text.to_owned())
    } else {
        Err("must be a JSON pointer such as /data/uid".to_owned())
    }
}

fn regex(text: &str) -> Result<Regex, String> {
    // The error repeats the expression over several lines; its last one says what is wrong.
    Regex::new(text).map_err(|error| {
        let whole = error.to_string();
        let last = whole.lines().last().unwrap_or_default();
        format!("is no regular expression: {}", last.trim_start_matches("error: "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_of_a_user_are_read() {
        assert!(matches!(source("json:/data/uid"), Ok(Source::Json(at)) if at == "/data/uid"));
        assert!(matches!(source("form:LoginForm[username]"), Ok(Source::Form(name)) if name == "LoginForm[username]"));
        assert!(matches!(source("header:X-Uid"), Ok(Source::Header(name)) if name == "X-Uid"));
        assert!(matches!(source("cookie:wordpress_logged_in_*"), Ok(Source::Cookie(_))));
        assert!(matches!(source(r"body:uid=(\d+)"), Ok(Source::Body(_))));
        for text in
            ["", "uid", "json:uid", "json:/a~2", "form:", "header:a b", "cookie:", "body:uid", "body:(", "query:x"]
        {
            assert!(source(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_are_issued_or_adopted() {
        assert_eq!(token("issue"), Ok(TokenSource::Issue));
        assert_eq!(token("json:/data/token"), Ok(TokenSource::Json("/data/token".to_owned())));
        for text in ["", "Issue", "json", "json:token", "form:x"] {
            assert!(token(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_is_path_and_query() {
        for text in ["/", "/me.php?act=get&n=%E6", "/a;b"] {
            assert_eq!(target(text).as_deref(), Ok(text));
        }
        for text in ["", "me.php", "http://h/me", "/a b", "/我", "/a#b", "/a\\b", "/a\r\nX: y"] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_broken_expression_is_told_in_one_line() {
        let what = regex("a(").unwrap_err();
        assert!(!what.contains('\n') && what.contains("unclosed group"), "{what}");
    }
}
