//! Cases from a seed: what browsers send, what attackers send, and what neither would.

use std::hash::{BuildHasher, RandomState};

/// Random numbers that repeat by their seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// By `TICKETGATE_SEED` where it is set; the seed is printed, and shown where the test fails.
    pub(crate) fn thrown(test: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a failed run is repeated by its seed")]
        let given = std::env::var("TICKETGATE_SEED").ok();
        let seed = given.map_or_else(|| RandomState::new().hash_one(0), |seed| seed.parse().expect("a number as seed"));
        println!("{test}: TICKETGATE_SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Rows that the tests also begin with, and mutations start from.
pub(crate) const QUERIES: &[&str] = &[
    "t=1&t=2",
    "t=1&t[]=2",
    "t[]=2&t=1",
    "user.token=1&user+token=2&user%20token=3&user[token=4",
    "%20t=1",
    "+t=1",
    "%09t=1",
    "t%00x=1",
    "user[a]b=1",
    "user[id.x y=1",
    "user[a][b=1",
    "a=1;t=2",
    "%74=1",
    "%2574=1",
    "t=%zz",
    "t",
    "=1",
    "t==1",
    "[t]=1",
    "[t=1",
    ".[t]=1",
    "_.Host-t=1&__Host-t=2",
    "a[__Host-x]=1",
    "t[]=1&t[][]=2&&t=",
    "user_id=1&api_token=2&mod=user&ctl=info&act=get",
];

pub(crate) const COOKIES: &[&str] = &[
    "t=1; t=2",
    "t=1; t[a]=2",
    "t[a]=2; t=1",
    "t=1, t=2",
    "t=a+b%20c",
    "%74=1",
    "a.b=1; a_b=2",
    "t =1",
    ";\t t=1;;",
    "=1; t; ; t=2",
    "t=\"1\"",
    "__Secure-t=1; _[Secure-t=2; PHPSESSID=abc; user_id=7",
];

const ATOMS: &[&str] = &[
    "t",
    "user_id",
    "user.id",
    "user+id",
    "user%20id",
    "user[id",
    "user",
    "id",
    "%74",
    "%2574",
    "+",
    "%20",
    " ",
    "%00",
    "%09",
    "\t",
    "\u{b}",
    "[",
    "]",
    "[]",
    "[a]",
    "[a][b]",
    "[ ]",
    "[[",
    "]]",
    "%5b",
    "%5D",
    "%5B",
    "%2e",
    ".",
    "_",
    "=",
    "=",
    "&",
    "&",
    "&",
    ";",
    "; ",
    ",",
    "%3d",
    "%26",
    "%",
    "%4",
    "%zz",
    "%e4%bd%a0",
    "é",
    "__Host-",
    "__Secure-",
    "_.Host-",
    "_%20Secure-",
    "GLOBALS",
    "this",
    "0",
    "1",
    "-1",
    "007",
    "\"",
    "'",
    "\\",
    "/",
    "sign=",
    "user_id=1&",
    "api_token",
];

/// A query, form or Cookie header: pieces put together, or a row changed here and there.
pub(crate) fn text(dice: &mut Dice, rows: &[&str]) -> Vec<u8> {
    let mut text = match dice.below(3) {
        0 => pieces(dice, ATOMS, 14),
        1 => [dice.pick(rows).as_bytes(), b"&", dice.pick(rows).as_bytes()].concat(),
        _ => dice.pick(rows).as_bytes().to_vec(),
    };
    for _ in 0..dice.below(4) {
        change(dice, &mut text, ATOMS);
    }
    if dice.one_in(50) {
        let deep = "[a]".repeat(62 + dice.below(5));
        let at = dice.below(text.len() + 1);
        text.splice(at..at, deep.bytes());
    }
    text
}

fn pieces(dice: &mut Dice, atoms: &[&str], most: usize) -> Vec<u8> {
    (0..dice.below(most + 1)).flat_map(|_| dice.pick(atoms).bytes()).collect()
}

/// Puts in an atom or a byte, cuts something out, repeats something, or changes a byte.
fn change(dice: &mut Dice, text: &mut Vec<u8>, atoms: &[&str]) {
    let at = dice.below(text.len() + 1);
    let end = (at + dice.below(12)).min(text.len());
    match dice.below(6) {
        0 | 1 => drop(text.splice(at..at, dice.pick(atoms).bytes())),
        2 => drop(text.splice(at..end, [])),
        3 => drop(text.splice(at..at, text[at..end].to_vec())),
        4 => text.insert(at, dice.byte()),
        _ if at < end => text[at] = dice.byte(),
        _ => {}
    }
}

pub(crate) const CONTENT_TYPES: &[&str] = &[
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded, text/plain",
    "application/x-www-form-urlencoded foo",
    "APPLICATION/X-WWW-Form-Urlencoded;charset=utf-8",
    "application/x-www-form-urlencoded\t;",
    "application/x-www-form-urlencoded2",
    "application/json, application/x-www-form-urlencoded",
    "application/json",
    "text/plain",
    "multipart/form-data; boundary=B",
    "Multipart/Form-Data;xboundary=B; boundary=C",
    "multipart/form-data, boundary=B,",
    "multipart/form-data BOUNDARY=\"B\"",
    "multipart/mixed; boundary=B",
    "",
];

pub(crate) fn content_type(dice: &mut Dice) -> Vec<u8> {
    let atoms =
        [";", ",", " ", "\t", "multipart/form-data", "boundary=B", "a", "/", "application/x-www-form-urlencoded"];
    let mut text = dice.pick(CONTENT_TYPES).as_bytes().to_vec();
    for _ in 0..dice.below(3) {
        change(dice, &mut text, &atoms);
    }
    text.retain(|byte| !matches!(byte, 0 | b'\r' | b'\n'));
    text
}

/// Multipart bodies with boundary `B` that make PHP see `user_id`, and one that does not.
pub(crate) const MULTIPARTS: &[&str] = &[
    "--B\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n1\r\n--B--\r\n",
    "--B\ncontent-disposition:form-data;name=user_id\n\n1\n--B--\n",
    "preamble\r\n--B\r\nContent-Type: text/plain\r\nContent-Disposition: form-data; name='user_id'\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data; name=\"user.id\"; x=y\r\n\r\n1",
    "--B\r\nContent-Disposition: form-data; name=\" user id[a]\"\r\n\r\n1\r\n--B",
    "--B\r\nContent-Disposition: form-data; name=\"user[id\"\r\n\r\n1\r\n--B",
    "--B\r\nContent-Disposition: form-data; name=\"a\"; name=\"user_id\"\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data; name==user_id\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data\r\n ; name=\"user_id\"\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data\r\n; na\r\nme=\"user_id\"\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition:\r\nname=user_id\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data; na\0xx\r\nme=\"user_id\0xx\"\r\n\r\n1\r\n--B--\r\n",
    "--B\0xx\nContent-Disposition: x; NAME=\"user_id\0\"\n\0\n1",
    "--B\r\nContent-Disposition: x; name=a\r\n\r\n1\r\n--B--\r\n\r\n--B\r\nContent-Disposition: form-data; name=\"user_id\"\r\n\r\n2\r\n",
    "--B\r\nContent-Disposition: form-data; name=\"user_id\"; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data; name=\"user_id\"; filename=\"\"\r\n\r\n1\r\n--B--\r\n",
    "--B\r\nContent-Disposition: form-data; name=\"user_id\"\r\n",
    "--B\r\nContent-Disposition: form-data; x=\"a;\\\"b\"; name=\"user_id\"\r\n\r\n1\r\n--B--\r\n",
];

const PART_ATOMS: &[&str] = &[
    "--B",
    "--B--",
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    "\n\n",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    "=",
    "==",
    " = ",
    "\"",
    "'",
    "\\",
    "\\\"",
    "[",
    "]",
    "[a]",
    ".",
    "name",
    "NAME=",
    " name=",
    "user_id",
    "user id",
    "\"user_id\"",
    "filename=\"\"",
    "filename=x;",
    "Content-Disposition:",
    "content-DISPOSITION: x;",
    "Content-Type: text/plain\r\n",
    "x=",
    "*",
    "user_id\r\n\r\n",
    "%",
];

pub(crate) fn multipart(dice: &mut Dice) -> Vec<u8> {
    let mut body = dice.pick(MULTIPARTS).as_bytes().to_vec();
    if dice.one_in(3) {
        let second = dice.pick(MULTIPARTS).as_bytes();
        let at = dice.below(body.len() + 1);
        body.splice(at..at, second.iter().copied());
    }
    for _ in 0..dice.below(6) {
        change(dice, &mut body, PART_ATOMS);
    }
    if dice.one_in(8) {
        pad(dice, &mut body);
    }
    body
}

/// PHP's buffer of 5,120 bytes begins new lines where it is full: puts in about as many.
fn pad(dice: &mut Dice, body: &mut Vec<u8>) {
    for _ in 0..=dice.below(2) {
        let at = dice.below(body.len() + 1);
        let line = body[..at].iter().rev().take_while(|byte| **byte != b'\n').count();
        let length = match dice.below(3) {
            0 => 5120 * (1 + dice.below(2)) - line % 5120,
            1 => 5110 + dice.below(20),
            _ => 5119,
        };
        let padding = vec![dice.pick(&["x", " ", "\0", "-"]).as_bytes()[0]; length];
        body.splice(at..at, padding);
    }
}

/// Headers that begin in the middle of a line, where PHP's buffer was full, and a boundary that does so because an upload
/// was broken off.
pub(crate) fn behind_full_buffers() -> Vec<Vec<u8>> {
    let header = "Content-Disposition: form-data; name=user_id\n\n1\n--B--";
    let line = |beginning: &str, times: usize| format!("{beginning}{}", "x".repeat(5120 * times - beginning.len()));
    let limit = "--B\nContent-Disposition: x; name=MAX_FILE_SIZE\n\n1\n";
    let file = "--B\nContent-Disposition: x; name=f; filename=f\n\n";
    let broken_off = format!("{limit}{file}{}--B\n{header}", "x".repeat(2 * 5119));
    let texts = [
        format!("--B\n{}{header}", line("X: ", 1)),
        format!("--B\n{}{header}", line("X: ", 3)),
        format!("--B\n{}{header}", line("--B\0", 1)),
        format!("{}--B\n{header}", line("", 1)),
        format!("--B\nContent-Disposition: x; x={}; name=user_id\n\n1", "x".repeat(5119)),
        format!("--B\n{}user_id\n\n1", line("Content-Disposition: x; name=\0", 1)),
        broken_off,
    ];
    texts.map(String::into_bytes).to_vec()
}

/// A header name, mostly one that HTTP allows.
pub(crate) fn header_name(dice: &mut Dice) -> String {
    let atoms = [
        "X-",
        "x-",
        "User",
        "USER",
        "user",
        "Id",
        "-",
        "--",
        "Token",
        "7",
        "Forwarded",
        "For",
        "Accept",
        "Auth",
        "Remote-",
        "_",
        ".",
        "!",
        "#",
        "$",
        "%",
        "&",
        "'",
        "*",
        "+",
        "^",
        "`",
        "|",
        "~",
        "Real-IP",
        "Https",
        "PHP-",
        "Http-",
    ];
    let known = if dice.one_in(4) { &atoms[..] } else { &atoms[..19] };
    let name: String = (0..=dice.below(5)).map(|_| dice.pick(known)).collect();
    name
}
