//! What a source lost within the last minute, service by service.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hub_registry_core::ServiceKey;
use tokio::time::Instant;

/// How far back a loss counts, in seconds: a loss piece by piece is one loss.
const SECONDS: u64 = 60;
/// The same.
pub(super) const REACH: Duration = Duration::from_secs(SECONDS);

/// A ring of the last [`SECONDS`] seconds, each with what the services lost in it. A change costs
/// its service only.
#[derive(Debug)]
pub(super) struct Window {
    origin: Instant,
    ring: VecDeque<Second>,
    // The sum of the ring per service; those at zero are left out.
    nets: HashMap<ServiceKey, i64>,
    loss: u64,
    total: i64,
}

#[derive(Debug)]
struct Second {
    number: u64,
    lost: HashMap<ServiceKey, i64>,
}

impl Window {
    /// An empty one.
    pub(super) fn new(now: Instant) -> Self {
        let (ring, nets) = (VecDeque::new(), HashMap::new());
        Self { origin: now, ring, nets, loss: 0, total: 0 }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.origin);
    }

    /// Forgets what is older than a minute.
    pub(super) fn advance(&mut self, now: Instant) {
        let number = self.number(now);
        while self.ring.front().is_some_and(|second| second.number + SECONDS <= number) {
            let Some(second) = self.ring.pop_front() else { break };
            for (key, lost) in second.lost {
                self.add(key, -lost);
            }
        }
    }

    /// Notes that the service lost `removed` instances and got `added` others.
    pub(super) fn note(&mut self, now: Instant, key: &ServiceKey, removed: usize, added: usize) {
        // As many lost as got is noted too: one of those lost may be forgiven later.
        if removed == 0 && added == 0 {
            return;
        }
        let lost = removed as i64 - added as i64;
        let number = self.number(now);
        if self.ring.back().is_none_or(|second| second.number < number) {
            self.ring.push_back(Second { number, lost: HashMap::new() });
        }
        if let Some(second) = self.ring.back_mut() {
            *second.lost.entry(key.clone()).or_default() += lost;
        }
        self.add(key.clone(), lost);
    }

    /// An instance noted as removed at this time is back: it never was lost. It gives no credit
    /// for other losses either, so that one that comes and goes does not hide them.
    pub(super) fn forgive(&mut self, removed_at: Instant, key: &ServiceKey) {
        let number = self.number(removed_at);
        let Ok(place) = self.ring.binary_search_by_key(&number, |second| second.number) else {
            return;
        };
        *self.ring[place].lost.entry(key.clone()).or_default() -= 1;
        self.add(key.clone(), -1);
    }

    /// The sum over all services of what each lost more than it got.
    pub(super) fn loss(&self) -> u64 {
        self.loss
    }

    /// How many instances the source lost more than it got; negative: it grew.
    pub(super) fn total(&self) -> i64 {
        self.total
    }

    /// The same for one service.
    pub(super) fn net(&self, key: &ServiceKey) -> i64 {
        self.nets.get(key).copied().unwrap_or_default()
    }

    fn number(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.origin).as_secs()
    }

    fn add(&mut self, key: ServiceKey, lost: i64) {
        let before = self.net(&key);
        let after = before + lost;
        let loss = |net: i64| net.max(0) as u64;
        self.loss = self.loss + loss(after) - loss(before);
        self.total += lost;
        if after == 0 {
            self.nets.remove(&key);
        } else {
            self.nets.insert(key, after);
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{GroupName, ServiceName};

    use super::*;

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
    }

    #[test]
    fn losses_add_up_over_a_minute_and_no_service_pays_for_another() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        window.note(at(0), &key("a"), 5, 0);
        window.note(at(10), &key("b"), 0, 7);
        window.note(at(20), &key("a"), 3, 1);
        assert_eq!((window.loss(), window.total(), window.net(&key("a"))), (7, 0, 7));
        window.note(at(30), &key("b"), 9, 0);
        assert_eq!((window.loss(), window.total()), (9, 9));
        window.advance(at(59));
        assert_eq!(window.loss(), 9);
        window.advance(at(60));
        assert_eq!((window.loss(), window.net(&key("a")), window.net(&key("b"))), (4, 2, 2));
        window.advance(at(70));
        assert_eq!(window.loss(), 11, "what b got is no longer within the minute");
        window.advance(at(200));
        assert_eq!((window.loss(), window.total(), window.ring.len()), (0, 0, 0));
        assert!(window.nets.is_empty());
    }

    #[test]
    fn what_is_back_was_not_lost_and_gives_no_credit() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut window = Window::new(start);
        window.note(at(5), &key("a"), 2, 0);
        window.forgive(at(5), &key("a"));
        assert_eq!(window.loss(), 1);
        window.advance(at(70));
        window.note(at(70), &key("a"), 1, 0);
        window.forgive(at(5), &key("a"));
        assert_eq!(window.loss(), 1, "it left more than a minute ago");
    }

    #[test]
    fn what_is_back_after_a_swap_was_not_lost() {
        let start = Instant::now();
        let mut window = Window::new(start);
        window.note(start, &key("a"), 2, 2);
        assert_eq!(window.net(&key("a")), 0);
        window.forgive(start, &key("a"));
        assert_eq!(window.net(&key("a")), -1, "one lost, two got");
    }
}
