use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{
    Change, ConfigId, GroupName, HealthStatus, Host, Instance, InstanceKey, InstanceStatus,
    Presence, RegistryKind, ServiceKey, ServiceName, ServiceState, TenantId, Weight,
};
use proptest::prelude::*;

use super::guard::{GuardRules, Hold};
use super::merge::{Contribution, merge};
use super::*;
use crate::access::Visible;

mod lead;
mod model;
mod removals;
mod sim;

static ALL_GROUPS: Visible = Visible::everything();
use crate::clock::Clock;
use crate::telemetry::metrics::Metrics;

const SETTLE: Duration = Duration::from_secs(30);

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn key(name: &str) -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap())
}

fn instance(service: &str, port: u16) -> Instance {
    let host = Host::parse("10.0.0.1").unwrap();
    let mut instance = Instance::new(InstanceKey { service: key(service), host, port });
    instance.health = HealthStatus::Healthy;
    instance
}

fn state(service: &str, ports: &[u16]) -> ServiceState {
    ServiceState::new(key(service), ports.iter().map(|port| instance(service, *port)))
}

fn source(id: &str, conflict: Conflict, priority: i32) -> SourceInfo {
    let id = SourceId::External(ConfigId::parse(id).unwrap());
    SourceInfo { name: id.as_str().to_owned(), id, kind: RegistryKind::Consul, conflict, priority }
}

struct World {
    catalog: Catalog,
    id: SourceId,
}

impl World {
    fn new() -> Self {
        let catalog = Catalog::new(Revisions::from_zero(), Clock::fixed(1_000).0, Metrics::new());
        let info = source("a", Conflict::PrimaryWins, 100);
        let id = info.id.clone();
        let rules = GuardRules { settle: Some(SETTLE), ..GuardRules::default() };
        catalog.open(&tenant(), info, GuardPolicy::On(rules));
        Self { catalog, id }
    }

    /// Asks again for what is held, and finds none of it.
    fn look(&self) {
        let missing = self.catalog.missing(&tenant(), &self.id);
        let found = missing.iter().map(|one| (one.key.clone(), Presence::Absent)).collect();
        let now = tokio::time::Instant::now();
        self.catalog.confirm(&tenant(), &self.id, found, now);
    }

    fn apply(&self, change: Change) -> Vec<ServiceKey> {
        self.catalog.apply(&tenant(), &self.id, vec![change])
    }

    fn reset(&self, states: &[(&str, &[u16])]) -> Vec<ServiceKey> {
        self.apply(Change::Reset(states.iter().map(|(name, ports)| state(name, ports)).collect()))
    }

    fn shown(&self, service: &str) -> Option<Vec<(u16, bool)>> {
        match self
            .catalog
            .view()
            .look(&tenant(), &key(service).name, &GroupChoice::Unsaid, &Visible::everything())
            .found
        {
            Found::One(view) => {
                Some(view.rows.iter().map(|row| (row.key().port, row.held)).collect())
            }
            _ => None,
        }
    }

    fn state(&self) -> SourceState {
        self.catalog.state(&tenant(), &self.id).unwrap().0
    }

    fn revision(&self) -> i64 {
        self.catalog.view().snapshot(&tenant()).revision
    }

    fn fail(&self) {
        self.catalog.set_link(&tenant(), &self.id, Link::Failing);
    }

    fn json(&self, service: &str, filter: &InstanceFilter) -> serde_json::Value {
        let view = self.catalog.view();
        let Found::One(found) = view
            .look(&tenant(), &key(service).name, &GroupChoice::Unsaid, &Visible::everything())
            .found
        else {
            panic!("{service} is not known");
        };
        let index = found.revision;
        let answer = view.answer(&tenant(), &[found], filter, index);
        serde_json::from_slice(&[&answer.head[..], &answer.tail[..]].concat()).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_changes_freshness_only() {
    let world = World::new();
    assert_eq!(world.state(), SourceState::Connecting);
    world.reset(&[("web", &[1, 2])]);
    assert_eq!(world.state(), SourceState::Live);
    let revision = world.revision();
    world.fail();
    assert_eq!(world.state(), SourceState::Stale);
    assert_eq!(world.revision(), revision, "a change of state is no change of content");
    assert_eq!(world.shown("web"), Some(vec![(1, false), (2, false)]));
    tokio::time::advance(Duration::from_secs(7)).await;
    let answer = world.json("web", &InstanceFilter::default());
    assert_eq!(answer["stale"], true);
    assert_eq!(answer["sources"][0]["state"], "STALE");
    assert_eq!(answer["sources"][0]["ageMs"], 7000);
}

#[tokio::test(start_paused = true)]
async fn an_empty_return_is_held_and_those_that_return_are_live_again() {
    let world = World::new();
    world.reset(&[("web", &[1, 2]), ("api", &[3])]);
    let revision = world.revision();
    world.fail();
    world.reset(&[]);
    assert_eq!(world.state(), SourceState::Protected);
    assert_eq!(world.shown("web"), Some(vec![(1, true), (2, true)]));
    assert!(world.revision() > revision, "held rows differ");
    world.apply(Change::Put(state("web", &[1])));
    assert_eq!(world.shown("web"), Some(vec![(1, false), (2, true)]));
    world.apply(Change::Put(state("web", &[1, 2])));
    world.apply(Change::Put(state("api", &[3])));
    assert_eq!(world.state(), SourceState::Live);
    // Seen after the outage and then gone: an ordinary removal.
    world.apply(Change::Put(state("web", &[2])));
    assert_eq!(world.shown("web"), Some(vec![(2, false)]));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_return_leaves_after_the_settle_time() {
    let world = World::new();
    world.reset(&[("web", &[1, 2])]);
    world.fail();
    world.reset(&[("web", &[1])]);
    assert_eq!(world.shown("web"), Some(vec![(1, false), (2, true)]));
    tokio::time::advance(SETTLE - Duration::from_secs(1)).await;
    world.look();
    assert_eq!(world.shown("web"), Some(vec![(1, false), (2, true)]));
    tokio::time::advance(Duration::from_secs(1)).await;
    world.look();
    assert_eq!(world.shown("web"), Some(vec![(1, false)]));
    assert_eq!(world.state(), SourceState::Live);
}

#[tokio::test(start_paused = true)]
async fn a_flapping_registry_cannot_hold_for_ever() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    let mut waited = Duration::ZERO;
    while world.shown("web").is_some() {
        world.fail();
        world.reset(&[]);
        let step = Duration::from_secs(10);
        tokio::time::advance(step).await;
        waited += step;
        world.apply(Change::Unchanged);
        assert!(waited <= SETTLE * 2, "still held after {waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_partial_look_adds_and_changes_but_removes_nothing() {
    let world = World::new();
    world.reset(&[("web", &[1, 2]), ("api", &[1])]);
    world.apply(Change::Partial(state("web", &[2, 3])));
    world.apply(Change::Partial(state("api", &[])));
    assert_eq!(world.shown("web"), Some(vec![(1, false), (2, false), (3, false)]));
    assert_eq!(world.shown("api"), Some(vec![(1, false)]));
    world.apply(Change::Put(state("web", &[2, 3])));
    assert_eq!(world.shown("web"), Some(vec![(2, false), (3, false)]), "the next whole look does");
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_while_the_registry_is_silent() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    world.fail();
    world.reset(&[]);
    world.fail();
    tokio::time::advance(SETTLE * 4).await;
    assert_eq!(world.shown("web"), Some(vec![(1, true)]));
    assert_eq!(world.state(), SourceState::Stale);
}

#[tokio::test(start_paused = true)]
async fn a_full_read_that_would_empty_the_source_is_held_without_an_outage_too() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    world.reset(&[("web", &[])]);
    assert_eq!(world.shown("web"), Some(vec![(1, true)]));
    // Piece by piece in one go, and the last one by itself, are held too.
    let pieces = World::new();
    pieces.reset(&[("web", &[1]), ("api", &[2])]);
    let gone = vec![Change::Gone(key("web")), Change::Gone(key("api"))];
    pieces.catalog.apply(&tenant(), &pieces.id, gone);
    assert_eq!(pieces.shown("web"), Some(vec![(1, true)]));
    assert_eq!(pieces.shown("api"), Some(vec![(2, true)]));
    let last = World::new();
    last.reset(&[("web", &[1])]);
    last.apply(Change::Put(state("web", &[])));
    assert_eq!(last.shown("web"), Some(vec![(1, true)]));
    // A swap of all instances is no loss, and one service of several is an ordinary removal.
    let swap = World::new();
    swap.reset(&[("web", &[1])]);
    swap.apply(Change::Put(state("web", &[9])));
    assert_eq!(swap.shown("web"), Some(vec![(9, false)]));
    let other = World::new();
    other.reset(&[("web", &[1]), ("api", &[2])]);
    other.reset(&[("api", &[2])]);
    assert_eq!(other.shown("web"), None);
}

#[tokio::test(start_paused = true)]
async fn another_registry_replaces_at_once() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    world.fail();
    world.catalog.expect_other_registry(&tenant(), &world.id);
    world.reset(&[("api", &[2])]);
    assert_eq!((world.shown("web"), world.shown("api")), (None, Some(vec![(2, false)])));
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_change_makes_no_revision() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    let revision = world.revision();
    world.apply(Change::Put(state("web", &[1])));
    world.reset(&[("web", &[1])]);
    world.apply(Change::Unchanged);
    assert_eq!(world.revision(), revision);
}

#[tokio::test(start_paused = true)]
async fn empty_and_gone_are_two_facts() {
    let world = World::new();
    world.reset(&[("web", &[1]), ("api", &[2])]);
    world.apply(Change::Put(state("web", &[])));
    assert_eq!(world.shown("web"), Some(vec![]));
    world.apply(Change::Gone(key("web")));
    assert_eq!(world.shown("web"), None);
}

#[tokio::test(start_paused = true)]
async fn closing_a_source_removes_what_only_it_knew() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    let other = source("b", Conflict::PrimaryWins, 100);
    let id = other.id.clone();
    world.catalog.open(&tenant(), other, GuardPolicy::default());
    let both = vec![Change::Reset(vec![state("web", &[1, 2])])];
    world.catalog.apply(&tenant(), &id, both);
    assert_eq!(world.shown("web").unwrap().len(), 2);
    world.catalog.close(&tenant(), &id);
    assert_eq!(world.shown("web"), Some(vec![(1, false)]));
}

#[tokio::test(start_paused = true)]
async fn a_stale_winner_does_not_hide_a_live_ones_health() {
    let world = World::new();
    world.reset(&[("web", &[1])]);
    let other = source("b", Conflict::PrimaryWins, 200);
    let id = other.id.clone();
    world.catalog.open(&tenant(), other, GuardPolicy::default());
    let mut sick = instance("web", 1);
    sick.health = HealthStatus::Unhealthy;
    let states = vec![ServiceState::new(key("web"), vec![sick])];
    world.catalog.apply(&tenant(), &id, vec![Change::Reset(states)]);
    let health =
        || world.json("web", &InstanceFilter::default())["instances"][0]["healthStatus"].clone();
    assert_eq!(health(), "HEALTHY");
    world.fail();
    assert_eq!(health(), "UNHEALTHY");
    world.reset(&[("web", &[1])]);
    assert_eq!(health(), "HEALTHY");
}

#[tokio::test(start_paused = true)]
async fn prepared_and_filtered_answers_agree() {
    let world = World::new();
    let mut down = instance("web", 2);
    down.status = InstanceStatus::Down;
    let mut sick = instance("web", 3);
    sick.health = HealthStatus::Unhealthy;
    let states = vec![ServiceState::new(key("web"), vec![instance("web", 1), down, sick])];
    world.apply(Change::Reset(states));
    let ports = |filter: &InstanceFilter| {
        let answer = world.json("web", filter);
        let list = answer["instances"].as_array().unwrap().clone();
        assert_eq!(answer["count"], list.len());
        list.iter().map(|row| row["portNumber"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let up = InstanceFilter { status: Some(InstanceStatus::Up), ..InstanceFilter::default() };
    let healthy = InstanceFilter { health: Some(HealthStatus::Healthy), ..up.clone() };
    assert_eq!(ports(&InstanceFilter::default()), [1, 2, 3]);
    assert_eq!(ports(&up), [1, 3]);
    assert_eq!(ports(&healthy), [1]);
    let attributes = Attributes { protect_threshold: 0.9, ..Attributes::default() };
    let attributes = vec![(key("web"), Some(attributes))];
    world.catalog.apply_own(&tenant(), OwnChange { attributes, ..OwnChange::default() });
    assert_eq!(ports(&healthy), [1, 3], "the health filter is lifted, the status filter is not");
    assert_eq!(world.json("web", &healthy)["protected"], true);
    assert_eq!(world.json("web", &healthy)["instances"][1]["healthStatus"], "UNHEALTHY");
}

#[tokio::test(start_paused = true)]
async fn a_blocking_query_is_woken_by_its_own_service_only() {
    let world = World::new();
    world.reset(&[("web", &[1]), ("api", &[2])]);
    let view = world.catalog.view();
    let (id, name) = (tenant(), key("web").name);
    let index = view.look(&id, &name, &GroupChoice::Unsaid, &Visible::everything()).index;
    let limit = Duration::from_secs(60);
    let wait = view.wait(&id, &name, (&GroupChoice::Unsaid, &ALL_GROUPS), index, limit);
    tokio::pin!(wait);
    assert!(futures_util::poll!(wait.as_mut()).is_pending());
    world.apply(Change::Put(state("api", &[2, 3])));
    assert!(futures_util::poll!(wait.as_mut()).is_pending());
    world.apply(Change::Put(state("web", &[1, 9])));
    wait.await;
    assert!(view.look(&id, &name, &GroupChoice::Unsaid, &Visible::everything()).index > index);
    // From the future: at once. For a service that left: at once, and then no more.
    view.wait(&id, &name, (&GroupChoice::Unsaid, &ALL_GROUPS), 1 << 50, limit).await;
    let index = view.look(&id, &name, &GroupChoice::Unsaid, &Visible::everything()).index;
    world.apply(Change::Gone(key("web")));
    view.wait(&id, &name, (&GroupChoice::Unsaid, &ALL_GROUPS), index, limit).await;
    let gone = view.look(&id, &name, &GroupChoice::Unsaid, &Visible::everything()).index;
    let mut wait =
        Box::pin(view.wait(&id, &name, (&GroupChoice::Unsaid, &ALL_GROUPS), gone, limit));
    assert!(futures_util::poll!(wait.as_mut()).is_pending());
    drop(wait);
    assert_eq!(view.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn groups_are_kept_apart() {
    let world = World::new();
    let in_group = |group: &str, port: u16| {
        let key = ServiceKey::new(GroupName::parse(group).unwrap(), key("web").name);
        let host = Host::parse("10.0.0.1").unwrap();
        let one = Instance::new(InstanceKey { service: key.clone(), host, port });
        ServiceState::new(key, vec![one])
    };
    world.apply(Change::Reset(vec![in_group("g1", 1)]));
    assert_eq!(world.shown("web"), Some(vec![(1, false)]), "the only group that holds the name");
    world.apply(Change::Put(in_group("g2", 2)));
    let view = world.catalog.view();
    let find = |group| view.look(&tenant(), &key("web").name, &group, &Visible::everything()).found;
    assert!(matches!(find(GroupChoice::Unsaid), Found::Ambiguous(groups) if groups.len() == 2));
    assert!(matches!(find(GroupChoice::All), Found::Several(views) if views.len() == 2));
    world.apply(Change::Put(in_group("DEFAULT_GROUP", 3)));
    assert_eq!(world.shown("web"), Some(vec![(3, false)]));
    // The default group leaves: who named no group is answered by another, and must be told.
    world.apply(Change::Gone(in_group("g2", 2).key));
    let index = |group: &GroupChoice| {
        view.look(&tenant(), &key("web").name, group, &Visible::everything()).index
    };
    let (unsaid, all) = (index(&GroupChoice::Unsaid), index(&GroupChoice::All));
    world.apply(Change::Gone(in_group("DEFAULT_GROUP", 3).key));
    assert_eq!(world.shown("web"), Some(vec![(1, false)]));
    assert!(index(&GroupChoice::Unsaid) > unsaid && index(&GroupChoice::All) > all);
}

fn arbitrary_entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (1_u16..6, 0_u32..3, any::<bool>(), 0_u8..3, any::<bool>());
    prop::collection::vec(one, 0..6).prop_map(|list| {
        let entries = list.into_iter().map(|(port, weight, up, meta, held)| {
            let mut one = instance("web", port);
            one.weight = Weight::new(weight);
            one.status = if up { InstanceStatus::Up } else { InstanceStatus::Down };
            one.metadata.insert(format!("k{meta}"), weight.to_string());
            one.tags = [format!("t{meta}")].into();
            let now = tokio::time::Instant::now();
            let hold = held.then(|| Hold::new(now, Why::Loss));
            Entry { instance: Arc::new(one), observed_at: 1, hold: hold.map(Box::new) }
        });
        let mut entries: Vec<Entry> = entries.collect();
        entries.sort_by(|a, b| a.instance.key.cmp(&b.instance.key));
        entries.dedup_by(|a, b| a.instance.key == b.instance.key);
        entries
    })
}

proptest! {
    #[test]
    fn merge_does_not_depend_on_order(
        lists in prop::collection::vec((arbitrary_entries(), 0_u8..3, 0_i32..3, any::<bool>()), 0..5),
        turn in 0_usize..5,
    ) {
        let infos: Vec<SourceInfo> = lists.iter().enumerate().map(|(n, (_, conflict, priority, _))| {
            let conflict = [Conflict::PrimaryWins, Conflict::SecondaryWins, Conflict::Merge][usize::from(*conflict)];
            source(&format!("s{n}"), conflict, *priority)
        }).collect();
        let mut all: Vec<Contribution<'_>> = infos.iter().zip(&lists)
            .map(|(source, (entries, _, _, current))| Contribution::new(source, *current, entries))
            .collect();
        let rows = merge(&tenant(), &all, &[]);
        all.reverse();
        prop_assert_eq!(&merge(&tenant(), &all, &[]), &rows);
        let by = turn % all.len().max(1);
        all.rotate_left(by);
        prop_assert_eq!(&merge(&tenant(), &all, &[]), &rows);
        // Once per key, and idempotent: rows told again as one source give the same rows.
        prop_assert!(rows.windows(2).all(|pair| pair[0].key() < pair[1].key()));
        let told: Vec<Entry> = rows.iter().map(|row| Entry {
            instance: Arc::clone(&row.instance), observed_at: 1, hold: None,
        }).collect();
        let one = source("one", Conflict::PrimaryWins, 0);
        let again = merge(&tenant(), &[Contribution::new(&one, true, &told)], &[]);
        let content = |rows: &[Arc<Row>]| rows.iter().map(|r| (r.id, Arc::clone(&r.instance))).collect::<Vec<_>>();
        prop_assert_eq!(content(&again), content(&rows));
        // What was there before saves work and changes nothing, whatever it was.
        for before in [&rows[..], &again[..], &rows[rows.len() / 2..]] {
            prop_assert_eq!(&merge(&tenant(), &all, before), &rows);
        }
    }

    #[test]
    fn the_view_is_what_the_sources_last_said(
        steps in prop::collection::vec((0_u8..3, 0_u8..3, prop::collection::btree_set(1_u16..5, 0..4)), 0..40)
    ) {
        // Without outages nothing is held, so the view must be the plain union at every step.
        let world = World::new();
        let names = ["web", "api", "db"];
        let mut last: Vec<std::collections::BTreeMap<&str, Vec<u16>>> = vec![Default::default(); 3];
        let ids: Vec<SourceId> = ["x", "y", "z"].into_iter().map(|name| {
            let info = source(name, Conflict::PrimaryWins, 100);
            let id = info.id.clone();
            world.catalog.open(&tenant(), info, GuardPolicy::Off);
            world.catalog.apply(&tenant(), &id, vec![Change::Reset(Vec::new())]);
            id
        }).collect();
        let mut revision = world.revision();
        for (who, what, ports) in steps {
            let (who, name) = (usize::from(who), names[usize::from(what)]);
            let ports: Vec<u16> = ports.into_iter().collect();
            let change = if ports.is_empty() { Change::Gone(key(name)) } else { Change::Put(state(name, &ports)) };
            world.catalog.apply(&tenant(), &ids[who], vec![change]);
            if ports.is_empty() { last[who].remove(name); } else { last[who].insert(name, ports); }
            for name in names {
                let mut union: Vec<u16> = last.iter().filter_map(|l| l.get(name)).flatten().copied().collect();
                union.sort_unstable();
                union.dedup();
                let shown = world.shown(name).map(|rows| rows.into_iter().map(|(port, _)| port).collect::<Vec<_>>());
                prop_assert_eq!(shown.unwrap_or_default(), union);
            }
            prop_assert!(world.revision() >= revision);
            revision = world.revision();
        }
    }
}
