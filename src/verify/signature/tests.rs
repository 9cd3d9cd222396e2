use super::*;

fn text(vector: &serde_json::Value, name: &str) -> String {
    vector.get(name).and_then(serde_json::Value::as_str).unwrap().to_owned()
}

#[test]
fn texts_and_signatures_are_those_of_the_vectors() {
    let vectors: serde_json::Value = serde_json::from_str(include_str!("../../../tests/vectors.json")).unwrap();
    for vector in vectors["signature"].as_array().unwrap() {
        let [method, path, query, nonce, user_token, api_token, secret, body] =
            ["method", "path", "query", "nonce", "user_token", "api_token", "client_secret", "body"]
                .map(|name| text(vector, name));
        let timestamp = vector["timestamp"].to_string();
        let request = Request {
            method: &method,
            path: &path,
            query: &query,
            sign_name: Some(b"sign"),
            body: Some(Sha256::digest(&body).into()),
        };
        let message = Message {
            request,
            timestamp: timestamp.as_bytes(),
            nonce: nonce.as_bytes(),
            user_token: user_token.as_bytes(),
            api_token: api_token.as_bytes(),
        };
        assert_eq!(String::from_utf8(message.text(Algorithm::HmacSha256)).unwrap(), text(vector, "canonical"));
        for algorithm in [Algorithm::HmacSha256, Algorithm::Md5] {
            let name = serde_json::to_value(algorithm).unwrap();
            let sign = compute(algorithm, &message.text(algorithm), secret.as_bytes());
            assert_eq!(sign, text(vector, name.as_str().unwrap()), "{vector}");
        }
    }
}

fn message<'a>(path: &'a str, query: &'a str) -> Message<'a> {
    let request =
        Request { method: "GET", path, query, sign_name: Some(b"sign"), body: Some(Sha256::digest(b"").into()) };
    Message { request, timestamp: b"1795132800", nonce: b"n0nce-0001", user_token: b"", api_token: b"tok" }
}

#[test]
fn the_signature_is_left_out_however_php_would_read_its_name() {
    for query in ["a=1&b=2", "a=1&sign=x&b=2", "sign=x&a=1&b=2", "a=1&b=2&sign", "%73ign=x&a=1&b=2", "a=1&+sign=x&b=2"]
    {
        assert_eq!(message("/p", query).text(Algorithm::Md5), b"/p?a=1&b=21795132800tok", "{query}");
    }
    for query in ["", "sign=x"] {
        assert_eq!(message("/p", query).text(Algorithm::Md5), b"/p1795132800tok", "{query}");
    }
    let mut own = message("/p", "sign=of-the-application");
    own.request.sign_name = None;
    assert_eq!(own.text(Algorithm::Md5), b"/p?sign=of-the-application1795132800tok");
}

#[test]
fn md5_takes_the_query_as_it_is_and_hmac_its_pairs_in_order() {
    let message = message("/p", "b=2&&a=%20&a=1&A=+");
    assert_eq!(message.text(Algorithm::Md5), b"/p?b=2&&a=%20&a=1&A=+1795132800tok");
    let text = String::from_utf8(message.text(Algorithm::HmacSha256)).unwrap();
    assert_eq!(text.lines().nth(2), Some("A=+&a=%20&a=1&b=2"));
}

#[test]
fn what_is_shown_holds_no_token() {
    let is_secret = |name: &[u8]| name == b"api_token" || name == b"user_token" || name == b"pwd";
    let mut message = message("/p", "api%5Ftoken=AAAA&user.token=BBBB&pwd=CCCC&a=1&sign=DDDD");
    (message.user_token, message.api_token) = (b"BBBB", b"AAAA");
    for algorithm in [Algorithm::HmacSha256, Algorithm::Md5] {
        let shown = message.shown(algorithm, &is_secret);
        assert!(!["AAAA", "BBBB", "CCCC", "DDDD"].iter().any(|token| shown.contains(token)), "{shown}");
        assert!(shown.contains("a=1") && shown.contains("1795132800"), "{shown}");
    }
    assert_eq!(message.shown(Algorithm::HmacSha256, &is_secret).lines().count(), 7);
}

const NOW: Timestamp = Timestamp::from_millis(1_795_132_800_999);

/// A signature that is right in all but what a test changes.
fn claims<'a>() -> Claims<'a> {
    Claims { timestamp: Some(b"1795132800"), nonce: Some(b"n0nce-0001"), sign: Some(&[b'a'; 64]), ..Claims::default() }
}

fn judged(change: impl FnOnce(&mut Claims<'static>, &mut Signatures)) -> Result<Option<Vec<Vec<u8>>>, Denial> {
    let (mut claims, mut rule) = (claims(), Signatures::default());
    change(&mut claims, &mut rule);
    terms(Signing::Always, &rule, &claims, NOW).map(|terms| terms.map(|terms| terms.marks))
}

#[test]
fn each_way_to_be_wrong_has_its_reason() {
    use Denial::{SignExpired, SignMissing, SignRefused};
    assert!(judged(|_, _| ()).is_ok());
    assert_eq!(judged(|claims, _| claims.sign = None), Err(SignMissing("sign")));
    assert_eq!(judged(|claims, _| claims.timestamp = None), Err(SignMissing("timestamp")));
    let without_nonce = |claims: &mut Claims<'static>, rule: &mut Signatures| {
        (claims.nonce, rule.nonce_required) = (None, true);
    };
    assert_eq!(judged(without_nonce), Err(SignMissing("nonce")));
    assert!(matches!(judged(|_, rule| rule.algorithms = vec![Algorithm::Md5]), Err(SignRefused(_))));
    assert!(matches!(judged(|claims, _| claims.sign = Some(b"abc")), Err(SignRefused(_))));
    for timestamp in ["1795132800.0", "+1795132800", " 1795132800", "01795132800", "-1", "0", "99999999999999999999"] {
        let refused = judged(|claims, _| claims.timestamp = Some(timestamp.as_bytes()));
        assert!(matches!(refused, Err(SignRefused(_))), "{timestamp}: {refused:?}");
    }
    for nonce in ["short-7", "with space", "with.dot", "\u{738b}\u{4e94}\u{738b}", &"a".repeat(65)] {
        let nonce = nonce.to_owned().into_bytes().leak();
        assert!(matches!(judged(|claims, _| claims.nonce = Some(nonce)), Err(SignRefused(_))));
    }
    for (timestamp, expected) in [
        ("1795132500", true),
        ("1795132499", false),
        ("1795133100", true),
        ("1795133101", false),
        ("1795132800000", false),
        ("1", false),
    ] {
        let judged = judged(|claims, _| claims.timestamp = Some(timestamp.as_bytes()));
        assert_eq!(judged.is_ok(), expected, "{timestamp}");
        assert!(expected || judged == Err(SignExpired), "{timestamp}");
    }
}

#[test]
fn a_signature_is_looked_at_where_it_is_demanded_or_given() {
    let rule = Signatures::default();
    let looked_at = |demand, claims: &Claims<'_>| terms(demand, &rule, claims, NOW).map(|terms| terms.is_some());
    let (signed, unsigned) = (claims(), Claims { nonce: Some(b"n0nce-0001"), ..Claims::default() });
    assert_eq!(looked_at(Signing::Never, &signed), Ok(false));
    assert_eq!(looked_at(Signing::WhenPresent, &signed), Ok(true));
    assert_eq!(looked_at(Signing::WhenPresent, &unsigned), Ok(false));
    assert_eq!(looked_at(Signing::Always, &unsigned), Err(Denial::SignMissing("sign")));
}

#[test]
fn what_is_remembered_is_the_nonce_and_for_md5_always_the_signature() {
    let marks = |change: fn(&mut Claims<'static>)| judged(|claims, _| change(claims)).unwrap().unwrap();
    let (nonce, upper) = (b"nonce n0nce-0001".to_vec(), [b'A'; 64].as_slice());
    assert_eq!(marks(|_| ()), std::slice::from_ref(&nonce));
    let sign = |letters: usize| [b"sign ".as_slice(), &vec![b'a'; letters]].concat();
    assert_eq!(marks(|claims| claims.nonce = None), [sign(64)]);
    assert_eq!(marks(|claims| claims.sign = Some(&[b'A'; 32])), [sign(32), nonce]);
    assert_eq!(judged(|claims, _| (claims.nonce, claims.sign) = (None, Some(upper))).unwrap().unwrap(), [sign(64)]);
}

#[test]
fn the_stricter_of_rule_and_client_counts_and_what_is_usual_only_without_both() {
    use Signing::{Always, Never, WhenPresent};
    for (usual, of_rule, of_client, expected) in [
        (Always, None, None, Always),
        (Always, None, Some(Never), Never),
        (Always, Some(WhenPresent), None, WhenPresent),
        (Always, Some(Never), Some(WhenPresent), WhenPresent),
        (Never, Some(Always), Some(Never), Always),
        (Never, Some(Never), Some(Always), Always),
    ] {
        let rule = Signatures { usual, of_rule, ..Signatures::default() };
        assert_eq!(rule.demand(of_client), expected, "{usual:?} {of_rule:?} {of_client:?}");
    }
}

#[test]
fn any_of_the_secrets_may_have_made_it_and_case_does_not_matter() {
    let claims = |sign: &'static [u8]| Claims { sign: Some(sign), ..claims() };
    let request = message("/p", "a=1").request;
    for algorithm in [Algorithm::HmacSha256, Algorithm::Md5] {
        let text = Message::of(request, &claims(b"")).text(algorithm);
        let sign = compute(algorithm, &text, b"new").to_uppercase().into_bytes().leak();
        let attempt = Attempt::of(request, &claims(sign)).unwrap();
        assert_eq!(attempt.fits([b"old".as_slice(), b"new"].into_iter()), Some(true));
        assert_eq!(attempt.fits([b"old".as_slice(), b"other"].into_iter()), Some(false));
        assert_eq!(attempt.fits(std::iter::empty()), Some(false));
        let to_come = Request { body: None, ..request };
        let attempt = Attempt::of(to_come, &claims(sign)).unwrap();
        match algorithm {
            Algorithm::Md5 => assert_eq!(attempt.fits([b"new".as_slice()].into_iter()), Some(true)),
            Algorithm::HmacSha256 => {
                assert_eq!(attempt.fits([b"new".as_slice()].into_iter()), None);
                assert!(attempt.fits_with(Sha256::digest(b"").into(), [b"new".as_slice()].into_iter()));
            }
        }
    }
    assert!(Attempt::of(request, &claims(b"too short")).is_none());
}
