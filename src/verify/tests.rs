//! Judging as a table: one case changed at a time.

use super::*;
use crate::ids::{SessionId, TokenHash, UserId};
use crate::policy::Requirement;
use crate::policy::endpoint::Endpoint;
use crate::policy::rule::{Guests, Matcher, Rule};
use crate::store::record::{LiveSecret, SessionRecord, Signing};
use crate::store::{Ending, Found, Live};
use crate::verify::client::DEFAULT_DATE_FORMAT;
use crate::verify::client_token::{Recipe, compute, date};

const NOW: Timestamp = Timestamp::from_secs(1_795_132_800 + 43_200);
const HOUR: Duration = Duration::from_secs(3600);

fn endpoint() -> Endpoint {
    Endpoint { module: b"user".to_vec(), controller: b"info".to_vec(), action: b"get".to_vec() }
}

fn rule(require: Requirement) -> Rule {
    Rule {
        name: "test".into(),
        matcher: Matcher::default(),
        require,
        guests: Guests::Unknown,
        login: None,
        logout: None,
        logout_before: None,
        csrf: None,
        extend: true,
        limit: None,
        signatures: Arc::default(),
        endpoint_is: None,
        opaque_body: false,
        max_body: None,
        response_timeout: None,
        websocket: None,
    }
}

fn session_settings() -> SessionSettings {
    SessionSettings {
        idle: 2 * HOUR,
        max_age: 720 * HOUR,
        extend_every: Duration::from_secs(60),
        per_user: 0,
        end_oldest: true,
        bind_client: true,
        bind_ip: false,
        bind_user_agent: false,
        user_id_required: true,
        guest: Duration::from_mins(30),
        sealed: false,
    }
}

fn file_client(id: &str, endpoints: &[&str]) -> Arc<FileClient> {
    Arc::new(FileClient {
        id: ClientId::new(id).unwrap(),
        secrets: vec![LiveSecret { secret: Secret::new("s3cret"), until: None }],
        algorithms: vec![Algorithm::Md5],
        endpoints: endpoints.iter().map(|text| (*text).to_owned()).collect(),
        signature: None,
        token: Recipe::default(),
        date_format: DEFAULT_DATE_FORMAT.to_owned(),
    })
}

fn settings(session: SessionSettings) -> Settings {
    Settings {
        clients: vec![file_client("ios", &["*"]), file_client("news-only", &["news"])],
        zone: TimeZone::UTC,
        skew: Duration::from_secs(300),
        session,
        limits: limits::Settings::default(),
        fold: Fold { case: true, ..Fold::default() },
    }
}

fn live(client: Option<&str>) -> Live {
    let record = SessionRecord {
        id: SessionId::new("s1").unwrap(),
        user: UserId::new("7").ok(),
        client: client.map(|id| ClientId::new(id).unwrap()),
        created: NOW.minus(HOUR),
        ends: NOW.plus(700 * HOUR),
        ip: "10.0.0.1".into(),
        user_agent: "app/1".into(),
        jar: Vec::new(),
        holds_cookies: false,
        channel: None,
    };
    Live { hash: TokenHash::new([1; 32]), record: Arc::new(record), expires: NOW.plus(HOUR), used: NOW.minus(HOUR) }
}

fn token() -> String {
    let today = date(&TimeZone::UTC, NOW, DEFAULT_DATE_FORMAT);
    compute(Algorithm::Md5, &Recipe::default(), &endpoint(), &today, b"s3cret")
}

/// One judgement; everything is right until a test changes it.
struct Trial {
    require: Requirement,
    endpoint: Option<Endpoint>,
    client_id: Option<&'static str>,
    api_token: Option<String>,
    user_id: Option<&'static str>,
    user_token: Option<&'static str>,
    session: Option<Found>,
    client: Option<ClientRecord>,
    ip: &'static str,
    settings: SessionSettings,
    signatures: Signatures,
    signed: Option<Signature>,
}

/// A signature as a test wants it.
struct Signature {
    sign: &'static [u8],
    body: Option<signature::BodyHash>,
}

impl Trial {
    fn right() -> Self {
        Self {
            require: Requirement::User,
            endpoint: Some(endpoint()),
            client_id: Some("ios"),
            api_token: Some(token()),
            user_id: Some("7"),
            user_token: Some("t"),
            session: Some(Found::Live(live(Some("ios")))),
            client: None,
            ip: "10.0.0.1",
            settings: session_settings(),
            signatures: Signatures::default(),
            signed: None,
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut trial = Self::right();
        change(&mut trial);
        trial
    }

    /// Client, signature and session; and what is known of the signature.
    fn judge_all(self) -> Result<(Permit, Option<Extension>, Signed), Denial> {
        let rule = Rule { signatures: Arc::new(self.signatures), ..rule(self.require) };
        let decided = Decided { rule: &rule, number: 0, endpoint: self.endpoint, require: rule.require };
        let api_token = self.api_token.unwrap_or_default();
        let claims = Claims {
            client_id: self.client_id.map(str::as_bytes),
            api_token: Some(api_token.as_bytes()).filter(|token| !token.is_empty()),
            user_id: self.user_id.map(str::as_bytes),
            user_token: self.user_token.map(str::as_bytes),
            timestamp: self.signed.as_ref().map(|_| b"1795176000".as_slice()),
            sign: self.signed.as_ref().map(|signed| signed.sign),
            ..Claims::default()
        };
        let body = self.signed.and_then(|signed| signed.body);
        let request = signature::Request { method: "GET", path: "/", body, ..signature::Request::default() };
        let (address, excess) = (self.ip.parse().unwrap(), Excess::refused());
        let case = Case {
            decided: &decided,
            claims: &claims,
            address,
            user_agent: "app/1",
            request,
            excess: &excess,
            via: None,
        };
        let verifier = Verifier::new(&settings(self.settings));
        verifier.precheck(&case)?;
        let caller = verifier.judge_caller(&case, case.claimed_client().as_ref(), self.client.as_ref(), NOW)?;
        let (permit, extension) = verifier.judge_user(&case, (caller.client, caller.secret), self.session, NOW)?;
        Ok((permit, extension, caller.signed))
    }

    fn judge(self) -> Result<(Permit, Option<Extension>), Denial> {
        self.judge_all().map(|(permit, extension, _)| (permit, extension))
    }

    fn denial(change: impl FnOnce(&mut Self)) -> Denial {
        Self::with(change).judge().expect_err("a denial")
    }
}

#[test]
fn everything_right_is_permitted_and_extended() {
    let (permit, extension) = Trial::right().judge().unwrap();
    assert_eq!(permit.identity().user, UserId::new("7").ok());
    assert_eq!(permit.identity().client, ClientId::new("ios").ok());
    assert_eq!(permit.identity().session, SessionId::new("s1").ok());
    assert_eq!(extension.unwrap().life, 2 * HOUR + Duration::from_secs(60));
}

#[test]
fn each_thing_that_lacks_has_its_own_reason() {
    use Denial as D;
    assert_eq!(Trial::denial(|t| t.require = Requirement::Deny), D::Denied("the rule says deny"));
    assert_eq!(Trial::denial(|t| t.endpoint = None), D::EndpointUnknown);
    assert_eq!(Trial::denial(|t| t.client_id = None), D::ClientMissing("client_id"));
    assert_eq!(Trial::denial(|t| t.api_token = None), D::ClientMissing("api_token"));
    assert_eq!(Trial::denial(|t| t.client_id = Some("nobody")), D::ClientRefused(ClientFlaw::Unknown));
    assert_eq!(Trial::denial(|t| t.api_token = Some("0".repeat(32))), D::ClientRefused(ClientFlaw::WrongToken));
    assert_eq!(Trial::denial(|t| t.user_token = None), D::UserMissing("user_token"));
    assert_eq!(Trial::denial(|t| t.user_id = None), D::UserMissing("user_id"));
    assert_eq!(Trial::denial(|t| t.session = None), D::UserRefused(SessionFlaw::Unknown));
    assert_eq!(Trial::denial(|t| t.user_id = Some("8")), D::UserRefused(SessionFlaw::NotTheOwner));
    assert_eq!(Trial::denial(|t| t.user_id = Some("07")), D::UserRefused(SessionFlaw::NotTheOwner));
    let ended = |ending| move |t: &mut Trial| t.session = Some(Found::Ended(ending));
    assert_eq!(Trial::denial(ended(Ending::NewerLogin)), D::UserEnded(Ending::NewerLogin));
    assert_eq!(Trial::denial(ended(Ending::Admin)), D::UserEnded(Ending::Admin));
}

#[test]
fn a_client_that_may_not_call_the_endpoint_is_denied_only_once_it_has_proved_itself() {
    let restricted = |t: &mut Trial| t.client_id = Some("news-only");
    assert_eq!(Trial::denial(restricted), Denial::Denied("the client may not call this endpoint"));
    let unproved = |t: &mut Trial| {
        restricted(t);
        t.api_token = Some("x".into());
    };
    assert_eq!(Trial::denial(unproved), Denial::ClientRefused(ClientFlaw::WrongToken));
}

#[test]
fn a_session_expires_and_ends_at_its_greatest_age() {
    let expired = |t: &mut Trial| t.session = Some(Found::Live(Live { expires: NOW, ..live(Some("ios")) }));
    assert_eq!(Trial::denial(expired), Denial::UserRefused(SessionFlaw::Expired));
    let aged = |t: &mut Trial| {
        let mut session = live(Some("ios"));
        Arc::make_mut(&mut session.record).ends = NOW;
        t.session = Some(Found::Live(session));
    };
    assert_eq!(Trial::denial(aged), Denial::UserRefused(SessionFlaw::Expired));
}

#[test]
fn an_extension_never_passes_the_greatest_age_and_is_made_only_when_due() {
    let extension_of = |expires: Timestamp, ends: Timestamp| {
        let trial = Trial::with(|t| {
            let mut session = live(Some("ios"));
            session.expires = expires;
            Arc::make_mut(&mut session.record).ends = ends;
            t.session = Some(Found::Live(session));
        });
        trial.judge().unwrap().1.map(|extension| extension.life)
    };
    let far = NOW.plus(700 * HOUR);
    assert_eq!(extension_of(NOW.plus(2 * HOUR), far), None);
    let almost = NOW.plus(2 * HOUR).minus(Duration::from_millis(1));
    assert_eq!(extension_of(almost, far), Some(2 * HOUR + Duration::from_secs(60)));
    assert_eq!(extension_of(NOW.plus(HOUR / 2), NOW.plus(HOUR)), Some(HOUR));
    assert_eq!(extension_of(NOW.plus(HOUR), NOW.plus(HOUR)), None);
}

#[test]
fn with_a_short_idle_time_the_surplus_is_a_quarter_of_it() {
    let trial = Trial::with(|t| t.settings.idle = Duration::from_secs(2));
    assert_eq!(trial.judge().unwrap().1, None, "an hour is left");
    let due = Trial::with(|t| {
        t.settings.idle = Duration::from_secs(2);
        t.session = Some(Found::Live(Live { expires: NOW.plus(Duration::from_secs(1)), ..live(Some("ios")) }));
    });
    assert_eq!(due.judge().unwrap().1.unwrap().life, Duration::from_millis(2500));
}

#[test]
fn a_session_is_bound_to_its_client_and_where_asked_to_its_address() {
    let other = |t: &mut Trial| t.session = Some(Found::Live(live(Some("android"))));
    assert!(matches!(Trial::denial(other), Denial::WrongChannel(_)));
    let unbound = Trial::with(|t| {
        other(t);
        t.settings.bind_client = false;
    });
    assert!(unbound.judge().is_ok());
    let moved = |t: &mut Trial| (t.settings.bind_ip, t.ip) = (true, "10.0.0.2");
    assert!(matches!(Trial::denial(moved), Denial::WrongChannel(_)));
}

#[test]
fn user_only_asks_for_no_client_and_client_for_no_user() {
    let browser = Trial::with(|t| {
        t.require = Requirement::UserOnly;
        (t.client_id, t.api_token, t.endpoint) = (None, None, None);
    });
    assert_eq!(browser.judge().unwrap().0.identity().client, None);
    let program = Trial::with(|t| {
        t.require = Requirement::Client;
        (t.user_id, t.user_token, t.session) = (None, None, None);
    });
    let (permit, extension) = program.judge().unwrap();
    assert_eq!((permit.identity().user.as_ref(), extension), (None, None));
}

#[test]
fn a_registered_client_has_two_live_secrets_while_it_rotates_and_none_while_disabled() {
    let secret = |text: &str, until| LiveSecret { secret: Secret::new(text), until };
    let record = |secrets: Vec<LiveSecret>, enabled| ClientRecord {
        id: ClientId::new("registered").unwrap(),
        secrets,
        enabled,
        algorithms: DEFAULT_ALGORITHMS.to_vec(),
        endpoints: vec!["*".into()],
        signature: None,
        name: String::new(),
        created: NOW,
    };
    let trial = |record: ClientRecord| {
        Trial::with(|t| {
            t.client_id = Some("registered");
            t.require = Requirement::Client;
            t.client = Some(record);
        })
        .judge()
        .map(|_| ())
    };
    let wrong = Err(Denial::ClientRefused(ClientFlaw::WrongToken));
    assert_eq!(trial(record(vec![secret("new", None), secret("s3cret", Some(NOW.plus(HOUR)))], true)), Ok(()));
    assert_eq!(trial(record(vec![secret("new", None), secret("s3cret", Some(NOW))], true)), wrong);
    let disabled = Err(Denial::ClientRefused(ClientFlaw::Disabled));
    assert_eq!(trial(record(vec![secret("s3cret", None)], false)), disabled);
}

#[test]
fn a_signature_is_judged_after_the_client_and_before_the_session() {
    let wrong = || Some(Signature { sign: &[b'0'; 64], body: Some([0; 32]) });
    let signed = |change: fn(&mut Trial)| {
        Trial::denial(|trial| {
            (trial.signatures.usual, trial.signed) = (Signing::Always, wrong());
            change(trial);
        })
    };
    assert_eq!(signed(|trial| trial.client_id = Some("nobody")), Denial::ClientRefused(ClientFlaw::Unknown));
    assert_eq!(signed(|trial| trial.api_token = Some("x".into())), Denial::ClientRefused(ClientFlaw::WrongToken));
    assert_eq!(signed(|trial| trial.session = None), WRONG_SIGNATURE);
    assert_eq!(signed(|trial| trial.signed = None), Denial::SignMissing("sign"));
    // Where no client is asked for, there is nobody who could have signed.
    let browser = Trial::with(|trial| {
        (trial.signatures.usual, trial.signed, trial.require) = (Signing::Always, wrong(), Requirement::UserOnly);
    });
    assert!(matches!(browser.judge_all(), Ok((_, _, Signed::Not))));
}

#[test]
fn a_signature_over_a_body_to_come_is_not_right_yet() {
    let trial = Trial::with(|trial| {
        (trial.signatures.usual, trial.signed) =
            (Signing::WhenPresent, Some(Signature { sign: &[b'0'; 64], body: None }));
    });
    assert!(matches!(trial.judge_all(), Ok((_, _, Signed::Unproved(_)))));
}
