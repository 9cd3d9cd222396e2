//! Reaching a Redis: over TLS, as a user, through Sentinels, as a Cluster; and what `check --connect` says of what it reached.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::redis::authority::Authority;
use support::redis::cluster::Cluster;
use support::redis::sentinels::{SERVICE, Sentinels};
use support::redis::{RedisServer, free_port};
use ticketgate::clock::Clock;
use ticketgate::secret::Secret;
use ticketgate::store::{Fault, Location, Settings, Store, Tls};

const TIMEOUT: Duration = Duration::from_secs(5);

async fn open(url: &str, tls: Tls, timeout: Duration) -> Store {
    let location = Location::Redis(Secret::new(url));
    let settings = Settings { location, prefix: "ticketgate:".into(), keys: Vec::new(), timeout, tls };
    Store::open(&settings, Clock::system()).await.expect("a URL that is fine")
}

async fn ping(url: &str, tls: Tls) -> Result<(), Fault> {
    open(url, tls, TIMEOUT).await.ping().await
}

fn said(outcome: Result<(), Fault>) -> String {
    outcome.map_or_else(|fault| fault.to_string(), |()| "fine".into())
}

/// A Redis that speaks TLS, and who signed its certificate.
fn encrypted(clients: &str) -> (RedisServer, Authority) {
    let authority = Authority::new();
    let server = RedisServer::start_by(|_| {
        let own = ["--tls-port".to_owned(), free_port().to_string()];
        own.into_iter().chain(authority.arguments(clients)).collect()
    });
    (server, authority)
}

fn trusting(authority: &Authority) -> Tls {
    Tls { ca: Some(authority.ca()), ..Tls::default() }
}

#[tokio::test]
async fn a_server_is_trusted_whose_certificate_the_named_authority_signed_and_no_other() {
    let (server, authority) = encrypted("no");
    let url = format!("rediss://127.0.0.1:{}", server.argument("--tls-port"));
    assert_eq!(ping(&url, trusting(&authority)).await, Ok(()));
    let strangers = said(ping(&url, trusting(&Authority::new())).await);
    assert!(strangers.contains("TLS") && strangers.contains("certificate"), "{strangers}");
    let systems = said(ping(&url, Tls::default()).await);
    assert!(systems.contains("certificate"), "{systems}");
}

#[tokio::test]
async fn a_certificate_must_be_for_the_name_that_it_is_reached_by_or_the_one_that_is_given() {
    let (server, authority) = encrypted("no");
    // All of 127.0.0.0/8 is this machine, but not in the certificate.
    let other = RedisServer::start_by(|_| {
        let own = ["--tls-port", &free_port().to_string(), "--bind", "127.0.0.1", "127.0.0.2"].map(str::to_owned);
        own.into_iter().chain(authority.arguments("no")).collect()
    });
    drop(server);
    let url = format!("rediss://127.0.0.2:{}", other.argument("--tls-port"));
    let wrong = said(ping(&url, trusting(&authority)).await);
    assert!(wrong.contains("not valid for name"), "{wrong}");
    let named = Tls { name: Some("redis.test".into()), ..trusting(&authority) };
    assert_eq!(ping(&url, named).await, Ok(()));
}

#[tokio::test]
async fn a_redis_that_asks_for_a_certificate_is_shown_one() {
    let (server, authority) = encrypted("yes");
    let url = format!("rediss://localhost:{}", server.argument("--tls-port"));
    assert!(ping(&url, trusting(&authority)).await.is_err());
    let identity = Some((authority.path("client.pem"), authority.path("client.key")));
    assert_eq!(ping(&url, Tls { identity, ..trusting(&authority) }).await, Ok(()));
}

#[tokio::test]
async fn an_authority_that_was_replaced_is_trusted_from_the_next_connection_on() {
    let (server, authority) = encrypted("no");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::copy(Authority::new().ca(), file.path()).expect("a copy");
    let tls = Tls { ca: Some(file.path().to_owned()), ..Tls::default() };
    let url = format!("rediss://localhost:{}", server.argument("--tls-port"));
    let store = open(&url, tls, TIMEOUT).await;
    assert!(store.ping().await.is_err());
    std::fs::copy(authority.ca(), file.path()).expect("a copy");
    let deadline = Instant::now() + TIMEOUT;
    while let Err(fault) = store.ping().await {
        assert!(Instant::now() < deadline, "still {fault}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_server_that_never_answers_the_greeting_of_tls_costs_no_more_than_the_timeout() {
    let (server, authority) = encrypted("no");
    let url = format!("rediss://localhost:{}", server.argument("--tls-port"));
    server.signal("STOP");
    let store = open(&url, trusting(&authority), Duration::from_millis(250)).await;
    let started = Instant::now();
    assert_eq!(store.ping().await, Err(Fault::TimedOut));
    assert!(started.elapsed() < Duration::from_millis(600), "{:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_may_want_another_password_than_the_servers_that_they_watch() {
    let redis = Sentinels::start(0, &["--user", "gate", "on", ">DATA_PASSWORD", "~ticketgate:*", "+ping", "+role"]);
    let rule = line_of("ACL SETUSER gate on >SENTINEL_PASSWORD");
    for sentinel in &redis.sentinels {
        sentinel.command::<()>(&rule.split(' ').collect::<Vec<_>>());
        sentinel.command::<()>(&["ACL", "SETUSER", "default", "off"]);
    }
    let url = redis.url().replace("://", "://gate:DATA_PASSWORD@");
    let fine = format!("{url}?sentinel_user=gate&sentinel_password=SENTINEL_PASSWORD");
    assert_eq!(ping(&fine, Tls::default()).await, Ok(()));
    for (url, complaint) in [
        (url.clone(), "NOAUTH"),
        (fine.replace("=SENTINEL_", "=WRONG_"), "WRONGPASS"),
        (fine.replace("DATA_", "WRONG_"), "WRONGPASS"),
        (fine.replace(&format!("/{SERVICE}"), "/another"), "know no such service"),
    ] {
        let complains = said(ping(&url, Tls::default()).await);
        assert!(complains.contains(complaint) && !complains.contains("PASSWORD"), "{url}: {complains}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_while_one_of_its_sentinels_is_dead_and_another_hangs() {
    let mut redis = Sentinels::start(0, &[]);
    redis.sentinels[0].kill();
    redis.sentinels[1].signal("STOP");
    let started = Instant::now();
    let store = open(&redis.url(), Tls::default(), Duration::from_millis(1000)).await;
    assert_eq!(store.ping().await, Ok(()));
    assert!(started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
}

/// A line of `docs/scaling.md`.
fn line_of(beginning: &str) -> String {
    let manual = std::fs::read_to_string("docs/scaling.md").expect("the manual");
    let line = manual.lines().find(|line| line.trim().starts_with(beginning));
    line.unwrap_or_else(|| panic!("no {beginning} in the manual")).trim().to_owned()
}

/// What `check --connect` prints of the store with this URL, and whether that was on stdout.
fn check(url: &str) -> (bool, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let application = TcpListener::bind("127.0.0.1:0").expect("a port");
    let yaml = format!(
        "upstream: {{url: \"http://{}\"}}\nstore: {{url: \"{url}\", timeout: 5s}}\nendpoint: [{{path: \"/{{module}}/{{controller}}/{{action}}\"}}]\n",
        application.local_addr().expect("an address")
    );
    let path = directory.path().join("ticketgate.yaml");
    std::fs::write(&path, yaml).expect("a configuration");
    let (code, out, errors) = run(&path);
    let line = |text: String| text.lines().find(|line| line.contains("store")).unwrap_or_default().to_owned();
    if code { (true, line(out)) } else { (false, errors) }
}

fn run(path: &Path) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketgate"));
    let output = command.args(["check", "--connect", "-c"]).arg(path).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_it_reached() {
    let (one, sentinels, cluster) = (RedisServer::start(), Sentinels::start(0, &[]), Cluster::start(3, 1, &[]));
    let reached = |url: &str| match check(url) {
        (true, line) => line,
        (false, errors) => panic!("{url}: {errors}"),
    };
    assert!(reached(&one.url()).contains("redis 7."), "{}", reached(&one.url()));
    assert!(reached(&one.url()).ends_with(", standalone"));
    let said = reached(&sentinels.url());
    let at = format!("service {SERVICE} at 127.0.0.1:{}; 3 of 3 Sentinels answer", sentinels.servers[0].port());
    assert!(said.ends_with(&at), "{said}");
    let said = reached(&cluster.url());
    assert!(said.ends_with("a Cluster of 3 masters and 1 replica"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_which_url_would_fit() {
    let (one, cluster) = (RedisServer::start(), Cluster::start(1, 0, &[]));
    let sentinels = Sentinels::start(0, &[]);
    for (url, says) in [
        (format!("redis+cluster://127.0.0.1:{}", one.port()), "it is no Cluster, write redis://"),
        (cluster.nodes[0].url(), "it is one of a Cluster, write redis+cluster://"),
        (sentinels.sentinels[0].url(), "it is a Sentinel, write redis+sentinel://"),
        (format!("redis+sentinel://127.0.0.1:{}/{SERVICE}", one.port()), "it is no Sentinel"),
        (sentinels.url().replace(SERVICE, "another"), "know no such service"),
        (format!("redis://u:hunter2@127.0.0.1:{}", one.port()), "WRONGPASS"),
    ] {
        let (fine, errors) = check(&url);
        assert!(!fine && errors.contains(says) && !errors.contains("hunter2"), "{url}: {errors}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_that_a_redis_is_too_old() {
    // What Redis 6.0 says to HELLO 3, and to whatever else it is asked on the same connection.
    let greeting = b"%3\r\n+server\r\n+redis\r\n+version\r\n+6.0.16\r\n+mode\r\n+standalone\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stream.read(&mut bytes) {
                let asked = bytes[..count].iter().filter(|byte| **byte == b'*').count();
                for _ in 0..asked {
                    stream.write_all(greeting).expect("it listens");
                }
            }
        }
    });
    let (fine, errors) = check(&url);
    assert!(!fine && errors.contains("redis 6.0.16: too old, 6.2 or newer is needed"), "{errors}");
}
