//! The recent change sets of one tenant, shared by all who follow it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::events::frame::Frame;

/// A change set that was released to subscribers.
#[derive(Debug)]
pub(super) struct Release {
    pub(super) revision: i64,
    pub(super) frames: Vec<Arc<Frame>>,
}

/// The newest change sets, whole, so many that they hold about `most` events. Each has a number;
/// numbers go up by one.
#[derive(Debug)]
pub(super) struct Ring {
    most: usize,
    sets: VecDeque<Arc<Release>>,
    first: u64,
    events: usize,
    /// The sets that tell of a service of this name.
    of_service: HashMap<Box<str>, VecDeque<u64>>,
    /// Every set above this revision is here.
    since: i64,
}

impl Ring {
    /// An empty one, of a tenant that was told everything up to this revision.
    pub(super) fn new(most: usize, since: i64) -> Self {
        let (sets, of_service) = (VecDeque::new(), HashMap::new());
        Self { most, sets, first: 0, events: 0, of_service, since }
    }

    /// Adds the newest set, and lets go of the oldest ones; its number.
    pub(super) fn push(&mut self, release: Arc<Release>) -> u64 {
        let number = self.end();
        for name in names(&release) {
            match self.of_service.get_mut(name) {
                Some(numbers) if numbers.back() == Some(&number) => {}
                Some(numbers) => numbers.push_back(number),
                None => {
                    self.of_service.insert(name.into(), VecDeque::from([number]));
                }
            }
        }
        self.events += release.frames.len();
        self.sets.push_back(release);
        while self.events > self.most && self.sets.len() > 1 {
            self.drop_oldest();
        }
        number
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.sets.pop_front() else { return };
        for name in names(&oldest) {
            if let Some(numbers) = self.of_service.get_mut(name) {
                if numbers.front() == Some(&self.first) {
                    numbers.pop_front();
                }
                if numbers.is_empty() {
                    self.of_service.remove(name);
                }
            }
        }
        self.events -= oldest.frames.len();
        self.first += 1;
        self.since = oldest.revision;
    }

    /// Lets go of everything: what came up to this revision is not known.
    pub(super) fn forget(&mut self, revision: i64) {
        while !self.sets.is_empty() {
            self.drop_oldest();
        }
        self.since = revision;
    }

    /// The number of the oldest set that is here.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The number of the next set.
    pub(super) fn end(&self) -> u64 {
        self.first + self.sets.len() as u64
    }

    /// Every set above this revision is here.
    pub(super) fn since(&self) -> i64 {
        self.since
    }

    /// How many events are here.
    pub(super) fn events(&self) -> usize {
        self.events
    }

    /// The number of the first set of this revision or a higher one.
    pub(super) fn number_of(&self, revision: i64) -> u64 {
        self.first + self.sets.partition_point(|set| set.revision < revision) as u64
    }

    /// Sets from this number on, at most `most` of them, that may tell of the service, or all;
    /// and the number from which to go on.
    pub(super) fn from(
        &self,
        number: u64,
        service: Option<&str>,
        most: usize,
    ) -> (Vec<Arc<Release>>, u64) {
        let at = |number: u64| (number - self.first) as usize;
        let Some(service) = service else {
            let sets: Vec<_> = self.sets.range(at(number)..).take(most).map(Arc::clone).collect();
            let next = number + sets.len() as u64;
            return (sets, next);
        };
        let Some(numbers) = self.of_service.get(service) else {
            return (Vec::new(), self.end());
        };
        let begin = numbers.partition_point(|of| *of < number);
        let some = numbers.range(begin..).take(most + 1);
        let mut sets = Vec::new();
        for of in some {
            if sets.len() == most {
                return (sets, *of);
            }
            sets.push(Arc::clone(&self.sets[at(*of)]));
        }
        (sets, self.end())
    }
}

/// The names of the services a set tells of. One that is told of in a row is named once.
pub(super) fn names(release: &Release) -> impl Iterator<Item = &str> {
    let mut last = None;
    let names = release.frames.iter().filter_map(|frame| frame.service.as_deref());
    names.filter(move |name| last.replace(*name) != Some(*name))
}
