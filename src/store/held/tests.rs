//! What is held and for how long, without a store.

use super::*;
use crate::ids::{SessionId, UserId};

const ROOM: Settings = Settings { bytes: 1 << 20, trust: None };

fn session(byte: u8) -> Key {
    Key::Session(TokenHash::new([byte; 32]))
}

fn record() -> Arc<SessionRecord> {
    Arc::new(SessionRecord {
        id: SessionId::new("s1").unwrap(),
        user: UserId::new("7").ok(),
        client: None,
        created: Timestamp::from_secs(1),
        ends: Timestamp::from_secs(1 << 40),
        ip: String::new(),
        user_agent: String::new(),
        jar: Vec::new(),
        holds_cookies: false,
        channel: None,
    })
}

fn live(expires: Instant) -> Fact {
    Fact::Live(LiveFact { record: record(), expires, used: Timestamp::from_secs(1) })
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn lead(held: &Arc<Held>, key: &Key, link: u32) -> Flight {
    match Flight::begin(held, key, link) {
        Begun::Lead(flight) => flight,
        Begun::Follow(_) => panic!("somebody asks already"),
    }
}

struct Bench {
    held: Arc<Held>,
    promise: Arc<Promise>,
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self { held: Arc::new(Held::new(settings)), promise: Arc::new(Promise::new(0, Instant::now())) }
    }

    fn land(&self, flight: Flight, fact: Fact) {
        flight.land(fact, Instant::now(), Some(&self.promise));
    }

    fn hold(&self, key: &Key, fact: Fact) {
        self.land(lead(&self.held, key, 0), fact);
    }

    /// Whether it is held, over a connection that lives.
    fn holds(&self, key: &Key) -> bool {
        self.promise.prove(Instant::now());
        self.held.look(key, Instant::now()).is_some()
    }
}

#[test]
fn a_change_told_of_between_the_question_and_its_answer_wins() {
    let Bench { held, .. } = &Bench::new(ROOM);
    let bench = Bench { held: Arc::clone(held), promise: Arc::new(Promise::new(0, Instant::now())) };
    for told in [true, false] {
        let flight = lead(held, &session(1), 0);
        if told {
            held.told(&session(1), 0);
        }
        bench.land(flight, live(later()));
        assert_eq!(bench.holds(&session(1)), !told);
    }
    let flight = lead(held, &session(2), 0);
    held.told(&session(2), 1);
    bench.land(flight, live(later()));
    assert!(bench.holds(&session(2)), "another link hears of what it read itself");

    let flight = lead(held, &session(3), 0);
    held.forget(&session(3));
    bench.land(flight, live(later()));
    assert!(!bench.holds(&session(3)), "this process has written meanwhile");
}

#[test]
fn a_question_that_is_given_up_changes_nothing() {
    let bench = Bench::new(ROOM);
    bench.hold(&session(1), live(later()));
    drop(lead(&bench.held, &session(1), 0));
    assert!(bench.holds(&session(1)));
    lead(&bench.held, &session(1), 0);
}

#[test]
fn nothing_is_held_without_a_promise_or_after_it_is_broken() {
    let bench = Bench::new(ROOM);
    lead(&bench.held, &session(1), 0).land(live(later()), Instant::now(), None);
    assert!(!bench.holds(&session(1)));
    bench.hold(&session(1), live(later()));
    let flight = lead(&bench.held, &session(2), 0);
    bench.held.broken(&bench.promise, false);
    bench.land(flight, live(later()));
    assert!(!bench.holds(&session(1)) && !bench.holds(&session(2)));
}

#[test]
fn an_expiry_that_has_passed_is_asked_for_again() {
    let bench = Bench::new(ROOM);
    bench.hold(&session(1), live(Instant::now()));
    assert!(!bench.holds(&session(1)));
}

#[test]
fn an_extension_on_its_way_keeps_others_from_sending_it_too() {
    let bench = Bench::new(ROOM);
    let (hash, soon, much_later) = (TokenHash::new([1; 32]), Instant::now() + Duration::from_secs(9), later());
    bench.hold(&Key::Session(hash), live(soon));
    bench.held.prolong(hash, much_later);
    bench.held.prolong(hash, soon);
    let Some(Fact::Live(live)) = bench.held.look(&Key::Session(hash), Instant::now()) else { panic!("not held") };
    assert_eq!(live.expires, much_later);
}

#[test]
fn what_was_verified_too_long_ago_or_is_known_to_have_changed_is_not_trusted() {
    let bench = Bench::new(Settings { trust: Some(Duration::from_secs(30)), ..ROOM });
    let now = Instant::now();
    bench.hold(&session(1), live(now + Duration::from_secs(3600)));
    bench.hold(&session(2), live(now + Duration::from_secs(20)));
    bench.hold(&session(3), live(later()));
    let changed = Arc::new(Promise::new(1, now));
    lead(&bench.held, &session(4), 1).land(live(later()), now, Some(&changed));
    bench.held.told(&session(3), 0);
    bench.held.broken(&bench.promise, false);
    bench.held.broken(&changed, true);
    let trusts = |byte, seconds| bench.held.trusted(&session(byte), now + Duration::from_secs(seconds)).is_some();
    assert!(!bench.holds(&session(1)));
    assert!(trusts(1, 29) && !trusts(1, 31));
    assert!(trusts(2, 19) && !trusts(2, 21), "it has expired");
    assert!(!trusts(3, 0), "it was told of");
    assert!(!trusts(4, 0), "everything was emptied");

    let untrusting = Bench::new(ROOM);
    untrusting.hold(&session(1), live(later()));
    assert!(untrusting.held.trusted(&session(1), now).is_none());
}

#[test]
fn all_sessions_of_a_user_can_be_forgotten() {
    let bench = Bench::new(ROOM);
    bench.hold(&session(1), live(later()));
    bench.hold(&session(2), live(later()));
    let kept = TokenHash::new([2; 32]);
    bench.held.forget_sessions(|hash, record| record.user == UserId::new("7").ok() && hash != kept);
    assert!(!bench.holds(&session(1)) && bench.holds(&session(2)));
}

#[test]
fn those_who_want_to_know_the_same_wait_for_one() {
    let bench = Bench::new(ROOM);
    let flight = lead(&bench.held, &session(1), 0);
    let Begun::Follow(over) = Flight::begin(&bench.held, &session(1), 1) else { panic!("two ask") };
    assert!(over.has_changed().is_ok(), "it is under way");
    bench.land(flight, live(later()));
    assert!(over.has_changed().is_err());

    let flight = lead(&bench.held, &session(2), 0);
    bench.held.told(&session(2), 0);
    let newer = lead(&bench.held, &session(2), 0);
    bench.land(flight, live(later()));
    assert!(!bench.holds(&session(2)), "whoever comes after a change asks anew");
    bench.land(newer, Fact::NoSession);
    assert!(bench.holds(&session(2)));
}

#[test]
fn what_is_held_is_bounded_and_what_is_used_stays() {
    let bench = Bench::new(Settings { bytes: 1 << 20, trust: None });
    let hash = |number: u32| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        TokenHash::new(bytes)
    };
    let used = Key::Session(hash(0));
    bench.hold(&used, live(later()));
    for number in 1..10_000 {
        bench.hold(&Key::Session(hash(number)), live(later()));
        assert!(bench.holds(&used), "after {number}");
    }
    let all = (0..10_000).filter(|number| bench.holds(&Key::Session(hash(*number)))).count();
    assert!((500..3000).contains(&all), "{all} take a MiB");
}

#[test]
fn strangers_cannot_push_sessions_out() {
    let bench = Bench::new(ROOM);
    bench.hold(&session(1), live(later()));
    for number in 0..10_000 {
        bench.hold(&Key::Client(ClientId::new(format!("nobody-{number}")).unwrap()), Fact::NoClient);
    }
    let absent = bench.held.shards.iter().map(|shard| lock(shard).sizes().1).sum::<usize>();
    assert!(bench.holds(&session(1)));
    assert!(absent < 1000, "{absent} are known not to be there");
}
