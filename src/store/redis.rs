//! The Redis engine. A session is a hash (`v`: its record, `u`: last use; or `e`: how it ended), a user's sessions are a sorted set
//! by creation, a client is a string. Expiry is Redis' own, so that its clock alone decides.

use std::sync::Arc;
use std::time::Duration;

use redis::Pipeline;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::ids::{SessionId, TokenHash, UserId};
use crate::measure::Share;
use crate::secret::Secret;

use super::codec::Codec;
use super::meter::{Meter, Op};
use super::record::{Ending, SessionRecord};
use super::watch::Bell;
use super::{Fault, Found, Live, Question, Records, TOMBSTONE_LIFE};

use answers::Answers;
pub(super) use counting::Tallied;
use extensions::Extensions;
use link::Link;

mod admission;
mod answers;
mod clients;
mod counting;
mod extensions;
mod link;
mod nonces;
mod notices;
mod scripts;

/// Most sessions or clients looked at in one round trip.
const PAGE: usize = 500;
/// Tries of a compare-and-set; each failed one means that another writer got through.
const TRIES: usize = 100;

/// The Redis engine. Cloning is shallow.
#[derive(Clone, Debug)]
pub struct Redis {
    link: Link,
    codec: Arc<Codec>,
    clock: Clock,
    extensions: Arc<Extensions>,
    /// Rung for every session that ended or moved, as far as other gates tell.
    bell: Arc<Bell>,
    meter: Arc<Share<Meter>>,
}

impl Redis {
    pub(super) fn new(
        url: &Secret,
        codec: Arc<Codec>,
        clock: Clock,
        timeout: Duration,
        (bell, meter): (&Arc<Bell>, Arc<Share<Meter>>),
    ) -> Result<Self, Fault> {
        let link = Link::new(url, timeout)?;
        Ok(Self { link, codec, clock, extensions: Arc::default(), bell: Arc::clone(bell), meter })
    }

    /// The same store over a connection of its own.
    pub(super) fn attach(&self, meter: Arc<Share<Meter>>) -> Self {
        Self {
            link: self.link.another(),
            codec: Arc::clone(&self.codec),
            clock: self.clock.clone(),
            extensions: Arc::default(),
            bell: Arc::clone(&self.bell),
            meter,
        }
    }

    pub(super) async fn ask(&self, question: Question<'_>) -> Result<Records, Fault> {
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
            Some(id) => answers.bytes()?.map(|stored| self.codec.open_client(id, stored)).transpose()?,
            None => None,
        };
        let mut session = None;
        for hash in question.session {
            let found = self.found(*hash, answers)?;
            session = session.or(found);
        }
        Ok(Records { client, session })
    }

    /// Two commands that [`Redis::found`] reads the answers of.
    fn look_up(&self, commands: &mut Pipeline, hash: TokenHash) {
        let key = self.codec.session_key(hash);
        commands.cmd("HMGET").arg(&key).arg(&["v", "u", "e"]);
        commands.cmd("PTTL").arg(&key);
    }

    fn found(&self, hash: TokenHash, answers: &mut Answers) -> Result<Option<Found>, Fault> {
        let [stored, used, ended] = answers.fields()?;
        let expires_in = answers.number()?;
        if let Some(label) = ended {
            let ending = Ending::from_label(&label);
            let ending = ending.ok_or_else(|| Fault::Unreadable(format!("session {hash:?}: its ending is unknown")))?;
            return Ok(Some(Found::Ended(ending)));
        }
        let Some(stored) = stored else { return Ok(None) };
        let record = self.codec.open_session(hash, stored)?;
        let expires = match u64::try_from(expires_in) {
            Ok(millis) => self.clock.now().plus(Duration::from_millis(millis)),
            // Somebody took the expiry off by hand.
            Err(_) if expires_in == -1 => record.ends,
            // It expired between the two commands.
            Err(_) => return Ok(None),
        };
        let used = used.and_then(|used| std::str::from_utf8(&used).ok()?.parse().ok());
        let used = used.map_or(record.created, Timestamp::from_millis);
        Ok(Some(Found::Live(Live { hash, record, expires, used })))
    }

    pub(super) fn extend(&self, hash: TokenHash, life: Duration) {
        if self.extensions.note(hash, self.clock.now(), life) {
            let this = self.clone();
            tokio::spawn(async move { this.send_extensions().await });
        }
    }

    async fn send_extensions(&self) {
        tokio::time::sleep(extensions::GATHER).await;
        while self.meter.time(Op::Extend, self.flush()).await.is_err() {
            tokio::time::sleep(extensions::RETRY).await;
        }
    }

    /// Sends all extensions that wait.
    pub(super) async fn flush(&self) -> Result<(), Fault> {
        while let Some(uses) = self.extensions.take() {
            let mut commands = Pipeline::with_capacity(uses.len());
            for (hash, extension) in &uses {
                extensions::add(&mut commands, self.codec.session_key(*hash), extension);
            }
            let mut answers = match self.exchange(&commands).await {
                Ok(answers) => answers,
                Err(fault) => {
                    self.extensions.put_back(uses);
                    return Err(fault);
                }
            };
            let (mut refused, mut why) = (Vec::new(), None);
            for each in uses {
                match answers.number() {
                    // A key that somebody else wrote to is no session, and trying again makes it none.
                    Ok(_) | Err(Fault::Unreadable(_)) => {}
                    Err(fault) => {
                        refused.push(each);
                        why = Some(fault);
                    }
                }
            }
            self.extensions.put_back(refused);
            if let Some(fault) = why {
                return Err(fault);
            }
        }
        Ok(())
    }

    pub(super) async fn change_session(
        &self,
        hash: TokenHash,
        session: &SessionId,
        change: &(dyn Fn(&mut SessionRecord) -> bool + Send + Sync),
    ) -> Result<Option<SessionRecord>, Fault> {
        let (key, deadline) = (self.codec.session_key(hash), self.link.deadline());
        for _ in 0..TRIES {
            let mut read = Pipeline::new();
            read.cmd("HGET").arg(&key).arg("v");
            let Some(old) = self.link.exchange(&read, deadline).await?.bytes()? else { return Ok(None) };
            let mut record = self.codec.open_session(hash, old.clone())?;
            if record.id != *session {
                return Ok(None);
            }
            if !change(&mut record) {
                return Ok(Some(record));
            }
            let new = self.codec.seal_session(hash, &record)?;
            if let Some(swapped) = self.swap(scripts::SWAP_SESSION, &key, (&old, &new), deadline).await? {
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
        Ok(match self.link.exchange(&commands, deadline).await?.number()? {
            1 => Some(true),
            0 => None,
            _ => Some(false),
        })
    }

    pub(super) async fn end(&self, hash: TokenHash, ending: Ending) -> Result<bool, Fault> {
        self.end_by(hash, ending, self.link.deadline()).await
    }

    async fn end_by(&self, hash: TokenHash, ending: Ending, deadline: Instant) -> Result<bool, Fault> {
        let mut commands = Pipeline::new();
        self.end_one(&mut commands, hash, ending);
        let Some(stored) = self.link.exchange(&commands, deadline).await?.bytes()? else { return Ok(false) };
        if let Ok(record) = self.codec.open_session(hash, stored) {
            // It has ended already; a name left in the list is dead, and is cleared away by a later login.
            let _ = self.unlist(&record.user, [hash], deadline).await;
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
        self.link.exchange(&commands, deadline).await?.number().map(drop)
    }

    pub(super) async fn end_user(
        &self,
        user: &UserId,
        except: Option<TokenHash>,
        ending: Ending,
    ) -> Result<usize, Fault> {
        // What is ended leaves the list, so the next page begins where this one did, after what was kept.
        let (mut ended, mut kept) = (0, 0);
        loop {
            let listed = self.listed(user, kept).await?;
            if listed.is_empty() {
                return Ok(ended);
            }
            let doomed: Vec<_> = listed.iter().filter(|hash| Some(**hash) != except).copied().collect();
            kept += listed.len() - doomed.len();
            ended += self.end_listed(user, &doomed, ending, self.link.deadline()).await?;
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
        let mut answers = self.link.exchange(&commands, deadline).await?;
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
                match self.found(hash, &mut answers)? {
                    Some(Found::Live(live)) if live.record.user == *user => sessions.push(live),
                    _ => {}
                }
            }
        }
        Ok(sessions)
    }

    pub(super) async fn ping(&self) -> Result<(), Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("PING");
        self.exchange(&commands).await?.value().map(drop)
    }

    async fn exchange(&self, commands: &Pipeline) -> Result<Answers, Fault> {
        self.link.exchange(commands, self.link.deadline()).await
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
