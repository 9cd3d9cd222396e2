//! What reading and judging a request costs, without sockets: `cargo bench`, before a change and after it.

#![expect(clippy::expect_used, reason = "a measurement that cannot go on has failed")]

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use divan::Bencher;
use jiff::tz::TimeZone;
use ticketgate::clock::Clock;
use ticketgate::credentials::Claims;
use ticketgate::ids::{ClientId, SessionId, UserId};
use ticketgate::policy::endpoint::{Endpoint, Fold};
use ticketgate::policy::rule::{Guests, Matcher, Rule, Signatures};
use ticketgate::policy::{Decided, Requirement};
use ticketgate::request::body::Body;
use ticketgate::request::head::{Head, Methods, Scan};
use ticketgate::request::php::Params;
use ticketgate::request::target::{Lenient, Target};
use ticketgate::secret::Secret;
use ticketgate::store::record::{Algorithm, LiveSecret};
use ticketgate::store::{self, Location, SessionRecord, Store};
use ticketgate::verify::client_token::{Recipe, compute, date};
use ticketgate::verify::limits::{self, Excess};
use ticketgate::verify::{Case, DEFAULT_ALGORITHMS, FileClient, SessionSettings, Settings, Verifier, signature};

fn main() {
    divan::main();
}

/// As an app sends it.
const HEAD: &str = "GET /api.php?mod=user&ctl=info&act=get&client_id=ios&api_token=3f7850f1b3f0d1f0a5b7c1a0d6e1f2a3\
    &user_id=7&user_token=0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: app.example:8080\r\nUser-Agent: App/5.1 (iOS)\r\n\
    Accept: application/json\r\nAccept-Language: zh-CN,zh;q=0.9\r\nAccept-Encoding: gzip\r\nCookie: lang=zh; theme=dark\r\n\r\n";
const USER_TOKEN: &[u8] = b"0123456789abcdef0123456789abcdef";
const SECRET: &str = "Kx9fQ2mT7bLp4WvZ1dRs";
const HOUR: Duration = Duration::from_secs(3600);

#[divan::bench]
fn read_head(bencher: Bencher<'_, '_>) {
    let (bytes, methods) = (Bytes::from_static(HEAD.as_bytes()), Methods::default());
    bencher.bench_local(|| {
        let length = Scan::default().head_length(black_box(&bytes), &methods);
        (length, Head::parse(bytes.clone(), &methods))
    });
}

#[divan::bench]
fn read_target_and_query(bencher: Bencher<'_, '_>) {
    let head = Head::parse(Bytes::from_static(HEAD.as_bytes()), &Methods::default()).expect("a head");
    bencher.bench_local(|| {
        let target = Target::read(black_box(head.target()), Lenient::default()).expect("a target");
        Params::parse(target.raw_query.as_deref().unwrap_or_default().as_bytes())
    });
}

#[divan::bench]
fn read_cookies(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| Params::parse_cookies(black_box(b"lang=zh; theme=dark; a.b=c%20d; seen[3]=1")));
}

#[divan::bench]
fn accept(bencher: Bencher<'_, '_>) {
    let judge = Judge::new();
    let token = judge.right_token(Algorithm::Md5);
    bencher.bench_local(|| assert!(judge.judge(black_box(&token))));
}

#[divan::bench]
fn accept_hmac(bencher: Bencher<'_, '_>) {
    let judge = Judge::new();
    let token = judge.right_token(Algorithm::HmacSha256);
    bencher.bench_local(|| assert!(judge.judge(black_box(&token))));
}

#[divan::bench]
fn refuse(bencher: Bencher<'_, '_>) {
    let (judge, token) = (Judge::new(), "0".repeat(32));
    bencher.bench_local(|| assert!(!judge.judge(black_box(&token))));
}

/// A verifier over a store in memory that holds one session.
struct Judge {
    verifier: Verifier,
    store: Store,
    clock: Clock,
    rule: Rule,
}

impl Judge {
    fn new() -> Self {
        let clock = Clock::system();
        let settings = store::Settings {
            location: Location::Memory,
            prefix: "t:".to_owned(),
            keys: vec![],
            timeout: HOUR,
            tls: Default::default(),
        };
        let store = at_once(Store::open(&settings, clock.clone())).expect("a store in memory");
        let session = session(&clock);
        let created = store.create(store.hash(USER_TOKEN), &session, HOUR * 2, None);
        at_once(created).expect("a session");
        Self { verifier: Verifier::new(&self::settings()), store, clock, rule: rule() }
    }

    fn right_token(&self, algorithm: Algorithm) -> String {
        let today = date(&TimeZone::UTC, self.clock.now(), "%Y-%m-%d");
        compute(algorithm, &Recipe::default(), &endpoint(), &today, SECRET.as_bytes())
    }

    /// Whether such a request may pass.
    fn judge(&self, api_token: &str) -> bool {
        let decided = Decided { rule: &self.rule, number: 0, endpoint: Some(endpoint()), require: Requirement::User };
        let claims = Claims {
            client_id: Some(b"ios"),
            api_token: Some(api_token.as_bytes()),
            user_id: Some(b"7"),
            user_token: Some(USER_TOKEN),
            ..Claims::default()
        };
        let request = signature::Request { method: "GET", path: "/api.php", ..signature::Request::default() };
        let (address, excess) = ([127, 0, 0, 1].into(), Excess::refused());
        let case =
            Case { decided: &decided, claims: &claims, address, user_agent: "", request, excess: &excess, via: None };
        match self.verifier.permit_at_once(&case, &self.store, &self.clock) {
            Ok(_) => true,
            Err(begun) => {
                at_once(self.verifier.permit((&case, begun), &mut Body::Empty, &self.store, &self.clock)).is_ok()
            }
        }
    }
}

/// Over a store in memory there is nothing to wait for, so no runtime stands beside the stopwatch.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn endpoint() -> Endpoint {
    Endpoint { module: b"user".to_vec(), controller: b"info".to_vec(), action: b"get".to_vec() }
}

fn session(clock: &Clock) -> SessionRecord {
    SessionRecord {
        id: SessionId::new("s1").expect("an id"),
        user: UserId::new("7").ok(),
        client: Some(ClientId::new("ios").expect("an id")),
        created: clock.now(),
        ends: clock.now().plus(HOUR * 24),
        ip: "127.0.0.1".to_owned(),
        user_agent: "App/5.1 (iOS)".to_owned(),
        jar: vec![],
        holds_cookies: false,
        channel: None,
    }
}

fn settings() -> Settings {
    let client = FileClient {
        id: ClientId::new("ios").expect("an id"),
        secrets: vec![LiveSecret { secret: Secret::new(SECRET), until: None }],
        algorithms: DEFAULT_ALGORITHMS.to_vec(),
        endpoints: vec!["*".to_owned()],
        signature: None,
        token: Recipe::default(),
        date_format: "%Y-%m-%d".to_owned(),
    };
    let session = SessionSettings {
        idle: HOUR * 2,
        max_age: HOUR * 24,
        extend_every: Duration::from_mins(1),
        per_user: 0,
        end_oldest: true,
        bind_client: true,
        bind_ip: false,
        bind_user_agent: false,
        user_id_required: true,
        guest: Duration::from_mins(30),
        sealed: false,
    };
    let fold = Fold { case: true, ..Fold::default() };
    let limits = limits::Settings::default();
    Settings {
        clients: vec![Arc::new(client)],
        zone: TimeZone::UTC,
        skew: Duration::from_mins(5),
        session,
        limits,
        fold,
    }
}

fn rule() -> Rule {
    Rule {
        name: "user".into(),
        matcher: Matcher::default(),
        require: Requirement::User,
        guests: Guests::Unknown,
        login: None,
        logout: None,
        logout_before: None,
        csrf: None,
        extend: true,
        signatures: Arc::new(Signatures::default()),
        endpoint_is: None,
        opaque_body: false,
        limit: None,
        max_body: None,
        response_timeout: None,
        websocket: None,
    }
}
