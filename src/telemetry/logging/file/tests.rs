use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;

/// 2026-01-31T23:59:00Z
const START: i64 = 1_769_903_940_000;

struct World {
    folder: tempfile::TempDir,
    time: Arc<AtomicI64>,
    clock: Clock,
    config: LogFileConfig,
}

impl World {
    fn new(change: impl FnOnce(&mut LogFileConfig)) -> Self {
        let (clock, time) = Clock::fixed(START);
        let mut config = LogFileConfig { max_size: 100, ..LogFileConfig::default() };
        change(&mut config);
        Self { folder: tempfile::tempdir().unwrap(), time, clock, config }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("logs/registry.log")
    }

    fn open(&self) -> LogFile {
        let archive = Archive::new(&self.path(), &self.config).unwrap();
        LogFile::open(archive, &self.config, self.clock.clone()).unwrap()
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// The names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        let folder = self.path();
        let entries = std::fs::read_dir(folder.parent().unwrap()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// All that was written and is still there, in order.
    fn text(&self) -> String {
        let folder = self.path();
        let folder = folder.parent().unwrap();
        self.names().iter().map(|name| read(&folder.join(name))).collect()
    }
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

impl LogFile {
    fn say(&mut self, text: &str) {
        self.write(format!("{text}\n").as_bytes()).unwrap();
    }

    fn tidied(&mut self) {
        if let Some(thread) = self.tidying.take() {
            thread.join().unwrap();
        }
    }
}

fn say(file: &mut LogFile, numbers: std::ops::Range<u32>) {
    for number in numbers {
        // 20 bytes each.
        file.say(&format!("line number {number:07}"));
    }
}

#[test]
fn no_file_grows_larger_than_it_may() {
    let world = World::new(|config| config.compress = false);
    let mut file = world.open();
    say(&mut file, 0..12);
    let old = ["registry-2026-01-31T23-59-00.000.log", "registry-2026-01-31T23-59-00.001.log"];
    assert_eq!(world.names(), [old[0], old[1], "registry.log"]);
    for name in old {
        assert_eq!(std::fs::metadata(world.path().with_file_name(name)).unwrap().len(), 100);
    }
    assert_eq!(world.text().lines().count(), 12);
    // A line that is larger by itself is written whole.
    file.say(&"x".repeat(300));
    say(&mut file, 12..13);
    assert_eq!(world.names().len(), 5);
    assert_eq!(world.text().lines().count(), 14);
}

#[test]
fn a_new_day_is_a_new_file_even_when_nothing_is_said() {
    for (rotation, minutes) in [(LogRotation::Daily, 1), (LogRotation::Hourly, 1)] {
        let world = World::new(|config| (config.rotate, config.compress) = (rotation, false));
        let mut file = world.open();
        file.say("before midnight");
        file.tick();
        assert_eq!(world.names(), ["registry.log"]);
        world.pass(60 * minutes);
        file.tick();
        assert_eq!(world.names(), ["registry-2026-02-01T00-00-00.000.log", "registry.log"]);
        // An empty file has nothing to be kept.
        world.pass(86_400);
        file.tick();
        assert_eq!(world.names().len(), 2);
    }
    let world = World::new(|config| config.rotate = LogRotation::Never);
    let mut file = world.open();
    file.say("one");
    world.pass(30 * 86_400);
    file.say("two");
    assert_eq!(world.names(), ["registry.log"]);
}

#[test]
fn a_file_of_yesterday_is_put_away_at_the_start() {
    let world = World::new(|config| config.compress = false);
    world.open().say("now");
    // What counts is when it was last written, which is now; and now is not 2026-01-31.
    let mut file = world.open();
    file.say("later");
    assert_eq!(world.names().len(), 2);
    assert_eq!(world.text(), "now\nlater\n");
}

#[test]
fn old_files_are_compressed_and_the_oldest_leave() {
    let world = World::new(|config| config.max_files = 3);
    let mut file = world.open();
    for round in 0..6 {
        say(&mut file, round * 5..round * 5 + 5);
        world.pass(1);
        file.tidied();
    }
    say(&mut file, 30..31);
    file.tidied();
    // What was asked for while it ran is done after the next rotation.
    file.tidy();
    file.tidied();
    let names = world.names();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names[..3].iter().all(|name| name.ends_with(".log.gz")), "{names:?}");
    assert_eq!(world.text().lines().next(), Some("line number 0000015"));
    assert_eq!(world.text().lines().last(), Some("line number 0000030"));
}

#[test]
fn all_together_stay_below_their_bound() {
    let world = World::new(|config| (config.max_total_size, config.compress) = (350, false));
    let mut file = world.open();
    for round in 0..20 {
        say(&mut file, round * 5..round * 5 + 5);
        world.pass(1);
        file.tidied();
        file.tidy();
        file.tidied();
        let folder = world.path();
        let sizes = std::fs::read_dir(folder.parent().unwrap()).unwrap();
        let total: u64 = sizes.map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
        assert!(total <= 350, "{total}");
    }
    assert_eq!(world.text().lines().last(), Some("line number 0000099"));
}

#[test]
fn what_is_not_ours_stays() {
    let world = World::new(|config| (config.max_files, config.compress) = (1, true));
    let mut file = world.open();
    let foreign =
        ["registry-backup.log", "registry-2026-01-31.log", "other-2026-01-31T23-59-00.000.log"];
    for name in foreign {
        std::fs::write(world.path().with_file_name(name), "mine").unwrap();
    }
    let unfinished =
        world.path().with_file_name("registry-2026-01-30T00-00-00.000.log.gz.unfinished");
    std::fs::write(&unfinished, "half").unwrap();
    say(&mut file, 0..30);
    file.tidied();
    file.tidy();
    file.tidied();
    assert!(!unfinished.exists());
    let names = world.names();
    assert!(foreign.iter().all(|name| names.iter().any(|found| found == name)), "{names:?}");
    assert_eq!(names.len(), foreign.len() + 2, "{names:?}");
}

#[test]
fn a_file_that_was_moved_away_is_begun_anew_when_asked_for() {
    let world = World::new(|_| ());
    let mut file = world.open();
    file.say("one");
    let moved = world.path().with_file_name("moved");
    std::fs::rename(world.path(), &moved).unwrap();
    file.say("two");
    file.reopen().unwrap();
    file.say("three");
    assert_eq!((read(&moved).as_str(), read(&world.path()).as_str()), ("one\ntwo\n", "three\n"));
}

#[test]
fn a_folder_that_is_gone_loses_nothing_that_the_old_file_can_take() {
    let world = World::new(|config| config.compress = false);
    let mut file = world.open();
    file.say("one");
    let away = world.folder.path().join("away");
    std::fs::rename(world.path().parent().unwrap(), &away).unwrap();
    assert!(file.reopen().is_err());
    say(&mut file, 0..20);
    assert_eq!(read(&away.join("registry.log")).lines().count(), 21);
    // And when it is back, the next line after a while begins a new one.
    std::fs::rename(&away, world.path().parent().unwrap()).unwrap();
    world.pass(31);
    file.say("after");
    assert_eq!(world.names().len(), 2);
    assert_eq!(read(&world.path()), "after\n");
}

#[test]
fn a_path_must_name_a_file_in_a_folder() {
    let world = World::new(|_| ());
    std::fs::write(world.folder.path().join("file"), "").unwrap();
    for path in ["..", "file/registry.log"] {
        let outcome = Archive::new(&world.folder.path().join(path), &world.config);
        assert!(outcome.is_err(), "{path}");
    }
}
