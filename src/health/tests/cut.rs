//! Who is believed to be gone.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_core::{GroupName, Host, InstanceKey, ServiceKey, ServiceName, TenantId};
use tokio::time::Instant;

use crate::health::cut::{Asked, Cuts, Note};
use crate::model::names::InstanceId;
use crate::native::Preservation;

const LOOK: Duration = Duration::from_secs(30);

/// Tenants of some instances each, and a clock.
struct World {
    cuts: Cuts,
    rules: Preservation,
    now: Instant,
    tenants: BTreeMap<TenantId, Asked>,
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn id(tenant: &TenantId, number: usize) -> InstanceId {
    let service = ServiceKey::new(GroupName::default_group(), ServiceName::parse("s").unwrap());
    let host = Host::parse("h").unwrap();
    InstanceId::of(tenant, &InstanceKey { service, host, port: u16::try_from(number).unwrap() })
}

impl World {
    fn new(sizes: &[(&str, usize)]) -> Self {
        let slowest = Duration::from_secs(10);
        let tenants = sizes.iter().map(|(name, size)| {
            let whose = tenant(name);
            let answering = (0..*size).map(|number| id(&whose, number)).collect();
            (whose, Asked { answering, slowest, ..Asked::default() })
        });
        let tenants = tenants.collect();
        let rules = Preservation::default();
        Self { cuts: Cuts::default(), rules, now: Instant::now(), tenants }
    }

    /// These are silent from now on, and the others answer.
    fn silent(&mut self, name: &str, numbers: impl IntoIterator<Item = usize>) {
        let whose = tenant(name);
        let silent: Vec<_> = numbers.into_iter().map(|number| id(&whose, number)).collect();
        let asked = self.tenants.get_mut(&whose).unwrap();
        let mut all = std::mem::take(&mut asked.answering);
        all.append(&mut asked.silent);
        all.append(&mut asked.unknown);
        let (silent, answering) = all.into_iter().partition(|id| silent.contains(id));
        (asked.silent, asked.answering) = (silent, answering);
    }

    /// The hub cannot ask anybody.
    fn is_hindered(&mut self, name: &str) {
        let asked = self.tenants.get_mut(&tenant(name)).unwrap();
        asked.unknown.append(&mut asked.answering);
        asked.unknown.append(&mut asked.silent);
    }

    /// Looks for so long; what was told.
    fn looks(&mut self, time: Duration) -> Vec<Note> {
        let (end, mut told) = (self.now + time, Vec::new());
        while self.now < end {
            self.now += LOOK;
            told.extend(self.cuts.look(&self.tenants, &self.rules, self.now));
        }
        told
    }

    fn holds(&self, name: &str) -> bool {
        self.cuts.holds(&tenant(name))
    }
}

#[test]
fn few_are_believed_and_many_are_not() {
    let mut world = World::new(&[("a", 100)]);
    world.silent("a", 0..15);
    world.looks(LOOK);
    assert!(!world.holds("a"), "a share that self-preservation believes");
    world.silent("a", 0..16);
    let told = world.looks(LOOK);
    assert!(world.holds("a") && told.len() == 2, "of the tenant, and of all: {told:?}");
    world.silent("a", []);
    assert_eq!((world.looks(LOOK).len(), world.holds("a")), (2, false));
    // Nine are never too many.
    let mut world = World::new(&[("a", 9)]);
    world.silent("a", 0..9);
    assert!(world.looks(LOOK).is_empty());
}

#[test]
fn a_hub_that_is_cut_off_believes_nobody_for_however_long() {
    let mut world = World::new(&[("a", 40)]);
    world.silent("a", 0..40);
    world.looks(LOOK * 1000);
    assert!(world.holds("a"));
    // Of those that come back some are gone for good.
    world.silent("a", 0..10);
    world.looks(LOOK);
    assert!(world.holds("a"));
    world.looks(world.rules.max);
    assert!(!world.holds("a"), "more than half answer, for long");
}

/// The end of what holds for all together ends no tenant's own.
#[test]
fn a_site_that_is_cut_off_is_held_whatever_others_answer() {
    let mut world = World::new(&[("cut", 40), ("well", 160)]);
    world.silent("cut", 0..40);
    let told = world.looks(LOOK);
    assert_eq!(told.len(), 2, "{told:?}");
    world.looks(world.rules.max);
    assert_eq!((world.holds("cut"), world.holds("well")), (true, false));
    world.looks(LOOK * 1000);
    assert_eq!((world.holds("cut"), world.holds("well")), (true, false));
    // Nor does it keep what the others lose from being believed.
    world.silent("well", [1]);
    assert!(world.looks(LOOK * 100).is_empty() && !world.holds("well"));
}

#[test]
fn small_tenants_are_held_beside_a_large_one_for_as_long() {
    let mut world = World::new(&[("large", 40), ("small", 5)]);
    world.silent("large", 0..40);
    world.silent("small", 0..5);
    world.looks(LOOK * 1000);
    assert!(world.holds("large") && world.holds("small"));
    world.silent("large", []);
    world.silent("small", [1]);
    world.looks(LOOK);
    assert!(world.holds("small"), "it comes back later, perhaps");
    world.looks(world.rules.max);
    assert!(!world.holds("large") && !world.holds("small"));
}

/// The way comes back for one rack after the other.
#[test]
fn who_comes_back_later_than_half_has_time_for_it() {
    let mut world = World::new(&[("a", 40)]);
    world.silent("a", 0..40);
    world.looks(LOOK * 120);
    world.silent("a", 0..19);
    world.looks(world.rules.max - LOOK);
    assert!(world.holds("a"));
    world.looks(LOOK * 2);
    assert!(!world.holds("a"));
}

/// A redeployment that told nobody of those that it replaced.
#[test]
fn that_half_of_them_are_gone_is_believed_in_time() {
    let mut world = World::new(&[("a", 80)]);
    world.silent("a", 0..40);
    world.looks(world.rules.max);
    assert!(world.holds("a"));
    world.looks(LOOK);
    assert!(!world.holds("a"));
}

/// As long as it takes to ask all of them.
#[test]
fn who_is_asked_seldom_is_believed_late() {
    let mut world = World::new(&[("a", 12)]);
    let hour = Duration::from_secs(3600);
    world.tenants.get_mut(&tenant("a")).unwrap().slowest = hour;
    for silent in 1..=12 {
        world.silent("a", 0..silent);
        world.looks(hour / 12);
    }
    assert!(world.holds("a"));
}

/// Who is believed to be gone answers nothing.
#[test]
fn those_long_dead_are_no_reason_to_believe_the_others() {
    let mut world = World::new(&[("a", 40)]);
    for dead in 1..=20 {
        world.silent("a", 0..dead);
        world.looks(Duration::from_secs(3600));
    }
    assert!(!world.holds("a"));
    world.silent("a", 0..40);
    world.looks(LOOK * 1000);
    assert!(world.holds("a"));
}

#[test]
fn where_most_answer_it_ends_by_time_and_those_do_not_count_again() {
    let mut world = World::new(&[("a", 40)]);
    world.silent("a", 0..12);
    world.looks(world.rules.max);
    assert!(world.holds("a"));
    world.looks(LOOK);
    assert!(!world.holds("a"));
    // Three more are no cut, though they are fifteen with the others.
    world.silent("a", 0..15);
    world.looks(LOOK);
    assert!(!world.holds("a"));
    // One that came back is as any other.
    world.silent("a", []);
    world.looks(LOOK);
    world.silent("a", 0..12);
    world.looks(LOOK);
    assert!(world.holds("a"));
}

#[test]
fn who_was_silent_long_before_is_not_silent_together_with_others() {
    let mut world = World::new(&[("a", 40)]);
    for dead in 1..30 {
        world.silent("a", 0..dead);
        world.looks(Duration::from_secs(3600));
        assert!(!world.holds("a"), "{dead}");
    }
}

#[test]
fn what_was_removed_counts_still_so_that_a_loss_piece_by_piece_is_one() {
    let mut world = World::new(&[("a", 40)]);
    for number in 0..9 {
        world.silent("a", [number]);
        world.looks(LOOK);
        assert!(!world.holds("a"));
        let (whose, now) = (tenant("a"), world.now);
        world.cuts.removed(&whose, id(&whose, number), &world.rules, now);
        world.tenants.get_mut(&whose).unwrap().silent.clear();
    }
    world.silent("a", [9]);
    world.looks(LOOK);
    assert!(world.holds("a"));
    world.silent("a", []);
    world.looks(world.rules.max);
    assert!(!world.holds("a"));
}

#[test]
fn small_tenants_are_held_with_all_others() {
    let sizes: Vec<_> = ["a", "b", "c", "d"].into_iter().map(|name| (name, 5)).collect();
    let mut world = World::new(&sizes);
    for (name, _) in &sizes {
        world.silent(name, 0..5);
    }
    let told = world.looks(LOOK);
    assert_eq!(told, [Note::Began { whose: None, silent: 20, of: 20 }]);
    assert!(sizes.iter().all(|(name, _)| world.holds(name)));
    // One of them alone is what it is.
    for name in ["a", "b", "c"] {
        world.silent(name, []);
    }
    world.looks(world.rules.max);
    assert!(!world.holds("d"));
}

/// What the hub cannot ask says nothing: neither that the way is back, nor that who was gone came back.
#[test]
fn while_the_hub_cannot_ask_nothing_changes() {
    let mut world = World::new(&[("a", 40)]);
    world.silent("a", 0..40);
    world.looks(LOOK);
    world.is_hindered("a");
    world.looks(LOOK * 1000);
    assert!(world.holds("a"));
    world.silent("a", []);
    world.looks(LOOK);
    assert!(!world.holds("a"));

    let mut world = World::new(&[("a", 40)]);
    for dead in 1..=21 {
        world.silent("a", 0..dead);
        world.looks(Duration::from_secs(3600));
    }
    world.is_hindered("a");
    world.looks(LOOK);
    world.silent("a", 0..22);
    world.looks(LOOK);
    assert!(!world.holds("a"), "one more is gone, and not all of them together");
}

#[test]
fn a_pause_of_the_process_is_no_silence() {
    let mut world = World::new(&[("a", 40)]);
    world.silent("a", 0..8);
    world.looks(LOOK);
    world.now += world.rules.max * 2;
    world.cuts.paused(world.now);
    world.looks(LOOK);
    world.silent("a", 0..17);
    world.looks(LOOK);
    assert!(world.holds("a"), "eight of them were not silent for long, as far as anybody knows");
    world.silent("a", 0..5);
    world.now += world.rules.max * 2;
    world.cuts.paused(world.now);
    world.looks(LOOK);
    assert!(world.holds("a"), "nor did the others answer for long");
}
