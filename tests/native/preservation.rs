//! Self-preservation, on a clock that the tests move (docs/decisions/0012).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hub_registry::model::instance::Registration;
use hub_registry::native::Settings;
use hub_registry_core::{HealthStatus, Instance, InstanceKey, TenantId};
use serde_json::json;
use tokio::time::Instant;

use super::world::{FakeStore, World, body, by, tenant};

/// Clients of a tenant that beat every third of their lease, each at its own moment.
pub(crate) struct Fleet {
    pub(crate) world: Arc<World>,
    pub(crate) tenant: TenantId,
    ids: Vec<String>,
    said: Vec<Registration>,
    lease: u64,
    /// Since when each is surely known; `None`: it was cut off.
    steady: Vec<Option<Instant>>,
    /// Whether the hub took what each said last.
    known: Vec<bool>,
    left: BTreeSet<InstanceKey>,
    /// When each beats next; `None`: it is cut off.
    next: Vec<Option<Instant>>,
}

impl Fleet {
    pub(crate) async fn of(world: &Arc<World>, tenant: &TenantId, count: u16, lease: u64) -> Self {
        Self::with(world, tenant, count, lease, "Y").await
    }

    async fn with(
        world: &Arc<World>,
        tenant: &TenantId,
        count: u16,
        lease: u64,
        ephemeral: &str,
    ) -> Self {
        let me = by(tenant, "me");
        let service = format!("s-{lease}-{ephemeral}");
        let said = (1..=count).map(|port| {
            let mut said = body(&service, port);
            said["leaseSeconds"] = json!(lease);
            said["ephemeral"] = json!(ephemeral);
            Registration::from_value(said).unwrap()
        });
        let said: Vec<_> = said.collect();
        let all = said.iter().map(|said| world.native.register(&me, said.clone()));
        let all = join_all(all).await;
        let ids: Vec<_> = all.into_iter().map(|one| one.unwrap().instance_id.to_string()).collect();
        let now = Instant::now();
        let spread = |i: usize| now + Duration::from_millis(lease * 1000 / 3) * i as u32 / 1000;
        let next = (0..ids.len()).map(|i| Some(spread(i * 617 % 1000))).collect();
        let (steady, known) = (vec![None; ids.len()], vec![true; ids.len()]);
        Self {
            world: Arc::clone(world),
            tenant: tenant.clone(),
            ids,
            said,
            lease,
            steady,
            known,
            left: BTreeSet::new(),
            next,
        }
    }

    /// These do not reach the hub any more.
    pub(crate) fn cut(&mut self, which: Range<usize>) {
        self.next[which.clone()].fill(None);
        self.steady[which.clone()].fill(None);
        self.known[which].fill(false);
    }

    /// They reach it again, each within a third of its lease.
    pub(crate) fn heal(&mut self, which: Range<usize>) {
        let now = Instant::now();
        let third = Duration::from_millis(self.lease * 1000 / 3);
        for i in which {
            self.next[i] = Some(now + third * ((i * 389 % 1000) as u32) / 1000);
        }
    }

    /// Beats for all that are due; whom the hub does not know.
    pub(crate) fn beat(&mut self) -> Vec<usize> {
        let (now, me) = (Instant::now(), by(&self.tenant, "me"));
        let third = Duration::from_millis(self.lease * 1000 / 3);
        let mut unknown = Vec::new();
        for (i, next) in self.next.iter_mut().enumerate() {
            if let Some(at) = next.filter(|at| *at <= now) {
                *next = Some(at + third);
                self.known[i] = self.world.native.heartbeat(&me, &self.ids[i]).is_ok();
                if !self.known[i] {
                    unknown.push(i);
                }
            }
        }
        unknown
    }

    async fn deregister(&mut self, which: Range<usize>) {
        self.cut(which.clone());
        for id in &self.ids[which] {
            self.world.native.deregister(&by(&self.tenant, "me"), id).await.unwrap();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    fn key(&self, i: usize) -> InstanceKey {
        self.said[i].key.clone()
    }

    /// They say goodbye; if the hub cannot take it they are simply gone.
    pub(crate) async fn leave(&mut self, which: Range<usize>) {
        self.cut(which.clone());
        for i in which {
            let left = self.world.native.deregister(&by(&self.tenant, "me"), &self.ids[i]).await;
            if left.is_ok() {
                self.left.insert(self.key(i));
            }
        }
    }

    /// Beats for all that are due; whom the hub does not know registers again, if it can.
    pub(crate) async fn beat_or_return(&mut self) {
        let now = Instant::now();
        for i in self.beat() {
            assert!(self.steady[i].is_none_or(|since| since > now), "a client that beats is gone");
            let me = by(&self.tenant, "me");
            // If this fails it tries again at its next beat.
            let registered = self.world.native.register(&me, self.said[i].clone()).await;
            self.known[i] = registered.is_ok();
            self.steady[i] = None;
        }
        let third = Duration::from_millis(self.lease * 1000 / 3);
        for (i, next) in self.next.iter().enumerate() {
            match (next, self.steady[i]) {
                (None, _) => self.steady[i] = None,
                // Two of its beats were taken by then.
                (Some(_), None) if self.known[i] => {
                    self.steady[i] = Some(now + 3 * third + Duration::from_secs(1))
                }
                _ => {}
            }
        }
        let next = &self.next;
        self.left.retain(|key| next[usize::from(key.port) - 1].is_none());
    }

    /// After a pause of the process each beats when it is its turn.
    pub(crate) fn resume(&mut self) {
        let now = Instant::now();
        let third = Duration::from_millis(self.lease * 1000 / 3);
        for (i, next) in self.next.iter_mut().enumerate().filter(|(_, next)| next.is_some()) {
            *next = Some(now + third * ((i * 389 % 1000) as u32) / 1000);
        }
    }

    /// Those that have been beating for a while.
    pub(crate) fn steady(&self) -> Vec<InstanceKey> {
        let now = Instant::now();
        let steady = |i: &usize| self.steady[*i].is_some_and(|since| since <= now);
        (0..self.len()).filter(steady).map(|i| self.key(i)).collect()
    }

    /// Those that said goodbye.
    pub(crate) fn left(&self) -> Vec<InstanceKey> {
        self.left.iter().cloned().collect()
    }

    /// Who is to be there in the end.
    pub(crate) fn fate(&self) -> Vec<(InstanceKey, bool)> {
        (0..self.len()).map(|i| (self.key(i), self.next[i].is_some())).collect()
    }
}

/// Time passes, all fleets beat, and no client that beats is ever unknown.
async fn pass(fleets: &mut [&mut Fleet], seconds: u64) {
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(100)).await;
        for fleet in &mut *fleets {
            assert!(fleet.beat().is_empty(), "a client that beats is gone");
        }
    }
}

struct Seen {
    there: usize,
    healthy: usize,
    held: usize,
}

fn seen(world: &World, tenant: &TenantId) -> Seen {
    let all = world.listener.instances(tenant);
    let healthy = |one: &&Arc<Instance>| one.health == HealthStatus::Healthy;
    let held = world.listener.held.lock().get(tenant).map_or(0, BTreeSet::len);
    Seen { there: all.len(), healthy: all.iter().filter(healthy).count(), held }
}

fn is(world: &World, tenant: &TenantId, there: usize, healthy: usize, held: usize) {
    let seen = seen(world, tenant);
    assert_eq!((seen.there, seen.healthy, seen.held), (there, healthy, held));
}

async fn world() -> Arc<World> {
    Arc::new(World::start(Arc::new(FakeStore::default())).await)
}

fn default() -> TenantId {
    TenantId::default_tenant()
}

#[tokio::test(start_paused = true)]
async fn a_cut_of_most_moves_nothing_for_ten_minutes_and_then_leaves_in_sweeps() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 1000, 30).await;
    pass(&mut [&mut fleet], 60).await;
    fleet.cut(0..700);
    for _ in 0..60 {
        pass(&mut [&mut fleet], 10).await;
        let seen = seen(&world, &default());
        assert_eq!((seen.there, seen.healthy), (1000, 1000));
    }
    is(&world, &default(), 1000, 1000, 700);
    let stats = world.native.lease_stats(&default());
    assert_eq!((stats.heart_beating, stats.overdue, stats.held), (1000, 700, 700));
    assert!(stats.preserving_since.is_some() && stats.sweeps == 0 && stats.expired == 0);
    // The hold began about 22 s after the cut.
    pass(&mut [&mut fleet], 25).await;
    let mut left = 850;
    is(&world, &default(), left, 300, left - 300);
    for _ in 0..4 {
        pass(&mut [&mut fleet], 30).await;
        left = left.saturating_sub(150).max(300);
        is(&world, &default(), left, 300, left - 300);
    }
    let stats = world.native.lease_stats(&default());
    assert_eq!((stats.sweeps, stats.expired, stats.overdue, stats.held), (5, 700, 0, 0));
    assert!(!stats.sweeping && stats.preserving_since.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cut_of_few_removes_those_and_only_those_in_time() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 1000, 30).await;
    pass(&mut [&mut fleet], 60).await;
    fleet.cut(0..50);
    pass(&mut [&mut fleet], 31).await;
    is(&world, &default(), 1000, 950, 0);
    pass(&mut [&mut fleet], 60).await;
    is(&world, &default(), 950, 950, 0);
}

#[tokio::test(start_paused = true)]
async fn few_are_never_held_however_large_their_share() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 9, 30).await;
    pass(&mut [&mut fleet], 40).await;
    fleet.cut(0..9);
    pass(&mut [&mut fleet], 31).await;
    is(&world, &default(), 9, 0, 0);
    pass(&mut [&mut fleet], 60).await;
    is(&world, &default(), 0, 0, 0);
}

#[tokio::test(start_paused = true)]
async fn clients_that_return_end_it_and_none_of_them_is_lost() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 200, 30).await;
    pass(&mut [&mut fleet], 60).await;
    fleet.cut(0..150);
    pass(&mut [&mut fleet], 300).await;
    is(&world, &default(), 200, 200, 150);
    // All but ten return, over a third of their lease.
    fleet.heal(10..150);
    pass(&mut [&mut fleet], 11).await;
    assert!(world.native.lease_stats(&default()).preserving_since.is_some(), "some may be late");
    pass(&mut [&mut fleet], 15).await;
    assert_eq!(world.native.lease_stats(&default()).preserving_since, None);
    is(&world, &default(), 190, 190, 0);
}

#[tokio::test(start_paused = true)]
async fn a_second_cut_right_after_the_first_is_held_too() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 100, 30).await;
    pass(&mut [&mut fleet], 60).await;
    for _ in 0..3 {
        fleet.cut(0..60);
        pass(&mut [&mut fleet], 200).await;
        is(&world, &default(), 100, 100, 60);
        fleet.heal(0..60);
        pass(&mut [&mut fleet], 25).await;
        is(&world, &default(), 100, 100, 0);
    }
    // And so is one that hits those left while the dead of another are being swept out.
    fleet.cut(0..60);
    pass(&mut [&mut fleet], 635).await;
    let stats = world.native.lease_stats(&default());
    assert!(stats.sweeping && stats.sweeps >= 1);
    fleet.cut(60..90);
    pass(&mut [&mut fleet], 60).await;
    let stats = world.native.lease_stats(&default());
    assert!(stats.preserving_since.is_some(), "{stats:?}");
    assert_eq!(seen(&world, &default()).healthy, 40);
    pass(&mut [&mut fleet], 120).await;
    is(&world, &default(), 40, 40, 30);
}

#[tokio::test(start_paused = true)]
async fn a_loss_piece_by_piece_counts_as_one() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 200, 30).await;
    pass(&mut [&mut fleet], 60).await;
    fleet.cut(0..20);
    pass(&mut [&mut fleet], 40).await;
    is(&world, &default(), 200, 180, 0);
    fleet.cut(20..40);
    pass(&mut [&mut fleet], 120).await;
    // The first were unhealthy and stay so; the others stay healthy; none is removed.
    is(&world, &default(), 200, 180, 40);
    // Two minutes apart they are two losses.
    let other = tenant("other");
    let mut fleet = Fleet::of(&world, &other, 200, 30).await;
    fleet.cut(0..20);
    pass(&mut [&mut fleet], 180).await;
    fleet.cut(20..40);
    pass(&mut [&mut fleet], 91).await;
    is(&world, &other, 160, 160, 0);
}

#[tokio::test(start_paused = true)]
async fn one_tenant_does_not_hold_another() {
    let world = world().await;
    let (a, b) = (tenant("a"), tenant("b"));
    let mut many = Fleet::of(&world, &a, 100, 30).await;
    let mut few = Fleet::of(&world, &b, 3, 30).await;
    pass(&mut [&mut many, &mut few], 40).await;
    many.cut(0..90);
    few.cut(0..1);
    pass(&mut [&mut many, &mut few], 31).await;
    is(&world, &a, 100, 100, 90);
    is(&world, &b, 3, 2, 0);
    pass(&mut [&mut many, &mut few], 60).await;
    is(&world, &a, 100, 100, 90);
    is(&world, &b, 2, 2, 0);
}

#[tokio::test(start_paused = true)]
async fn deregistered_ones_leave_the_count_at_once_and_new_ones_are_held_too() {
    let world = world().await;
    let mut fleet = Fleet::of(&world, &default(), 100, 30).await;
    pass(&mut [&mut fleet], 40).await;
    fleet.cut(0..40);
    pass(&mut [&mut fleet], 60).await;
    is(&world, &default(), 100, 100, 40);
    // Registered during the hold, and then silent like the others.
    let mut late = Fleet::of(&world, &default(), 5, 10).await;
    late.cut(0..5);
    pass(&mut [&mut fleet, &mut late], 60).await;
    is(&world, &default(), 105, 105, 45);
    fleet.deregister(0..35).await;
    assert_eq!(world.native.lease_stats(&default()).heart_beating, 70);
    pass(&mut [&mut fleet, &mut late], 15).await;
    // Ten of seventy are below the threshold: they leave as usual.
    is(&world, &default(), 60, 60, 0);
}

#[tokio::test(start_paused = true)]
async fn short_and_long_leases_do_not_disturb_each_other() {
    let world = world().await;
    let mut short = Fleet::of(&world, &default(), 100, 1).await;
    let mut long = Fleet::of(&world, &default(), 100, 86_400).await;
    pass(&mut [&mut short, &mut long], 10).await;
    short.cut(0..20);
    pass(&mut [&mut short, &mut long], 10).await;
    is(&world, &default(), 180, 180, 0);
    pass(&mut [&mut short, &mut long], 120).await;
    short.cut(20..100);
    pass(&mut [&mut short, &mut long], 30).await;
    is(&world, &default(), 180, 180, 80);
    short.heal(20..100);
    pass(&mut [&mut short, &mut long], 5).await;
    is(&world, &default(), 180, 180, 0);
}

#[tokio::test(start_paused = true)]
async fn a_pause_or_a_restart_gives_all_a_lease_of_grace() {
    let store = Arc::new(FakeStore::default());
    let world = Arc::new(World::start(Arc::clone(&store) as _).await);
    let mut fleet = Fleet::of(&world, &default(), 100, 30).await;
    pass(&mut [&mut fleet], 40).await;
    tokio::time::advance(Duration::from_secs(120)).await;
    // They beat only after it goes on, each when it is its turn.
    fleet.heal(0..100);
    pass(&mut [&mut fleet], 60).await;
    is(&world, &default(), 100, 100, 0);
    world.stop().await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let world = Arc::new(World::start(Arc::clone(&store) as _).await);
    fleet.world = Arc::clone(&world);
    fleet.heal(0..100);
    pass(&mut [&mut fleet], 60).await;
    is(&world, &default(), 100, 100, 0);
}

#[tokio::test(start_paused = true)]
async fn those_that_stay_for_ever_are_held_but_count_once() {
    let world = world().await;
    let mut lasting = Fleet::with(&world, &default(), 30, 30, "N").await;
    let mut fleet = Fleet::of(&world, &default(), 70, 30).await;
    pass(&mut [&mut lasting, &mut fleet], 40).await;
    lasting.cut(0..30);
    pass(&mut [&mut lasting, &mut fleet], 60).await;
    is(&world, &default(), 100, 100, 30);
    pass(&mut [&mut lasting, &mut fleet], 600).await;
    is(&world, &default(), 100, 70, 0);
    // They are still there, unhealthy, and others are judged as if they were not.
    fleet.cut(0..5);
    pass(&mut [&mut lasting, &mut fleet], 91).await;
    is(&world, &default(), 95, 65, 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_database_is_away_nothing_is_held_for_it_nor_lost() {
    let store = Arc::new(FakeStore::default());
    let world = Arc::new(World::start(Arc::clone(&store) as _).await);
    let mut fleet = Fleet::of(&world, &default(), 100, 30).await;
    pass(&mut [&mut fleet], 40).await;
    *store.fault.lock() = super::world::Fault::Before;
    fleet.cut(0..5);
    pass(&mut [&mut fleet], 200).await;
    is(&world, &default(), 100, 95, 0);
    *store.fault.lock() = super::world::Fault::None;
    pass(&mut [&mut fleet], 10).await;
    is(&world, &default(), 95, 95, 0);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_percent_switches_it_off() {
    let mut settings = Settings::default();
    settings.preservation.percent = 100;
    let world = World::start_with(Arc::new(FakeStore::default()), settings).await;
    let world = Arc::new(world);
    let mut fleet = Fleet::of(&world, &default(), 100, 10).await;
    pass(&mut [&mut fleet], 20).await;
    fleet.cut(0..100);
    pass(&mut [&mut fleet], 31).await;
    is(&world, &default(), 0, 0, 0);
}
