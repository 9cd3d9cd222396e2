//! File descriptors: a connection takes one, and what must go on when there are many connections takes some, too: the admin
//! listener, the store, the application.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// At least so many are not for connections of clients…
const KEPT: u64 = 64;
/// …and at least such a part of them.
const KEPT_PART: u64 = 8;

/// Takes as many file descriptors as the system lets the process have, and says how many connections of clients that is enough for.
pub fn most_connections() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // Where it cannot be raised, what there is has to do.
    let raised = current != maximum && setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    (if raised { maximum } else { current }).map_or(usize::MAX, room_within)
}

fn room_within(files: u64) -> usize {
    usize::try_from(files.saturating_sub(KEPT.max(files / KEPT_PART)).max(1)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_for_what_must_go_on() {
        let table = [(0, 1), (64, 1), (200, 136), (1024, 896), (65_536, 57_344)];
        for (files, connections) in table {
            assert_eq!(room_within(files), connections, "{files}");
        }
    }
}
