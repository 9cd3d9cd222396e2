//! A Redis Cluster: every key has a slot, every slot a node, and nodes say where a slot has gone.
//!
//! This is a thin router over [`Link`]s, one for each node, in place of the client library's: each node's connection keeps the bounds,
//! the healing and the pushed messages of a single Redis; and where a node is away, only what it alone knows is a fault. Commands
//! have one key each, so a round trip falls apart into one for each node, all under way at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::time::{Instant, sleep};

use crate::store::{Fault, lock};

use super::answers::{Answer, Answers, Origin, error_of};
use super::dial::Dialer;
use super::link::Link;
use super::server::Server;
use super::tracking::Listener;
use super::url::Address;

use map::Map;
use slots::slot_of;
use table::Table;

mod map;
mod slots;
mod table;
mod together;

/// Redirections that are followed before one is the answer: a slot that goes to and fro is asked for again by the next request.
const ROUNDS: u32 = 5;
/// A pause before what is to be tried again.
const AGAIN: Duration = Duration::from_millis(2);

/// A Cluster, as one worker reaches it. Cloning is shallow.
#[derive(Clone)]
pub(super) struct Cluster(Arc<Inner>);

struct Inner {
    map: Arc<Map>,
    dialer: Arc<Dialer>,
    timeout: Duration,
    listener: Option<Arc<Listener>>,
    links: Mutex<HashMap<Address, Link>>,
}

/// A node's place in its Cluster, for its link.
#[derive(Clone)]
pub(super) struct Member(Weak<Inner>);

/// A command on its way.
struct Step {
    /// Which of the round trip's.
    index: usize,
    to: Arc<Address>,
    /// A slot that is being moved: its new node answers only if it is told so.
    asking: bool,
}

/// Where an answer says to go instead.
enum Redirect {
    Moved(u16, Address),
    Ask(Address),
    Again,
}

impl Cluster {
    /// Connects later.
    pub(super) fn new(seeds: Vec<Address>, dialer: Arc<Dialer>, timeout: Duration) -> Self {
        let (map, links) = (Arc::new(Map::new(seeds)), Mutex::default());
        Self(Arc::new(Inner { map, dialer, timeout, listener: None, links }))
    }

    /// The same Cluster over connections of its own, which promise to tell that listener of changes.
    pub(super) fn listened(&self, listener: Option<Arc<Listener>>) -> Self {
        let Inner { map, dialer, timeout, .. } = &*self.0;
        let (map, dialer, timeout) = (Arc::clone(map), Arc::clone(dialer), *timeout);
        let this = Self(Arc::new(Inner { map, dialer, timeout, listener, links: Mutex::default() }));
        if this.0.listener.is_some() {
            this.0.map.tell(Arc::downgrade(&this.0));
        }
        this
    }

    /// One round trip to each node that is concerned, and further ones where slots have moved.
    pub(super) async fn exchange(&self, commands: &Pipeline, deadline: Instant) -> Result<Answers, Fault> {
        let table = self.table(deadline).await?;
        let mut answers: Vec<_> = commands.cmd_iter().map(|_| None).collect();
        let (mut steps, mut anywhere) = (Vec::with_capacity(answers.len()), Vec::new());
        for (index, (command, answer)) in commands.cmd_iter().zip(&mut answers).enumerate() {
            match slot_of(command).map(|slot| table.owner(slot)) {
                Some(Some(owner)) => steps.push(Step { index, to: Arc::clone(owner), asking: false }),
                Some(None) => *answer = Some(self.nobody()),
                None => anywhere.push(index),
            }
        }
        everywhere(&mut steps, &anywhere, &table);
        for round in 1..=ROUNDS {
            steps = self.walk(commands, steps, &mut answers, deadline).await;
            if steps.is_empty() || Instant::now() >= deadline {
                break;
            }
            if round > 1 {
                sleep(AGAIN).await;
            }
        }
        whole(answers)
    }

    /// Sends every step to its node; answers those that have to go on from there.
    async fn walk(
        &self,
        commands: &Pipeline,
        steps: Vec<Step>,
        answers: &mut [Option<Answer>],
        deadline: Instant,
    ) -> Vec<Step> {
        let mut by_node = BTreeMap::<Arc<Address>, Vec<Step>>::new();
        steps.into_iter().for_each(|step| by_node.entry(Arc::clone(&step.to)).or_default().push(step));
        let sent = by_node.into_values().map(|steps| self.send(commands, steps, deadline));
        let mut onward = Vec::new();
        for (step, answer) in together::all(sent).await.into_iter().flatten() {
            match (self.onward(&step, &answer), answers.get_mut(step.index)) {
                (Some(step), _) => onward.push(step),
                (None, Some(place)) => *place = Some(answer),
                (None, None) => {}
            }
        }
        onward
    }

    /// One round trip to one node.
    async fn send(&self, commands: &Pipeline, steps: Vec<Step>, deadline: Instant) -> Vec<(Step, Answer)> {
        let Some(first) = steps.first() else { return Vec::new() };
        let link = self.link(&first.to);
        let sent = if steps.len() == commands.len() && steps.iter().all(|step| !step.asking) {
            link.values(commands, deadline).await
        } else {
            link.values(&part(commands, &steps), deadline).await
        };
        match sent {
            Ok((values, origin)) => {
                // A node that is still to get the slot tells of no changes that its owner makes.
                let (address, asked) = (Arc::clone(&origin.address), origin.asked);
                let (own, guest) = (Arc::new(origin), Arc::new(Origin { address, asked, promise: None }));
                let mut values = values.into_iter();
                let answered = steps.into_iter().map(|step| {
                    let value = if step.asking { values.nth(1) } else { values.next() };
                    let origin = if step.asking { &guest } else { &own };
                    let answer = Answer::Given(value.unwrap_or(Value::Nil), Arc::clone(origin));
                    (step, answer)
                });
                answered.collect()
            }
            Err(fault) => {
                self.look_again();
                steps.into_iter().map(|step| (step, Answer::Lost(fault.clone()))).collect()
            }
        }
    }

    /// Where a step has to go on to after this answer.
    fn onward(&self, step: &Step, answer: &Answer) -> Option<Step> {
        let Answer::Given(value, origin) = answer else { return None };
        let index = step.index;
        match redirect(value, &origin.address)? {
            Redirect::Moved(slot, to) => {
                self.0.map.moved(slot, &to);
                self.look_again();
                Some(Step { index, to: Arc::new(to), asking: false })
            }
            Redirect::Ask(to) => Some(Step { index, to: Arc::new(to), asking: true }),
            Redirect::Again => Some(Step { index, to: Arc::clone(&step.to), asking: step.asking }),
        }
    }

    fn nobody(&self) -> Answer {
        self.look_again();
        Answer::Lost(Fault::Failed("no node of the Cluster has the slot of this key".into()))
    }

    /// The link to a node; links to those that have left the Cluster are given up.
    pub(super) fn link(&self, address: &Arc<Address>) -> Link {
        let mut links = lock(&self.0.links);
        if let Some(link) = links.get(&**address) {
            return link.clone();
        }
        links.retain(|known, _| self.0.map.knows(known));
        let server = Server::Node((**address).clone(), Member(Arc::downgrade(&self.0)));
        let link = Link::new(server, Arc::clone(&self.0.dialer), self.0.timeout, self.0.listener.clone());
        links.insert((**address).clone(), link.clone());
        link
    }

    /// Whether a node that is reached has refused to promise anything.
    pub(super) fn promises_nothing(&self) -> bool {
        lock(&self.0.links).values().any(Link::promises_nothing)
    }

    /// A link to each node that has slots.
    pub(super) async fn masters(&self, deadline: Instant) -> Result<Vec<Link>, Fault> {
        Ok(self.table(deadline).await?.masters().iter().map(|address| self.link(address)).collect())
    }

    /// Whether it serves: one node that says so is enough, because what others alone know is a fault of its own.
    pub(super) async fn ping(&self, deadline: Instant) -> Result<(), Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("CLUSTER").arg("INFO");
        let (links, commands) = (self.masters(deadline).await?, &commands);
        let asked = links.iter().map(|link| async move { link.exchange(commands, deadline).await?.bytes() });
        let mut fault = Fault::TimedOut;
        for answer in together::all(asked).await {
            match answer {
                Ok(Some(info)) if info.starts_with(b"cluster_state:ok") => return Ok(()),
                Ok(_) => fault = Fault::Failed("the Cluster says that it is down".into()),
                Err(failed) => fault = failed,
            }
        }
        self.look_again();
        Err(fault)
    }

    /// How many masters, replicas, and slots that nobody has.
    pub(super) async fn count(&self, deadline: Instant) -> Result<(usize, usize, usize), Fault> {
        Ok(self.table(deadline).await?.count())
    }
}

/// Commands without a key go to every node that is asked anything: they prove that all before them has been told.
fn everywhere(steps: &mut Vec<Step>, anywhere: &[usize], table: &Table) {
    if anywhere.is_empty() {
        return;
    }
    let asked: BTreeSet<_> = steps.iter().map(|step| Arc::clone(&step.to)).collect();
    let asked = if asked.is_empty() { table.masters().first().into_iter().cloned().collect() } else { asked };
    for to in asked {
        steps.extend(anywhere.iter().map(|&index| Step { index, to: Arc::clone(&to), asking: false }));
    }
}

/// The commands of these steps.
fn part(commands: &Pipeline, steps: &[Step]) -> Pipeline {
    let all: Vec<_> = commands.cmd_iter().collect();
    let mut part = Pipeline::with_capacity(steps.len());
    for step in steps {
        if step.asking {
            part.cmd("ASKING");
        }
        if let Some(command) = all.get(step.index) {
            part.add_command((*command).clone());
        }
    }
    part
}

fn redirect(value: &Value, from: &Address) -> Option<Redirect> {
    let error = error_of(value)?;
    let mut words = error.detail().split(' ');
    match error.code() {
        "MOVED" => Some(Redirect::Moved(words.next()?.parse().ok()?, Address::told(words.next()?, from)?)),
        "ASK" => Some(Redirect::Ask(Address::told(words.nth(1)?, from)?)),
        "TRYAGAIN" => Some(Redirect::Again),
        _ => None,
    }
}

/// All answers, or the fault that is all there is.
fn whole(answers: Vec<Option<Answer>>) -> Result<Answers, Fault> {
    let astray = || Answer::Lost(Fault::Failed("the nodes of the Cluster do not agree on who has this key".into()));
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap_or_else(astray)).collect();
    match answers.first() {
        Some(Answer::Lost(fault)) if answers.iter().all(|answer| matches!(answer, Answer::Lost(_))) => {
            Err(fault.clone())
        }
        _ => Ok(Answers::of(answers)),
    }
}

impl Member {
    /// Now and then asks who has what, without waiting: a node may have lost its slots without a word.
    pub(super) fn look(&self) {
        if let Some(inner) = self.0.upgrade() {
            Cluster(inner).look_now_and_then();
        }
    }
}

impl Inner {
    /// Slots of that node are elsewhere now, and it tells of their changes no more.
    fn lost_slots(&self, node: &Address) {
        let link = lock(&self.links).get(node).cloned();
        if let Some(link) = link {
            link.renew_promise();
        }
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cluster")
    }
}
