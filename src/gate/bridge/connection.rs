//! One connection of a bridge, from its handshake to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::gate::Gate;
use crate::gate::bridge::envelope::Envelope;
use crate::gate::bridge::incoming::{self, Incoming};
use crate::gate::bridge::message::{Message, Opened};
use crate::ids::{SessionId, TokenHash};
use crate::login::issue::random_hex;
use crate::policy::bridge::Kind;
use crate::reply::{Reason, Refusal};
use crate::secret::Secret;
use crate::shutdown::{Phase, Shutdown};
use crate::store::channel::Channel;
use crate::store::watch::{Over, Watch};
use crate::verify::Resume;
use crate::websocket::socket::{Bounds, End, Received, Socket};
use crate::websocket::takeover::Client;

/// How long messages under way may still be answered when the session they belong to has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// The type of a message that goes on with a session.
const RESUME: &str = "resume";
/// The type of a message that logs in.
const LOGIN: &str = "login";

/// Answers the handshake, then messages, until either side ends it.
pub(super) async fn run(mut client: Client, head: Vec<u8>, gate: Arc<Gate>, opened: Opened) {
    if client.answer(&head).await.is_err() {
        return;
    }
    drop(head);
    let mut shutdown = client.shutdown.clone();
    let limits = opened.bridge.bounds;
    let bounds = Bounds {
        frame: limits.frame,
        message: limits.message,
        // An answer is the application's, in an envelope of ours.
        answer: limits.message.saturating_mul(2),
        write: limits.write,
    };
    let socket = Socket::over(client, bounds).await;
    let connection = Connection {
        socket,
        gate,
        opened: Arc::new(opened),
        held: None,
        under_way: JoinSet::new(),
        moving: false,
        heard: true,
        due: 0,
        born: Instant::now(),
    };
    connection.live(&mut shutdown).await;
}

struct Connection {
    socket: Socket<Client>,
    gate: Arc<Gate>,
    opened: Arc<Opened>,
    /// The session that lives here.
    held: Option<Held>,
    under_way: JoinSet<Done>,
    /// Whether a login or a resumption is under way.
    moving: bool,
    /// Whether anything came since the last ping.
    heard: bool,
    /// When the next message is due, by `rate`: microseconds since `born`.
    due: u64,
    born: Instant,
}

/// A session that lives on a connection.
struct Held {
    hash: TokenHash,
    session: SessionId,
    watch: Watch,
}

/// A message that was answered.
struct Done {
    answer: String,
    /// Whether it was a login or a resumption.
    moved: bool,
    /// The session that lives here from now on.
    held: Option<Held>,
}

/// Why a connection ends.
enum Why {
    /// As its socket says.
    Socket(End),
    /// The session that lives here is over.
    Session(Over),
    /// The gate stops, or opens no such connection any more.
    Drained,
}

impl From<End> for Why {
    fn from(end: End) -> Self {
        Self::Socket(end)
    }
}

impl Connection {
    async fn live(mut self, shutdown: &mut Shutdown) {
        let why = match self.serve(shutdown).await {
            Ok(never) => match never {},
            Err(why) => why,
        };
        let last = match why {
            Why::Session(_) => Some(Instant::now() + LAST_WORDS),
            // What is under way has as long as every request has then: the listener ends it.
            Why::Drained => Some(Instant::now() + Duration::from_hours(1)),
            Why::Socket(_) => None,
        };
        if let Some(until) = last {
            self.finish_all(until).await;
        }
        let lost = self.held.take().filter(|_| !matches!(why, Why::Session(_)));
        let (gate, opened) = (self.gate, self.opened);
        drop(self.under_way);
        match why {
            Why::Socket(End::Gone) => drop(self.socket),
            Why::Socket(End::Close(status, reason)) => self.socket.close(status, reason).await,
            Why::Session(Over::Ended) => self.socket.close(4401, "session ended").await,
            Why::Session(Over::Moved) => self.socket.close(4401, "session resumed elsewhere").await,
            Why::Drained => self.socket.close(1001, "going away").await,
        }
        if let Some(Held { hash, session, .. }) = lost
            && let Err(fault) = gate.store().lose_channel(hash, &session, &opened.channel).await
        {
            tracing::debug!(%fault, "it could not be noted that the connection of a session was lost");
        }
    }

    async fn serve(&mut self, shutdown: &mut Shutdown) -> Result<std::convert::Infallible, Why> {
        let every = self.opened.bridge.bounds.ping;
        let mut ping = std::pin::pin!(sleep_until(Instant::now() + every));
        loop {
            // With as many under way as may be, nothing more is read: whoever sends faster waits.
            let room = self.under_way.len() < self.opened.bridge.bounds.in_flight;
            tokio::select! {
                biased;
                // A login ends the session before its own: that is no reason to close.
                over = over(&mut self.held), if !self.moving => return Err(Why::Session(over)),
                () = shutdown.reached(Phase::Draining) => return Err(Why::Drained),
                Some(done) = self.under_way.join_next() => self.finish(done).await?,
                () = &mut ping => {
                    self.renew()?;
                    self.ping(room).await?;
                    ping.as_mut().reset(Instant::now() + every);
                }
                received = self.socket.next(), if room => {
                    self.heard = true;
                    self.renew()?;
                    match received? {
                        Received::Text(text) => self.take(&text).await?,
                        Received::Binary(_) => self.refuse_unread("a message of bytes").await?,
                        Received::Sign => {}
                    }
                }
            }
        }
    }

    /// Goes by the configuration in force from now on. One by which it could not be opened closes it: asking again tells why.
    fn renew(&mut self) -> Result<(), Why> {
        let latest = Arc::clone(self.gate.latest());
        if !Arc::ptr_eq(&latest, &self.gate) {
            self.opened = Arc::new(self.opened.by(&latest).ok_or(Why::Drained)?);
            self.gate = latest;
        }
        Ok(())
    }

    /// Asks whether the client is there; one that has not been heard of since the last time is not. Who was not listened to may be.
    async fn ping(&mut self, listened: bool) -> Result<(), End> {
        if !self.heard && listened {
            return Err(End::Gone);
        }
        self.heard = !listened;
        self.socket.ping().await
    }

    /// Answers what was under way and is done.
    async fn finish(&mut self, done: Result<Done, tokio::task::JoinError>) -> Result<(), End> {
        let done = done.map_err(|_| End::Close(1011, "internal error"))?;
        if done.moved {
            self.moving = false;
        }
        if done.held.is_some() {
            self.held = done.held;
        }
        self.socket.send(done.answer).await
    }

    async fn finish_all(&mut self, until: Instant) {
        while let Ok(Some(done)) = timeout_at(until, self.under_way.join_next()).await {
            if self.finish(done).await.is_err() {
                return;
            }
        }
    }

    async fn take(&mut self, text: &str) -> Result<(), End> {
        let opened = Arc::clone(&self.opened);
        let Some(message) = Incoming::read(text, &opened.bridge.fields) else {
            return self.refuse_unread("not JSON, or without a type").await;
        };
        if let Err(wait) = self.count() {
            let refusal = Refusal::new(Reason::Limited, "the rate of the connection");
            return self.refuse(&message, Refusal { retry_after: Some(wait), ..refusal }).await;
        }
        let moves = message.kind == RESUME || (message.kind == LOGIN && opened.bridge.login.is_some());
        if moves && self.moving {
            let refusal = Refusal::new(Reason::Limited, "a login of this connection is under way");
            return self.refuse(&message, refusal).await;
        }
        match (&opened.bridge.login, opened.bridge.types.get(&message.kind)) {
            _ if message.kind == RESUME => self.resume(message).await,
            (Some(login), _) if moves => {
                self.log_in(message, Arc::clone(login));
                Ok(())
            }
            (_, Some(kind)) => {
                self.call(message, Arc::clone(kind));
                Ok(())
            }
            _ => self.refuse(&message, Refusal::new(Reason::EndpointUnknown, "no such type of message")).await,
        }
    }

    fn count(&mut self) -> Result<(), Duration> {
        let Some(rate) = self.opened.bridge.rate else { return Ok(()) };
        let now = u64::try_from(self.born.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.due = rate.take(self.due, now, 0)?;
        Ok(())
    }

    async fn refuse(&mut self, message: &Incoming, refusal: Refusal) -> Result<(), End> {
        let envelope = self.gate.no_message(&self.opened, refusal);
        self.socket.send(message.answer(&self.opened.bridge.fields, None, &envelope)).await
    }

    async fn refuse_unread(&mut self, why: &str) -> Result<(), End> {
        self.gate.no_message(&self.opened, Refusal::new(Reason::Malformed, why));
        self.socket.send(incoming::no_message(&self.opened.bridge.fields)).await
    }

    fn call(&mut self, message: Incoming, kind: Arc<Kind>) {
        let (gate, opened) = (Arc::clone(&self.gate), Arc::clone(&self.opened));
        self.under_way.spawn(async move {
            let token = message.token.clone().map(Secret::new);
            let call = Message { opened: &opened, kind: &kind, fields: &message.form, token, login: None };
            let answered = gate.message(call).await;
            let answer = message.answer(&opened.bridge.fields, None, &answered.envelope);
            Done { answer, moved: false, held: None }
        });
    }

    /// The session that a login makes lives here, and the one that lived here ends for it.
    fn log_in(&mut self, message: Incoming, kind: Arc<Kind>) {
        let (gate, opened) = (Arc::clone(&self.gate), Arc::clone(&self.opened));
        let older = self.held.as_ref().map(|held| held.hash);
        self.moving = true;
        self.under_way.spawn(async move {
            let fields = &opened.bridge.fields;
            let Ok((wstoken, channel)) = new_channel(&gate, &opened) else {
                let envelope = gate.no_message(&opened, Refusal::new(Reason::StoreDown, "no random bytes"));
                return Done { answer: message.answer(fields, None, &envelope), moved: true, held: None };
            };
            let login = Some((channel, older));
            let call = Message { opened: &opened, kind: &kind, fields: &message.form, token: None, login };
            let answered = gate.message(call).await;
            let Some(issued) = answered.issued else {
                return Done { answer: message.answer(fields, None, &answered.envelope), moved: true, held: None };
            };
            let token = std::str::from_utf8(issued.token.expose()).unwrap_or_default();
            let answer = message.answer_with(fields, (Some(token), Some(&wstoken)), &answered.envelope);
            let held = held(&gate, &opened, issued.hash, issued.session);
            Done { answer, moved: true, held: Some(held) }
        });
    }

    async fn resume(&mut self, message: Incoming) -> Result<(), End> {
        let (Some(token), Some(wstoken)) = (message.token.clone(), message.wstoken.clone()) else {
            return self.refuse(&message, Refusal::new(Reason::UserMissing, "token or wstoken is missing")).await;
        };
        if self.held.is_some() {
            return self.refuse(&message, Refusal::new(Reason::WrongChannel, "another session lives here")).await;
        }
        let (gate, opened) = (Arc::clone(&self.gate), Arc::clone(&self.opened));
        self.moving = true;
        self.under_way.spawn(async move {
            let (next, resumed) = resumed(&gate, &opened, &Secret::new(token), wstoken.as_bytes()).await;
            let (next, envelope, held) = match resumed {
                Ok((held, envelope)) => (Some(next), envelope, Some(held)),
                Err(envelope) => (None, envelope, None),
            };
            let answer = message.answer(&opened.bridge.fields, next.as_deref(), &envelope);
            Done { answer, moved: true, held }
        });
        Ok(())
    }
}

/// Moves a session here; the wstoken that moves it on.
async fn resumed(
    gate: &Gate,
    opened: &Opened,
    token: &Secret,
    wstoken: &[u8],
) -> (String, Result<(Held, Envelope), Envelope>) {
    let Ok((next, to)) = new_channel(gate, opened) else {
        let refusal = Refusal::new(Reason::StoreDown, "no random bytes");
        return (String::new(), Err(gate.no_message(opened, refusal)));
    };
    let resume = Resume { wstoken, to: &to, within: opened.bridge.resume };
    let resumed = gate.resume(opened, token, &resume).await;
    (next, resumed.map(|(live, envelope)| (held(gate, opened, live.hash, live.record.id.clone()), envelope)))
}

/// A new wstoken, and what the store keeps of it.
fn new_channel(gate: &Gate, opened: &Opened) -> Result<(String, Channel), getrandom::Error> {
    let wstoken = random_hex::<16>()?;
    let key = gate.store().channel_key(wstoken.as_bytes());
    Ok((wstoken, Channel { id: opened.channel.clone(), key, lost: None }))
}

fn held(gate: &Gate, opened: &Opened, hash: TokenHash, session: SessionId) -> Held {
    let watch = gate.store().watch(hash, session.clone(), Some(opened.channel.clone()));
    Held { hash, session, watch }
}

async fn over(held: &mut Option<Held>) -> Over {
    match held {
        Some(held) => held.watch.over().await,
        None => std::future::pending().await,
    }
}
