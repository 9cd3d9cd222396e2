//! Making sessions: what a login and an operator's `POST …/sessions` have in common.

use crate::clock::{Clock, Timestamp};
use crate::ids::{BadId, ClientId, SessionId, TokenHash, UserId};
use crate::login::seal_token;
use crate::secret::Secret;
use crate::store::channel::Channel;
use crate::store::{Admission, Cap, Created, Ending, Fault, HeldCookie, SessionRecord, Store};
use crate::verify::SessionSettings;

/// A session to be made.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose it will be; `None` for a guest's.
    pub user: Option<UserId>,
    /// The client that logs in, where there is one.
    pub client: Option<ClientId>,
    /// That client's secret, under which the token is sealed where `session.sealed` says so.
    pub client_secret: Option<Secret>,
    /// The token that the application issued; `None` makes one: 128 random bits as 32 hex digits.
    pub adopted: Option<Secret>,
    /// Address of the login.
    pub ip: String,
    /// User-Agent of the login.
    pub user_agent: String,
    /// Cookies held for the application.
    pub jar: Vec<HeldCookie>,
    /// Whether cookies are held at all.
    pub holds_cookies: bool,
    /// The session in whose place it comes.
    pub older: Option<TokenHash>,
    /// The connection that it is bound to.
    pub channel: Option<Channel>,
}

impl NewSession {
    /// For a user or a guest, and nothing else known.
    pub fn of(user: Option<UserId>) -> Self {
        let (ip, user_agent, jar) = (String::new(), String::new(), Vec::new());
        Self {
            user,
            client: None,
            client_secret: None,
            adopted: None,
            ip,
            user_agent,
            jar,
            holds_cookies: false,
            older: None,
            channel: None,
        }
    }
}

/// A session that stands.
#[derive(Clone, Debug)]
pub struct Issued {
    /// What its holder is handed: the token that it shows from now on, sealed where `session.sealed` says so. Not kept anywhere
    /// else.
    pub token: Secret,
    /// Its public id.
    pub session: SessionId,
    /// Where it stands in the store.
    pub hash: TokenHash,
    /// When it ends unless used: `expire_time`.
    pub expires: Timestamp,
    /// How many older sessions of the user were ended for it.
    pub displaced: usize,
}

/// Why no session was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotIssued {
    /// The user holds as many as `session.per_user` allows, and `when_full: refuse` is set.
    #[error("the user holds as many sessions as allowed")]
    Full,
    /// The operating system gave no random bytes.
    #[error("no random bytes: {0}")]
    NoRandom(String),
    /// Tokens are handed out sealed, and there is no client under whose secret.
    #[error("`session.sealed` needs a client under whose secret the token is sealed")]
    NoSecret,
    /// Nobody knows whether it stands.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl From<getrandom::Error> for NotIssued {
    fn from(error: getrandom::Error) -> Self {
        Self::NoRandom(error.to_string())
    }
}

impl From<BadId> for NotIssued {
    fn from(error: BadId) -> Self {
        Self::NoRandom(error.to_string())
    }
}

/// Makes a session, within the bounds of `settings`.
pub async fn issue(
    store: &Store,
    clock: &Clock,
    settings: &SessionSettings,
    new: NewSession,
) -> Result<Issued, NotIssued> {
    let token = match new.adopted {
        Some(token) => {
            forget_under_older_keys(store, &token).await?;
            token
        }
        None => Secret::new(random_hex::<16>()?),
    };
    let handed = handed_out(&token, new.client_secret.as_ref(), settings)?;
    let now = clock.now();
    let record = SessionRecord {
        id: SessionId::new(random_hex::<8>()?)?,
        user: new.user,
        client: new.client,
        created: now,
        ends: now.plus(settings.max_age),
        ip: new.ip,
        user_agent: new.user_agent,
        jar: new.jar,
        holds_cookies: new.holds_cookies,
        channel: new.channel.map(Box::new),
    };
    let hash = store.hash(token.expose());
    let life = settings.idle_of(record.user.as_ref()).min(settings.max_age);
    let admission = Admission { hash, record: &record, idle: life, cap: cap(settings), older: new.older };
    match store.admit(admission).await? {
        Created::Full => Err(NotIssued::Full),
        Created::Stands { displaced } => {
            Ok(Issued { token: handed, session: record.id, hash, expires: now.plus(life), displaced })
        }
    }
}

/// The token as its holder gets it. Never plain where it must be sealed: then there is no session at all.
fn handed_out(token: &Secret, under: Option<&Secret>, settings: &SessionSettings) -> Result<Secret, NotIssued> {
    if !settings.sealed {
        return Ok(token.clone());
    }
    let mut nonce = [0; seal_token::NONCE];
    getrandom::fill(&mut nonce)?;
    under.and_then(|secret| seal_token::seal(token, secret, nonce)).ok_or(NotIssued::NoSecret)
}

/// A token that the application hands out again has one session: none that was made before `store.key` was replaced may come
/// to light when the new one ends.
async fn forget_under_older_keys(store: &Store, token: &Secret) -> Result<(), Fault> {
    for older in store.hashes(token.expose()).into_iter().skip(1) {
        store.end(older, Ending::Logout).await?;
    }
    Ok(())
}

fn cap(settings: &SessionSettings) -> Option<Cap> {
    (settings.per_user > 0).then_some(Cap { sessions: settings.per_user, end_oldest: settings.end_oldest })
}

/// So many random bytes as text.
pub(crate) fn random_hex<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(hex::encode(bytes))
}
