//! Interim replies (1xx) on their way to a client.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes of them that wait to be written; further ones are dropped. They are hints, and only early ones are worth anything.
const MOST: usize = 64 * 1024;

/// Where the interim replies to the request under way go: the server opens it for a client that understands them, the upstream says
/// them, the server writes them before the final reply. Cloning is shallow; a default one is closed.
#[derive(Clone, Debug, Default)]
pub struct Interim(Arc<Mutex<Said>>);

#[derive(Debug, Default)]
struct Said {
    heads: Vec<u8>,
    open: bool,
}

impl Interim {
    /// A request begins.
    pub fn open(&self) {
        *self.lock() = Said { heads: Vec::new(), open: true };
    }

    /// Its final reply is there.
    pub fn close(&self) {
        self.lock().open = false;
    }

    /// Whether the final reply is still to come.
    pub fn is_open(&self) -> bool {
        self.lock().open
    }

    /// One whole head.
    pub fn say(&self, head: &[u8]) {
        let mut said = self.lock();
        if said.open && said.heads.len() + head.len() <= MOST {
            said.heads.extend_from_slice(head);
        }
    }

    /// What was said since the last time.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().heads)
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_before_the_final_reply_is_heard_and_not_without_bound() {
        let interim = Interim::default();
        interim.say(b"early");
        interim.open();
        interim.say(b"a");
        interim.say(&[b'x'; MOST]);
        interim.say(b"b");
        interim.close();
        interim.say(b"late");
        assert_eq!(interim.take(), b"ab");
        assert_eq!(interim.take(), b"");
    }
}
