//! `before`: the page that a login or logout begins with, and the request that is made of it, as a browser would.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

use crate::clock::Timestamp;
use crate::login::judged::{Answer, Judged};
use crate::login::pages::{self, Pages};
use crate::login::steps::{Seen, Step};
use crate::login::{Trouble, html, jar, location};
use crate::policy::before::{Before, Taken};
use crate::request::head::Framing;
use crate::request::php::url_decode;
use crate::request::{Inbound, Unreadable};
use crate::store::HeldCookie;
use crate::upstream;
use crate::upstream::headers::{self, Context, Instead, Settings};

/// What may not stand in a form's names and values as it is.
const FIELD: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a page is fetched with.
#[derive(Debug)]
pub struct Errand<'a> {
    /// How pages are asked for.
    pub pages: Pages<'a>,
    /// The caller's own request.
    pub inbound: &'a Inbound,
    /// The cookies to begin with.
    pub jar: Vec<HeldCookie>,
    /// Now.
    pub now: Timestamp,
    /// Longest wait for a whole page.
    pub patience: Duration,
}

/// A request in place of the caller's.
#[derive(Debug)]
pub struct Prepared {
    /// Its method.
    pub method: String,
    /// Its target.
    pub target: String,
    /// Its form, where it is a POST.
    pub form: Option<Bytes>,
    /// The cookies after the page.
    pub jar: Vec<HeldCookie>,
    /// What the pages on the way answered, by the path they were asked at.
    pub replies: Vec<(String, HeaderMap)>,
    referer: Option<String>,
}

impl Prepared {
    /// Its head.
    pub fn head(&self, inbound: &Inbound, context: &Context<'_>, settings: &Settings) -> Vec<u8> {
        let instead =
            Instead { method: &self.method, target: self.target.as_bytes(), referer: self.referer.as_deref() };
        headers::instead(instead, inbound, context, settings)
    }

    /// Its path.
    pub fn path(&self) -> &str {
        pages::path_of(&self.target)
    }

    /// Its Cookie line.
    pub fn cookies(&self, now: Timestamp) -> Vec<u8> {
        jar::cookie_line(&self.jar, self.path(), now)
    }
}

/// Fetches the page and makes the request. What the page does not have is the application's failure, told with what was looked
/// for.
pub async fn prepare(before: &Before, errand: Errand<'_>) -> Result<Prepared, Trouble> {
    let mut errand = errand;
    if !takes_fields(errand.inbound) {
        let what = "the body of this request must be an urlencoded form".to_owned();
        return Err(upstream::Fault::Body(Unreadable::Malformed(what)).into());
    }
    let mut replies = Vec::new();
    let (page_target, page) = errand.fetch(&before.get, &mut replies).await?;
    let page = Page { target: &page_target, answer: &page };
    let taken = page.take(before, &errand)?;
    let (method, target, form) = match &before.form {
        Some(wanted) => {
            let judged = page.judged(&errand);
            let form = html::form(judged.text(), wanted).ok_or_else(|| page.lacks("such a form"))?;
            let names = || form.hidden.iter().map(|(name, _)| name.clone()).collect();
            errand.pages.steps.tell(|| Step::Form(form.action.clone(), names()));
            let target = errand.resolve(form.action.as_bytes(), &page_target)?;
            ("POST", target, Some(errand.filled(&form.hidden, &taken)))
        }
        None => errand.completed(&taken)?,
    };
    let scheme = if errand.inbound.origin.https { "https" } else { "http" };
    let host = headers::host(errand.inbound, errand.pages.settings).escape_ascii();
    let referer = Some(format!("{scheme}://{host}{page_target}"));
    Ok(Prepared { method: method.to_owned(), target, form, jar: errand.jar, replies, referer })
}

/// Whether fields can be laid into a request: it has no body, or an urlencoded form.
pub fn takes_fields(inbound: &Inbound) -> bool {
    inbound.is_form() || matches!(inbound.head.framing(), Framing::Empty | Framing::Length(0))
}

/// The caller's POST with one field more.
pub fn with_field(
    inbound: &Inbound,
    settings: &Settings,
    (name, value): (&str, &[u8]),
    jar: &[HeldCookie],
) -> Prepared {
    let own = own_form(inbound, settings);
    let all: Vec<Vec<u8>> = fields(&own).map(<[u8]>::to_vec).chain([pair(name, value).into_bytes()]).collect();
    Prepared {
        method: "POST".to_owned(),
        target: headers::target(inbound, settings).escape_ascii().to_string(),
        form: Some(all.join(&b'&').into()),
        jar: jar.to_vec(),
        replies: Vec::new(),
        referer: None,
    }
}

/// The caller's form as the application may see it.
fn own_form<'a>(inbound: &'a Inbound, settings: &Settings) -> Cow<'a, [u8]> {
    let own = inbound.gathered().map_or(&b""[..], |own| own);
    if !settings.hide_credentials {
        return Cow::Borrowed(own);
    }
    headers::without_credentials(own, &settings.reserved, |places| places.form)
}

/// A page, whole.
struct Page<'a> {
    target: &'a str,
    answer: &'a Answer,
}

impl Page<'_> {
    fn judged<'a>(&'a self, errand: &'a Errand<'_>) -> Judged<'a> {
        Judged::new(errand.inbound, self.answer, &errand.jar, errand.now)
    }

    /// The fields that are taken from it.
    fn take(&self, before: &Before, errand: &Errand<'_>) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
        let judged = self.judged(errand);
        let find = |(field, from): &(String, Taken)| {
            let found = match from {
                Taken::Input(name) => html::input(judged.text(), name).map(String::into_bytes),
                Taken::From(source) => judged.find(source),
            };
            if let Some(value) = &found {
                errand.pages.steps.tell(|| Step::Took(field.clone(), value.len()));
            }
            found.map(|value| (field.clone(), value)).ok_or_else(|| self.lacks(&format!("a value for `{field}`")))
        };
        before.take.iter().map(find).collect()
    }

    fn lacks(&self, what: &str) -> Trouble {
        let status = self.answer.head.status.as_u16();
        failed(format!("`before`: {} (status {status}) has not {what}", pages::path_of(self.target)))
    }
}

impl Errand<'_> {
    /// The page, after one redirect at most, with its cookies taken up.
    async fn fetch(
        &mut self,
        target: &str,
        replies: &mut Vec<(String, HeaderMap)>,
    ) -> Result<(String, Answer), Trouble> {
        let first = self.ask(target, replies).await?;
        if !is_redirect(first.head.status) {
            return Ok((target.to_owned(), first));
        }
        let leads = first.head.headers.get(LOCATION).map_or(&b""[..], |value| value.as_bytes());
        let next = self.resolve(location::without_fragment(leads), target)?;
        let second = self.ask(&next, replies).await?;
        if is_redirect(second.head.status) {
            return Err(failed(format!("`before`: {} redirects more than once", pages::path_of(target))));
        }
        Ok((next, second))
    }

    async fn ask(&mut self, target: &str, replies: &mut Vec<(String, HeaderMap)>) -> Result<Answer, Trouble> {
        let reply = self.pages.get(target, self.inbound, &self.jar, self.now).await?;
        let answer = pages::read(reply, self.patience).await?;
        let path = pages::path_of(target);
        jar::apply(&mut self.jar, &jar::changes(&answer.head.headers, path, self.now), self.now);
        self.pages.steps.tell(|| Step::Fetched(target.to_owned(), Seen::of(&answer, path, self.now)));
        replies.push((path.to_owned(), answer.head.headers.clone()));
        Ok(answer)
    }

    /// A target on the application, of what a page says of where to go.
    fn resolve(&self, written: &[u8], page: &str) -> Result<String, Trouble> {
        if written.is_empty() {
            return Ok(page.to_owned());
        }
        if let Some(authority) = location::authority(written) {
            let ours = [headers::host(self.inbound, self.pages.settings), self.pages.settings.upstream_name.as_bytes()];
            if !ours.iter().any(|own| own.eq_ignore_ascii_case(authority)) {
                let away = authority.escape_ascii();
                return Err(failed(format!("`before`: {} leads away, to {away}", pages::path_of(page))));
            }
        }
        let target = location::path_and_query(written, pages::path_of(page));
        let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\');
        match String::from_utf8(target) {
            Ok(target) if target.bytes().all(|byte| plain(&byte)) => Ok(target),
            _ => Err(failed(format!("`before`: {} leads to what is no URL", pages::path_of(page)))),
        }
    }

    /// The caller's fields over what the form hides, and over both what was taken.
    fn filled(&self, hidden: &[(String, String)], taken: &[(String, Vec<u8>)]) -> Bytes {
        let own = own_form(self.inbound, self.pages.settings);
        let given: Vec<Vec<u8>> = fields(&own).map(|field| url_decode(name_of(field)).to_vec()).collect();
        let hidden = hidden.iter().filter(|(name, _)| !given.iter().any(|own| own == name.as_bytes()));
        let hidden = hidden.map(|(name, value)| pair(name, value.as_bytes()).into_bytes());
        let taken = taken.iter().map(|(name, value)| pair(name, value).into_bytes());
        let all: Vec<Vec<u8>> = hidden.chain(fields(&own).map(<[u8]>::to_vec)).chain(taken).collect();
        all.join(&b'&').into()
    }

    /// The caller's own request with the taken fields: in its form where it has one, else in its query.
    fn completed(&self, taken: &[(String, Vec<u8>)]) -> Result<(&str, String, Option<Bytes>), Trouble> {
        let target = headers::target(self.inbound, self.pages.settings);
        let mut target = String::from_utf8(target.into_owned()).map_err(|_| failed("no target".to_owned()))?;
        let method = self.inbound.head.method();
        if method == "POST" {
            return Ok((method, target, Some(self.filled(&[], taken))));
        }
        for (name, value) in taken {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(&pair(name, value));
        }
        Ok((method, target, None))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn fields(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    form.split(|byte| *byte == b'&').filter(|field| !field.is_empty())
}

fn name_of(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == b'=').next().unwrap_or_default()
}

fn pair(name: &str, value: &[u8]) -> String {
    format!("{}={}", utf8_percent_encode(name, FIELD), percent_encode(value, FIELD))
}

fn failed(why: String) -> Trouble {
    upstream::Fault::Failed(why).into()
}
