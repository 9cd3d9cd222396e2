//! Sentinels: they know which Redis is the master. All are asked at once, and the latest word counts: each carries the epoch of the
//! failover that it knows of. So one that was cut off and knows only the old master is outvoted by any that knows better.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{Pipeline, Value};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::store::Fault;

use super::answers::Answers;
use super::dial::Dialer;
use super::link::Link;
use super::pause::Pause;
use super::server::Server;
use super::url::Address;

/// A master that answers is asked after so often: it may have been demoted without a word, and lose what it is told.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The Sentinels of one service. They are shared by all workers.
pub(super) struct Sentinels {
    links: Vec<Link>,
    service: String,
    timeout: Duration,
    /// The master that they named last.
    named: ArcSwapOption<Address>,
    looks: Pause,
}

/// What one Sentinel knows.
struct Word {
    master: Address,
    epoch: u64,
}

impl Sentinels {
    pub(super) fn new(addresses: &[Address], service: &str, dialer: &Arc<Dialer>, timeout: Duration) -> Self {
        let link = |address: &Address| Link::new(Server::Sentinel(address.clone()), Arc::clone(dialer), timeout, None);
        Self {
            links: addresses.iter().map(link).collect(),
            service: service.to_owned(),
            timeout,
            named: ArcSwapOption::empty(),
            looks: Pause::new(LOOK_EVERY),
        }
    }

    /// The master, as they know it now.
    pub(super) async fn master(&self) -> Result<Address, Fault> {
        let mut asked = JoinSet::new();
        for link in &self.links {
            let (link, question, deadline) = (link.clone(), self.question(), Instant::now() + self.timeout);
            asked.spawn(
                async move { link.exchange(&question, deadline).await.and_then(|mut answers| word(&mut answers)) },
            );
        }
        let (mut latest, mut fault) = (None::<Word>, None);
        // Those who answered do not wait long for those who hang.
        let mut patience = self.timeout;
        while let Ok(Some(answer)) = timeout(patience, asked.join_next()).await {
            match answer.unwrap_or_else(|died| Err(Fault::Failed(died.to_string()))) {
                Ok(Some(word)) if latest.as_ref().is_none_or(|latest| latest.epoch < word.epoch) => {
                    latest = Some(word);
                    patience = self.timeout / 4;
                }
                Ok(Some(_)) => {}
                Ok(None) => fault = Some(Fault::Failed(format!("{self}: the Sentinels know no such service"))),
                Err(failed) => fault = fault.or(Some(failed)),
            }
        }
        let latest = latest.ok_or_else(|| fault.unwrap_or(Fault::TimedOut))?;
        self.named.store(Some(Arc::new(latest.master.clone())));
        Ok(latest.master)
    }

    /// Whether `address` is the master as far as is known; now and then they are asked, without waiting.
    pub(super) fn still_name(self: &Arc<Self>, address: &Address) -> bool {
        if self.looks.is_due() {
            let this = Arc::clone(self);
            // What it learns is in `named`; if it learns nothing, what was known stands.
            tokio::spawn(async move { drop(this.master().await) });
        }
        self.named.load().as_deref().is_none_or(|named| named == address)
    }

    /// How many of them answer, of how many.
    pub(super) async fn count(&self) -> (usize, usize) {
        let mut answering = 0;
        for link in &self.links {
            let answer = link.exchange(&self.question(), Instant::now() + self.timeout).await;
            answering += usize::from(matches!(answer.and_then(|mut answers| word(&mut answers)), Ok(Some(_))));
        }
        (answering, self.links.len())
    }

    fn question(&self) -> Pipeline {
        let mut commands = Pipeline::new();
        commands.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(&self.service);
        commands.cmd("SENTINEL").arg("MASTER").arg(&self.service);
        commands
    }
}

/// `None` where the service is not known.
fn word(answers: &mut Answers) -> Result<Option<Word>, Fault> {
    let Some(place) = answers.list_or_nil()? else { return Ok(None) };
    let text = |part: Option<&Option<Vec<u8>>>| String::from_utf8(part?.clone()?).ok();
    let (host, port) = (text(place.first()), text(place.get(1)));
    let master = host.zip(port.and_then(|port| port.parse().ok())).map(|(host, port)| Address { host, port });
    let master = master.ok_or_else(|| Fault::Failed("a Sentinel names no address".into()))?;
    // One whose access rules hide the epoch has the least say.
    let epoch = answers.value().ok().and_then(|facts| field(&facts, "config-epoch")?.parse().ok());
    Ok(Some(Word { master, epoch: epoch.unwrap_or_default() }))
}

/// A field of what RESP3 tells as a map.
pub(super) fn field(facts: &Value, name: &str) -> Option<String> {
    let Value::Map(pairs) = facts else { return None };
    pairs.iter().find(|(key, _)| text(key).as_deref() == Some(name)).and_then(|(_, value)| text(value))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sentinels({})", self.service)
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "service {}", self.service)?;
        match self.named.load().as_deref() {
            Some(address) => write!(f, " at {address}"),
            None => Ok(()),
        }
    }
}
