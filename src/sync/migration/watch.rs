//! Parity over time.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chrono::{DateTime, Utc};
use hub_registry_core::ServiceKey;
use tokio::time::Instant;

use super::parity::{Parity, Totals};

/// Writes are counted over this time for the rate.
const RATE: Duration = Duration::from_secs(10);

/// How equal source and target were at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When.
    pub time: DateTime<Utc>,
    /// How equal.
    pub totals: Totals,
}

/// What is remembered of a migration between two looks.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Since when each service has been equal. After a start it begins anew: what was in between
    /// nobody has seen.
    equal_since: BTreeMap<ServiceKey, Instant>,
    /// Since when all were.
    all_equal_since: Option<Instant>,
    /// Writes so far, at the last looks.
    written: VecDeque<(Instant, u64)>,
    /// When the last sample was kept.
    pub(super) sampled: Option<Instant>,
}

impl Watch {
    /// Takes a look at what is so now; `whole` tells whether a service is as equal as it must be.
    pub(super) fn look(
        &mut self,
        parity: &Parity,
        whole: impl Fn(&ServiceKey, Totals) -> bool,
        written: u64,
        now: Instant,
    ) {
        let before = std::mem::take(&mut self.equal_since);
        let mut all = true;
        for (service, found) in parity {
            if whole(service, found.totals()) {
                let since = before.get(service).copied().unwrap_or(now);
                self.equal_since.insert(service.clone(), since);
            } else {
                all = false;
            }
        }
        self.all_equal_since = all.then(|| self.all_equal_since.unwrap_or(now));
        self.written.push_back((now, written));
        while self.written.len() > 2 && self.written.front().is_some_and(|(at, _)| now > *at + RATE)
        {
            self.written.pop_front();
        }
    }

    /// How long a service, or all of them, has been equal.
    pub(super) fn equal_for(&self, service: Option<&ServiceKey>, now: Instant) -> Option<Duration> {
        let since = match service {
            Some(service) => self.equal_since.get(service).copied(),
            None => self.all_equal_since,
        };
        since.map(|since| now.saturating_duration_since(since))
    }

    /// Writes in a second, of late.
    pub(super) fn rate(&self) -> f64 {
        let (Some((start, first)), Some((end, last))) = (self.written.front(), self.written.back())
        else {
            return 0.0;
        };
        let seconds = end.saturating_duration_since(*start).as_secs_f64();
        if seconds > 0.0 { last.saturating_sub(*first) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{GroupName, ServiceName};

    use super::super::parity::ServiceParity;
    use super::*;

    #[test]
    fn a_service_counts_from_when_it_became_equal_and_all_from_the_last_of_them() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let key = |name: &str| {
            ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
        };
        let parity = |b: usize| {
            let of = |different| ServiceParity { different, ..ServiceParity::default() };
            Parity::from([(key("a"), of(0)), (key("b"), of(b))])
        };
        let mut watch = Watch::default();
        let whole = |_: &ServiceKey, totals: Totals| totals.is_whole(true);
        watch.look(&parity(1), whole, 0, at(0));
        watch.look(&parity(0), whole, 50, at(5));
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(watch.equal_for(Some(&key("a")), at(6)), seconds(6));
        assert_eq!(watch.equal_for(Some(&key("b")), at(6)), seconds(1));
        assert_eq!(watch.equal_for(None, at(6)), seconds(1));
        assert!((watch.rate() - 10.0).abs() < 1e-9);
        watch.look(&parity(1), whole, 50, at(7));
        assert_eq!(watch.equal_for(None, at(8)), None);
        assert_eq!(watch.equal_for(Some(&key("b")), at(8)), None);
        assert_eq!(watch.equal_for(Some(&key("c")), at(8)), None, "nobody knows it");
        watch.look(&parity(0), whole, 50, at(40));
        assert_eq!(watch.equal_for(None, at(41)), seconds(1));
        assert!(watch.rate() < 1e-9, "{}", watch.rate());
    }
}
