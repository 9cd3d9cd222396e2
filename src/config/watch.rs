//! Whether the files of a configuration have changed, told by looking at them again and again.
//!
//! Looking is a handful of `stat` calls, and sees what notifications do not: changes made on another host of a network file
//! system, a file mounted alone into a container and replaced outside, a directory of Kubernetes whose `..data` link was swapped,
//! a file that an editor put in the place of another, one that is missing and comes later.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between looks.
pub const EVERY: Duration = Duration::from_millis(500);
/// A change counts when nothing has changed for so long: whoever writes several files, or one in several pieces, is done by then.
const REST: Duration = Duration::from_secs(1);
/// The same where the configuration does not end in the end of a line, as one that is still being written rarely does: what has come
/// of it so far may be sound by itself, and allow more than the whole.
const LONG_REST: Duration = Duration::from_secs(3);

/// Watches files.
#[derive(Debug)]
pub struct Watch {
    /// The configuration first, then those that it names.
    files: Vec<PathBuf>,
    stamps: Vec<Stamp>,
    changed: Option<Instant>,
}

/// What `stat` tells of a file, links followed. Nobody can change a file without changing this.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

impl Watch {
    /// Of files that were read a moment ago. They may have changed since, so they count as changed once.
    pub fn new(files: Vec<PathBuf>, now: Instant) -> Self {
        let mut watch = Self { files: Vec::new(), stamps: Vec::new(), changed: None };
        watch.follow(files, now);
        watch
    }

    /// Watches other files from now on. What happened to those that it knows still counts, and new ones count as changed once.
    pub fn follow(&mut self, files: Vec<PathBuf>, now: Instant) {
        if files.iter().any(|file| !self.files.contains(file)) {
            self.changed = Some(now);
        }
        let known = |file: &PathBuf| self.files.iter().zip(&self.stamps).find(|(old, _)| *old == file);
        self.stamps = files.iter().map(|file| known(file).map_or_else(|| stamp(file), |(_, stamp)| *stamp)).collect();
        self.files = files;
    }

    /// Whether something has changed since it last said so, and has come to rest.
    pub fn look(&mut self, now: Instant) -> bool {
        let stamps: Vec<Stamp> = self.files.iter().map(|file| stamp(file)).collect();
        if stamps != self.stamps {
            self.stamps = stamps;
            self.changed = Some(now);
        }
        let rested = self.changed.map(|changed| now.duration_since(changed));
        let at_rest = rested.is_some_and(|rested| rested >= LONG_REST || (rested >= REST && self.ends_in_a_line()));
        if at_rest {
            self.changed = None;
        }
        at_rest
    }

    fn ends_in_a_line(&self) -> bool {
        self.files.first().is_some_and(|file| last_byte(file) == Some(b'\n'))
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = std::fs::metadata(file).ok()?;
    let (modified, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.dev(), found.ino(), found.size(), modified, changed))
}

fn last_byte(file: &Path) -> Option<u8> {
    let mut file = std::fs::File::open(file).ok()?;
    file.seek(SeekFrom::End(-1)).ok()?;
    let mut byte = [0];
    file.read_exact(&mut byte).ok()?;
    byte.first().copied()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Scene {
        directory: tempfile::TempDir,
        watch: Watch,
        now: Instant,
    }

    impl Scene {
        fn of(names: &[&str]) -> Self {
            let directory = tempfile::tempdir().unwrap();
            for name in names {
                fs::write(directory.path().join(name), "a: 1\n").unwrap();
            }
            let mut scene = Self { directory, watch: Watch::new(Vec::new(), Instant::now()), now: Instant::now() };
            scene.follow(names);
            scene
        }

        fn follow(&mut self, names: &[&str]) {
            self.watch.follow(names.iter().map(|name| self.path(name)).collect(), self.now);
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn look_after(&mut self, pause: Duration) -> bool {
            self.now += pause;
            self.watch.look(self.now)
        }

        /// Whether a change was noticed, once and after its rest, which begins now or with the next look.
        fn notices(&mut self, rest: Duration) -> bool {
            let mut after = EVERY;
            while !self.look_after(EVERY) && after < 2 * LONG_REST {
                after += EVERY;
            }
            (after == rest || after == rest + EVERY) && !self.look_after(LONG_REST)
        }
    }

    #[test]
    fn every_way_to_change_a_file_is_noticed_once() {
        let mut scene = Scene::of(&["c.yaml", "secret"]);
        assert!(scene.notices(REST), "they may have changed since they were read");
        let (file, other) = (scene.path("c.yaml"), scene.path("other"));
        fs::write(&file, "a: 2\n").unwrap();
        assert!(scene.notices(REST), "written in place");
        fs::write(&other, "a: 3\n").unwrap();
        fs::rename(&other, &file).unwrap();
        assert!(scene.notices(REST), "put in its place");
        fs::write(scene.path("secret"), "x").unwrap();
        assert!(scene.notices(REST), "a file that it names");
        fs::remove_file(&file).unwrap();
        assert!(scene.notices(LONG_REST), "removed");
        fs::write(&file, "a: 4\n").unwrap();
        assert!(scene.notices(REST), "there again");
    }

    #[test]
    fn a_swap_of_the_directory_behind_a_link_is_noticed() {
        let mut scene = Scene::of(&[]);
        for (version, text) in [("..v1", "a: 1\n"), ("..v2", "a: 2\n")] {
            fs::create_dir(scene.path(version)).unwrap();
            fs::write(scene.path(version).join("c.yaml"), text).unwrap();
        }
        symlink("..v1", scene.path("..data")).unwrap();
        symlink("..data/c.yaml", scene.path("c.yaml")).unwrap();
        scene.follow(&["c.yaml"]);
        assert!(scene.notices(REST));
        symlink("..v2", scene.path("..data_tmp")).unwrap();
        fs::rename(scene.path("..data_tmp"), scene.path("..data")).unwrap();
        assert!(scene.notices(REST));
    }

    #[test]
    fn a_file_that_is_still_being_written_has_time() {
        let mut scene = Scene::of(&["c.yaml"]);
        let file = scene.path("c.yaml");
        for length in 1..8 {
            fs::write(&file, "a".repeat(length)).unwrap();
            assert!(!scene.look_after(REST), "it grows");
        }
        assert!(scene.notices(LONG_REST), "a file without an end of line must rest longer");
        for length in 1..8 {
            fs::write(&file, "a\n".repeat(length)).unwrap();
            assert!(!scene.look_after(REST - EVERY), "it grows");
        }
        assert!(scene.look_after(REST));
    }

    #[test]
    fn what_happened_to_a_file_counts_though_others_are_followed() {
        let mut scene = Scene::of(&["c.yaml", "old", "new"]);
        assert!(scene.notices(REST));
        fs::write(scene.path("c.yaml"), "a: 2\n").unwrap();
        scene.follow(&["c.yaml"]);
        assert!(scene.notices(REST), "of one that it knows");
        scene.follow(&["c.yaml", "new"]);
        assert!(scene.notices(REST), "a new one");
        fs::write(scene.path("old"), "x").unwrap();
        assert!(!scene.look_after(LONG_REST) && !scene.look_after(LONG_REST));
        fs::write(scene.path("new"), "x").unwrap();
        assert!(scene.notices(REST));
    }
}
