//! What is known of a Cluster: shared by all workers, asked for anew when it proves wrong, and now and then.

use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::Pipeline;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::table::Table;
use super::{Cluster, Inner};
use crate::store::redis::pause::Pause;
use crate::store::redis::url::Address;
use crate::store::{Fault, lock};

/// What is known is asked for again so often while it proves wrong…
const LOOK_AGAIN_EVERY: Duration = Duration::from_millis(100);
/// …and so often while it seems right: a node may have lost its slots without a word.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The table of slots, and how it is kept.
pub(super) struct Map {
    seeds: Vec<Arc<Address>>,
    table: ArcSwapOption<Table>,
    asking: Mutex<Asking>,
    /// Those whose connections promised to tell of changes.
    listening: Mutex<Vec<Weak<Inner>>>,
    wrong: Pause,
    old: Pause,
}

#[derive(Default)]
struct Asking {
    /// One who asks is under way; closes when that has ended, or died with its runtime.
    attempt: Option<watch::Receiver<()>>,
    /// Until then nobody asks again, and this is what came of it.
    failed: Option<(Instant, Fault)>,
}

impl Map {
    pub(super) fn new(seeds: Vec<Address>) -> Self {
        Self {
            seeds: seeds.into_iter().map(Arc::new).collect(),
            table: ArcSwapOption::empty(),
            asking: Mutex::default(),
            listening: Mutex::default(),
            wrong: Pause::new(LOOK_AGAIN_EVERY),
            old: Pause::new(LOOK_EVERY),
        }
    }

    /// A node said that a slot is elsewhere now.
    pub(super) fn moved(&self, slot: u16, to: &Address) {
        let before = self.table.rcu(|table| table.as_ref().map(|table| Arc::new(table.with(slot, to))));
        let owner = before.as_ref().and_then(|table| table.owner(slot));
        self.lost_slots(owner.filter(|owner| ***owner != *to));
    }

    fn learned(&self, table: Table) {
        let table = Arc::new(table);
        if let Some(before) = self.table.swap(Some(Arc::clone(&table))) {
            self.lost_slots(before.losers(&table));
        }
    }

    /// Whom to tell when a node loses slots.
    pub(super) fn tell(&self, cluster: Weak<Inner>) {
        let mut listening = lock(&self.listening);
        listening.retain(|known| known.strong_count() > 0);
        listening.push(cluster);
    }

    fn lost_slots<'a>(&self, nodes: impl IntoIterator<Item = &'a Arc<Address>>) {
        let listening: Vec<_> = lock(&self.listening).iter().filter_map(Weak::upgrade).collect();
        for node in nodes {
            listening.iter().for_each(|cluster| cluster.lost_slots(node));
        }
    }

    /// Whether a node is one of it, as far as is known.
    pub(super) fn knows(&self, address: &Address) -> bool {
        let table = self.table.load();
        let nodes = table.iter().flat_map(|table| table.nodes());
        nodes.chain(&self.seeds).any(|node| **node == *address)
    }

    /// Whom to ask: nodes in any order, because the first may be one that hangs or knows nothing new, then those of the URL.
    fn whom_to_ask(&self) -> Vec<Arc<Address>> {
        let mut nodes: Vec<_> = self.table.load().iter().flat_map(|table| table.nodes().cloned()).collect();
        fastrand::shuffle(&mut nodes);
        let mut seeds: Vec<_> = self.seeds.iter().filter(|seed| !nodes.contains(seed)).cloned().collect();
        fastrand::shuffle(&mut seeds);
        nodes.extend(seeds);
        nodes
    }
}

impl Cluster {
    /// The table; the first who needs it asks for it, and all wait.
    pub(super) async fn table(&self, deadline: Instant) -> Result<Arc<Table>, Fault> {
        self.look_now_and_then();
        loop {
            if let Some(table) = self.0.map.table.load_full() {
                return Ok(table);
            }
            let mut attempt = self.ask()?;
            // Closed or not makes no difference: the attempt is over, and the map says how it went.
            if timeout_at(deadline, attempt.changed()).await.is_err() {
                return Err(Fault::TimedOut);
            }
        }
    }

    /// What is known may have changed without a word.
    pub(super) fn look_now_and_then(&self) {
        if self.0.map.old.is_due() {
            drop(self.ask());
        }
    }

    /// What is known proved wrong.
    pub(super) fn look_again(&self) {
        if self.0.map.wrong.is_due() {
            drop(self.ask());
        }
    }

    /// Joins the attempt that is under way, or begins one; or what the last one came to, where it failed just now.
    fn ask(&self) -> Result<watch::Receiver<()>, Fault> {
        let mut asking = lock(&self.0.map.asking);
        if let Some(attempt) = asking.attempt.as_ref().filter(|attempt| attempt.has_changed().is_ok()) {
            return Ok(attempt.clone());
        }
        if let Some((until, fault)) = &asking.failed
            && Instant::now() < *until
        {
            return Err(fault.clone());
        }
        let (ending, attempt) = watch::channel(());
        asking.attempt = Some(attempt.clone());
        let this = self.clone();
        // On its own, so that it goes on when the operation that needed it first gives up.
        tokio::spawn(async move {
            let outcome = this.learn().await;
            let failed = outcome.err().map(|fault| (Instant::now() + LOOK_AGAIN_EVERY, fault));
            lock(&this.0.map.asking).failed = failed;
            drop(ending);
        });
        Ok(attempt)
    }

    async fn learn(&self) -> Result<(), Fault> {
        let mut commands = Pipeline::new();
        commands.cmd("CLUSTER").arg("SLOTS");
        let mut fault = Fault::TimedOut;
        for node in self.0.map.whom_to_ask() {
            let told = self.link(&node).exchange(&commands, Instant::now() + self.0.timeout).await;
            match told.and_then(|mut told| told.value()) {
                Ok(ranges) => match Table::told(ranges, &node) {
                    Some(table) => {
                        self.0.map.learned(table);
                        return Ok(());
                    }
                    None => fault = Fault::Failed(format!("{node}: it knows of no node that has slots")),
                },
                Err(failed) => fault = failed,
            }
        }
        Err(fault)
    }
}
