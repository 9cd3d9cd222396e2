//! The time of a refusal does not tell what was wrong with the credentials: an unknown client, a wrong token and a right token with
//! a wrong signature cost the same work, whatever the client that was named may use.
//!
//! Measured is the whole judgement over a store in memory, without sockets: on a network the differences that matter here drown.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use ticketgate::clock::Clock;
use ticketgate::credentials::Claims;
use ticketgate::ids::ClientId;
use ticketgate::policy::Decided;
use ticketgate::policy::Requirement;
use ticketgate::policy::endpoint::{Endpoint, Fold};
use ticketgate::policy::rule::{Guests, Matcher, Rule, Signatures};
use ticketgate::request::body::Body;
use ticketgate::secret::Secret;
use ticketgate::store::record::{Algorithm, LiveSecret, Signing};
use ticketgate::store::{self, ClientRecord, Location, Store};
use ticketgate::verify::client_token::{Recipe, compute, date};
use ticketgate::verify::limits::Excess;
use ticketgate::verify::{
    Case, ClientFlaw, DEFAULT_ALGORITHMS, Denial, FileClient, Refusal, SessionSettings, Settings, Verifier, limits,
    signature,
};

/// What the slowest refusal may cost more than the fastest. On an idle machine it is a few per cent; what leaving out one of the
/// computations would save is more than this.
const TOLERANCE: f64 = 1.25;
/// Judgements in one sample, so that the clock's own steps do not count.
const BATCH: usize = 8;
/// Samples of each kind, in turns.
const ROUNDS: usize = 150;
/// A machine that does other things disturbs a measurement; it does not do so every time.
const ATTEMPTS: usize = 6;

const FORMAT: &str = "%Y-%m-%d";
const WRONG_TOKEN: &str = "00000000000000000000000000000000";
const WRONG_SIGN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn endpoint() -> Endpoint {
    Endpoint { module: b"user".to_vec(), controller: b"info".to_vec(), action: b"get".to_vec() }
}

fn secrets(texts: &[&str]) -> Vec<LiveSecret> {
    texts.iter().map(|text| LiveSecret { secret: Secret::new(text), until: None }).collect()
}

fn file_client(id: &str, texts: &[&str], algorithms: &[Algorithm]) -> Arc<FileClient> {
    Arc::new(FileClient {
        id: ClientId::new(id).expect("an id"),
        secrets: secrets(texts),
        algorithms: algorithms.to_vec(),
        endpoints: vec!["*".to_owned()],
        signature: None,
        token: Recipe::default(),
        date_format: FORMAT.to_owned(),
    })
}

/// A client of the store, allowed a great many endpoints.
fn stored_client(id: &str) -> ClientRecord {
    ClientRecord {
        id: ClientId::new(id).expect("an id"),
        secrets: secrets(&["s3cret-of-stored"]),
        enabled: true,
        algorithms: vec![Algorithm::HmacSha256],
        endpoints: (0..30).map(|number| format!("module{number}/*/action{number}")).collect(),
        signature: None,
        name: String::new(),
        created: Clock::system().now(),
    }
}

fn settings() -> Settings {
    let session = SessionSettings {
        idle: Duration::from_secs(7200),
        max_age: Duration::from_secs(86400),
        extend_every: Duration::from_secs(60),
        per_user: 0,
        end_oldest: true,
        bind_client: true,
        bind_ip: false,
        bind_user_agent: false,
        user_id_required: true,
        guest: Duration::from_mins(30),
        sealed: false,
    };
    let clients = vec![
        file_client("usual", &["s3cret-of-usual"], &DEFAULT_ALGORITHMS),
        file_client("rotated", &["new-s3cret", "old-s3cret"], &DEFAULT_ALGORITHMS),
        file_client("only-md5", &["s3cret-of-md5"], &[Algorithm::Md5]),
    ];
    let fold = Fold { case: true, ..Fold::default() };
    let limits = limits::Settings::default();
    Settings { clients, zone: TimeZone::UTC, skew: Duration::from_secs(300), session, limits, fold }
}

/// A rule for clients whose requests must be signed.
fn rule() -> Rule {
    Rule {
        name: "test".into(),
        matcher: Matcher::default(),
        require: Requirement::Client,
        guests: Guests::Unknown,
        login: None,
        logout: None,
        logout_before: None,
        csrf: None,
        extend: true,
        signatures: Arc::new(Signatures { of_rule: Some(Signing::Always), ..Signatures::default() }),
        endpoint_is: None,
        opaque_body: false,
        limit: None,
        max_body: None,
        response_timeout: None,
        websocket: None,
    }
}

/// One way to be refused.
struct Kind {
    name: &'static str,
    client: &'static str,
    api_token: String,
    refused: fn(&Refusal) -> bool,
}

fn kinds(clock: &Clock) -> Vec<Kind> {
    let today = date(&TimeZone::UTC, clock.now(), FORMAT);
    let right =
        |algorithm, secret: &str| compute(algorithm, &Recipe::default(), &endpoint(), &today, secret.as_bytes());
    let unknown = |refusal: &Refusal| *refusal == Refusal::Denied(Denial::ClientRefused(ClientFlaw::Unknown));
    let wrong = |refusal: &Refusal| *refusal == Refusal::Denied(Denial::ClientRefused(ClientFlaw::WrongToken));
    let unsigned = |refusal: &Refusal| matches!(refusal, Refusal::Denied(Denial::SignRefused(_)));
    let kind = |name, client, api_token: &str, refused| Kind { name, client, api_token: api_token.to_owned(), refused };
    vec![
        kind("unknown client", "nobody", WRONG_TOKEN, unknown),
        kind("wrong token", "usual", WRONG_TOKEN, wrong),
        kind("wrong token while rotated", "rotated", WRONG_TOKEN, wrong),
        kind("wrong token of a client with md5 alone", "only-md5", WRONG_TOKEN, wrong),
        kind("wrong token of a client of the store", "stored", WRONG_TOKEN, wrong),
        kind("wrong signature", "usual", &right(Algorithm::Md5, "s3cret-of-usual"), unsigned),
        kind("wrong signature with the older secret", "rotated", &right(Algorithm::Md5, "old-s3cret"), unsigned),
    ]
}

/// A verifier, its store, and a rule.
struct Bench {
    verifier: Verifier,
    store: Store,
    clock: Clock,
    rule: Rule,
}

impl Bench {
    async fn new() -> Self {
        let clock = Clock::system();
        let timeout = Duration::from_secs(5);
        let settings = store::Settings {
            location: Location::Memory,
            prefix: "t:".to_owned(),
            keys: vec![],
            timeout,
            tls: Default::default(),
        };
        let store = Store::open(&settings, clock.clone()).await.expect("a store in memory");
        assert!(store.add_client(&stored_client("stored")).await.expect("a store"), "a new client");
        Self { verifier: Verifier::new(&self::settings()), store, clock, rule: rule() }
    }

    /// Judges a request of that kind, which is refused as it should be.
    fn judge(&self, kind: &Kind, timestamp: &str) {
        let decided = Decided { rule: &self.rule, number: 0, endpoint: Some(endpoint()), require: self.rule.require };
        let claims = Claims {
            client_id: Some(kind.client.as_bytes()),
            api_token: Some(kind.api_token.as_bytes()),
            timestamp: Some(timestamp.as_bytes()),
            nonce: Some(b"n0nce-0001"),
            sign: Some(WRONG_SIGN.as_bytes()),
            ..Claims::default()
        };
        let request = signature::Request { method: "GET", path: "/index.php", ..signature::Request::default() };
        let (address, excess) = ([127, 0, 0, 1].into(), Excess::refused());
        let case =
            Case { decided: &decided, claims: &claims, address, user_agent: "", request, excess: &excess, via: None };
        let mut body = Body::Empty;
        let begun = self.verifier.permit_at_once(black_box(&case), &self.store, &self.clock);
        let begun = begun.map(|_| panic!("{}: permitted", kind.name)).unwrap_or_else(|begun| begun);
        let judged = pin!(self.verifier.permit((&case, begun), &mut body, &self.store, &self.clock));
        // Over memory there is nothing to wait for, so no runtime stands between the judgement and the stopwatch.
        match judged.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Err(refusal)) => assert!((kind.refused)(&refusal), "{}: {refusal:?}", kind.name),
            Poll::Ready(Ok(_)) => panic!("{}: permitted", kind.name),
            Poll::Pending => panic!("{}: waits", kind.name),
        }
    }

    /// How long a batch of that kind takes.
    fn sample(&self, kind: &Kind, batch: usize) -> Duration {
        let timestamp = self.clock.now().as_secs().to_string();
        let started = Instant::now();
        for _ in 0..batch {
            self.judge(kind, &timestamp);
        }
        started.elapsed()
    }

    /// The median time of each kind, with a batch of its own size, taken in turns, so that what the machine does meanwhile falls
    /// on all of them alike.
    fn medians(&self, kinds: &[(&Kind, usize)]) -> Vec<f64> {
        let mut samples = vec![vec![]; kinds.len()];
        for round in 0..ROUNDS {
            for at in 0..kinds.len() {
                let at = (at + round) % kinds.len();
                let (kind, batch) = kinds[at];
                samples[at].push(self.sample(kind, batch));
            }
        }
        samples.into_iter().map(|mut samples| lower_median(&mut samples)).collect()
    }
}

/// The median of the faster half: interruptions only ever make a sample slower.
fn lower_median(samples: &mut [Duration]) -> f64 {
    samples.sort_unstable();
    samples[samples.len() / 4].as_secs_f64()
}

/// The slowest over the fastest.
fn spread(times: &[f64]) -> f64 {
    let (least, most) =
        times.iter().fold((f64::MAX, 0.0_f64), |(least, most), time| (least.min(*time), most.max(*time)));
    most / least
}

#[tokio::test]
async fn the_time_of_a_refusal_does_not_tell_what_was_wrong() {
    let bench = Bench::new().await;
    let mut seen = vec![];
    for _ in 0..ATTEMPTS {
        let kinds = kinds(&bench.clock);
        let batches: Vec<(&Kind, usize)> = kinds.iter().map(|kind| (kind, BATCH)).collect();
        let times = bench.medians(&batches);
        let told = kinds.iter().zip(&times).map(|(kind, time)| format!("{:.1} µs {}", time * 1e6, kind.name));
        seen.push(told.collect::<Vec<_>>());
        if spread(&times) <= TOLERANCE {
            eprintln!("{BATCH} judgements: {seen:#?}");
            return;
        }
    }
    panic!("spread beyond {TOLERANCE}, {ATTEMPTS} times: {seen:#?}");
}

#[tokio::test]
async fn a_difference_of_half_the_work_would_be_seen() {
    let bench = Bench::new().await;
    let kinds = kinds(&bench.clock);
    let seen = (0..ATTEMPTS).map(|_| spread(&bench.medians(&[(&kinds[1], BATCH), (&kinds[1], BATCH * 3 / 2)])));
    let seen: Vec<f64> = seen.take_while(|spread| *spread <= TOLERANCE).collect();
    assert!(seen.len() < ATTEMPTS, "never seen: {seen:?}");
}
