//! How long questions to the store take, how often they fail, and how often none was needed.

use std::time::{Duration, Instant};

use super::Fault;
use crate::measure::{Counter, Figures, Histogram, Times};

/// What the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// What a decision needs to know.
    Decide,
    /// Counting rates and failed tries.
    Count,
    /// Writing a session.
    Login,
    /// Noting that sessions were used.
    Extend,
    /// Taking up cookies.
    Cookies,
    /// Ending sessions.
    End,
    /// Remembering a nonce.
    Nonce,
    /// What operators ask.
    Admin,
    /// Whether it is there.
    Ping,
}

impl Op {
    /// All of them, each at its own index.
    const ALL: [Self; 9] = {
        use Op::{Admin, Cookies, Count, Decide, End, Extend, Login, Nonce, Ping};
        [Decide, Count, Login, Extend, Cookies, End, Nonce, Admin, Ping]
    };

    /// As it stands in labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Count => "count",
            Self::Login => "login",
            Self::Extend => "extend",
            Self::Cookies => "cookies",
            Self::End => "end",
            Self::Nonce => "nonce",
            Self::Admin => "admin",
            Self::Ping => "ping",
        }
    }
}

/// What one handle on the store counts.
#[derive(Debug, Default)]
pub struct Meter {
    took: [Histogram; Op::ALL.len()],
    errors: Counter,
}

/// What all handles counted.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    took: [Times; Op::ALL.len()],
    /// Questions that were not answered.
    pub errors: u64,
}

impl Meter {
    /// Times a question.
    pub(super) async fn time<T>(&self, op: Op, asked: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        let started = Instant::now();
        let answer = asked.await;
        self.record(op, started, answer.is_err());
        answer
    }

    /// A question was answered without any waiting.
    pub(super) fn record_at_once(&self, op: Op) {
        if let Some(took) = self.took.get(op as usize) {
            took.record(Duration::ZERO);
        }
    }

    /// A question that began then was answered, or was not.
    pub(super) fn record(&self, op: Op, started: Instant, failed: bool) {
        if let Some(took) = self.took.get(op as usize) {
            took.record(started.elapsed());
        }
        if failed {
            self.errors.up();
        }
    }
}

impl Figures for Meter {
    type Sum = Sum;

    fn add_to(&self, sum: &mut Sum) {
        sum.took.iter_mut().zip(&self.took).for_each(|(sum, took)| sum.add(&took.read()));
        sum.errors += self.errors.get();
    }
}

impl Sum {
    /// How long each kind of question took.
    pub fn took(&self) -> impl Iterator<Item = (&'static str, &Times)> {
        Op::ALL.into_iter().map(Op::name).zip(&self.took)
    }
}
