//! The forms of an HTML page, as far as a login needs them.

use std::collections::BTreeMap;
use std::convert::Infallible;

use html5gum::{DefaultEmitter, HtmlString, Spanned, StartTag, Token, Tokenizer};

use crate::policy::before::Form as Wanted;

/// A form: where it goes, and what a browser would send of it without its user's doing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    /// `action` as written, without blanks around it; empty for the page itself.
    pub(super) action: String,
    /// Its hidden inputs, in order.
    pub(super) hidden: Vec<(String, String)>,
    /// `name` and `id`.
    names: [Option<String>; 2],
    asks_for_password: bool,
}

/// The form that is wanted, where the page has it.
pub(super) fn form(page: &str, wanted: &Wanted) -> Option<Form> {
    forms(page).into_iter().find(|form| match wanted {
        Wanted::WithPassword => form.asks_for_password,
        Wanted::Named(name) => form.names.iter().flatten().any(|own| own == name),
    })
}

/// The value of the first input of that name, in a form or outside.
pub(super) fn input(page: &str, name: &str) -> Option<String> {
    let inputs = tags(page).filter(|tag| is(tag, b"input"));
    inputs.filter(|tag| attribute(tag, "name").as_deref() == Some(name)).find_map(|tag| attribute(&tag, "value"))
}

/// What a page is, in a few lines: its title and its forms.
pub(super) fn outline(page: &str) -> Vec<String> {
    let title = title(page).map(|title| format!("title {title:?}"));
    let form = |form: Form| {
        let [name, id] = form.names;
        let named = name.or(id).map_or_else(String::new, |name| format!(" `{name}`"));
        let asks = if form.asks_for_password { ", asks for a password" } else { "" };
        let hidden: Vec<_> = form.hidden.iter().map(|(name, _)| name.as_str()).collect();
        format!("form{named} to {:?}{asks}; hidden: {}", form.action, hidden.join(", "))
    };
    title.into_iter().chain(forms(page).into_iter().map(form)).collect()
}

fn title(page: &str) -> Option<String> {
    let mut tokens = tokens(page).map(|Ok(token)| token);
    tokens.find(|token| matches!(token, Token::StartTag(tag) if is(tag, b"title")))?;
    match tokens.next()? {
        Token::String(text) => std::str::from_utf8(&text).ok().map(|text| text.trim().to_owned()),
        _ => None,
    }
}

fn forms(page: &str) -> Vec<Form> {
    let mut forms = Vec::new();
    let mut open = None;
    for Ok(token) in tokens(page) {
        match token {
            // A form within a form is none (HTML, 13.2.6.4.7).
            Token::StartTag(tag) if is(&tag, b"form") => open = open.or_else(|| Some(begun(&tag))),
            Token::StartTag(tag) if is(&tag, b"input") => {
                if let Some(form) = &mut open {
                    take(form, &tag);
                }
            }
            Token::EndTag(tag) if &**tag.name == b"form" => forms.extend(open.take()),
            _ => {}
        }
    }
    forms.extend(open);
    forms
}

fn begun(tag: &StartTag<()>) -> Form {
    let action = attribute(tag, "action").unwrap_or_default().trim().to_owned();
    Form { action, names: [attribute(tag, "name"), attribute(tag, "id")], ..Form::default() }
}

fn take(form: &mut Form, tag: &StartTag<()>) {
    let kind = attribute(tag, "type").unwrap_or_default().to_ascii_lowercase();
    match (kind.as_str(), attribute(tag, "name").filter(|name| !name.is_empty())) {
        ("password", _) => form.asks_for_password = true,
        ("hidden", Some(name)) => form.hidden.push((name, attribute(tag, "value").unwrap_or_default())),
        _ => {}
    }
}

/// What stands in scripts and styles is text.
fn tokens(page: &str) -> impl Iterator<Item = Result<Token, Infallible>> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(page, emitter)
}

fn tags(page: &str) -> impl Iterator<Item = StartTag<()>> {
    tokens(page).filter_map(|Ok(token)| match token {
        Token::StartTag(tag) => Some(tag),
        _ => None,
    })
}

fn is(tag: &StartTag<()>, name: &[u8]) -> bool {
    **tag.name == *name
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let attributes: &BTreeMap<HtmlString, Spanned<HtmlString, ()>> = &tag.attributes;
    let value = attributes.get(name.as_bytes())?;
    String::from_utf8(value.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<!doctype html><title>Log in</title>
        <form id="search" action="/find"><input type=hidden name=where value=all><input name=q></form>
        <!-- <form action="/commented"><input type=password></form> -->
        <script>var a = "<form action='/scripted'><input type=password></form>";</script>
        <FORM NAME='login' METHOD=post ACTION=" /login.php?a=1&amp;b=2 ">
          <input TYPE='HIDDEN' NAME="token" value="a&quot;b&#39;c">
          <input type="hidden" name="set_session" value=''><input type=hidden value="nameless">
          <input type="text" name="user" value="old"><input type="PassWord" name="pass">
          <input type=submit name=go value=Go>
        </form>
        <input type=hidden name=outside value=7>"#;

    #[test]
    fn the_form_with_a_password_is_found_with_what_it_hides() {
        let form = form(PAGE, &Wanted::WithPassword).unwrap();
        assert_eq!(form.action, "/login.php?a=1&b=2");
        let hidden: Vec<_> = form.hidden.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(hidden, [("token", "a\"b'c"), ("set_session", "")]);
    }

    #[test]
    fn a_page_is_outlined_by_its_title_and_forms() {
        assert_eq!(
            outline(PAGE),
            [
                r#"title "Log in""#,
                r#"form `search` to "/find"; hidden: where"#,
                r#"form `login` to "/login.php?a=1&b=2", asks for a password; hidden: token, set_session"#,
            ]
        );
        assert_eq!(outline("plain words"), Vec::<String>::new());
    }

    #[test]
    fn a_form_is_found_by_name_or_id() {
        for (name, action) in [("login", Some("/login.php?a=1&b=2")), ("search", Some("/find")), ("other", None)] {
            let found = form(PAGE, &Wanted::Named(name.to_owned()));
            assert_eq!(found.map(|form| form.action).as_deref(), action, "{name}");
        }
    }

    #[test]
    fn a_single_input_is_found_wherever_it_stands() {
        for (name, value) in [("token", Some("a\"b'c")), ("outside", Some("7")), ("pass", None), ("nothing", None)] {
            assert_eq!(input(PAGE, name).as_deref(), value, "{name}");
        }
    }

    #[test]
    fn tag_soup_is_no_reason_to_fail() {
        let soup = "<form action=/a><form action=/b><input type=password><div><input type=hidden name=t value=1";
        assert_eq!(form(soup, &Wanted::WithPassword).map(|form| form.action).as_deref(), Some("/a"));
        for page in ["", "<", "<form", "<input type=password>", "<form action='"] {
            assert_eq!(form(page, &Wanted::WithPassword), None, "{page}");
        }
    }
}
