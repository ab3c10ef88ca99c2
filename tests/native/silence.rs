//! Self-preservation under any order of cuts, returns, registrations, pauses and failures of the
//! database, against what must be true whatever happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hub_registry::native::{Preservation, Settings};
use hub_registry_core::{HealthStatus, InstanceKey, TenantId};
use proptest::prelude::*;
use tokio::time::Instant;

use super::preservation::Fleet;
use super::world::{FakeStore, Fault, World, tenant};

const RULES: Preservation = Preservation {
    min_instances: 10,
    percent: 15,
    max: Duration::from_secs(60),
    sweep_interval: Duration::from_secs(5),
    sweep_percent: 15,
};
const LEASES: [u64; 4] = [1, 3, 10, 30];
const SIZE: u16 = 24;

#[derive(Clone, Debug)]
enum Step {
    Cut { fleet: usize, from: usize, to: usize },
    Heal { fleet: usize },
    Deregister { fleet: usize, from: usize, to: usize },
    Pause { seconds: u64 },
    Wait { seconds: u64 },
    Fault(Fault),
}

fn step() -> impl Strategy<Value = Step> {
    let (fleet, end) = (0..5_usize, 0..=usize::from(SIZE));
    prop_oneof![
        4 => (fleet.clone(), end.clone(), end.clone())
            .prop_map(|(fleet, a, b)| Step::Cut { fleet, from: a.min(b), to: a.max(b) }),
        3 => fleet.clone().prop_map(|fleet| Step::Heal { fleet }),
        1 => (fleet, end.clone(), end)
            .prop_map(|(fleet, a, b)| Step::Deregister { fleet, from: a.min(b), to: a.max(b) }),
        1 => (1..200_u64).prop_map(|seconds| Step::Pause { seconds }),
        6 => (1..80_u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Fault(Fault::Before)),
        1 => Just(Step::Fault(Fault::After)),
        2 => Just(Step::Fault(Fault::None)),
    ]
}

type Shown = BTreeMap<InstanceKey, HealthStatus>;
type Held = BTreeSet<InstanceKey>;

struct Trial {
    world: Arc<World>,
    store: Arc<FakeStore>,
    /// Four of one tenant, one lease each; one of another, too small to be held.
    fleets: Vec<Fleet>,
    /// What was shown and held a moment ago, if a hold was on.
    before: BTreeMap<TenantId, Option<(Shown, Held)>>,
}

impl Trial {
    async fn start() -> Self {
        let store = Arc::new(FakeStore::default());
        let settings = Settings { preservation: RULES, ..Settings::default() };
        let world = Arc::new(World::start_with(Arc::clone(&store) as _, settings).await);
        let mut fleets = Vec::new();
        for lease in LEASES {
            fleets.push(Fleet::of(&world, &tenant("many"), SIZE, lease).await);
        }
        fleets.push(Fleet::of(&world, &tenant("few"), 8, 3).await);
        Self { world, store, fleets, before: BTreeMap::new() }
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Cut { fleet, from, to } => {
                let size = self.fleets[fleet].len();
                self.fleets[fleet].cut(from.min(size)..to.min(size));
            }
            Step::Heal { fleet } => {
                let size = self.fleets[fleet].len();
                self.fleets[fleet].heal(0..size);
            }
            Step::Deregister { fleet, from, to } => {
                let size = self.fleets[fleet].len();
                self.fleets[fleet].leave(from.min(size)..to.min(size)).await;
            }
            Step::Pause { seconds } => {
                tokio::time::advance(Duration::from_secs(seconds)).await;
                self.fleets.iter_mut().for_each(Fleet::resume);
            }
            Step::Wait { seconds } => self.pass(seconds).await,
            Step::Fault(fault) => *self.store.fault.lock() = fault,
        }
    }

    async fn pass(&mut self, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(150)).await;
            for fleet in &mut self.fleets {
                fleet.beat_or_return().await;
            }
            self.check();
        }
    }

    /// What must be true at every moment.
    fn check(&mut self) {
        for id in [tenant("many"), tenant("few")] {
            let all = self.world.listener.instances(&id);
            let shown: Shown = all.iter().map(|one| (one.key.clone(), one.health)).collect();
            for fleet in self.fleets.iter().filter(|fleet| fleet.tenant == id) {
                for key in fleet.steady() {
                    let health = shown.get(&key);
                    assert_eq!(health, Some(&HealthStatus::Healthy), "{key} was never silent");
                }
            }
            let stats = self.world.native.lease_stats(&id);
            let held = self.world.listener.held.lock().get(&id).cloned().unwrap_or_default();
            let holds = stats.preserving_since.is_some() && !stats.sweeping;
            if id.as_str() == "few" {
                assert!(held.is_empty() && !holds, "fewer than ten are held");
            }
            if let Some(Some((before, was_held))) = self.before.get(&id)
                && holds
            {
                let left = self.fleets.iter().flat_map(Fleet::left).collect::<Vec<_>>();
                for key in held.iter().filter(|key| !left.contains(key)) {
                    assert_eq!(before.get(key), shown.get(key), "{key} is held and moved");
                }
                for key in was_held.iter().filter(|key| !left.contains(key)) {
                    assert!(shown.contains_key(key), "{key} was held and is gone");
                }
            }
            self.before.insert(id, holds.then_some((shown, held)));
        }
    }
}

fn cases() -> u32 {
    if std::env::var_os("HUB_REGISTRY_LONG").is_some() { 1000 } else { 16 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_cuts_and_returns_keeps_the_promises(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut trial = Trial::start().await;
            for step in &steps {
                trial.take(step).await;
            }
            *trial.store.fault.lock() = Fault::None;
            // Whatever was cut is dead by now: it leaves within the bound, twice the hold if the
            // last failure came late.
            trial.pass(3 * 30 + 2 * (60 + 8 * 5) + 20).await;
            for fleet in &trial.fleets {
                let all = trial.world.listener.instances(&fleet.tenant);
                let there = |key: &InstanceKey| all.iter().any(|one| one.key == *key);
                for (key, lives) in fleet.fate() {
                    assert_eq!(there(&key), lives, "{key}");
                }
            }
            trial.world.stop().await;
        });
    }
}
