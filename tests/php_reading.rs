//! What the gate reads of a request is what a real PHP reads of it: the same cases through both, compared.
//!
//! `TICKETGATE_SEED=N cargo test --test php_reading` repeats a run by the seed it printed.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod php_reading {
    pub(crate) mod cases;
    pub(crate) mod php;
}

use std::collections::BTreeMap;

use bytes::Bytes;
use php_reading::cases::{self, Dice};
use php_reading::php::{Held, PhpCgi, PhpServer, Reading, Request};
use ticketgate::request::head::{Head, Methods};
use ticketgate::request::headers::{is_hop_by_hop, may_pass};
use ticketgate::request::multipart::Scan;
use ticketgate::request::php::{BodyKind, Params};
use ticketgate::request::reserved::{Kind, Name, Parts, Places, Reserved};
use ticketgate::request::target::{Lenient, Target};

/// Three cases each: query, form, cookies.
const REQUESTS: usize = 10_000;
const BODIES: usize = 10_000;
const HEADS: usize = 400;
const FORM: &str = "application/x-www-form-urlencoded";

fn request(query: &[u8], form: &[u8], cookies: &[u8]) -> Request {
    let [query, cookies] = [query, cookies].map(|text| text.iter().copied().filter(|byte| *byte != 0).collect());
    Request { method: "POST", query, cookies, content_type: FORM.into(), body: form.to_vec() }
}

fn held(params: &Params) -> Held {
    params
        .iter()
        .filter(|param| param.held)
        .map(|param| (param.name.to_vec(), param.value.map(<[u8]>::to_vec)))
        .collect()
}

/// Compares one source, unless the gate refuses it for its length anyway.
fn assert_same(params: &Params, php: &Held, text: &[u8], source: &str) {
    if !params.overflow() {
        assert_eq!(held(params), *php, "{source} {}", text.escape_ascii());
    }
}

fn assert_read_alike(php: &mut PhpCgi, request: &Request) -> Reading {
    let read = php.read(request);
    assert_same(&Params::parse(&request.query), &read.get, &request.query, "query");
    assert_same(&Params::parse(&request.body), &read.post, &request.body, "form");
    assert_same(&Params::parse_cookies(&request.cookies), &read.cookie, &request.cookies, "cookies");
    read
}

#[test]
fn every_known_disagreement_is_read_as_php_reads_it() {
    let mut php = PhpCgi::start();
    for text in cases::QUERIES.iter().chain(cases::COOKIES) {
        assert_read_alike(&mut php, &request(text.as_bytes(), text.as_bytes(), text.as_bytes()));
    }
    for brackets in 63..=66 {
        for tail in ["=1", "[a=1", "x=1", "=1&t=2", "[=1"] {
            let text = format!("t=0&t{}{tail}", "[a]".repeat(brackets)).into_bytes();
            let cookies = [b"t=0; t=", &text[5..]].concat();
            assert_read_alike(&mut php, &request(&text, &text, &cookies));
        }
    }
}

#[test]
fn whatever_arrives_is_read_as_php_reads_it_or_refused() {
    let mut dice = Dice::thrown("query, form and cookies");
    let mut php = PhpCgi::start();
    let reserved = reserved();
    let mut passed = 0;
    for _ in 0..REQUESTS {
        let [query, form] = [(); 2].map(|()| cases::text(&mut dice, cases::QUERIES));
        let request = request(&query, &form, &cases::text(&mut dice, cases::COOKIES));
        let read = assert_read_alike(&mut php, &request);
        if passes(&reserved, &request) {
            passed += 1;
            assert_unambiguous(&reserved, &request, &read);
        }
    }
    assert!(passed > REQUESTS / 10, "only {passed} requests passed");
}

#[test]
fn more_variables_than_php_takes_up_are_refused() {
    let mut php = PhpCgi::start();
    for (pieces, overflow) in [(999, false), (1000, true), (1500, true)] {
        let text = ["a=1&".repeat(pieces), "t=1".to_owned()].concat().into_bytes();
        let cookies = ["a=1; ".repeat(pieces), "t=1".to_owned()].concat().into_bytes();
        let request = request(&text, &text, &cookies);
        let read = assert_read_alike(&mut php, &request);
        assert_eq!(read.get.contains_key(&b"t"[..]), !overflow);
        assert_eq!(read.cookie.contains_key(&b"t"[..]), !overflow);
        assert_eq!(passes(&Reserved::default(), &request), !overflow);
    }
    let empty = ["&".repeat(1000), "t=1".to_owned()].concat().into_bytes();
    assert_read_alike(&mut php, &request(b"", &empty, b""));
}

/// `user_id` in query or form, `t` from the query routes, `sign` stands nowhere.
fn reserved() -> Reserved {
    let places = Places { query: true, form: true, header: true };
    let name = |name: &str, kind| Name { name: name.as_bytes().to_vec(), header: None, kind };
    let names = vec![
        name("user_id", Kind::Credential { places, ignore: false }),
        name("t", Kind::Endpoint { places: Places { query: true, ..Places::default() } }),
        name("sign", Kind::Selector),
    ];
    Reserved::new(names, true)
}

fn passes(reserved: &Reserved, request: &Request) -> bool {
    let head = Head::parse(Bytes::from_static(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), &Methods::default()).unwrap();
    let parts = Parts {
        head: &head,
        target: &Target::read("/", Lenient::default()).unwrap(),
        query: &Params::parse(&request.query),
        form: &Params::parse(&request.body),
        cookies: &Params::parse_cookies(&request.cookies),
    };
    reserved.check(&parts).is_ok()
}

/// Where a request passes, PHP sees each reserved name in one place at most, as the text that the gate read.
fn assert_unambiguous(reserved: &Reserved, request: &Request, read: &Reading) {
    let (query, form) = (Params::parse(&request.query), Params::parse(&request.body));
    for name in reserved.iter().map(|reserved| &reserved.name) {
        let seen: Vec<_> = [&read.get, &read.post, &read.cookie].iter().filter_map(|held| held.get(name)).collect();
        let ours: Vec<_> = [&query, &form].iter().filter_map(|params| params.text(name)).collect();
        assert!(seen.len() <= 1, "{request:?}");
        assert_eq!(
            seen.into_iter().map(Option::as_deref).collect::<Vec<_>>(),
            ours.into_iter().map(Some).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_body_is_what_php_takes_it_for() {
    let mut dice = Dice::thrown("content types");
    let mut php = PhpCgi::start();
    let known = cases::CONTENT_TYPES.iter().map(|text| text.as_bytes().to_vec());
    let generated: Vec<_> = (0..1_000).map(|_| cases::content_type(&mut dice)).collect();
    for content_type in known.chain(generated) {
        let mut seen = |body: &[u8]| {
            let content_type = content_type.clone();
            let read = php.read(&Request { method: "POST", content_type, body: body.to_vec(), ..Request::default() });
            read.post.contains_key(&b"t"[..])
        };
        let ours = BodyKind::of(Some(&content_type));
        assert_eq!(seen(b"t=1"), ours == BodyKind::Form, "{}", content_type.escape_ascii());
        let part = b"--B\r\nContent-Disposition: form-data; name=t\r\n\r\n1\r\n--B--\r\n";
        assert!(!seen(part) || ours == BodyKind::Multipart, "{}", content_type.escape_ascii());
    }
}

#[test]
fn only_post_fills_post() {
    let mut php = PhpCgi::start();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let read = php.read(&Request { method, ..request(b"a=1", b"t=1", b"") });
        assert_eq!(read.post, Held::new(), "{method}");
    }
}

fn multipart(body: &[u8]) -> Request {
    Request { content_type: b"multipart/form-data; boundary=B".to_vec(), ..request(b"", body, b"") }
}

/// Whether PHP sees `user_id`, as a field or as a file.
fn sees_user_id(php: &mut PhpCgi, body: &[u8]) -> bool {
    let read = php.read(&multipart(body));
    [read.post, read.files].iter().any(|held| held.contains_key(&b"user_id"[..]))
}

/// Whether the scan finds a reserved name, fed with pieces of any length.
fn is_found(dice: &mut Dice, body: &[u8]) -> bool {
    let mut scan = Scan::new(&reserved());
    let mut rest = body;
    while !rest.is_empty() {
        let most = if dice.one_in(2) { 3 } else { 2000 };
        let (piece, behind) = rest.split_at((1 + dice.below(most)).min(rest.len()));
        if scan.feed(piece).is_err() {
            return true;
        }
        rest = behind;
    }
    false
}

#[test]
fn every_part_that_php_sees_is_found() {
    let mut dice = Dice::thrown("multipart rows");
    let mut php = PhpCgi::start();
    for body in cases::MULTIPARTS.iter().map(|body| body.as_bytes().to_vec()).chain(cases::behind_full_buffers()) {
        assert!(sees_user_id(&mut php, &body), "PHP does not see it in {}", body.escape_ascii());
        assert!(is_found(&mut dice, &body), "{}", body.escape_ascii());
    }
    let unfinished = b"--B\r\nContent-Disposition: form-data; name=\"user_id\"";
    assert!(!sees_user_id(&mut php, unfinished) && !is_found(&mut dice, unfinished));
}

#[test]
fn no_part_that_php_sees_gets_past_the_scan() {
    let mut dice = Dice::thrown("multipart");
    let mut php = PhpCgi::start();
    let (mut seen, mut found) = (0, 0);
    for _ in 0..BODIES {
        let body = cases::multipart(&mut dice);
        let (sees, finds) = (sees_user_id(&mut php, &body), is_found(&mut dice, &body));
        assert!(finds || !sees, "{}", body.escape_ascii());
        seen += usize::from(sees);
        found += usize::from(finds);
    }
    println!("of {BODIES} bodies PHP sees a reserved name in {seen}, the scan in {found}");
    assert!(seen > BODIES / 10, "PHP saw a reserved name in {seen} bodies only");
}

#[test]
fn php_folds_other_names_into_a_header_and_none_of_them_passes() {
    let php = PhpServer::start();
    for name in ["X-User", "X_User", "X.User", "x.USER"] {
        let read = php.read(&[(name.to_owned(), "me".to_owned())]);
        assert_eq!(read.server.get(&b"HTTP_X_USER"[..]), Some(&Some(b"me".to_vec())), "{name}");
        assert_eq!(may_pass(name.as_bytes(), true), name == "X-User", "{name}");
    }
}

#[test]
fn a_header_that_passes_reaches_php_under_its_own_name_alone() {
    let mut dice = Dice::thrown("headers");
    let php = PhpServer::start();
    let mut count = 0;
    for _ in 0..HEADS {
        let mut lines = BTreeMap::new();
        for number in 0..30 {
            let name = cases::header_name(&mut dice);
            let own = format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")).into_bytes();
            if may_pass(name.as_bytes(), true) && !is_hop_by_hop(name.as_bytes()) {
                lines.insert(own, (name, number.to_string()));
            }
        }
        count += lines.len();
        let sent: Vec<_> = lines.values().cloned().collect();
        let expected: Held = lines.into_iter().map(|(own, (_, value))| (own, Some(value.into_bytes()))).collect();
        assert_eq!(php.read(&sent).server, expected, "{sent:?}");
    }
    assert!(count > 10 * HEADS, "only {count} names passed");
}
