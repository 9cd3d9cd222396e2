//! Reading what Redis answered, one command's answer after the other.

use redis::{ServerError, Value};

use crate::store::Fault;

/// The answers of one round trip, in the order of its commands.
#[derive(Debug)]
pub(super) struct Answers {
    values: std::vec::IntoIter<Value>,
    address: String,
}

/// An error that Redis answered.
pub(super) struct Complaint<'a>(&'a ServerError);

impl Complaint<'_> {
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
    pub(super) fn new(values: Vec<Value>, address: &str) -> Self {
        Self { values: values.into_iter(), address: address.to_owned() }
    }

    /// The next answer.
    pub(super) fn value(&mut self) -> Result<Value, Fault> {
        let value = self.values.next().ok_or_else(|| self.strange())?;
        match error_of(&value) {
            None => Ok(value),
            Some(error) => Err(self.fault(&error)),
        }
    }

    /// The next answer, which may be nothing.
    pub(super) fn bytes(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let value = self.value()?;
        bytes(value).ok_or_else(|| self.strange())
    }

    /// The next answer, a number.
    pub(super) fn number(&mut self) -> Result<i64, Fault> {
        match self.value()? {
            Value::Int(number) => Ok(number),
            _ => Err(self.strange()),
        }
    }

    /// The next answer, a list.
    pub(super) fn list(&mut self) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        match self.value()? {
            Value::Array(items) => items.into_iter().map(bytes).collect::<Option<_>>().ok_or_else(|| self.strange()),
            _ => Err(self.strange()),
        }
    }

    /// The next answer, a list of exactly so many.
    pub(super) fn fields<const N: usize>(&mut self) -> Result<[Option<Vec<u8>>; N], Fault> {
        self.list()?.try_into().map_err(|_| self.strange())
    }

    /// The next answer, a list or the number zero.
    pub(super) fn list_or_zero(&mut self) -> Result<Option<Vec<Option<Vec<u8>>>>, Fault> {
        match self.values.as_slice().first() {
            Some(Value::Int(0)) => self.number().map(|_| None),
            _ => self.list().map(Some),
        }
    }

    /// The next answer, a page of a scan: the next cursor, and keys.
    pub(super) fn page(&mut self) -> Result<(Vec<u8>, Vec<Vec<u8>>), Fault> {
        let Value::Array(parts) = self.value()? else { return Err(self.strange()) };
        let [cursor, keys] = <[Value; 2]>::try_from(parts).map_err(|_| self.strange())?;
        let keys = match keys {
            Value::Array(keys) => keys.into_iter().map(|key| bytes(key).flatten()).collect(),
            _ => None,
        };
        bytes(cursor).flatten().zip(keys).ok_or_else(|| self.strange())
    }

    /// That what came is not what the command answers.
    fn strange(&self) -> Fault {
        Fault::Failed(format!("{}: an answer that does not fit its question", self.address))
    }

    fn fault(&self, error: &Complaint<'_>) -> Fault {
        match error.0.code() {
            _ if error.is("WRONGTYPE") => Fault::Unreadable("a key holds the wrong kind of value".into()),
            // The code alone: details may repeat arguments.
            code => Fault::Failed(format!("{}: {code}", self.address)),
        }
    }
}

fn bytes(value: Value) -> Option<Option<Vec<u8>>> {
    match value {
        Value::Nil => Some(None),
        Value::BulkString(bytes) => Some(Some(bytes)),
        Value::SimpleString(text) => Some(Some(text.into_bytes())),
        Value::Okay => Some(Some(b"OK".to_vec())),
        Value::Int(number) => Some(Some(number.to_string().into_bytes())),
        _ => None,
    }
}
