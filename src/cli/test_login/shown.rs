//! Steps as people read them. No password, no value of a cookie, and nothing that may be a token.

use crate::login::steps::{Seen, Step, shown};
use crate::request::php::url_decode;

/// All of them, a few lines each.
pub(super) fn all(steps: &[Step], password: &str) -> String {
    let mut lines = Vec::new();
    for step in steps {
        put(&mut lines, step, password);
    }
    lines.join("\n")
}

fn put(lines: &mut Vec<String>, step: &Step, password: &str) {
    let mut say = |label: &str, text: String| lines.push(format!("  {label:10} {}", redacted(&text, password)));
    match step {
        Step::Fetched(target, seen) => {
            say("fetched", format!("GET {target}"));
            reply(&mut say, seen);
        }
        Step::Form(action, hidden) => {
            say("form", format!("to {action:?}, with its hidden {}", listed(hidden)));
        }
        Step::Took(field, length) => say("took", format!("{field} ({length} bytes)")),
        Step::Sent(method, target, form) => {
            say("sent", format!("{method} {target}"));
            for field in form.iter().flat_map(|form| form.split(|byte| *byte == b'&')).filter(|field| !field.is_empty())
            {
                say("", sent_field(field, password));
            }
        }
        Step::Answered(seen) => {
            say("answered", seen.content_type.clone().unwrap_or_else(|| "without a Content-Type".to_owned()));
            reply(&mut say, seen);
        }
        Step::Condition { alternative, wanted, found, holds } => {
            let verdict = if *holds { "holds" } else { "FAILS" };
            say("success", format!("{alternative}. {wanted}: {verdict} ({found})"));
        }
        Step::User(source, Some(user)) => say("user_id", format!("{source}: {user}")),
        Step::User(source, None) => say("user_id", format!("{source}: FINDS NOBODY")),
        Step::Held(cookies) => say("held", listed(cookies)),
        Step::Stopped(why) => say("stopped", why.clone()),
    }
}

fn reply(say: &mut impl FnMut(&str, String), seen: &Seen) {
    let Seen { status, content_type: _, location, cookies: [set, deleted], shows } = seen;
    say("", format!("status {status}"));
    if let Some(location) = location {
        say("", format!("Location {location}"));
    }
    for (what, names) in [("sets", set), ("deletes", deleted)].into_iter().filter(|(_, names)| !names.is_empty()) {
        say("", format!("{what} the cookies {}", listed(names)));
    }
    shows.iter().for_each(|line| say("", line.clone()));
}

/// Names of fields are told; of values those that are neither the password nor long enough to be a token.
fn sent_field(field: &[u8], password: &str) -> String {
    let (name, value) = field.split_at(field.iter().position(|byte| *byte == b'=').unwrap_or(field.len()));
    let text = |bytes: &[u8]| url_decode(bytes).escape_ascii().to_string();
    let value = value.get(1..).unwrap_or_default();
    if *url_decode(value) == *password.as_bytes() {
        return format!("{} = [redacted]", text(name));
    }
    format!("{} = {}", text(name), shown(&text(value)))
}

/// Wherever the application repeats it.
fn redacted(text: &str, password: &str) -> String {
    text.replace(password, "[redacted]")
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "(none)".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_shown_nowhere() {
        let form = b"u=anna&p=s3cr%65t+x&token=0123456789abcdef0123&do=login".to_vec();
        let sent = Step::Sent("POST".into(), "/login?again=s3cret x".into(), Some(form));
        let seen = Seen { status: 200, shows: vec!["/pw = \"s3cret x\"".into()], ..Seen::default() };
        let text = all(&[sent, Step::Answered(seen)], "s3cret x");
        assert!(!text.contains("s3cret") && !text.contains("0123456789"), "{text}");
        for part in ["u = \"anna\"", "p = [redacted]", "token = (text of 20 characters)", "do = \"login\""] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
