//! A store under test, and the means to move its time and to look inside.

use super::servers::{Engine, Servers};
use super::*;

/// A store under test.
pub struct Bench {
    pub store: Store,
    pub settings: Settings,
    pub clock: Clock,
    pub redis: Option<Servers>,
    directory: TempDir,
}

impl Bench {
    pub async fn start(engine: Engine, key: Option<u8>) -> Self {
        // Servers are shared by many tests.
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let directory = tempfile::tempdir().unwrap();
        let prefix = format!("t*g{}:", NUMBER.fetch_add(1, Ordering::Relaxed));
        let redis = Servers::of(engine);
        let location = match (&engine, &redis) {
            (_, Some(servers)) => Location::Redis(Secret::new(servers.url())),
            (Engine::File, None) => Location::File(directory.path().join("state.redb")),
            _ => Location::Memory,
        };
        let keys = key.map(sealing).into_iter().collect();
        let tls = redis.as_ref().map(Servers::tls).unwrap_or_default();
        let settings = Settings { location, prefix, keys, timeout: Duration::from_secs(20), tls };
        let clock = Clock::movable();
        let mut store = Store::open(&settings, clock.clone()).await.unwrap();
        if engine.holds() {
            store = store.holding(held::Settings { bytes: 1 << 20, trust: None });
        }
        Self { store, settings, clock, redis, directory }
    }

    /// Another gate on the same store, or this one again where only one may hold it.
    pub async fn gates(&self, count: usize) -> Vec<Store> {
        match self.redis {
            Some(_) => {
                let mut gates = Vec::new();
                for _ in 0..count {
                    gates.push(Store::open(&self.settings, self.clock.clone()).await.unwrap());
                }
                gates
            }
            None => (0..count).map(|_| self.store.attach()).collect(),
        }
    }

    /// Lets `by` pass for everything that can expire.
    pub fn pass(&self, by: Duration) {
        self.clock.advance(by);
        let Some(redis) = &self.redis else { return };
        redis.each_key(&self.prefix(), |node, key| {
            let left: i64 = node.ask(redis::cmd("PTTL").arg(key));
            if left >= 0 {
                let left = left - i64::try_from(by.as_millis()).unwrap();
                node.ask::<i64>(redis::cmd("PEXPIRE").arg(key).arg(left));
            }
        });
    }

    /// What its keys begin with.
    pub fn prefix(&self) -> String {
        self.settings.prefix.clone()
    }

    /// All keys that it has put into Redis.
    pub fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        self.redis.as_ref().unwrap().each_key(&self.prefix(), |_, key| keys.push(key.to_owned()));
        keys
    }

    pub fn session(&self, user: &str) -> SessionRecord {
        let now = self.clock.now();
        SessionRecord {
            id: sid(),
            user: Some(user_id(user)),
            client: Some(ClientId::new("ios").unwrap()),
            created: now,
            ends: now.plus(MAX_AGE),
            ip: "127.0.0.1".into(),
            user_agent: "AgentOfTheLogin/1.0".into(),
            jar: vec![cookie("PHPSESSID", "cookie-value-of-the-login")],
            holds_cookies: true,
            channel: None,
        }
    }

    /// Logs `user` in with a token.
    pub async fn log_in(&self, token: &str, user: &str) -> TokenHash {
        let hash = self.store.hash(token.as_bytes());
        let created = self.store.create(hash, &self.session(user), IDLE, None).await;
        assert_eq!(created, Ok(Created::Stands { displaced: 0 }));
        hash
    }

    pub async fn find(&self, hash: TokenHash) -> Option<Found> {
        self.heard().await;
        let question = Question { client: None, session: &[hash] };
        self.store.ask(question).await.unwrap().session
    }

    /// Waits until every change so far has been told of: that comes before the answer to any question which is asked now. So many
    /// questions go to every node of a Cluster.
    async fn heard(&self) {
        let unheard_of = |number| self.store.hash(format!("nobody {number} {:?}", Instant::now()).as_bytes());
        let session: Vec<_> = (0..40).map(unheard_of).collect();
        self.store.ask(Question { client: None, session: &session }).await.unwrap();
    }

    pub async fn live(&self, hash: TokenHash) -> Live {
        match self.find(hash).await {
            Some(Found::Live(live)) => live,
            other => panic!("not living: {other:?}"),
        }
    }

    pub async fn ending(&self, hash: TokenHash) -> Option<Ending> {
        match self.find(hash).await {
            Some(Found::Ended(ending)) => Some(ending),
            None => None,
            Some(Found::Live(live)) => panic!("still living: {live:?}"),
        }
    }

    pub async fn listed(&self, user: &str) -> Vec<TokenHash> {
        let sessions = self.store.sessions(&user_id(user)).await.unwrap();
        sessions.into_iter().map(|live| live.hash).collect()
    }

    /// Every byte that this store has put anywhere.
    pub async fn dump(&self) -> Vec<u8> {
        self.store.flush().await.unwrap();
        let Some(redis) = &self.redis else { return std::fs::read(self.path()).unwrap_or_default() };
        let mut dump = Vec::new();
        redis.each_key(&self.prefix(), |node, key| {
            dump.extend(key.as_bytes());
            // DUMP may compress, so the values are asked for as they are.
            let kind: String = node.ask(redis::cmd("TYPE").arg(key));
            let values: Vec<Vec<u8>> = match kind.as_str() {
                "hash" => node.ask(redis::cmd("HVALS").arg(key)),
                "zset" => node.ask(redis::cmd("ZRANGE").arg(key).arg(0).arg(-1)),
                _ => vec![node.ask(redis::cmd("GET").arg(key))],
            };
            dump.extend(values.concat());
        });
        dump
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state.redb")
    }

    /// The store as a gate with other keys sees it: opened, or the fault that keeps it from opening.
    pub async fn reopened_with(self, keys: &[Key]) -> Result<Self, Fault> {
        let Self { store, mut settings, clock, redis, directory } = self;
        drop(store);
        settings.keys = keys.to_vec();
        let store = Store::open(&settings, clock.clone()).await?;
        Ok(Self { store, settings, clock, redis, directory })
    }
}
