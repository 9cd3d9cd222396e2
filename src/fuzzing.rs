//! What is fuzzed: everything that reads bytes of strangers. Each function takes any bytes and panics where something does not hold.
//!
//! `fuzz/` calls them with ever new bytes; the test below calls them with what is kept in `fuzz/corpus`. Built for these two only.

use std::path::Path;

use bytes::{Bytes, BytesMut};

use crate::config::{self, Overrides};
use crate::gate::bridge::incoming::Incoming;
use crate::login::json::{self, Object};
use crate::login::{jar, merge};
use crate::policy::bridge::Fields;
use crate::policy::pattern::Glob;
use crate::request::head::{self, Framing, Head, Methods};
use crate::request::multipart;
use crate::request::php::nested::text_in;
use crate::request::php::{Params, fold_name};
use crate::request::reserved::{Kind, Name, Places, Reserved};
use crate::request::target::{Lenient, Target};
use crate::server::framing::Walk;
use crate::store::record::{ClientRecord, SessionRecord};
use crate::upstream::Interim;
use crate::upstream::framing::Step;
use crate::upstream::headers::without_credentials;
use crate::upstream::reply_head::{self, Asked};
use crate::websocket::frames;

/// A function that is fuzzed.
pub type Fuzzed = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Fuzzed); 15] = [
    ("target", target),
    ("query", query),
    ("form", form),
    ("multipart", multipart),
    ("cookie", cookie),
    ("head", head),
    ("chunks", chunks),
    ("rules", rules),
    ("yaml", yaml),
    ("json", json),
    ("message", message),
    ("frames", frames),
    ("stored", stored),
    ("reply", reply),
    ("reply_body", reply_body),
];

/// A request's target: what is read strictly is read alike with every leniency.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let all = Lenient {
        encoded_slash: true,
        encoded_question: true,
        encoded_percent: true,
        semicolon: true,
        double_slash: true,
        backslash: true,
    };
    let lenient = Target::read(text, all);
    if let Ok(strict) = Target::read(text, Lenient::default()) {
        assert!(!strict.is_lenient());
        assert!(lenient.is_ok_and(|lenient| lenient == strict));
        assert!(strict.path.starts_with(b"/") || strict.path == b"*");
        assert!(!strict.path.iter().any(|byte| matches!(byte, 0..0x20 | 0x7f | b'%' | b'?' | b'#' | b';' | b'\\')));
    }
}

/// A query: every name found is one that PHP's folding leaves as it is, and nothing hangs on whether anything in it is decoded.
pub fn query(data: &[u8]) {
    let params = Params::parse(data);
    for param in params.iter() {
        assert_eq!(params.get(param.name), Some(param));
        assert!(fold_name(param.name).is_none_or(|(name, _)| name == param.name));
    }
    // One escape makes a plain query one that is decoded.
    let decoded = [b"%7e~~&", data].concat();
    let decoded = Params::parse(&decoded);
    if params.get(b"~~~").is_none() && !decoded.overflow() {
        assert!(decoded.iter().skip(1).eq(params.iter()));
    }
}

fn reserved() -> Reserved {
    let places = Places { query: true, form: true, header: true };
    let name = |name: &str| Name {
        name: name.as_bytes().to_vec(),
        header: None,
        kind: Kind::Credential { places, ignore: false },
    };
    Reserved::new(["user_id", "user_token", "sign"].map(name).to_vec(), false)
}

/// A form: what is hidden from the application is hidden in every spelling, and what is taken out of arrays is found.
pub fn form(data: &[u8]) {
    let reserved = reserved();
    let rest = without_credentials(data, &reserved, |_| true);
    for param in Params::parse(&rest).iter() {
        assert!(reserved.find(param.name).is_none());
    }
    let (name, form) = data.split_at(data.iter().position(|byte| *byte == 0).unwrap_or_default());
    let _ = text_in(form, name);
    let _ = reserved.token_in(data);
}

/// A multipart body: found is found, however the body was split.
pub fn multipart(data: &[u8]) {
    let reserved = reserved();
    let whole = multipart::Scan::new(&reserved).feed(data);
    let mut scan = multipart::Scan::new(&reserved);
    let pieces = data.chunks(3).try_fold(0, |cleared, piece| scan.feed(piece).map(|more| cleared + more));
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (whole, pieces) => assert_eq!(whole.is_err(), pieces.is_err()),
    }
}

/// A Cookie line, and the same as a Set-Cookie line whose cookie is held and sent again.
pub fn cookie(data: &[u8]) {
    for param in Params::parse_cookies(data).iter() {
        assert!(!param.name.is_empty());
    }
    let now = crate::clock::Timestamp::from_secs(1_700_000_000);
    let mut headers = http::HeaderMap::new();
    let Ok(value) = http::HeaderValue::from_bytes(data) else { return };
    headers.insert(http::header::SET_COOKIE, value);
    let mut held = Vec::new();
    jar::apply(&mut held, &jar::changes(&headers, "/a/b", now), now);
    let line = jar::cookie_line(&held, "/a/b", now);
    assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
}

/// A request's head: its end is found in pieces as in the whole, and nothing that was read could end a line.
pub fn head(data: &[u8]) {
    let methods = Methods::default();
    let whole = head::Scan::default().head_length(data, &methods);
    let mut scan = head::Scan::default();
    let ends = (1..=data.len()).step_by(3).chain([data.len()]);
    let found = ends.map(|end| scan.head_length(data.get(..end).unwrap_or_default(), &methods));
    let pieces = found.into_iter().find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None));
    let Ok(Some(length)) = whole else { return };
    // What is seen to be wrong earlier in pieces is wrong in the whole.
    let Ok(head) = Head::parse(Bytes::copy_from_slice(data.get(..length).unwrap_or_default()), &methods) else {
        return;
    };
    assert_eq!(pieces.ok(), Some(Some(length)));
    assert_eq!(head.all("host").count(), 1);
    assert!(head.target_bytes().iter().all(|byte| (0x21..=0x7e).contains(byte)));
    for (name, value) in head.headers() {
        assert!(!name.is_empty() && name.iter().all(|byte| head::is_token(*byte)));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
}

/// A chunked body of a request: its end is found in pieces as in the whole.
pub fn chunks(data: &[u8]) {
    let follow = |piece: usize| {
        let Some(mut walk) = Walk::through(Framing::Chunked) else { return Ok((0, false)) };
        let mut used = 0;
        for bytes in data.chunks(piece) {
            let Ok(walked) = walk.take(bytes) else { return Err(()) };
            assert!(walked.kept <= walked.used && walked.used <= bytes.len());
            used += walked.used;
            if walked.ended {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    };
    assert_eq!(follow(data.len().max(1)), follow(1));
}

/// A pattern and a text, parted by a line feed: one without stars matches itself and nothing of another length.
pub fn rules(data: &[u8]) {
    let (pattern, text) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len()));
    let Some(glob) = std::str::from_utf8(pattern).ok().and_then(|pattern| Glob::parse(pattern).ok()) else { return };
    let _ = (glob.matches_path(text), glob.matches_text(text), glob.rest(text));
    if !pattern.contains(&b'*') {
        assert!(glob.matches_text(pattern) && glob.matches_path(pattern));
        assert!(!glob.matches_text(text) || text.len() == pattern.len());
    }
}

/// A configuration: faults are told, never more than the file can hold.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // No fuzzer shall open files.
    if text.contains("file") {
        return;
    }
    let nothing = |_: &str| Ok(None);
    if let Err(faults) = config::parse_in(text, Path::new("fuzz.yaml"), &Overrides::default(), &nothing) {
        assert!(!faults.is_empty());
    }
}

/// An application's JSON: what a login puts into it leaves JSON.
pub fn json(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let more = [("user_id".to_owned(), "7".into())].into_iter().collect();
    if let Some(merged) = merge::into_json(text, "data", &more) {
        let merged: serde_json::Value = serde_json::from_slice(&merged).unwrap_or_default();
        assert_eq!(merged.pointer("/data/user_id").and_then(|id| id.as_str()), Some("7"));
    }
    let Some(whole) = json::whole(text) else { return };
    for pointer in ["", "/code", "/data/uid", "/data/0", "/~1~0"] {
        let found = json::at(whole, pointer);
        let _ = found.map(|found| (json::scalar(found), json::text_or_number(found), json::items(found.get())));
        assert!(json::place(text, pointer).is_none_or(|place| text.get(place).is_some()));
    }
    let _ = Object::read(text).map(|object| object.without(&["code"]).with("code", "1".to_owned()));
}

/// A message of a WebSocket: what is posted of it has no byte that a form has not.
pub fn message(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(message) = Incoming::read(text, &Fields::default()) else { return };
    assert!(!message.kind.is_empty());
    assert!(message.form.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'));
}

/// Frames of a WebSocket: followed in pieces as in the whole.
pub fn frames(data: &[u8]) {
    let follow = |piece: usize| {
        let mut walk = frames::Walk::default();
        let mut began = 0_usize;
        for mut bytes in data.chunks(piece) {
            while !bytes.is_empty() {
                let step = walk.step(bytes);
                assert!(step.used > 0 && step.used <= bytes.len());
                began += usize::from(step.began);
                bytes = bytes.get(step.used..).unwrap_or_default();
            }
        }
        (began, walk.is_within())
    };
    assert_eq!(follow(data.len().max(1)), follow(1));
}

/// A value of the store: what is read is written and read again alike.
pub fn stored(data: &[u8]) {
    if let Some(record) = SessionRecord::from_json(data) {
        let again = record.to_json().ok().and_then(|json| SessionRecord::from_json(&json));
        assert_eq!(again, Some(record));
    }
    if let Some(record) = ClientRecord::from_json(data) {
        let again = record.to_json().ok().and_then(|json| ClientRecord::from_json(&json));
        assert_eq!(again, Some(record));
    }
}

/// The head of an application's reply, and of the interim ones before it: what passes could end no line.
pub fn reply(data: &[u8]) {
    for asked in [Asked::Usual, Asked::Head, Asked::Upgrade] {
        let interim = Interim::default();
        interim.open();
        let read = reply_head::take(&mut BytesMut::from(data), asked, &mut false, &interim);
        let Ok(Some(head)) = read else { continue };
        for (name, value) in head.response.headers() {
            assert!(name.as_str() != "connection" && name.as_str() != "transfer-encoding");
            assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        }
    }
}

/// The chunks of an application's reply: the same bytes in pieces as in the whole.
pub fn reply_body(data: &[u8]) {
    let head = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    let follow = |piece: usize| {
        let taken = reply_head::take(&mut BytesMut::from(head), Asked::Usual, &mut false, &Interim::default());
        let Ok(Some(reply)) = taken else { return None };
        let (mut framing, mut input, mut body) = (reply.framing, BytesMut::new(), Vec::new());
        for bytes in data.chunks(piece) {
            input.extend_from_slice(bytes);
            loop {
                match framing.next(&mut input) {
                    Ok(Step::Data(bytes)) => body.extend_from_slice(&bytes),
                    Ok(Step::More) => break,
                    Ok(Step::End) => return Some((body, true)),
                    Err(_) => return None,
                }
            }
        }
        Some((body, false))
    };
    assert_eq!(follow(data.len().max(1)), follow(1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_was_ever_found_is_found_again() {
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let mut count = 0;
            for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
                target(&std::fs::read(entry.unwrap().path()).unwrap());
                count += 1;
            }
            assert!(count > 0, "{} is empty", folder.display());
            target(b"");
        }
    }

    /// Far from what `fuzz/run` does, but on every change. More rounds by hand: `FUZZ_ROUNDS=100000 cargo test --lib fuzzing`.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "rounds are said by the environment")]
    fn nothing_breaks_where_what_is_kept_is_changed() {
        let rounds: usize = std::env::var("FUZZ_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
        let mut random = fastrand::Rng::with_seed(7);
        for (name, target) in TARGETS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
            let kept: Vec<Vec<u8>> =
                std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect();
            for _ in 0..rounds {
                let mut bytes = random.choice(&kept).unwrap().clone();
                for _ in 0..random.usize(1..5) {
                    change(&mut bytes, &kept, &mut random);
                }
                if std::panic::catch_unwind(|| target(&bytes)).is_err() {
                    panic!("{name}: {}", bytes.escape_ascii());
                }
            }
        }
    }

    /// Takes out, puts in, replaces or repeats a few bytes.
    fn change(bytes: &mut Vec<u8>, kept: &[Vec<u8>], random: &mut fastrand::Rng) {
        const LIKELY: &[u8] = b"\r\n\t\0 :;,=&%[]{}\"\\/.?#_-0\x7f\x80\xff";
        let (from, length) = (random.usize(..=bytes.len()), random.usize(..8));
        let to = (from + length).min(bytes.len());
        let put = match random.u8(..5) {
            0 => Vec::new(),
            1 => vec![LIKELY[random.usize(..LIKELY.len())]],
            2 => vec![random.u8(..)],
            3 => bytes[from..to].repeat(2),
            _ => {
                let other = random.choice(kept).unwrap();
                other[random.usize(..=other.len())..].iter().copied().take(length).collect()
            }
        };
        bytes.splice(from..to, put);
    }
}
