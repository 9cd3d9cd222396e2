//! Messages of a connection: each is decided and forwarded as the request that it becomes, by the same walk as any other.
//!
//! What a message adds to a request is said beside it ([`Sent`]) and never written into it: who opened the connection, and the
//! session that the message names. So its fields, which are the caller's own, can name neither.

use std::sync::Arc;
use std::time::Instant;

use crate::credentials::Claims;
use crate::gate::bridge::envelope::{self, Envelope};
use crate::gate::note::Note;
use crate::gate::under_way::UnderWay;
use crate::gate::{Arrived, Gate, Settings, read, upgrade};
use crate::ids::{ChannelId, TokenHash};
use crate::login::issue::Issued;
use crate::policy::Decided;
use crate::policy::bridge::{Bridge, Kind};
use crate::policy::written::Written;
use crate::reply::{Asked, Reason, Refusal};
use crate::request::address::{Origin, Peer};
use crate::request::body::Arriving;
use crate::request::head::{Head, Methods};
use crate::request::php::Params;
use crate::request::{Inbound, Unreadable, user_agent};
use crate::secret::Secret;
use crate::store::channel::Channel;
use crate::store::{Live, Store};
use crate::telemetry::RuleLabel;
use crate::upstream::Interim;
use crate::verify::{Case, Excess, Identity, Permit, Proof, Resume, Via, signature};
use crate::websocket::takeover::Switch;

/// An open connection, and what was decided when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// Which.
    pub channel: ChannelId,
    /// The types of its messages.
    pub bridge: Arc<Bridge>,
    label: RuleLabel,
    proof: Proof,
    head: Head,
    peer: Peer,
    origin: Origin,
}

/// A message, as it becomes a request.
#[derive(Debug)]
pub struct Message<'a> {
    /// The connection that it came by.
    pub opened: &'a Arc<Opened>,
    /// What it becomes.
    pub kind: &'a Arc<Kind>,
    /// Its fields as a form.
    pub fields: &'a str,
    /// The session that it names.
    pub token: Option<Secret>,
    /// Of a login: where the session that it makes shall live, and the one in whose place it comes.
    pub login: Option<(Channel, Option<TokenHash>)>,
}

/// What a message came to.
#[derive(Debug)]
pub struct Answered {
    /// What is answered.
    pub envelope: Envelope,
    /// The session that it made.
    pub issued: Option<Issued>,
}

/// What a message brings along that no request does.
#[derive(Debug)]
pub struct Sent {
    opened: Arc<Opened>,
    kind: Arc<Kind>,
    token: Option<Secret>,
    login: Option<(Channel, Option<TokenHash>)>,
    /// Its own fields, as PHP will read them.
    fields: Params,
}

impl Sent {
    /// What it says of its user. Who opened the connection was proved then.
    pub(in crate::gate) fn claims(&self) -> Claims<'_> {
        Claims { user_token: self.token.as_ref().map(Secret::expose), ..Claims::default() }
    }

    pub(in crate::gate) fn via(&self) -> Via<'_> {
        self.opened.via()
    }

    /// Where the session that it makes shall live.
    pub(in crate::gate) fn channel(&self) -> Option<&Channel> {
        self.login.as_ref().map(|(channel, _)| channel)
    }

    /// The session in whose place that comes.
    pub(in crate::gate) fn older(&self) -> Option<TokenHash> {
        self.login.as_ref().and_then(|(_, older)| *older)
    }
}

impl Opened {
    /// A connection that a permit opened.
    pub fn new(
        channel: ChannelId,
        (bridge, label): (Arc<Bridge>, RuleLabel),
        permit: &Permit,
        inbound: &Inbound,
        peer: Peer,
    ) -> Self {
        let (head, origin) = (inbound.head.clone(), inbound.origin.clone());
        Self { channel, bridge, label, proof: permit.proof(), head, peer, origin }
    }

    /// The same connection by the configuration of that gate; `None` where that would not open it.
    pub fn by(&self, gate: &Gate) -> Option<Self> {
        let Settings { reading, policy, .. } = &*gate.settings;
        let origin = reading.trusted.origin(&self.head, self.peer);
        let inbound = read::unread(self.head.clone(), origin, reading.lenient).ok()?;
        let (number, rule) = policy.websocket(&inbound)?;
        upgrade::check(&inbound, rule).ok()?;
        let bridge = Arc::clone(rule.websocket.as_deref()?.bridge()?);
        let label = RuleLabel { name: Arc::clone(&rule.name), number };
        let (channel, proof, peer) = (self.channel.clone(), self.proof.clone(), self.peer);
        Some(Self { channel, bridge, label, proof, head: inbound.head, peer, origin: inbound.origin })
    }

    fn via(&self) -> Via<'_> {
        Via { channel: &self.channel, proof: &self.proof }
    }
}

impl Message<'_> {
    /// The request, read as one that arrives.
    fn arrived(self) -> Result<Arrived, Unreadable> {
        let written = &self.kind.request;
        let (target, form) = match written.method.as_str() {
            "POST" => (written.target.clone(), joined(&written.form, self.fields)),
            _ if self.fields.is_empty() => (written.target.clone(), String::new()),
            _ => {
                let mark = if written.target.contains('?') { '&' } else { '?' };
                (format!("{}{mark}{}", written.target, self.fields), String::new())
            }
        };
        let head = self.head(&target, form.len());
        let most = self.opened.bridge.bounds.head;
        if head.len() > most {
            return Err(Unreadable::HeaderTooLarge(most));
        }
        let sent = Sent {
            opened: Arc::clone(self.opened),
            kind: Arc::clone(self.kind),
            token: self.token,
            login: self.login,
            fields: Params::parse(self.fields.as_bytes()),
        };
        Ok(Arrived {
            head: Ok(Head::parse(head.into(), &Methods::default())?),
            body: Arriving::Whole(form.into()),
            peer: self.opened.peer,
            interim: Interim::default(),
            switch: Switch::default(),
            sent: Some(Arc::new(sent)),
        })
    }

    /// Of what the connection was opened with, who sent it and how is said of each of its messages.
    fn head(&self, target: &str, length: usize) -> Vec<u8> {
        let (opened, method) = (&self.opened.head, &self.kind.request.method);
        let mut head = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        let mut put = |name: &[u8], value: &[u8]| head.extend_from_slice(&[name, b": ", value, b"\r\n"].concat());
        put(b"Host", opened.host());
        opened.headers().filter(|(name, _)| passes_on(name)).for_each(|(name, value)| put(name, value));
        put(b"Accept", b"application/json");
        if method == "POST" {
            put(b"Content-Type", b"application/x-www-form-urlencoded");
            put(b"Content-Length", length.to_string().as_bytes());
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

fn passes_on(name: &[u8]) -> bool {
    let forwarded = name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"X-Forwarded-"));
    forwarded || name.eq_ignore_ascii_case(b"User-Agent") || name.eq_ignore_ascii_case(b"Accept-Language")
}

fn joined(one: &str, other: &str) -> String {
    let between = if one.is_empty() || other.is_empty() { "" } else { "&" };
    [one, between, other].concat()
}

impl Settings {
    /// Whether a message of that kind would name its endpoint, and come to a login rule or not; what is wrong where it does not.
    pub fn check_message(&self, kind: &Kind, is_login: bool) -> Result<(), String> {
        let Written { method, target, form } = &kind.request;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: ticketgate\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
            form.len()
        );
        let head = Head::parse(head.into(), &Methods::default());
        let inbound = self.read_offline(head, Some(form.as_bytes())).map_err(|why| why.to_string())?;
        let decided = self.decide(&inbound).map_err(|refusal| refusal.detail)?;
        match decided.endpoint {
            Some(endpoint) if !self.policy.reader.same(&endpoint, &kind.endpoint) => {
                Err(format!("the request {method} {target} that it becomes names {endpoint}"))
            }
            None => Err(format!("the request {method} {target} that it becomes names no endpoint")),
            Some(_) if is_login && decided.rule.login.is_none() => {
                Err(format!("comes to the rule {}, which watches no login", decided.rule.name))
            }
            Some(_) if !is_login && decided.rule.login.is_some() => {
                Err(format!("comes to the rule {}, a login, which only login messages go by", decided.rule.name))
            }
            Some(_) => Ok(()),
        }
    }

    /// The rule that decides about a message, and what its type requires beside that.
    pub(in crate::gate) fn decide_message<'a>(
        &'a self,
        inbound: &Inbound,
        sent: &'a Sent,
    ) -> Result<Decided<'a>, Refusal> {
        let kind = &sent.kind;
        self.reading.reserved.check_message(&sent.fields)?;
        let mut decided = self.decide(inbound)?;
        if !decided.endpoint.as_ref().is_some_and(|endpoint| self.policy.reader.same(endpoint, &kind.endpoint)) {
            let detail = "the fields of the message make it name another endpoint";
            return Err(Refusal::new(Reason::Ambiguous, detail));
        }
        if let Some(require) = kind.require {
            if std::ptr::eq(decided.rule, &raw const self.policy.default) {
                decided = Decided { rule: &kind.rule, number: sent.opened.label.number, require, ..decided };
            } else {
                decided.require = decided.require.and(require);
            }
        }
        match (decided.rule.login.is_some(), sent.login.is_some()) {
            (true, false) => Err(Refusal::new(Reason::Denied, "a login, and no login message")),
            (false, true) => Err(Refusal::new(Reason::Denied, "a login message, and no login rule")),
            _ => Ok(decided),
        }
    }
}

impl Gate {
    /// Where sessions are looked up, watched and ended.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Answers one message. Never fails: whatever goes wrong is an envelope.
    pub async fn message(self: &Arc<Self>, message: Message<'_>) -> Answered {
        let (opened, is_login) = (Arc::clone(message.opened), message.login.is_some());
        let mut under_way = UnderWay::begin(Arc::clone(self), self.note_of(&opened));
        let note = &mut under_way.note;
        let result = match message.arrived() {
            Ok(arrived) => self.walk_whole(arrived, &opened, note).await,
            Err(unreadable) => Err(unreadable.into()),
        };
        let (status, envelope) = match result {
            Ok((status, envelope)) => (status, envelope),
            Err(refusal) => self.refuse_message(refusal, note),
        };
        let issued = note.issued.take();
        let envelope = match (is_login, &issued) {
            (false, _) => envelope,
            (true, Some(_)) => envelope.of_login(),
            (true, None) => envelope.of_failed_login(|| self.told(&Reason::LoginFailed.into(), note.asked())),
        };
        under_way.end(status);
        Answered { envelope, issued }
    }

    async fn walk_whole(
        self: &Arc<Self>,
        arrived: Arrived,
        opened: &Opened,
        note: &mut Note,
    ) -> Result<(u16, Envelope), Refusal> {
        let response = self.walk(arrived, note).await?;
        let status = response.status().as_u16();
        let (most, patience) = (opened.bridge.bounds.message, self.settings.upstream.response_timeout);
        let whole = envelope::gather(response, most, patience).await?;
        Ok((status, Envelope::of(&whole, &self.settings.reply.keys)))
    }

    /// Lets a session go on here, by its token and its wstoken.
    pub async fn resume(
        &self,
        opened: &Opened,
        token: &Secret,
        resume: &Resume<'_>,
    ) -> Result<(Live, Envelope), Envelope> {
        let (mut note, started) = (self.note_of(opened), Instant::now());
        let resumed = self.resumed(opened, token, resume).await;
        let (status, result) = match resumed {
            Ok(permit) => {
                note.identity = Identity::clone(permit.identity());
                let live =
                    permit.session().cloned().ok_or_else(|| self.told(&Reason::UserRefused.into(), note.asked()));
                (200, live.map(|live| (live, Envelope::done("resumed"))))
            }
            Err(refusal) => {
                let (status, envelope) = self.refuse_message(refusal, &mut note);
                (status, Err(envelope))
            }
        };
        self.record(&mut note, status, started.elapsed());
        result
    }

    async fn resumed(&self, opened: &Opened, token: &Secret, resume: &Resume<'_>) -> Result<Permit, Refusal> {
        let bridge = &opened.bridge;
        let require = bridge.rule.require;
        let number = opened.label.number;
        let decided = Decided { rule: &bridge.rule, number, endpoint: bridge.endpoint.clone(), require };
        let claims = Claims { user_token: Some(token.expose()), ..Claims::default() };
        let (user_agent, excess) = (user_agent(&opened.head), Excess::refused());
        let case = Case {
            decided: &decided,
            claims: &claims,
            address: opened.origin.ip,
            user_agent: &user_agent,
            request: signature::Request { method: "", path: "", query: "", sign_name: None, body: None },
            excess: &excess,
            via: Some(opened.via()),
        };
        Ok(self.verifier.resume(&case, resume, &self.store, &self.clock).await?)
    }

    /// Answers a message that is none, or of a type that there is not.
    pub fn no_message(&self, opened: &Opened, refusal: Refusal) -> Envelope {
        let mut note = self.note_of(opened);
        let (status, envelope) = self.refuse_message(refusal, &mut note);
        self.record(&mut note, status, std::time::Duration::ZERO);
        envelope
    }

    fn note_of(&self, opened: &Opened) -> Note {
        let mut note = Note::of(self.clock.now(), opened.origin.ip, Interim::default(), Switch::default());
        note.saw(&opened.head, &opened.origin);
        note.rule = Some(opened.label.clone());
        note
    }

    fn refuse_message(&self, refusal: Refusal, note: &mut Note) -> (u16, Envelope) {
        let (status, envelope) = (refusal.reason.status(), self.told(&refusal, note.asked()));
        note.refused(refusal);
        (status, envelope)
    }

    fn told(&self, refusal: &Refusal, asked: Asked<'_>) -> Envelope {
        let (code, message) = self.settings.reply.told(refusal, asked.accept_language);
        Envelope::ours(code, &message)
    }
}
