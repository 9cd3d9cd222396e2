use super::*;

const STRICT: Lenient = Lenient {
    encoded_slash: false,
    encoded_question: false,
    encoded_percent: false,
    semicolon: false,
    double_slash: false,
    backslash: false,
};

fn all() -> Lenient {
    Lenient {
        encoded_slash: true,
        encoded_question: true,
        encoded_percent: true,
        semicolon: true,
        double_slash: true,
        backslash: true,
    }
}

#[test]
fn a_plain_target_is_parted_at_its_first_question_mark() {
    let cases: [(&str, &str, &[u8], Option<&str>); 7] = [
        ("/", "/", b"/", None),
        ("/a/b.html", "/a/b.html", b"/a/b.html", None),
        ("/a?", "/a", b"/a", Some("")),
        ("/a?b?c=%zz&d=//..", "/a", b"/a", Some("b?c=%zz&d=//..")),
        ("/%61%C3%a4%20+", "/%61%C3%a4%20+", b"/a\xc3\xa4 +", None),
        ("/a/.b/..c/d../...", "/a/.b/..c/d../...", b"/a/.b/..c/d../...", None),
        ("*", "*", b"*", None),
    ];
    for (target, raw_path, path, query) in cases {
        let read = Target::read(target, STRICT).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert_eq!((read.raw_path.as_str(), &read.path[..]), (raw_path, path), "{target}");
        assert_eq!(read.raw_query.as_deref(), query, "{target}");
        assert!(!read.is_lenient(), "{target}");
    }
}

#[test]
fn a_path_that_a_server_could_read_differently_is_refused_and_the_message_names_why() {
    let cases = [
        ("a", "leading slash"),
        ("", "leading slash"),
        ("*?a", "leading slash"),
        ("/%", "broken"),
        ("/%4", "broken"),
        ("/%4g", "broken"),
        ("/%%41", "broken"),
        ("/%+1", "broken"),
        ("/a%2fb", "encoded slash (%2f)"),
        ("/a%2Fb", "encoded slash (%2f)"),
        ("/..%2fa", "encoded slash (%2f)"),
        ("/%2561", "%25"),
        ("/100%25", "%25"),
        ("/login%3fs=/admin", "%3f"),
        ("/a%23b", "%23"),
        ("/a%00", "NUL"),
        ("/a%0a", "control"),
        ("/a%1fb", "control"),
        ("/a%7f", "control"),
        ("/a;b", "semicolon"),
        ("/a%3bb", "semicolon"),
        ("/a%5cb", "backslash"),
        ("/a%d5%5cb", "backslash"),
        ("//a", "double slash"),
        ("/a//b", "double slash"),
        ("/a//", "double slash"),
        ("/.", ". or .."),
        ("/..", ". or .."),
        ("/a/../b", ". or .."),
        ("/a/./b", ". or .."),
        ("/a/%2e%2e/b", ". or .."),
        ("/a/.%2E", ". or .."),
    ];
    for (target, named) in cases {
        let error = Target::read(target, STRICT).expect_err(target).to_string();
        assert!(error.contains(named), "{target}: {error}");
    }
}

#[test]
fn each_leniency_lets_its_own_oddity_pass_and_says_so() {
    let cases: [(Lenient, &str, &[u8]); 8] = [
        (Lenient { encoded_slash: true, ..STRICT }, "/w/a%2fb", b"/w/a/b"),
        (Lenient { encoded_question: true, ..STRICT }, "/w/who%3f", b"/w/who?"),
        (Lenient { encoded_percent: true, ..STRICT }, "/w/100%25_pure", b"/w/100%_pure"),
        (Lenient { semicolon: true, ..STRICT }, "/w/a;b", b"/w/a;b"),
        (Lenient { semicolon: true, ..STRICT }, "/w/a%3Bb", b"/w/a;b"),
        (Lenient { double_slash: true, ..STRICT }, "/w//b", b"/w//b"),
        (Lenient { backslash: true, ..STRICT }, "/w/a%5cb", b"/w/a\\b"),
        (Lenient { backslash: true, ..STRICT }, "/w/%d5%5c", b"/w/\xd5\\"),
    ];
    for (lenient, target, path) in cases {
        let read = Target::read(target, lenient).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert_eq!(&read.path[..], path, "{target}");
        assert!(read.is_lenient(), "{target}");
        assert!(Target::read(target, STRICT).is_err(), "{target}");
        assert!(!Target::read("/w/plain", lenient).unwrap().is_lenient(), "{target}");
    }
}

#[test]
fn what_needed_a_leniency_is_veiled_from_rules() {
    let cases: [(&str, &[u8]); 6] = [
        ("/w/a%2fb", b"/w/a\0b"),
        ("/w%2Fa", b"/w\0a"),
        ("/w//b", b"/w/\0b"),
        ("/w/a;b%3bc", b"/w/a\0b\0c"),
        ("/w/%d5%5c", b"/w/\xd5\0"),
        ("/w/plain", b"/w/plain"),
    ];
    for (target, matched) in cases {
        let read = Target::read(target, all()).unwrap();
        assert_eq!(read.matched(), matched, "{target}");
    }
}

#[test]
fn no_leniency_lets_a_path_climb_or_hide_syntax() {
    let targets = [
        "/w/..%2fadmin",
        "/w/%2e%2e%2fadmin",
        "/w/..%5cadmin",
        "/w/..;/admin",
        "/w/.;x/admin",
        "/w//../admin",
        "/w/%252e%252e/admin",
        "/w/a%252fb",
        "/w/a%2500",
        "/w/a%253fs=x",
        "/w/a%2525b",
        "/w/a%00",
        "/w/a%23b",
        "/w/%",
    ];
    for target in targets {
        assert!(Target::read(target, all()).is_err(), "{target}");
    }
}

#[test]
fn a_value_that_was_decoded_already_is_not_decoded_again() {
    assert_eq!(check_decoded(b"user/info", STRICT), Ok(vec![]));
    assert_eq!(check_decoded(b"user;info", all()), Ok(vec![4]));
    for value in [&b"a%41b"[..], b"a//b", b"../b", b"a?b", b"a\0"] {
        assert!(check_decoded(value, STRICT).is_err(), "{}", value.escape_ascii());
    }
}
