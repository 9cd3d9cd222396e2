//! `/`: a page for people over the API. Its files are part of the program, and it loads nothing from anywhere else.
//!
//! The page holds no secret, so it comes without the token; whatever it shows it asks the API for, with the token that was typed in.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use http_body_util::Full;

use crate::admin::answer::{Problem, Response};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Scripts, styles and answers from here alone, and no markup made of texts: what a client calls itself cannot become code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// What every file is sent with.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // The next program has other files under these names.
    (CACHE_CONTROL, "no-store"),
];

/// Path, kind and text.
const FILES: [(&str, &str, &str); 18] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/page/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/page/main.js", SCRIPT, include_str!("page/main.js")),
    ("/page/api.js", SCRIPT, include_str!("page/api.js")),
    ("/page/chart.js", SCRIPT, include_str!("page/chart.js")),
    ("/page/clients.js", SCRIPT, include_str!("page/clients.js")),
    ("/page/config.js", SCRIPT, include_str!("page/config.js")),
    ("/page/dialog.js", SCRIPT, include_str!("page/dialog.js")),
    ("/page/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/page/en.js", SCRIPT, include_str!("page/en.js")),
    ("/page/figures.js", SCRIPT, include_str!("page/figures.js")),
    ("/page/overview.js", SCRIPT, include_str!("page/overview.js")),
    ("/page/refusals.js", SCRIPT, include_str!("page/refusals.js")),
    ("/page/sessions.js", SCRIPT, include_str!("page/sessions.js")),
    ("/page/ticker.js", SCRIPT, include_str!("page/ticker.js")),
    ("/page/words.js", SCRIPT, include_str!("page/words.js")),
    ("/page/zh.js", SCRIPT, include_str!("page/zh.js")),
];

/// Whether the path is one of the page's.
pub(super) fn holds(path: &str) -> bool {
    path == "/" || path.starts_with("/page/")
}

/// That file.
pub(super) fn file(path: &str) -> Result<Response, Problem> {
    let (_, kind, text) = FILES.iter().find(|(own, ..)| *own == path).ok_or_else(Problem::no_such_path)?;
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    Ok(response)
}
