//! `login.before` and `logout.before`

use crate::config::faults::Faults;
use crate::config::file::rule;
use crate::config::resolve::{all_of, login};
use crate::policy::before::{Before, Form, Taken};

/// `before`, where there is one.
pub(super) fn resolve(written: Option<&rule::Before>, key: &str, faults: &mut Faults) -> Option<Option<Before>> {
    let Some(written) = written else { return Some(None) };
    let get = match &written.get {
        Some(text) => faults.take(&format!("{key}.get"), login::target(text)),
        None => {
            faults.missing(&format!("{key}.get"), "is missing; give path and query of the page, as /login.php");
            None
        }
    };
    if written.form.is_none() && written.take.is_empty() && !faults.is_damaged(key) {
        faults.add(key, "takes nothing from the page: give form (true, or a form's name) or take");
    }
    let form = written.form.as_ref().map(|form| faults.take(&format!("{key}.form"), form_of(&form.0)));
    let take = all_of(written.take.iter().map(|(field, from)| {
        let from = faults.take(&format!("{key}.take.{field}"), taken(from));
        from.map(|from| (field.clone(), from))
    }));
    Some(Some(Before { get: get?, form: form.map_or(Some(None), |form| form.map(Some))?, take: take? }))
}

fn form_of(text: &str) -> Result<Form, &'static str> {
    match text {
        "true" => Ok(Form::WithPassword),
        "" | "false" => Err("must be true, or a form's name or id; leave it out to send the client's own request"),
        name => Ok(Form::Named(name.to_owned())),
    }
}

fn taken(text: &str) -> Result<Taken, String> {
    match text.split_once(':') {
        Some(("input", name)) if !name.is_empty() => Ok(Taken::Input(name.to_owned())),
        Some(("json" | "header" | "cookie" | "body", _)) => login::source(text).map(Taken::From),
        _ => Err("must be input:NAME, json:POINTER, header:NAME, cookie:GLOB or body:REGEX".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::login_rule::Source;

    #[test]
    fn what_is_taken_stands_in_the_page() {
        assert!(matches!(taken("input:token"), Ok(Taken::Input(name)) if name == "token"));
        assert!(matches!(taken("json:/query/tokens/logintoken"), Ok(Taken::From(Source::Json(_)))));
        for text in ["", "token", "input:", "form:x", "json:x", "body:("] {
            assert!(taken(text).is_err(), "{text}");
        }
    }
}
