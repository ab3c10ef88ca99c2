//! Connections of instances, as they report them and as the hub adds to them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// A report counts this long, and what nobody asked for or reported this long is forgotten.
pub const LOAD_LIFETIME: Duration = Duration::from_secs(60);

/// What is known of one instance's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// What it last reported.
    pub reported: Option<u64>,
    /// How often the hub picked it since.
    pub picks: u64,
    /// When it reported, or was first seen without a report.
    pub since: Instant,
    seen: Instant,
}

impl Load {
    /// What it is ranked by.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reported.unwrap_or(0).saturating_add(self.picks)
    }
}

/// The connections of a service's instances, by instance id.
#[derive(Debug, Default)]
pub(super) struct Loads {
    all: HashMap<String, Load>,
    levelled: Option<Instant>,
}

impl Loads {
    /// Takes an instance's report; what the hub added before is in it.
    pub(super) fn report(&mut self, id: &str, connections: u64, now: Instant) {
        self.level(now);
        let load = Load { reported: Some(connections), picks: 0, since: now, seen: now };
        self.all.insert(id.to_owned(), load);
    }

    /// What is known of it.
    pub(super) fn get(&self, id: &str, now: Instant) -> Option<Load> {
        self.all.get(id).copied().filter(|load| now.duration_since(load.seen) < LOAD_LIFETIME)
    }

    /// The loads of these instances, in their order. One that is new among them begins where the
    /// least loaded of those without a report is, or it would get every request until it is level.
    pub(super) fn of<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) -> Vec<u64> {
        self.level(now);
        let floor = self.floor();
        let fresh = Load { reported: None, picks: floor, since: now, seen: now };
        let mut of = |id: &str| match self.all.get_mut(id) {
            Some(load) => {
                load.seen = now;
                load.total()
            }
            None => {
                self.all.insert(id.to_owned(), fresh);
                floor
            }
        };
        ids.map(&mut of).collect()
    }

    /// The hub sent one more request there.
    pub(super) fn picked(&mut self, id: &str) {
        if let Some(load) = self.all.get_mut(id) {
            load.picks += 1;
        }
    }

    fn floor(&self) -> u64 {
        let unreported = self.all.values().filter(|load| load.reported.is_none());
        unreported.map(|load| load.picks).min().unwrap_or(0)
    }

    /// Once per lifetime: forgets who was not seen, drops reports that are old, and takes off
    /// what all those without a report have in common, so that old picks do not count for ever.
    fn level(&mut self, now: Instant) {
        let levelled = *self.levelled.get_or_insert(now);
        let expired = |load: &Load| {
            load.reported.is_some() && now.duration_since(load.since) >= LOAD_LIFETIME
        };
        if now.duration_since(levelled) >= LOAD_LIFETIME {
            self.levelled = Some(now);
            self.all.retain(|_, load| now.duration_since(load.seen) < LOAD_LIFETIME);
            let floor = self.floor();
            for load in self.all.values_mut().filter(|load| load.reported.is_none()) {
                load.picks -= floor;
            }
        }
        if self.all.values().any(expired) {
            let floor = self.floor();
            for load in self.all.values_mut().filter(|load| expired(load)) {
                (load.reported, load.picks, load.since) = (None, floor, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: [&str; 3] = ["a", "b", "c"];

    #[tokio::test(start_paused = true)]
    async fn reports_count_for_their_lifetime_and_picks_on_top() {
        let mut loads = Loads::default();
        let now = Instant::now();
        loads.report("a", 5, now);
        loads.report("b", 2, now);
        assert_eq!(loads.of(IDS.into_iter(), now), [5, 2, 0]);
        loads.picked("c");
        loads.picked("b");
        assert_eq!(loads.of(IDS.into_iter(), now), [5, 3, 1]);
        loads.report("b", 9, now);
        assert_eq!(loads.of(IDS.into_iter(), now), [5, 9, 1], "a report holds what was picked");
        let later = now + LOAD_LIFETIME;
        assert_eq!(loads.of(IDS.into_iter(), later), [0, 0, 0], "old reports do not count");
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_is_level_with_the_others_and_the_gone_are_forgotten() {
        let mut loads = Loads::default();
        let now = Instant::now();
        loads.of(IDS[..2].iter().copied(), now);
        for _ in 0..50 {
            loads.picked("a");
            loads.picked("b");
        }
        assert_eq!(loads.of(IDS.into_iter(), now), [50, 50, 50]);
        let later = now + LOAD_LIFETIME;
        loads.of(IDS[..1].iter().copied(), later);
        assert_eq!(loads.all.len(), 1);
    }
}
