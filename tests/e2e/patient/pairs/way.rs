//! What is copied one way: who is registered, who changes, and what is seen of it at the target.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hub_registry_testkit::servers::ServerKind;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::time::Instant;

use crate::patient::rules::SOON;
use crate::patient::site::{Row, Site};

/// How long Eureka's cache is given before it is asked past it.
const CACHED: Duration = Duration::from_secs(3);
/// A change is not looked for before this, nor more often.
const SOONEST: Duration = Duration::from_millis(25);
/// Who is registered at the target by somebody else: services and ports.
const FOREIGN: [(&str, u16); 4] =
    [("own-1", 1), ("own-1", 2), ("mirror-000", 9), ("mirror-001", 9)];
const FOREIGN_HOST: &str = "10.50.0.1";

/// What happens to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Leaves,
    Comes,
    Metadata,
    Weight,
}

impl Change {
    pub(super) const ALL: [Self; 4] = [Self::Leaves, Self::Comes, Self::Metadata, Self::Weight];

    pub(super) fn of(number: u32) -> Self {
        match number % 10 {
            0 => Self::Leaves,
            5 => Self::Comes,
            odd if odd % 2 == 1 => Self::Metadata,
            _ => Self::Weight,
        }
    }
}

/// One change that was seen at the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub way: usize,
    pub change: Change,
    /// Since before it was sent to the source.
    pub after: Duration,
    /// Only past a cache of the target's own.
    pub again: bool,
}

#[derive(Clone, Debug)]
struct Known {
    row: Row,
    /// It changes now, or is to stay as it is.
    busy: bool,
    leaves: bool,
}

type Services = BTreeMap<String, BTreeMap<u32, Known>>;

pub(super) struct Way {
    from: Site,
    to: Site,
    net: u8,
    services: Mutex<Services>,
    foreign: Mutex<BTreeMap<String, Vec<Row>>>,
}

fn name(service: u32) -> String {
    format!("mirror-{service:03}")
}

impl Way {
    /// The addresses of its originals are in this net.
    pub(super) fn new(from: &Site, to: &Site, net: u8) -> Self {
        let (from, to) = (from.clone(), to.clone());
        Self { from, to, net, services: Mutex::default(), foreign: Mutex::default() }
    }

    pub(super) fn name(&self) -> String {
        format!("{}, {}", self.from.name(), self.to.name())
    }

    fn first(&self, service: u32, number: u32) -> Row {
        let host = format!("10.{}.{service}.{}", self.net, number + 1);
        Row::new(&host, 8080, "1")
    }

    /// The source's own clients register.
    pub(super) async fn fill(&self, services: u32, each: u32) {
        let all = (0..services).flat_map(|service| (0..each).map(move |number| (service, number)));
        let put = |(service, number)| async move {
            let row = self.first(service, number);
            self.from.put(&name(service), &row).await;
            let known = Known { row, busy: false, leaves: false };
            self.services.lock().entry(name(service)).or_default().insert(number, known);
        };
        stream::iter(all).for_each_concurrent(16, put).await;
    }

    /// Others are at the target before: in services of their own, beside copies, and at an address
    /// that is to be copied. What the target says of them.
    pub(super) async fn put_foreign(&self) -> Vec<Value> {
        let host = FOREIGN_HOST.replace("50", &(self.net + 10).to_string());
        let mut all: Vec<_> = FOREIGN
            .map(|(service, port)| (service.to_owned(), Row::new(&host, port, "own")))
            .into();
        let taken = self.first(2, 0);
        if let Some(known) = self.services.lock().get_mut(&name(2)).unwrap().get_mut(&0) {
            known.busy = true;
        }
        all.push((name(2), Row { version: "own".to_owned(), ..taken }));
        for (service, row) in all {
            self.to.put(&service, &row).await;
            self.foreign.lock().entry(service).or_default().push(row);
        }
        self.until_foreign().await
    }

    /// Registries show what was registered a moment later.
    async fn until_foreign(&self) -> Vec<Value> {
        let end = Instant::now() + SOON;
        loop {
            let foreign = self.look_at_foreign().await;
            if foreign.iter().all(Value::is_object) {
                return foreign;
            }
            assert!(Instant::now() < end, "{foreign:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// All that the target says of them, its clocks and indexes too.
    pub(super) async fn look_at_foreign(&self) -> Vec<Value> {
        let foreign = self.foreign.lock().clone();
        let mut all = Vec::new();
        for (service, rows) in foreign {
            let seen = self.to.look_again(&service, &rows).await.unwrap_or_default();
            for row in rows {
                let raw = seen.iter().find(|one| one.row == row).map(|one| one.raw.clone());
                all.push(raw.unwrap_or_default());
            }
        }
        all
    }

    /// Somebody else registers in a service that is not copied.
    pub(super) async fn nudge(&self) {
        for site in [&self.from, &self.to] {
            site.put("nudge", &Row::new("10.60.0.1", 80, "1")).await;
        }
    }

    /// An instance that this can happen to, and how it is afterwards.
    pub(super) async fn choose(&self, change: Change, random: &mut fastrand::Rng) -> (String, Row) {
        let end = Instant::now() + SOON;
        loop {
            if let Some(chosen) = self.try_choose(change, random) {
                return chosen;
            }
            assert!(Instant::now() < end, "all of them wait for a change of theirs to be seen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn try_choose(&self, change: Change, random: &mut fastrand::Rng) -> Option<(String, Row)> {
        let mut services = self.services.lock();
        let number = random.u32(..services.len() as u32);
        let own = services.get_mut(&name(number))?;
        if change == Change::Comes {
            let next = own.keys().max()? + 1;
            let row = self.first(number, next);
            own.insert(next, Known { row: row.clone(), busy: true, leaves: false });
            return Some((name(number), row));
        }
        let stay = own.values().filter(|known| !known.leaves).count();
        let idle: Vec<_> = own.values_mut().filter(|known| !known.busy).collect();
        // None is emptied: that is looked at twice before it is believed.
        if change == Change::Leaves && stay < 3 {
            return None;
        }
        let place = random.usize(..idle.len().max(1));
        let known = idle.into_iter().nth(place)?;
        known.busy = true;
        match change {
            Change::Leaves => known.leaves = true,
            Change::Weight if self.from.kind != ServerKind::Eureka => known.row.weight += 1,
            _ => known.row.version = (known.row.version.parse::<u32>().unwrap() + 1).to_string(),
        }
        Some((name(number), known.row.clone()))
    }

    /// Makes the change, and waits until the target's clients see it.
    pub(super) async fn change(
        &self,
        way: usize,
        change: Change,
        service: String,
        row: Row,
    ) -> Seen {
        let start = Instant::now();
        match change {
            Change::Leaves => self.from.remove(&service, &row.host, row.port).await,
            _ => self.from.put(&service, &row).await,
        }
        let again = loop {
            let steady = self.steady(&service);
            let again = start.elapsed() > CACHED && self.to.kind == ServerKind::Eureka;
            let seen = match again {
                true => self.to.look_again(&service, std::slice::from_ref(&row)).await,
                false => self.to.look(&service).await,
            };
            let Some(seen) = seen else {
                assert!(start.elapsed() < SOON, "{} does not answer", self.to.kind);
                tokio::time::sleep(SOONEST).await;
                continue;
            };
            let there =
                seen.iter().find(|one| (&one.row.host, one.row.port) == (&row.host, row.port));
            let is_so = match change {
                Change::Leaves => there.is_none() && !seen.is_empty(),
                _ => there.is_some_and(|one| one.row == row),
            };
            // Nobody who stays as he is is missed for it. Eureka's cache may not know all of them.
            let still = self.steady(&service);
            if self.to.kind != ServerKind::Eureka {
                let all: BTreeSet<_> = seen.iter().map(|one| &one.row).collect();
                let missed = steady.intersection(&still).find(|row| !all.contains(row));
                assert!(missed.is_none(), "{missed:?} of {service} is not in {all:?}");
            }
            if is_so {
                break again;
            }
            assert!(
                start.elapsed() < SOON,
                "{change:?} of {service} {row:?} is not seen: {seen:#?}"
            );
            // The longer it takes the less often, so that looking does not itself take the machine.
            tokio::time::sleep((start.elapsed() / 8).max(SOONEST)).await;
        };
        let after = start.elapsed();
        let mut services = self.services.lock();
        let own = services.get_mut(&service).unwrap();
        match change {
            Change::Leaves => own.retain(|_, known| known.row.host != row.host),
            _ => {
                let known = own.values_mut().find(|known| known.row.host == row.host);
                known.unwrap().busy = false;
            }
        }
        Seen { way, change, after, again }
    }

    /// Those of a service that were seen at the target, and do not change now.
    fn steady(&self, service: &str) -> BTreeSet<Row> {
        let services = self.services.lock();
        let own = services[service].values().filter(|known| !known.busy);
        own.map(|known| known.row.clone()).collect()
    }

    /// What a service has here of this way's originals.
    fn originals(&self, service: &str) -> Vec<Row> {
        let services = self.services.lock();
        let own = services.get(service).into_iter().flat_map(BTreeMap::values);
        own.map(|known| known.row.clone()).collect()
    }

    /// What others have in a service at the target.
    fn foreign(&self, service: &str) -> Vec<Row> {
        self.foreign.lock().get(service).cloned().unwrap_or_default()
    }

    /// Where the target does not show what it has to: the originals of the source as copies, what
    /// others have there, and what it is itself copied from.
    pub(super) async fn differences(&self, back: Option<&Self>) -> Vec<String> {
        let services: Vec<_> = self.services.lock().keys().cloned().collect();
        let expected = |service: String| {
            let mut expected = self.foreign(&service);
            let mut copied = self.originals(&service);
            if let Some(back) = back {
                expected.extend(back.originals(&service));
                copied.extend(back.foreign(&service));
            }
            let address = |row: &Row| (row.host.clone(), row.port);
            let taken: BTreeSet<_> = expected.iter().map(address).collect();
            copied.retain(|row| !taken.contains(&address(row)));
            expected.append(&mut copied);
            expected.sort();
            (service, expected)
        };
        let all: BTreeMap<_, _> = services.into_iter().map(expected).collect();
        let Some(there) = self.to.all(&all).await else {
            return vec![format!("{} does not answer", self.to.kind)];
        };
        let mut differences = Vec::new();
        for (service, seen) in there {
            let expected = &all[&service];
            if seen != *expected {
                differences
                    .push(format!("{service} in {}: {seen:?}, not {expected:?}", self.to.kind));
            }
        }
        differences
    }
}
