//! Reading what Redis answered, one command's answer after the other.

use std::sync::Arc;
use std::time::Instant;

use redis::{ServerError, Value};

use crate::store::Fault;
use crate::store::held::Promise;

use super::url::Address;

/// The answers of one round trip, in the order of its commands.
#[derive(Debug)]
pub(super) struct Answers(std::vec::IntoIter<Answer>);

/// What one command came to. In a Cluster some may be answered when others are not.
#[derive(Debug)]
pub(super) enum Answer {
    /// What was answered, and by whom.
    Given(Value, Arc<Origin>),
    /// Nothing was.
    Lost(Fault),
}

/// Where an answer comes from, and on what grounds it may be held.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) address: Arc<Address>,
    /// When it was asked for.
    pub(super) asked: Instant,
    /// That the connection tells of changes.
    pub(super) promise: Option<Arc<Promise>>,
}

/// An error that Redis answered.
pub(super) struct Complaint<'a>(&'a ServerError);

impl Complaint<'_> {
    /// Its first word.
    pub(super) fn code(&self) -> &str {
        self.0.code()
    }

    /// What follows the code; it may repeat arguments.
    pub(super) fn detail(&self) -> &str {
        self.0.details().unwrap_or_default()
    }

    fn fault(&self, from: &Address) -> Fault {
        let code = self.code();
        Fault::Failed(match code {
            _ if self.is("WRONGTYPE") => return Fault::Unreadable("a key holds the wrong kind of value".into()),
            "MOVED" | "ASK" => format!("{from}: {code}: it is one of a Cluster, write redis+cluster:// in store.url"),
            "NOPERM" => format!("{from}: {code}: its user may not use one of the gate's commands or keys"),
            "ERR" if self.detail().contains("cluster support disabled") => {
                format!("{from}: it is no Cluster, write redis:// in store.url")
            }
            "ERR" if self.detail().starts_with("unknown command") && self.detail().contains("SENTINEL") => {
                format!("{from}: it is no Sentinel; store.url must name those, at port 26379 as a rule")
            }
            // The code alone: details may repeat arguments.
            code => format!("{from}: {code}"),
        })
    }

    /// Whether it is this one; Redis before 7 hides the errors of a script's commands inside its own.
    pub(super) fn is(&self, code: &str) -> bool {
        self.0.code() == code || self.0.details().is_some_and(|details| details.contains(code))
    }
}

/// The error that a value is.
pub(super) fn error_of(value: &Value) -> Option<Complaint<'_>> {
    match value {
        Value::ServerError(error) => Some(Complaint(error)),
        _ => None,
    }
}

impl Answers {
    /// All answers of one server.
    pub(super) fn new(values: Vec<Value>, from: &Arc<Origin>) -> Self {
        Self::of(values.into_iter().map(|value| Answer::Given(value, Arc::clone(from))).collect())
    }

    /// Answers of several.
    pub(super) fn of(answers: Vec<Answer>) -> Self {
        Self(answers.into_iter())
    }

    /// Where the next answer comes from; `None` where there is none.
    pub(super) fn origin(&self) -> Option<Arc<Origin>> {
        match self.0.as_slice().first()? {
            Answer::Given(_, origin) => Some(Arc::clone(origin)),
            Answer::Lost(_) => None,
        }
    }

    /// The next answer.
    pub(super) fn value(&mut self) -> Result<Value, Fault> {
        match self.0.next().ok_or_else(strange)? {
            Answer::Lost(fault) => Err(fault),
            Answer::Given(value, from) => match error_of(&value) {
                None => Ok(value),
                Some(error) => Err(error.fault(&from.address)),
            },
        }
    }

    /// The next answer, which may be nothing.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.value()?;
        bytes(value).ok_or_else(strange)
    }

    /// The next answer, a number.
    pub(super) fn number(&mut self) -> Result<i64, Fault> {
        match self.value()? {
            Value::Int(number) => Ok(number),
            _ => Err(strange()),
        }
    }

    /// The next answer, a list.
    pub(super) fn list(&mut self) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        match self.value()? {
            Value::Array(items) => items.into_iter().map(bytes).collect::<Option<_>>().ok_or_else(strange),
            _ => Err(strange()),
        }
    }

    /// The next answer, a list of exactly so many.
    pub(super) fn fields<const N: usize>(&mut self) -> Result<[Option<Vec<u8>>; N], Fault> {
        self.list()?.try_into().map_err(|_| strange())
    }

    /// The next answer, a list or the number zero.
    pub(super) fn list_or_zero(&mut self) -> Result<Option<Vec<Option<Vec<u8>>>>, Fault> {
        match self.0.as_slice().first() {
            Some(Answer::Given(Value::Int(0), _)) => self.number().map(|_| None),
            _ => self.list().map(Some),
        }
    }

    /// The next answer, a list or nothing.
    pub(super) fn list_or_nil(&mut self) -> Result<Option<Vec<Option<Vec<u8>>>>, Fault> {
        match self.0.as_slice().first() {
            Some(Answer::Given(Value::Nil, _)) => self.value().map(|_| None),
            _ => self.list().map(Some),
        }
    }

    /// The next answer, a page of a scan: the next cursor, and keys.
    pub(super) fn page(&mut self) -> Result<(Vec<u8>, Vec<Vec<u8>>), Fault> {
        let Value::Array(parts) = self.value()? else { return Err(strange()) };
        let [cursor, keys] = <[Value; 2]>::try_from(parts).map_err(|_| strange())?;
        let keys = match keys {
            Value::Array(keys) => keys.into_iter().map(|key| bytes(key).flatten()).collect(),
            _ => None,
        };
        bytes(cursor).flatten().zip(keys).ok_or_else(strange)
    }
}

/// That what came is not what the command answers.
fn strange() -> Fault {
    Fault::Failed("an answer that does not fit its question".to_owned())
}

fn bytes(value: Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Nil => Some(None),
        Value::BulkString(bytes) => Some(Some(bytes)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(Some(text.into_bytes())),
        Value::Okay => Some(Some(b"OK".to_vec())),
        Value::Int(number) => Some(Some(number.to_string().into_bytes())),
        _ => None,
    }
}
