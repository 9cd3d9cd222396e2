//! Where each kind of reserved name may stand.

use crate::request::Unreadable;
use crate::request::php::{Params, fold_name, url_decode};
use crate::request::reserved::{Kind, Name, Parts, Places, bearer};

/// The header that `Authorization: Bearer` serves for.
const TOKEN_HEADER: &str = "X-User-Token";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Query,
    Form,
    Cookie,
    Header,
}

impl Place {
    fn shown(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Form => "form",
            Self::Cookie => "cookie",
            Self::Header => "header",
        }
    }
}

/// A name as it stands in one place.
#[derive(Clone, Copy, Debug)]
struct Sight {
    place: Place,
    times: usize,
    array: bool,
    /// Whether it may stand there.
    allowed: bool,
}

/// Refuses what could change the reading of every name.
pub(super) fn whole(parts: &Parts<'_>, nameless_query: bool) -> Result<(), Unreadable> {
    for (params, place) in [(parts.query, "query"), (parts.form, "form"), (parts.cookies, "cookies")] {
        if params.overflow() {
            return Err(Unreadable::Malformed(format!("more than 1000 parameters in {place}")));
        }
    }
    if parts.head.all("Content-Type").count() > 1 {
        return ambiguous("Content-Type twice in header".to_owned());
    }
    if !nameless_query && parts.target.raw_query.as_deref().is_some_and(|query| query.starts_with('/')) {
        return ambiguous("a path in query, where no endpoint is read".to_owned());
    }
    Ok(())
}

/// Refuses one name where it must not stand.
pub(super) fn one(name: &Name, parts: &Parts<'_>) -> Result<(), Unreadable> {
    match name.kind {
        Kind::Credential { places, ignore } => {
            let ignored = |sight: &Sight| ignore && !sight.allowed;
            once(name, sights(name, parts, places).filter(|sight| !ignored(sight)), "where credentials are not read")
        }
        Kind::Endpoint { places } => once(name, parameters(name, parts, places), "where no endpoint is read"),
        Kind::Selector => nowhere(name, parts, "where nothing may select a route"),
        Kind::RuleParam => rule_param(name, parts),
        Kind::LoginField => Ok(()),
    }
}

/// Refuses a name wherever it stands.
pub(super) fn nowhere(name: &Name, parts: &Parts<'_>, why: &str) -> Result<(), Unreadable> {
    match parameters(name, parts, Places::default()).next() {
        Some(sight) => ambiguous(format!("{} in {}, {why}", name.shown(), sight.place.shown())),
        None => Ok(()),
    }
}

/// Refuses a name that stands in two places, twice, as an array or where it is not allowed.
fn once(name: &Name, mut sights: impl Iterator<Item = Sight>, why: &str) -> Result<(), Unreadable> {
    let Some(first) = sights.next() else { return Ok(()) };
    let (shown, place) = (name.shown(), first.place.shown());
    if let Some(second) = sights.next() {
        return ambiguous(format!("{shown} in {place} and {}", second.place.shown()));
    }
    if first.array {
        return ambiguous(format!("{shown} as an array in {place}"));
    }
    if first.times > 1 {
        return ambiguous(format!("{shown} twice in {place}"));
    }
    if !first.allowed {
        return ambiguous(format!("{shown} in {place}, {why}"));
    }
    Ok(())
}

/// A rule's parameter is read from query and form alike, so both must say the same.
fn rule_param(name: &Name, parts: &Parts<'_>) -> Result<(), Unreadable> {
    let both = Places { query: true, form: true, header: false };
    for sight in parameters(name, parts, both) {
        let (shown, place) = (name.shown(), sight.place.shown());
        if sight.array {
            return ambiguous(format!("{shown} as an array in {place}"));
        }
        if !sight.allowed {
            return ambiguous(format!("{shown} in {place}, where no rule reads it"));
        }
    }
    match (parts.query.text(&name.name), parts.form.text(&name.name)) {
        (Some(query), Some(form)) if query != form => {
            ambiguous(format!("{} in query and form, with two values", name.shown()))
        }
        _ => Ok(()),
    }
}

/// Everywhere a credential stands.
fn sights<'a>(name: &'a Name, parts: &'a Parts<'_>, places: Places) -> impl Iterator<Item = Sight> + 'a {
    parameters(name, parts, places).chain(header(name, parts, places.header))
}

/// Everywhere a name stands as a parameter. Cookies are never a place for one.
fn parameters<'a>(name: &'a Name, parts: &'a Parts<'_>, places: Places) -> impl Iterator<Item = Sight> + 'a {
    let places = [
        (Place::Query, parts.query, places.query),
        (Place::Form, parts.form, places.form),
        (Place::Cookie, parts.cookies, false),
    ];
    places.into_iter().filter_map(|(place, params, allowed)| {
        let Some(param) = params.get(&name.name) else {
            let encoded = place == Place::Cookie && hides_in(params, &name.name);
            return encoded.then_some(Sight { place, times: 1, array: false, allowed });
        };
        Some(Sight { place, times: param.times, array: param.array, allowed })
    })
}

/// Whether a cookie's name would be this one if it were decoded, as PHP did before 7.2.34, 7.3.23 and 7.4.11.
fn hides_in(cookies: &Params, name: &[u8]) -> bool {
    let encoded = cookies.iter().filter(|cookie| memchr::memchr2(b'%', b'+', cookie.name).is_some());
    encoded.filter_map(|cookie| fold_name(&url_decode(cookie.name))).any(|(decoded, _)| decoded == name)
}

/// A credential's header. `Authorization` serves for one of them, but only where headers are read at all: otherwise it is the
/// application's own.
fn header(name: &Name, parts: &Parts<'_>, allowed: bool) -> Option<Sight> {
    let header = name.header?;
    let mut times = parts.head.all(header).count();
    if allowed && header == TOKEN_HEADER {
        times += authorizations(parts);
    }
    (times > 0).then_some(Sight { place: Place::Header, times, array: false, allowed })
}

/// How many user tokens come by `Authorization`. Of two lines nobody knows which PHP would see, so both count.
fn authorizations(parts: &Parts<'_>) -> usize {
    let lines = parts.head.all("Authorization").count();
    let tokens = parts.head.all("Authorization").filter(|value| bearer(value).is_some()).count();
    if lines > 1 { lines } else { tokens }
}

/// Whether `name` stands in `text` as a whole word, in any case.
pub(super) fn has_word(text: &[u8], name: &[u8]) -> bool {
    word_end(text, name).is_some()
}

/// Where `name` ends that stands in `text` as a whole word, in any case.
pub(super) fn word_end(text: &[u8], name: &[u8]) -> Option<usize> {
    let is_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let stands_at = |at: usize| {
        let (before, rest) = text.split_at_checked(at)?;
        let (found, after) = rest.split_at_checked(name.len())?;
        Some(found.eq_ignore_ascii_case(name) && !is_word(before.last()) && !is_word(after.first()))
    };
    let first = name.first()?;
    let mut places = memchr::memchr2_iter(first.to_ascii_lowercase(), first.to_ascii_uppercase(), text);
    places.find(|at| stands_at(*at) == Some(true)).map(|at| at + name.len())
}

fn ambiguous(message: String) -> Result<(), Unreadable> {
    Err(Unreadable::Ambiguous(message))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::has_word;
    use crate::request::Unreadable;
    use crate::request::head::{Head, Methods};
    use crate::request::php::Params;
    use crate::request::reserved::{Kind, Name, Parts, Places, Reserved, bearer};
    use crate::request::target::{Lenient, Target};

    const EVERYWHERE: Places = Places { query: true, form: true, header: true };
    const QUERY: Places = Places { query: true, form: false, header: false };

    fn reserved(credentials: Places, ignore: bool) -> Reserved {
        let name = |name: &str, header, kind| Name { name: name.as_bytes().to_vec(), header, kind };
        let credential = Kind::Credential { places: credentials, ignore };
        let names = vec![
            name("user_id", Some("X-User-Id"), credential),
            name("user_token", Some("X-User-Token"), credential),
            name("mod", None, Kind::Endpoint { places: QUERY }),
            name("addon", None, Kind::Selector),
            name("act", None, Kind::RuleParam),
            name("password", None, Kind::LoginField),
        ];
        Reserved::new(names, false)
    }

    /// A request in short: `QUERY|FORM|COOKIES|HEADER LINES`, each of which may be left out.
    fn with_parts<T>(request: &str, judge: impl FnOnce(&Parts<'_>) -> T) -> T {
        let mut places = request.split('|').chain(["", "", "", ""]);
        let [query, form, cookies, headers] = [(); 4].map(|()| places.next().unwrap());
        let lines: String = headers.split_terminator(", ").map(|line| format!("{line}\r\n")).collect();
        let head = format!("GET /?{query} HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let head = Head::parse(Bytes::from(head), &Methods::default()).unwrap();
        judge(&Parts {
            head: &head,
            target: &Target::read(head.target(), Lenient::default()).unwrap(),
            query: &Params::parse(query.as_bytes()),
            form: &Params::parse(form.as_bytes()),
            cookies: &Params::parse_cookies(cookies.as_bytes()),
        })
    }

    fn message(result: Result<(), Unreadable>) -> Result<(), String> {
        result.map_err(|unreadable| match unreadable {
            Unreadable::Ambiguous(message) => message,
            other => format!("{other:?}"),
        })
    }

    fn assert_checked(reserved: &Reserved, rows: &[(&str, Result<(), &str>)]) {
        for (request, expected) in rows {
            let checked = message(with_parts(request, |parts| reserved.check(parts)));
            assert_eq!(checked, expected.map_err(str::to_owned), "{request}");
        }
    }

    #[test]
    fn a_credential_stands_once_as_text() {
        let rows = [
            ("user_id=1", Ok(())),
            ("user.id=", Ok(())),
            ("|user_id=1", Ok(())),
            ("|||X-User-Id: 1", Ok(())),
            ("user_id=1|user_token=2", Ok(())),
            ("user_id=1&user_id=1", Err("user_id twice in query")),
            ("|user_id=1&user+id=1", Err("user_id twice in form")),
            ("user_id=&user%5bid=", Err("user_id twice in query")),
            ("user_id[]=1", Err("user_id as an array in query")),
            ("|user_id[a]b=1", Err("user_id as an array in form")),
            ("user_id=1&user_id[]=1", Err("user_id as an array in query")),
            ("user_id=1|user_id=1", Err("user_id in query and form")),
            ("user_id=1||user_id=1", Err("user_id in query and cookie")),
            ("user_id=1|||X-User-Id: 1", Err("user_id in query and header")),
            ("|||X-User-Id: 1, x-user-id: 1", Err("user_id twice in header")),
            ("||user_id=1", Err("user_id in cookie, where credentials are not read")),
            ("||user%5Fid=1", Err("user_id in cookie, where credentials are not read")),
            ("User_Id=1&User_Id=2", Ok(())),
        ];
        assert_checked(&reserved(EVERYWHERE, false), &rows);
    }

    #[test]
    fn a_bearer_token_is_a_user_token() {
        let rows = [
            ("|||Authorization: Bearer T", Ok(())),
            ("|||Authorization: Basic T", Ok(())),
            ("user_token=1|||Authorization: Basic T", Ok(())),
            ("user_token=1|||Authorization: bearer T", Err("user_token in query and header")),
            ("|||Authorization: Bearer T, X-User-Token: T", Err("user_token twice in header")),
            ("|||Authorization: Bearer T, Authorization: Basic T", Err("user_token twice in header")),
        ];
        assert_checked(&reserved(EVERYWHERE, false), &rows);
        assert_eq!(bearer(b"BEARER  T "), Some(&b"T"[..]));
        assert_eq!(bearer(b"Bearer"), Some(&b""[..]));
        assert_eq!(bearer(b"Bearerest T"), None);
        assert_eq!(bearer(b"Basic T"), None);
    }

    #[test]
    fn other_places_are_refused_or_ignored_as_configured() {
        let refusing = [
            ("user_id=1", Ok(())),
            ("|user_id=1", Err("user_id in form, where credentials are not read")),
            ("|||X-User-Id: 1", Err("user_id in header, where credentials are not read")),
            ("|||Authorization: Bearer T", Ok(())),
            ("user_id=1|user_id=1", Err("user_id in query and form")),
        ];
        assert_checked(&reserved(QUERY, false), &refusing);
        let ignoring = [
            ("|user_id[]=1&user_id=2|user_id=3|X-User-Id: 1, X-User-Id: 2", Ok(())),
            ("user_id=1|user_id=2|user_id=3|X-User-Id: 4", Ok(())),
            ("user_id=1&user_id=2|user_id=2", Err("user_id twice in query")),
        ];
        assert_checked(&reserved(QUERY, true), &ignoring);
    }

    #[test]
    fn what_routes_stands_only_where_it_is_read() {
        let rows = [
            ("mod=a", Ok(())),
            ("mod=a&mod=a", Err("mod twice in query")),
            ("mod[]=a", Err("mod as an array in query")),
            ("|mod=a", Err("mod in form, where no endpoint is read")),
            ("mod=a|mod=a", Err("mod in query and form")),
            ("||mod=a", Err("mod in cookie, where no endpoint is read")),
            ("addon=", Err("addon in query, where nothing may select a route")),
            ("|addon[]=1", Err("addon in form, where nothing may select a route")),
            ("||addon", Err("addon in cookie, where nothing may select a route")),
            ("/news/list", Err("a path in query, where no endpoint is read")),
            ("%2fnews", Ok(())),
        ];
        assert_checked(&reserved(EVERYWHERE, true), &rows);
        let nameless = Reserved::new(Vec::new(), true);
        assert_eq!(message(with_parts("/news/list", |parts| nameless.check(parts))), Ok(()));
    }

    #[test]
    fn a_rules_parameter_has_one_value() {
        let rows = [
            ("act=a|act=a", Ok(())),
            ("act=b&act=a|act=a", Ok(())),
            ("act=a|act=b", Err("act in query and form, with two values")),
            ("act[]=a", Err("act as an array in query")),
            ("|act=a&act[x]=a", Err("act as an array in form")),
            ("||act=a", Err("act in cookie, where no rule reads it")),
        ];
        assert_checked(&reserved(EVERYWHERE, false), &rows);
    }

    #[test]
    fn login_fields_are_asked_for_apart() {
        let reserved = reserved(EVERYWHERE, false);
        for (request, place) in [("password=1", "query"), ("|password[]=1", "form"), ("||password=1", "cookie")] {
            assert_eq!(message(with_parts(request, |parts| reserved.check(parts))), Ok(()));
            let expected = format!("password in {place}, where no login is");
            assert_eq!(message(with_parts(request, |parts| reserved.check_login_fields(parts))), Err(expected));
        }
        assert_eq!(message(with_parts("user_id=1", |parts| reserved.check_login_fields(parts))), Ok(()));
    }

    #[test]
    fn too_many_parameters_and_two_content_types_are_refused() {
        let reserved = Reserved::default();
        let many = format!("|{}", "a&".repeat(1001));
        let refused = with_parts(&many, |parts| reserved.check(parts));
        assert_eq!(refused, Err(Unreadable::Malformed("more than 1000 parameters in form".to_owned())));
        let twice = "|||Content-Type: a/b, Content-Type: c/d";
        assert_eq!(
            message(with_parts(twice, |parts| reserved.check(parts))),
            Err("Content-Type twice in header".to_owned())
        );
    }

    #[test]
    fn reserved_words_in_the_rest_of_a_path_are_refused() {
        let refusing = reserved(QUERY, false);
        for (rest, refused) in [
            ("foo-user_id/5", Some("user_id")),
            ("USER_ID", Some("user_id")),
            ("a/mod.html", Some("mod")),
            ("a/addon", Some("addon")),
            ("user_ids/xuser_id/model/_mod", None),
            ("act/password", None),
        ] {
            let expected = refused.map_or(Ok(()), |name| Err(format!("{name} in path")));
            assert_eq!(message(refusing.check_path_rest(rest.as_bytes())), expected, "{rest}");
        }
        assert_eq!(message(reserved(QUERY, true).check_path_rest(b"user_id/5")), Ok(()));
        assert!(has_word(b"a:mod", b"mod") && !has_word(b"", b"mod") && !has_word(b"mo", b"mod"));
    }
}
