//! What becomes of questions when the store breaks: bounded in time, answered as faults, and well again by themselves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ticketgate::clock::Clock;
use ticketgate::ids::{ClientId, SessionId, TokenHash, UserId};
use ticketgate::secret::Secret;
use ticketgate::store::record::Algorithm;
use ticketgate::store::{
    Cap, ClientRecord, Created, Ending, Fault, Found, Location, Question, SessionRecord, Settings, Store,
};

#[path = "support/redis.rs"]
mod redis_server;
use redis_server::RedisServer;

const TIMEOUT: Duration = Duration::from_millis(250);
/// What a loaded machine may add to it.
const GRACE: Duration = Duration::from_millis(50);
/// Within this every fault must have healed: the longest wait between attempts, and some.
const HEALING: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(7200);

fn settings(location: Location) -> Settings {
    Settings { location, prefix: "ticketgate:".into(), keys: Vec::new(), timeout: TIMEOUT, tls: Default::default() }
}

async fn open(url: &str) -> Store {
    Store::open(&settings(Location::Redis(Secret::new(url))), Clock::system()).await.unwrap()
}

fn sid() -> SessionId {
    SessionId::new("sid").unwrap()
}

fn user() -> UserId {
    UserId::new("7").unwrap()
}

fn ios() -> ClientId {
    ClientId::new("ios").unwrap()
}

fn session() -> SessionRecord {
    let now = Clock::system().now();
    SessionRecord {
        id: sid(),
        user: Some(user()),
        client: None,
        created: now,
        ends: now.plus(IDLE * 12),
        ip: "127.0.0.1".into(),
        user_agent: String::new(),
        jar: Vec::new(),
        holds_cookies: false,
        channel: None,
    }
}

fn client() -> ClientRecord {
    ClientRecord {
        id: ios(),
        secrets: Vec::new(),
        enabled: true,
        algorithms: vec![Algorithm::Md5],
        endpoints: Vec::new(),
        signature: None,
        name: String::new(),
        created: Clock::system().now(),
    }
}

async fn log_in(store: &Store, token: &str) -> Result<TokenHash, Fault> {
    let hash = store.hash(token.as_bytes());
    store.create(hash, &session(), IDLE, None).await.map(|_| hash)
}

async fn lives(store: &Store, hash: TokenHash) -> Result<bool, Fault> {
    let records = store.ask(Question { client: Some(&ios()), session: &[hash] }).await?;
    Ok(matches!(records.session, Some(Found::Live(_))))
}

/// Runs an operation and holds it to the time-out. A sleep of that length runs beside it and is the measure, so that a machine too
/// busy to run either is not mistaken for a slow store.
async fn in_time<T>(operation: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let measure = async {
        tokio::time::sleep(TIMEOUT).await;
        started.elapsed()
    };
    let ((outcome, took), measure) = tokio::join!(async { (operation.await, started.elapsed()) }, measure);
    assert!(took <= measure + GRACE, "it took {took:?}, the time-out {measure:?}");
    outcome
}

/// Every operation: each must fail, and none may take longer than the time-out.
async fn every_operation_fails_in_time(store: &Store, hash: TokenHash) -> Vec<Fault> {
    let (user, client) = (user(), client());
    let cap = Some(Cap { sessions: 1, end_oldest: true });
    let mut faults = Vec::new();
    faults.push(in_time(store.ask(Question { client: Some(&client.id), session: &[hash] })).await.unwrap_err());
    faults.push(in_time(store.create(hash, &session(), IDLE, cap)).await.unwrap_err());
    faults.push(in_time(store.change_jar(hash, &sid(), &|_| true)).await.unwrap_err());
    faults.push(in_time(store.end(hash, Ending::Admin)).await.unwrap_err());
    faults.push(in_time(store.end_user(&user, None, Ending::Admin)).await.unwrap_err());
    faults.push(in_time(store.sessions(&user)).await.unwrap_err());
    faults.push(in_time(store.add_client(&client)).await.unwrap_err());
    faults.push(in_time(store.change_client(&client.id, &|_| ())).await.unwrap_err());
    faults.push(in_time(store.remove_client(&client.id)).await.unwrap_err());
    faults.push(in_time(store.clients()).await.unwrap_err());
    faults.push(in_time(store.ping()).await.unwrap_err());
    store.extend(hash, IDLE);
    faults.push(in_time(store.flush()).await.unwrap_err());
    faults
}

/// Asks until it is answered.
async fn heals(store: &Store) {
    let deadline = Instant::now() + HEALING;
    while let Err(fault) = store.ping().await {
        assert!(Instant::now() < deadline, "still {fault}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Logs in until that succeeds.
async fn heals_for_writing(store: &Store) {
    let deadline = Instant::now() + HEALING;
    while let Err(fault) = log_in(store, "healed").await {
        assert!(Instant::now() < deadline, "still {fault}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_stopped_redis_costs_no_more_than_the_timeout_and_is_back_when_it_continues() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    server.signal("STOP");
    let faults = every_operation_fails_in_time(&store, hash).await;
    assert_eq!(faults[0], Fault::TimedOut);
    server.signal("CONT");
    heals(&store).await;
    assert_eq!(lives(&store, hash).await, Ok(true), "nothing was ended");
}

#[tokio::test]
async fn many_questions_to_a_stopped_redis_each_end_in_time_and_many_at_once() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    server.signal("STOP");
    let mut at_once = 0;
    for _ in 0..20 {
        let asked: Vec<_> = (0..50)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(in_time(async move {
                    let started = Instant::now();
                    (lives(&store, hash).await, started.elapsed())
                }))
            })
            .collect();
        for question in asked {
            let (outcome, took) = question.await.unwrap();
            assert!(outcome.is_err());
            at_once += usize::from(took < TIMEOUT / 5);
        }
    }
    assert!(at_once >= 200, "only {at_once} of 1000 were not made to wait");
    server.signal("CONT");
    heals(&store).await;
}

#[tokio::test]
async fn a_late_answer_is_never_taken_for_that_of_another_question() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (first, second) = (log_in(&store, "first").await.unwrap(), store.hash(b"nobody's"));
    for _ in 0..5 {
        server.signal("STOP");
        assert!(lives(&store, first).await.is_err());
        server.signal("CONT");
        heals(&store).await;
        assert_eq!(lives(&store, second).await, Ok(false));
        assert_eq!(lives(&store, first).await, Ok(true));
    }
}

#[tokio::test]
async fn nothing_listening_is_a_fault_without_waiting_that_names_no_password() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let store = open(&format!("redis://gate:hunter2@127.0.0.1:{port}/3")).await;
    for fault in every_operation_fails_in_time(&store, store.hash(b"t")).await {
        let text = fault.to_string();
        assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn a_redis_that_comes_later_is_found() {
    let mut server = RedisServer::start();
    server.kill();
    let store = open(&server.url()).await;
    assert!(store.ping().await.is_err());
    server.restart(None);
    heals(&store).await;
}

#[tokio::test]
async fn a_restarted_redis_is_met_without_a_fault_where_nothing_was_under_way() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    log_in(&store, "t").await.unwrap();
    server.restart(None);
    // The runtime has to see that the old connection was closed.
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(log_in(&store, "t").await.is_ok());
}

#[tokio::test]
async fn a_connection_cut_off_by_the_server_is_replaced() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    for _ in 0..3 {
        server.command::<i64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        heals(&store).await;
        assert_eq!(lives(&store, hash).await, Ok(true));
    }
}

#[tokio::test]
async fn a_redis_that_loads_its_data_is_a_fault_until_it_has() {
    let mut server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    let fill = "for i = 1, 3000 do redis.call('SET', 'fill:' .. i, 'x') end";
    server.command::<()>(&["EVAL", fill, "0"]);
    server.command::<()>(&["SAVE"]);
    // 3000 keys, each loaded for a millisecond.
    server.restart(Some(&["--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024"]));
    let deadline = Instant::now() + HEALING;
    let mut loading = 0;
    loop {
        match lives(&store, hash).await {
            Ok(living) => break assert!(living),
            Err(fault) => loading += usize::from(fault.to_string().contains("LOADING")),
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(loading > 0, "it was never seen loading");
}

#[tokio::test]
async fn a_demoted_redis_refuses_writes_and_is_well_when_promoted() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    server.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    let fault = log_in(&store, "u").await.unwrap_err();
    assert!(fault.to_string().contains("READONLY"), "{fault}");
    assert_eq!(lives(&store, hash).await, Ok(true), "it may still be asked");
    assert!(store.end(hash, Ending::Admin).await.is_err());

    server.command::<()>(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    let fault = lives(&store, hash).await.unwrap_err();
    assert!(fault.to_string().contains("MASTERDOWN"), "{fault}");

    server.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    heals_for_writing(&store).await;
    assert_eq!(lives(&store, hash).await, Ok(true));
}

#[tokio::test]
async fn extensions_outlast_a_redis_that_is_away() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    let key = format!("ticketgate:session:{}", hash.to_hex());
    server.command::<()>(&["PEXPIRE", &key, "60000"]);
    server.command::<()>(&["REPLICAOF", "127.0.0.1", "1"]);
    store.extend(hash, IDLE);
    assert!(store.flush().await.is_err());
    server.command::<()>(&["REPLICAOF", "NO", "ONE"]);
    let deadline = Instant::now() + HEALING;
    while server.command::<i64>(&["PTTL", &key]) < 7_000_000 {
        assert!(Instant::now() < deadline, "the extension was lost");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_paused_redis_costs_no_more_than_the_timeout() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let hash = log_in(&store, "t").await.unwrap();
    server.command::<()>(&["CLIENT", "PAUSE", "2000", "ALL"]);
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(1000) {
        assert!(in_time(lives(&store, hash)).await.is_err());
    }
    heals(&store).await;
    assert_eq!(lives(&store, hash).await, Ok(true));
}

#[tokio::test]
async fn a_redis_that_takes_no_more_connections_is_a_fault_until_it_does() {
    let server = RedisServer::start_with(&["--maxclients", "1"]);
    let other = server.connect();
    let store = open(&server.url()).await;
    assert!(in_time(store.ping()).await.is_err());
    drop(other);
    heals(&store).await;
}

#[tokio::test]
async fn a_key_of_the_wrong_type_is_unreadable_and_disturbs_no_other() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let (good, bad) = (log_in(&store, "good").await.unwrap(), log_in(&store, "bad").await.unwrap());
    server.command::<()>(&["SET", &format!("ticketgate:session:{}", bad.to_hex()), "x"]);
    server.command::<i64>(&["RPUSH", "ticketgate:client:list", "x"]);
    for _ in 0..3 {
        assert!(matches!(lives(&store, bad).await, Err(Fault::Unreadable(_))));
        assert_eq!(lives(&store, good).await, Ok(true));
    }
    assert!(matches!(store.end(bad, Ending::Admin).await, Err(Fault::Unreadable(_))));
    assert!(matches!(store.change_jar(bad, &sid(), &|_| true).await, Err(Fault::Unreadable(_))));
    let list = ClientId::new("list").unwrap();
    let question = Question { client: Some(&list), session: &[] };
    assert!(matches!(store.ask(question).await, Err(Fault::Unreadable(_))));
    store.extend(bad, IDLE);
    store.extend(good, IDLE);
    assert_eq!(store.flush().await, Ok(()), "what can never succeed is not tried again");
    assert_eq!(store.end_user(&user(), None, Ending::Admin).await, Ok(1));
}

#[tokio::test]
async fn a_list_of_sessions_of_the_wrong_type_fails_the_login_and_leaves_no_session() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    server.command::<()>(&["SET", "ticketgate:user:7", "x"]);
    assert!(matches!(log_in(&store, "t").await, Err(Fault::Unreadable(_))));
    assert_eq!(lives(&store, store.hash(b"t")).await, Ok(false));
}

#[tokio::test]
async fn a_full_redis_fails_logins_changes_nothing_and_can_still_end_sessions() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    let cap = Some(Cap { sessions: 1, end_oldest: true });
    let old = store.hash(b"old");
    store.create(old, &session(), IDLE, cap).await.unwrap();
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "1"]);
    let new = store.hash(b"new");
    let fault = store.create(new, &session(), IDLE, cap).await.unwrap_err();
    assert!(fault.to_string().contains("OOM"), "{fault}");
    assert_eq!((lives(&store, old).await, lives(&store, new).await), (Ok(true), Ok(false)));
    assert_eq!(store.end(old, Ending::Admin).await, Ok(true));
    server.command::<()>(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(store.create(new, &session(), IDLE, cap).await, Ok(Created::Stands { displaced: 0 }));
}

#[tokio::test]
async fn a_changed_password_is_a_fault_that_shows_none_and_heals_when_it_fits_again() {
    let server = RedisServer::start();
    let port = server.port();
    server.command::<()>(&["ACL", "SETUSER", "gate", "on", ">hunter2", "~*", "&*", "+@all"]);
    let store = open(&format!("redis://gate:hunter2@127.0.0.1:{port}")).await;
    let hash = log_in(&store, "t").await.unwrap();
    // Changing a password cuts no connections off; deleting the user does.
    server.command::<()>(&["ACL", "DELUSER", "gate"]);
    server.command::<()>(&["ACL", "SETUSER", "gate", "on", ">hunter3", "~*", "&*", "+@all"]);
    let deadline = Instant::now() + HEALING;
    let fault = loop {
        match store.ping().await {
            Ok(()) => assert!(Instant::now() < deadline, "the old password is still good"),
            Err(fault) => break fault,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(!fault.to_string().contains("hunter"), "{fault}");
    server.command::<()>(&["ACL", "SETUSER", "gate", ">hunter2"]);
    heals(&store).await;
    assert_eq!(lives(&store, hash).await, Ok(true));
}

#[tokio::test]
async fn a_redis_that_wants_a_password_is_a_fault() {
    let server = RedisServer::start();
    let store = open(&server.url()).await;
    log_in(&store, "t").await.unwrap();
    let mut administrator = server.connect();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "hunter2"]).exec(&mut administrator).unwrap();
    redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut administrator).unwrap();
    let deadline = Instant::now() + HEALING;
    while store.ping().await.is_ok() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(log_in(&store, "t").await.is_err());
    redis::cmd("CONFIG").arg(&["SET", "requirepass", ""]).exec(&mut administrator).unwrap();
    heals(&store).await;
}

#[tokio::test]
async fn urls_that_cannot_be_used_are_refused_without_being_repeated() {
    for url in ["http://u:hunter2@h/", "redis://u:hunter2@h:99999", "redis+cluster://u:hunter2@h/1", "hunter2"] {
        let opened = Store::open(&settings(Location::Redis(Secret::new(url))), Clock::system()).await;
        assert!(!opened.unwrap_err().to_string().contains("hunter2"));
    }
}

// ---- files

const KILLED_GATE: &str = "TICKETGATE_TEST_KILLED_GATE";

async fn open_file(path: &Path) -> Result<Store, Fault> {
    let settings = Settings { timeout: Duration::from_secs(20), ..settings(Location::File(path.into())) };
    Store::open(&settings, Clock::system()).await
}

/// Not a behaviour: the process that the next test kills. It logs in, ends and registers, and prints what was acknowledged.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the parent tells it by the environment that it is the child")]
async fn killed_gate() {
    let Ok(path) = std::env::var(KILLED_GATE) else { return };
    let store = open_file(Path::new(&path)).await.unwrap();
    for round in 0.. {
        let logins: Vec<_> = (0..8)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { log_in(&store, &format!("{round}-{number}")).await.unwrap() })
            })
            .collect();
        for (number, login) in logins.into_iter().enumerate() {
            let hash = login.await.unwrap();
            say(&format!("lives {round}-{number}"));
            if number == 0 {
                store.end(hash, Ending::Admin).await.unwrap();
                say(&format!("ended {round}-{number}"));
            }
        }
        let id = ClientId::new(format!("c{round}")).unwrap();
        store.add_client(&ClientRecord { id, ..client() }).await.unwrap();
        say(&format!("client c{round}"));
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

#[tokio::test]
async fn a_file_keeps_everything_acknowledged_when_its_gate_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let mut acknowledged: Vec<String> = Vec::new();
    for killing in 0..3 {
        // A path of its own each time: the child counts from zero.
        let path = path.with_extension(killing.to_string());
        let mut gate = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed_gate", "--nocapture"])
            .env(KILLED_GATE, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(gate.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok).filter(|line| line.contains(' '));
        acknowledged.clear();
        acknowledged.extend(lines.by_ref().take(150 + killing * 37));
        gate.kill().unwrap();
        // What it still managed to say was acknowledged, too; the last line may be cut off.
        acknowledged.extend(lines);
        gate.wait().unwrap();
        acknowledged.pop();
        all_is_there(&path, &acknowledged).await;
    }
}

async fn all_is_there(path: &Path, acknowledged: &[String]) {
    let store = open_file(path).await.unwrap();
    let mut checked = 0;
    for line in acknowledged {
        match line.split_once(' ') {
            // It may have been ended without having had the time to say so.
            Some(("lives", name)) if !name.ends_with("-0") => {
                assert_eq!(lives(&store, store.hash(name.as_bytes())).await, Ok(true), "{name}");
            }
            Some(("ended", name)) => {
                let session = store.hash(name.as_bytes());
                let records = store.ask(Question { client: None, session: &[session] }).await.unwrap();
                assert!(matches!(records.session, Some(Found::Ended(Ending::Admin))), "{name}");
            }
            Some(("client", id)) => {
                let id = ClientId::new(id).unwrap();
                let records = store.ask(Question { client: Some(&id), session: &[] }).await.unwrap();
                assert!(records.client.is_some(), "{id}");
            }
            _ => continue,
        }
        checked += 1;
    }
    assert!(checked > 100, "{checked} of {acknowledged:?}");
}

#[tokio::test]
async fn a_file_serves_one_gate_at_a_time_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let store = open_file(&path).await.unwrap();
    let hash = log_in(&store, "t").await.unwrap();
    let fault = open_file(&path).await.unwrap_err().to_string();
    assert!(fault.contains("state.redb") && fault.contains("another gate"), "{fault}");
    let worker = store.attach();
    drop(store);
    assert!(open_file(&path).await.is_err(), "a worker still holds it");
    drop(worker);
    let store = open_file(&path).await.unwrap();
    assert_eq!(lives(&store, hash).await, Ok(true));
}

#[tokio::test]
async fn extensions_and_expiries_survive_a_restart_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let clock = Clock::movable();
    let settings = Settings { timeout: Duration::from_secs(20), ..settings(Location::File(path.clone())) };
    let store = Store::open(&settings, clock.clone()).await.unwrap();
    let (used, unused) = (log_in(&store, "used").await.unwrap(), log_in(&store, "unused").await.unwrap());
    clock.advance(Duration::from_secs(3600));
    store.extend(used, IDLE);
    drop(store);
    clock.advance(Duration::from_secs(3601));
    let store = Store::open(&settings, clock.clone()).await.unwrap();
    assert_eq!((lives(&store, used).await, lives(&store, unused).await), (Ok(true), Ok(false)));
    store.flush().await.unwrap();
    drop(store);
    // Even a clock that goes back does not bring back what was dropped.
    clock.set_back(Duration::from_secs(3601));
    let store = Store::open(&settings, clock.clone()).await.unwrap();
    assert_eq!((lives(&store, used).await, lives(&store, unused).await), (Ok(true), Ok(false)));
}

#[tokio::test]
async fn a_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let _store = open_file(&path).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn a_file_that_is_not_ours_or_is_cut_off_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.redb");
    let store = open_file(&path).await.unwrap();
    let mut creating = tokio::task::JoinSet::new();
    for number in 0..500 {
        let hash = store.hash(format!("t{number}").as_bytes());
        let record = SessionRecord { user_agent: "x".repeat(2000), ..session() };
        if number % 100 == 0 {
            store.create(hash, &record, IDLE, None).await.unwrap();
        } else {
            // Not waited for, so that the file grows by few commits.
            let store = store.clone();
            creating.spawn(async move { store.create(hash, &record, IDLE, None).await });
        }
    }
    creating.join_all().await;
    store.flush().await.unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    let mut damaged = vec![b"<?php return array();".to_vec(), vec![0; 8192], b"redb".to_vec(), vec![0xff; 100_000]];
    damaged.extend(
        [1, 100, 5000, whole.len() / 3, whole.len() / 2, whole.len() - 1].map(|length| whole[..length].to_vec()),
    );
    for (number, bytes) in damaged.into_iter().enumerate() {
        std::fs::write(&path, &bytes).unwrap();
        let fault = open_file(&path).await.map(|_| ()).expect_err(&format!("damage {number}"));
        assert!(fault.to_string().contains("state.redb"), "{fault}");
        assert!(std::fs::read(&path).unwrap() == bytes, "damage {number} was written over: {fault}");
    }
}

#[tokio::test]
async fn a_file_where_none_can_be_is_a_clear_fault() {
    let fault = open_file(Path::new("/nonexistent/state.redb")).await.unwrap_err().to_string();
    assert!(fault.contains("/nonexistent/state.redb") && fault.contains("No such file"), "{fault}");
}
