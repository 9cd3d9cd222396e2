//! The page of the admin listener as it is served: whole, from here alone, under a strict policy, and only with a token configured.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use support::gate::Gate;
use ticketgate::reply::Reason;

const CONFIG: &str = "upstream: {url: \"http://127.0.0.1:1\"}\nstore: {url: \"memory:\"}\n";
const ADMIN: &str = "admin: {listen: 127.0.0.1:0, token: operator-token}\n";

async fn gate() -> Gate {
    Gate::with(&format!("{CONFIG}{ADMIN}")).start().await
}

/// What a text holds in the first group of a pattern.
fn found<'a>(pattern: &str, text: &'a str) -> Vec<&'a str> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|found| found.get(1).unwrap().as_str()).collect()
}

/// Every file that the page leads to, by its path.
async fn files(gate: &Gate) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut waiting = vec!["/".to_owned()];
    while let Some(path) = waiting.pop() {
        if files.contains_key(&path) {
            continue;
        }
        let reply = gate.admin("GET", &path).await;
        assert_eq!(reply.status, 200, "{path}");
        let policy = reply.header("content-security-policy").unwrap_or_default();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.split("; ").any(|own| own == part), "{path}: {part} in {policy}");
        }
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}: {name}");
        }
        let kind = reply.header("content-type").unwrap_or_default();
        let expected = match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(kind, expected, "{path}");
        let text = reply.text();
        waiting.extend(found(r#"(?:href|src)="(page/[^"]+)""#, &text).into_iter().map(|path| format!("/{path}")));
        let beside = [r#"from "\./([^"]+)""#, r#"url\("([^"]+)"\)"#].map(|pattern| found(pattern, &text));
        waiting.extend(beside.concat().into_iter().map(|name| format!("/page/{name}")));
        files.insert(path, text);
    }
    files
}

/// Names and words of a language.
fn words(script: &str) -> BTreeMap<&str, &str> {
    let lines = Regex::new(r#"(?m)^  "?([a-z_.0-9]+)"?: "(.+)",$"#).unwrap();
    lines.captures_iter(script).map(|line| (line.get(1).unwrap().as_str(), line.get(2).unwrap().as_str())).collect()
}

#[tokio::test]
async fn without_a_token_there_is_no_page() {
    let gate = Gate::with(CONFIG).start().await;
    for path in ["/", "/page/main.js"] {
        let reply = gate.admin("GET", path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.text().contains("set `admin.token`"), "{}", reply.text());
    }
}

#[tokio::test]
async fn a_page_is_only_looked_at() {
    let gate = gate().await;
    for path in ["/", "/page/main.js"] {
        assert_eq!(gate.admin("HEAD", path).await.status, 200, "{path}");
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(gate.admin(method, path).await.status, 405, "{method} {path}");
        }
    }
    for path in ["/page", "/page/", "/page/none.js", "/page/../page.rs", "/index.html"] {
        assert_eq!(gate.admin("GET", path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_page_is_whole_and_asks_nobody_else() {
    let files = files(&gate().await).await;
    let served: BTreeSet<String> = files.keys().filter(|path| *path != "/").cloned().collect();
    let written =
        std::fs::read_dir("src/admin/page").unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let written: BTreeSet<String> =
        written.filter(|name| name != "index.html").map(|name| format!("/page/{name}")).collect();
    assert_eq!(served, written, "what is there is used, and what is used is there");
    for (path, text) in &files {
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for foreign in ["http://", "https://", "//fonts", "url(//"] {
            assert!(!text.contains(foreign), "{path} names another place: {foreign}");
        }
        for markup in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "srcdoc"]
        {
            assert!(!text.contains(markup), "{path} makes code of texts: {markup}");
        }
    }
    let page = &files["/"];
    assert_eq!(found(r"(<script[^>]*>[^<]+)", page), Vec::<&str>::new(), "no script within the page");
    assert_eq!(found(r"(<style|\sstyle=|\son[a-z]+=)", page), Vec::<&str>::new(), "no style or handler within it");
    let token = page.lines().find(|line| line.contains("id=\"token\"")).unwrap();
    assert!(!token.contains("name="), "a field without a name is never sent by a form: {token}");
}

#[tokio::test]
async fn both_languages_have_a_word_for_everything() {
    let files = files(&gate().await).await;
    let (english, chinese) = (words(&files["/page/en.js"]), words(&files["/page/zh.js"]));
    assert_eq!(english.keys().collect::<Vec<_>>(), chinese.keys().collect::<Vec<_>>());
    let places = |text: &str| found(r"(\{\d\})", text).into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    for (name, text) in &english {
        assert_eq!(places(text), places(chinese[name]), "{name}");
    }
    for reason in Reason::all() {
        assert!(english.contains_key(format!("reason.{}", reason.name()).as_str()), "{}", reason.name());
    }
    for (path, text) in files.iter().filter(|(path, _)| !path.ends_with("/en.js") && !path.ends_with("/zh.js")) {
        let used = [r#"say\("([^"]+)""#, r#"data-(?:say|label)="([^"]+)""#].map(|pattern| found(pattern, text));
        for name in used.concat() {
            assert!(english.contains_key(name), "{path} says {name}");
        }
    }
}
