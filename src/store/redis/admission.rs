//! Logins: a new session comes in, and its user's cap holds however many logins race.
//!
//! The order carries it. The session is written first, then its user's list decides atomically who is one too many, then those are
//! ended and taken off the list. So whoever is listed is written already: ending it ends it, and a login that is displaced while
//! it is still under way cannot come alive afterwards. A login that breaks off half-way leaves a session whose token nobody was
//! given, or sessions too many that the next login ends.

use redis::Pipeline;
use tokio::time::Instant;

use crate::ids::{TokenHash, UserId};
use crate::store::record::Ending;
use crate::store::{Admission, Created, Fault};

use super::{Redis, hashes, scripts};

/// Listed sessions that a login looks at for dead ones.
const LOOKED_AT: usize = 64;
/// And most of them, where the cap is higher.
const MOST_LOOKED_AT: usize = 1000;

/// What a login knows of its user's list.
struct Listing {
    /// Listed sessions, some or all of them.
    members: Vec<TokenHash>,
    /// Whose session stood under the same hash before.
    former_owner: Option<UserId>,
}

impl Redis {
    pub(in crate::store) async fn create(&self, login: &Admission<'_>) -> Result<Created, Fault> {
        let deadline = self.route.deadline();
        let created = self.admit(login, deadline).await;
        self.forget_session(login.hash);
        if matches!(created, Ok(Created::Stands { .. })) {
            return created;
        }
        let mut commands = Pipeline::new();
        self.end_one(&mut commands, login.hash, Ending::Logout);
        let removed = self.route.exchange(&commands, deadline).await;
        // Where it was refused nothing may be left; where it failed this was a courtesy.
        if created.is_ok() { removed.and(created) } else { created }
    }

    async fn admit(&self, login: &Admission<'_>, deadline: Instant) -> Result<Created, Fault> {
        let displaced = match &login.record.user {
            Some(user) => self.admit_of(user, login, deadline).await?,
            None => self.admit_guest(login, deadline).await.map(|()| Some(0))?,
        };
        let Some(displaced) = displaced else { return Ok(Created::Full) };
        if let Some(older) = login.older {
            self.end_by(older, Ending::Logout, deadline).await?;
        }
        Ok(Created::Stands { displaced })
    }

    /// A user's session is listed as well. How many were ended for it; `None` where the cap refuses.
    async fn admit_of(&self, user: &UserId, login: &Admission<'_>, deadline: Instant) -> Result<Option<usize>, Fault> {
        let listing = self.write_and_list(user, login, deadline).await?;
        let dead = self.dead_of(listing.members, login.hash, deadline).await?;
        if let Some(owner) = listing.former_owner {
            self.unlist(&owner, [login.hash], deadline).await?;
        }
        let Some(displaced) = self.enlist(user, login, &dead, deadline).await? else { return Ok(None) };
        self.end_listed(user, &displaced, Ending::NewerLogin, deadline).await.map(Some)
    }

    /// Writes the session.
    fn write(&self, commands: &mut Pipeline, login: &Admission<'_>) -> Result<(), Fault> {
        let stored = self.codec.seal_session(login.hash, login.record)?;
        scripts::call(commands, scripts::PUT, self.codec.session_key(login.hash))
            .arg(stored)
            .arg(self.clock.now().as_millis())
            .arg(scripts::millis(login.idle));
        Ok(())
    }

    async fn write_and_list(&self, user: &UserId, login: &Admission<'_>, deadline: Instant) -> Result<Listing, Fault> {
        let mut commands = Pipeline::new();
        self.write(&mut commands, login)?;
        let list = self.codec.user_key(user);
        match login.cap {
            // Under a cap the oldest count; without one, random ones keep the dead from gathering anywhere.
            Some(cap) => commands.cmd("ZRANGE").arg(list).arg(0).arg(cap.sessions.clamp(LOOKED_AT, MOST_LOOKED_AT) - 1),
            None => commands.cmd("ZRANDMEMBER").arg(list).arg(LOOKED_AT),
        };
        let mut answers = self.route.exchange(&commands, deadline).await?;
        let former = answers.bytes()?.and_then(|stored| self.codec.open_session(login.hash, stored).ok());
        let former_owner = former.and_then(|former| former.user).filter(|former| former != user);
        Ok(Listing { members: hashes(answers.list()?)?, former_owner })
    }

    /// Those of listed sessions that live no more.
    async fn dead_of(
        &self,
        members: Vec<TokenHash>,
        new: TokenHash,
        deadline: Instant,
    ) -> Result<Vec<TokenHash>, Fault> {
        let members: Vec<_> = members.into_iter().filter(|member| *member != new).collect();
        if members.is_empty() {
            return Ok(members);
        }
        let mut commands = Pipeline::with_capacity(members.len());
        for member in &members {
            commands.cmd("HEXISTS").arg(self.codec.session_key(*member)).arg("v");
        }
        let mut answers = self.route.exchange(&commands, deadline).await?;
        let mut dead = Vec::new();
        for member in members {
            match answers.number() {
                Ok(0) | Err(Fault::Unreadable(_)) => dead.push(member),
                Ok(_) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(dead)
    }

    /// A guest's is in no list, and its token is a new one: nothing stood there.
    async fn admit_guest(&self, login: &Admission<'_>, deadline: Instant) -> Result<(), Fault> {
        let mut commands = Pipeline::new();
        self.write(&mut commands, login)?;
        self.route.exchange(&commands, deadline).await?.value().map(drop)
    }

    /// Adds the session to its user's list; answers those that are one too many, `None` where the cap refuses.
    async fn enlist(
        &self,
        user: &UserId,
        login: &Admission<'_>,
        dead: &[TokenHash],
        deadline: Instant,
    ) -> Result<Option<Vec<TokenHash>>, Fault> {
        let Admission { hash, record, idle, cap, older } = login;
        let list_life = record.ends.since(self.clock.now()).max(*idle);
        let mut commands = Pipeline::new();
        scripts::call(&mut commands, scripts::ADMIT, self.codec.user_key(user))
            .arg(hash.to_hex())
            .arg(record.created.as_millis())
            .arg(scripts::millis(list_life))
            .arg(cap.map_or(0, |cap| cap.sessions))
            .arg(u8::from(cap.is_none_or(|cap| cap.end_oldest)))
            .arg(older.map_or_else(String::new, TokenHash::to_hex))
            .arg(dead.iter().map(|hash| hash.to_hex()).collect::<Vec<_>>());
        let answer = self.route.exchange(&commands, deadline).await?.list_or_zero()?;
        answer.map(hashes).transpose()
    }
}
