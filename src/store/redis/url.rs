//! `store.url` of a Redis: which servers, what they are to each other, how to log in.
//!
//! What is wrong with a URL is told without any piece of it: a password that was not percent-encoded may stand in any of them.

use std::fmt;

use percent_encoding::percent_decode_str;

use crate::secret::Secret;

/// Where a Redis listens unless its URL says otherwise.
const PORT: u16 = 6379;
/// Where a Sentinel does.
const SENTINEL_PORT: u16 = 26379;

/// What a URL means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub(super) layout: Layout,
    /// How to log in to what holds the data.
    pub(super) login: Login,
    /// Whether every connection is encrypted, those to Sentinels as well.
    pub(super) is_tls: bool,
}

/// What the servers are to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `redis://host:port/db`
    One(Address),
    /// `redis+sentinel://h1,h2,h3/SERVICE/db`
    Sentinel { sentinels: Vec<Address>, service: String, login: Login },
    /// `redis+cluster://h1,h2,h3`: nodes that tell of the others.
    Cluster(Vec<Address>),
}

/// Whom a connection is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) database: i64,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The pieces of a URL, as they stand in it.
struct Pieces<'a> {
    user: Option<&'a str>,
    hosts: &'a str,
    path: &'a str,
    query: Option<&'a str>,
}

impl Target {
    /// Reads a URL. What is wrong is told in words that follow the name of the key.
    pub fn parse(url: &Secret) -> Result<Self, String> {
        let text = std::str::from_utf8(url.expose()).map_err(|_| "is not UTF-8")?;
        let (scheme, rest) = text.split_once("://").ok_or("must begin with redis://, or with one of its variants")?;
        let pieces = Pieces::of(rest);
        let (plain, is_tls) = match scheme.strip_prefix("rediss") {
            Some(variant) => (variant, true),
            None => (scheme.strip_prefix("redis").ok_or("must begin with redis or rediss")?, false),
        };
        let (layout, database) = match plain {
            "" => pieces.one()?,
            "+sentinel" => pieces.sentinel()?,
            "+cluster" => pieces.cluster()?,
            _ => {
                return Err(
                    "must be redis://…, redis+sentinel://… or redis+cluster://…, or the same with rediss".into()
                );
            }
        };
        let login = Login { database, ..login(pieces.user)? };
        Ok(Self { layout, login, is_tls })
    }

    /// Whether its connections are encrypted.
    pub const fn is_tls(&self) -> bool {
        self.is_tls
    }
}

impl<'a> Pieces<'a> {
    fn of(rest: &'a str) -> Self {
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        Self { user, hosts, path, query }
    }

    fn one(&self) -> Result<(Layout, i64), String> {
        self.no_query()?;
        if self.hosts.contains(',') {
            return Err("names several servers: write redis+sentinel:// or redis+cluster:// for them".into());
        }
        Ok((Layout::One(address(self.hosts, PORT)?), database(self.path)?))
    }

    fn cluster(&self) -> Result<(Layout, i64), String> {
        self.no_query()?;
        if !matches!(self.path, "" | "0") {
            return Err("names a database: a Cluster has only the first, write redis+cluster://h1,h2,h3".into());
        }
        Ok((Layout::Cluster(addresses(self.hosts, PORT)?), 0))
    }

    fn sentinel(&self) -> Result<(Layout, i64), String> {
        let sentinels = addresses(self.hosts, SENTINEL_PORT)?;
        let (service, rest) = self.path.split_once('/').unwrap_or((self.path, ""));
        let service = decoded(service)?;
        if service.is_empty() {
            return Err("names no service: write redis+sentinel://h1,h2,h3/SERVICE/db".into());
        }
        let login = self.sentinel_login()?;
        Ok((Layout::Sentinel { sentinels, service, login }, database(rest)?))
    }

    /// `?sentinel_user=NAME&sentinel_password=PASSWORD`
    fn sentinel_login(&self) -> Result<Login, String> {
        let mut login = Login::default();
        for pair in self.query.into_iter().flat_map(|query| query.split('&')) {
            match pair.split_once('=') {
                Some(("sentinel_user", user)) => login.user = Some(decoded(user)?),
                Some(("sentinel_password", password)) => login.password = Some(Secret::new(decoded(password)?)),
                _ => {
                    return Err("has something else than sentinel_user=… and sentinel_password=… after the `?`, \
                                which a password must write as %3F"
                        .into());
                }
            }
        }
        if login.user.is_some() && login.password.is_none() {
            return Err("has a sentinel_user without a sentinel_password".into());
        }
        Ok(login)
    }

    fn no_query(&self) -> Result<(), String> {
        match self.query {
            None => Ok(()),
            Some(_) => Err("has a `?`, which a password must write as %3F".into()),
        }
    }
}

/// `user:password`, `:password`; both percent-encoded.
fn login(text: Option<&str>) -> Result<Login, String> {
    let Some(text) = text else { return Ok(Login::default()) };
    let (user, password) = text.split_once(':').ok_or("has a user without a password: write user:password@")?;
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    Ok(Login { user, password: Some(Secret::new(decoded(password)?)), database: 0 })
}

fn decoded(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(String::from).map_err(|_| "has percent-encoded bytes that are not UTF-8".into())
}

fn database(text: &str) -> Result<i64, String> {
    match text {
        "" => Ok(0),
        number => number.parse::<u16>().map(i64::from).map_err(|_| {
            "ends in something else than the number of a database; a password must write `/` as %2F".into()
        }),
    }
}

fn addresses(hosts: &str, port: u16) -> Result<Vec<Address>, String> {
    hosts.split(',').map(|host| address(host, port)).collect()
}

/// `host`, `host:port`, `[::1]:port`
fn address(text: &str, port: u16) -> Result<Address, String> {
    const BAD_PORT: &str =
        "has a port that is no number from 1 to 65535; a password must write `:` `/` `@` `,` in percent-encoding";
    let (host, rest) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or("has an IPv6 address without its closing bracket")?,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%');
    if host.is_empty() || !host.bytes().all(is_name) {
        return Err("lacks the name of a server, or has one that is none".into());
    }
    let port = match rest {
        "" => port,
        rest => rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|port| *port > 0).ok_or(BAD_PORT)?,
    };
    Ok(Address { host: host.to_owned(), port })
}

impl Address {
    /// `host:port` as Redis writes it: the port after the last colon, IPv6 without brackets. An empty host is that of `asked`.
    pub(super) fn told(text: &str, asked: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if matches!(host, "" | "?") { &asked.host } else { host };
        Some(Self { host: host.to_owned(), port: port.parse().ok().filter(|port| *port > 0)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Target, String> {
        Target::parse(&Secret::new(text))
    }

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    fn login(user: &str, password: &str, database: i64) -> Login {
        let user = (!user.is_empty()).then(|| user.into());
        Login { user, password: Some(Secret::new(password)), database }
    }

    #[test]
    fn one_server_with_and_without_everything() {
        let one = |text| match parse(text).unwrap() {
            Target { layout: Layout::One(address), login, is_tls } => (address, login, is_tls),
            other => panic!("{other:?}"),
        };
        assert_eq!(one("redis://h"), (at("h", 6379), Login::default(), false));
        assert_eq!(one("redis://h:1/"), (at("h", 1), Login::default(), false));
        assert_eq!(one("rediss://u:p%40%2f@[::1]:7/3"), (at("::1", 7), login("u", "p@/", 3), true));
        assert_eq!(one("redis://:p@h"), (at("h", 6379), login("", "p", 0), false));
        assert_eq!(one("redis://u:p@q@h").1, login("u", "p@q", 0), "the last @ ends the password");
    }

    #[test]
    fn sentinels_name_a_service_and_may_want_a_password_of_their_own() {
        let target = parse("redis+sentinel://u:p@a,b:5,c/mymaster/2?sentinel_user=s&sentinel_password=q%26").unwrap();
        let sentinels = vec![at("a", 26379), at("b", 5), at("c", 26379)];
        let layout = Layout::Sentinel { sentinels, service: "mymaster".into(), login: login("s", "q&", 0) };
        assert_eq!(target, Target { layout, login: login("u", "p", 2), is_tls: false });
        assert!(parse("rediss+sentinel://a/s").unwrap().is_tls());
    }

    #[test]
    fn a_cluster_is_known_by_some_of_its_nodes() {
        let target = parse("rediss+cluster://:p@a:1,[fe80::1],c").unwrap();
        let layout = Layout::Cluster(vec![at("a", 1), at("fe80::1", 6379), at("c", 6379)]);
        assert_eq!(target, Target { layout, login: login("", "p", 0), is_tls: true });
        assert!(parse("redis+cluster://a,b/0").is_ok());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (url, says) in [
            ("redis:h", "must begin with redis://"),
            ("http://u:hunter2@h", "must begin with redis"),
            ("redis+tls://u:hunter2@h", "redis+sentinel://"),
            ("redis://", "lacks the name of a server"),
            ("redis://u:hunter2@", "lacks the name of a server"),
            ("redis://u:hun ter2", "no number from 1 to 65535"),
            ("redis://hunter2@h", "user without a password"),
            ("redis://u:hunter2@h:99999", "no number from 1 to 65535"),
            ("redis://u:hunter2@h:0", "no number from 1 to 65535"),
            ("redis://u:hun/ter2@h", "a password must write"),
            ("redis://u:hun?ter2@h", "%3F"),
            ("redis://u:hunter2%ff@h", "not UTF-8"),
            ("redis://u:hunter2@h/x", "number of a database"),
            ("redis://u:hunter2@a,b", "several servers"),
            ("redis://u:hunter2@[::1", "closing bracket"),
            ("redis+cluster://u:hunter2@a,b/3", "a Cluster has only the first"),
            ("redis+cluster://u:hunter2@a,,b", "lacks the name of a server"),
            ("redis+sentinel://u:hunter2@a,b", "names no service"),
            ("redis+sentinel://u:hunter2@a/s/x", "number of a database"),
            ("redis+sentinel://a/s?password=hunter2", "sentinel_password"),
            ("redis+sentinel://a/s?sentinel_user=hunter2", "without a sentinel_password"),
        ] {
            let wrong = parse(url).unwrap_err();
            assert!(wrong.contains(says) && !wrong.contains("hun") && !wrong.contains("ter2"), "{url}: {wrong}");
        }
    }

    #[test]
    fn addresses_are_read_as_redis_tells_them() {
        let asked = at("10.0.0.1", 1);
        assert_eq!(Address::told("10.0.0.2:7000", &asked), Some(at("10.0.0.2", 7000)));
        assert_eq!(Address::told("::1:7000", &asked), Some(at("::1", 7000)));
        assert_eq!(Address::told(":7000", &asked), Some(at("10.0.0.1", 7000)));
        assert_eq!(Address::told("?:7000", &asked), Some(at("10.0.0.1", 7000)));
        assert_eq!(Address::told("nothing", &asked), None);
        assert_eq!(at("::1", 7).to_string(), "[::1]:7");
    }
}
