//! The Redis engine. A session is a hash (`v`: its record, `u`: last use; or `e`: how it ended), a user's sessions are a sorted set
//! by creation, a client is a string. Expiry is Redis' own, so that its clock alone decides.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use redis::Pipeline;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::ids::{ClientId, SessionId, TokenHash, UserId};
use crate::measure::Share;
use crate::secret::Secret;

use super::codec::Codec;
use super::held::{Fact, Held, LiveFact};
use super::meter::Meter;
use super::record::{Ending, SessionRecord};
use super::watch::Bell;
use super::{Fault, Found, Live, Question, Records, Settings, TOMBSTONE_LIFE};

use answers::Answers;
pub(super) use counting::Tallied;
use extensions::Extensions;
use route::Route;
pub use tls::Tls;
use tracking::Listener;
pub use url::Target;
use watch::Watch;

mod admission;
mod answers;
mod clients;
mod cluster;
mod counting;
mod dial;
mod extensions;
mod link;
mod nonces;
mod notices;
mod pause;
mod reached;
mod route;
mod scripts;
mod sentinel;
mod server;
mod tls;
mod tracking;
mod url;
mod watch;

/// Most sessions or clients looked at in one round trip.
const PAGE: usize = 500;
/// Tries of a compare-and-set; each failed one means that another writer got through.
const TRIES: usize = 100;

/// The Redis engine. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Redis {
    route: Route,
    codec: Arc<Codec>,
    clock: Clock,
    extensions: Arc<Extensions>,
    /// Where answers are held.
    watch: Option<Watch>,
    /// Rung for every session that ended or moved, as far as other gates tell.
    bell: Arc<Bell>,
    meter: Arc<Share<Meter>>,
}

impl Redis {
    pub(super) fn new(
        url: &Secret,
        settings: &Settings,
        codec: Arc<Codec>,
        clock: Clock,
        (bell, meter): (&Arc<Bell>, Arc<Share<Meter>>),
    ) -> Result<Self, Fault> {
        let route = Route::new(url, &settings.tls, settings.timeout)?;
        let bell = Arc::clone(bell);
        Ok(Self { route, codec, clock, extensions: Arc::default(), watch: None, bell, meter })
    }

    /// The same store over connections of its own.
    pub(super) fn attach(&self, meter: Arc<Share<Meter>>) -> Self {
        let attached = Self {
            route: self.route.another(),
            codec: Arc::clone(&self.codec),
            clock: self.clock.clone(),
            extensions: Arc::default(),
            watch: None,
            bell: Arc::clone(&self.bell),
            meter,
        };
        match &self.watch {
            Some(watch) => attached.holding(&watch.held),
            None => attached,
        }
    }

    /// The same store, whose answers are held there.
    pub(super) fn holding(self, held: &Arc<Held>) -> Self {
        let listener = Arc::new(Listener::new(Arc::clone(held), Arc::clone(&self.codec)));
        let watch = Watch::new(&self.route, &listener);
        Self { watch: Some(watch), ..self }
    }

    pub(super) fn held(&self) -> Option<&Arc<Held>> {
        self.watch.as_ref().map(|watch| &watch.held)
    }

    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Records, Fault> {
        if let Some(watch) = &self.watch {
            return self.ask_watching(watch, question).await;
        }
        let mut commands = Pipeline::new();
        self.put(&mut commands, question);
        if commands.is_empty() {
            return Ok(Records::default());
        }
        self.records(question, &mut self.exchange(&commands).await?)
    }

    /// Commands that [`Redis::records`] reads the answers of.
    fn put(&self, commands: &mut Pipeline, question: Question<'_>) {
        if let Some(id) = question.client {
            commands.cmd("GET").arg(self.codec.client_key(id));
        }
        question.session.iter().for_each(|hash| self.look_up(commands, *hash));
    }

    fn records(&self, question: Question<'_>, answers: &mut Answers) -> Result<Records, Fault> {
        let client = match question.client {
            Some(id) => match self.client_fact(id, answers)? {
                Fact::Client(client) => Some(client),
                _ => None,
            },
            None => None,
        };
        let mut session = None;
        for hash in question.session {
            let fact = self.session_fact(*hash, answers)?;
            session = session.or_else(|| self.found(*hash, fact, Moment::now()));
        }
        Ok(Records { client, session })
    }

    fn client_fact(&self, id: &ClientId, answers: &mut Answers) -> Result<Fact, Fault> {
        let Some(stored) = answers.bytes()? else { return Ok(Fact::NoClient) };
        Ok(Fact::Client(Arc::new(self.codec.open_client(id, stored)?)))
    }

    /// Two commands that [`Redis::session_fact`] reads the answers of.
    fn look_up(&self, commands: &mut Pipeline, hash: TokenHash) {
        let key = self.codec.session_key(hash);
        commands.cmd("HMGET").arg(&key).arg(&["v", "u", "e"]);
        commands.cmd("PTTL").arg(&key);
    }

    fn session_fact(&self, hash: TokenHash, answers: &mut Answers) -> Result<Fact, Fault> {
        let fields = answers.fields()?;
        let expires_in = answers.number()?;
        let fact = self.session_of(hash, fields)?;
        let Fact::Live(mut live) = fact else { return Ok(fact) };
        let left = match u64::try_from(expires_in) {
            Ok(millis) => Duration::from_millis(millis),
            // Somebody took the expiry off by hand.
            Err(_) if expires_in == -1 => live.record.ends.since(self.clock.now()),
            // It expired between the two commands.
            Err(_) => return Ok(Fact::NoSession),
        };
        live.expires = live.expires.checked_add(left).unwrap_or(live.expires);
        Ok(Fact::Live(live))
    }

    /// What the fields of a session say, but for its expiry, which is now.
    fn session_of(&self, hash: TokenHash, [stored, used, ended]: [Option<Vec<u8>>; 3]) -> Result<Fact, Fault> {
        if let Some(label) = ended {
            let ending = Ending::from_label(&label);
            let ending = ending.ok_or_else(|| Fault::Unreadable(format!("session {hash:?}: its ending is unknown")))?;
            return Ok(Fact::Ended(ending));
        }
        let Some(stored) = stored else { return Ok(Fact::NoSession) };
        let record = Arc::new(self.codec.open_session(hash, stored)?);
        let used = used.and_then(|used| std::str::from_utf8(&used).ok()?.parse().ok());
        let used = used.map_or(record.created, Timestamp::from_millis);
        Ok(Fact::Live(LiveFact { record, expires: Moment::now(), used }))
    }

    pub(super) async fn change_session(
        &self,
        hash: TokenHash,
        session: &SessionId,
        change: &(dyn Fn(&mut SessionRecord) -> bool + Send + Sync),
    ) -> Result<Option<SessionRecord>, Fault> {
        let (key, deadline) = (self.codec.session_key(hash), self.route.deadline());
        for _ in 0..TRIES {
            let mut read = Pipeline::new();
            read.cmd("HGET").arg(&key).arg("v");
            let Some(old) = self.route.exchange(&read, deadline).await?.bytes()? else { return Ok(None) };
            let mut record = self.codec.open_session(hash, old.clone())?;
            if record.id != *session {
                return Ok(None);
            }
            if !change(&mut record) {
                return Ok(Some(record));
            }
            let new = self.codec.seal_session(hash, &record)?;
            let swapped = self.swap(scripts::SWAP_SESSION, &key, (&old, &new), deadline).await;
            self.forget_session(hash);
            if let Some(swapped) = swapped? {
                return Ok(swapped.then_some(record));
            }
        }
        Err(contended())
    }

    /// `Some(false)` where the key is gone, `None` where it changed meanwhile.
    async fn swap(
        &self,
        script: &str,
        key: &str,
        (old, new): (&[u8], &[u8]),
        deadline: Instant,
    ) -> Result<Option<bool>, Fault> {
        let mut commands = Pipeline::new();
        scripts::call(&mut commands, script, key).arg(old).arg(new);
        Ok(match self.route.exchange(&commands, deadline).await?.number()? {
            1 => Some(true),
            0 => None,
            _ => Some(false),
        })
    }

    pub(super) async fn end(&self, hash: TokenHash, ending: Ending) -> Result<bool, Fault> {
        self.end_by(hash, ending, self.route.deadline()).await
    }

    async fn end_by(&self, hash: TokenHash, ending: Ending, deadline: Instant) -> Result<bool, Fault> {
        let mut commands = Pipeline::new();
        // First, so that nobody trusts it if the store goes away right now; and then whatever was asked meanwhile.
        self.forget_session(hash);
        self.end_one(&mut commands, hash, ending);
        let answers = self.route.exchange(&commands, deadline).await;
        self.forget_session(hash);
        let Some(stored) = answers?.bytes()? else { return Ok(false) };
        if let Some(user) = self.codec.open_session(hash, stored).ok().and_then(|record| record.user) {
            // It has ended already; a name left in the list is dead, and is cleared away by a later login.
            let _ = self.unlist(&user, [hash], deadline).await;
        }
        Ok(true)
    }

    fn end_one(&self, commands: &mut Pipeline, hash: TokenHash, ending: Ending) {
        let label = if ending == Ending::Logout { "" } else { ending.label() };
        scripts::call(commands, scripts::END, self.codec.session_key(hash))
            .arg(label)
            .arg(scripts::millis(TOMBSTONE_LIFE))
            .arg(self.codec.notices())
            .arg(hash.to_hex());
    }

    async fn unlist(
        &self,
        user: &UserId,
        hashes: impl IntoIterator<Item = TokenHash>,
        deadline: Instant,
    ) -> Result<(), Fault> {
        let hashes: Vec<_> = hashes.into_iter().map(TokenHash::to_hex).collect();
        if hashes.is_empty() {
            return Ok(());
        }
        let mut commands = Pipeline::new();
        commands.cmd("ZREM").arg(self.codec.user_key(user)).arg(hashes);
        self.route.exchange(&commands, deadline).await?.number().map(drop)
    }

    pub(super) async fn end_user(
        &self,
        user: &UserId,
        except: Option<TokenHash>,
        ending: Ending,
    ) -> Result<usize, Fault> {
        // Also where the store is away, and cannot tell who they are.
        if let Some(held) = self.held() {
            held.forget_sessions(|hash, record| record.user.as_ref() == Some(user) && Some(hash) != except);
        }
        // What is ended leaves the list, so the next page begins where this one did, after what was kept.
        let (mut ended, mut kept) = (0, 0);
        loop {
            let listed = self.listed(user, kept).await?;
            if listed.is_empty() {
                return Ok(ended);
            }
            let doomed: Vec<_> = listed.iter().filter(|hash| Some(**hash) != except).copied().collect();
            kept += listed.len() - doomed.len();
            ended += self.end_listed(user, &doomed, ending, self.route.deadline()).await?;
        }
    }

    /// Ends sessions and takes them off their user's list; says how many were living.
    async fn end_listed(
        &self,
        user: &UserId,
        hashes: &[TokenHash],
        ending: Ending,
        deadline: Instant,
    ) -> Result<usize, Fault> {
        if hashes.is_empty() {
            return Ok(0);
        }
        let mut commands = Pipeline::with_capacity(hashes.len());
        hashes.iter().for_each(|hash| self.end_one(&mut commands, *hash, ending));
        let answers = self.route.exchange(&commands, deadline).await;
        hashes.iter().for_each(|hash| self.forget_session(*hash));
        let mut answers = answers?;
        let mut ended = 0;
        for _ in hashes {
            match answers.bytes() {
                Ok(living) => ended += usize::from(living.is_some()),
                // No session stands there, so there is none to end.
                Err(Fault::Unreadable(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        self.unlist(user, hashes.iter().copied(), deadline).await?;
        Ok(ended)
    }

    /// A page of the list of a user's sessions, oldest first.
    async fn listed(&self, user: &UserId, from: usize) -> Result<Vec<TokenHash>, Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("ZRANGE").arg(self.codec.user_key(user)).arg(from).arg(from + PAGE - 1);
        let mut answers = self.exchange(&commands).await?;
        hashes(answers.list()?)
    }

    pub(super) async fn sessions(&self, user: &UserId) -> Result<Vec<Live>, Fault> {
        let mut sessions = Vec::new();
        for page in 0.. {
            let listed = self.listed(user, page * PAGE).await?;
            let mut commands = Pipeline::with_capacity(listed.len() * 2);
            listed.iter().for_each(|hash| self.look_up(&mut commands, *hash));
            if commands.is_empty() {
                break;
            }
            let mut answers = self.exchange(&commands).await?;
            for hash in listed {
                let fact = self.session_fact(hash, &mut answers)?;
                match self.found(hash, fact, Moment::now()) {
                    Some(Found::Live(live)) if live.record.user.as_ref() == Some(user) => sessions.push(live),
                    _ => {}
                }
            }
        }
        Ok(sessions)
    }

    pub(super) async fn ping(&self) -> Result<(), Fault> {
        self.route.ping().await
    }

    /// What answers there, in words.
    pub(super) async fn reached(&self) -> Result<String, Fault> {
        self.route.reached().await
    }

    async fn exchange(&self, commands: &Pipeline) -> Result<Answers, Fault> {
        self.route.exchange(commands, self.route.deadline()).await
    }
}

fn hashes(members: Vec<Option<Vec<u8>>>) -> Result<Vec<TokenHash>, Fault> {
    let hash = |member: Option<Vec<u8>>| TokenHash::from_hex(std::str::from_utf8(&member?).ok()?);
    let hashes = members.into_iter().map(hash).collect::<Option<_>>();
    hashes.ok_or_else(|| Fault::Unreadable("a user's list of sessions holds what is no session".into()))
}

fn contended() -> Fault {
    Fault::Failed("too many writers changed one record at once".into())
}
