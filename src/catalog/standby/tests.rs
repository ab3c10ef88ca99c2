use std::sync::Arc;

use hub_registry_core::{
    Change, ConfigId, GroupName, Host, Instance, InstanceKey, RegistryKind, Scope, ServiceName,
    ServiceState, TenantId,
};

use super::*;
use crate::access::Visible;
use crate::catalog::change::ChangeSet;
use crate::catalog::diff::RowChange;
use crate::catalog::teller::Readers;
use crate::catalog::told::tell;
use crate::catalog::{Conflict, Found, GroupChoice, GuardPolicy, InstanceFilter, Link, Revisions};
use crate::clock::Clock;
use crate::events::{Events, FeedSettings};
use crate::telemetry::metrics::Metrics;

struct World(Catalog);

#[derive(Debug)]
struct Nobody;

impl Readers for Nobody {
    fn of(&self, _: &TenantId, _: &GroupName) -> Option<String> {
        None
    }
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn id(name: &str) -> SourceId {
    SourceId::External(ConfigId::parse(name).unwrap())
}

fn key(service: &str) -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse(service).unwrap())
}

fn link(name: &str, serving: bool) -> Option<StandIn> {
    Some(StandIn { id: id(name), visible: false, serving, scope: Scope::all() })
}

impl World {
    /// A primary `p` and its standby `s`, which nothing says yet.
    fn new() -> Self {
        Self::over(Catalog::new(Revisions::from_zero(), Clock::fixed(1_000).0, Metrics::new()))
    }

    /// The same, and what changes is told.
    fn telling() -> Self {
        let settings = FeedSettings { buffer: 8, readers: 1, seats: 1, seats_per_user: 1 };
        let events = Events::new(None, settings, 0, Metrics::new());
        Self::over(Self::new().0.telling(events))
    }

    fn over(catalog: Catalog) -> Self {
        let world = Self(catalog);
        world.link("p", link("s", false));
        world.open("p", 1);
        world.open("s", 2);
        world
    }

    fn open(&self, name: &str, priority: i32) {
        let (id, conflict) = (id(name), Conflict::PrimaryWins);
        let info = SourceInfo {
            name: name.to_owned(),
            id,
            kind: RegistryKind::Consul,
            conflict,
            priority,
        };
        self.0.open(&tenant(), info, GuardPolicy::Off);
    }

    fn link(&self, primary: &str, stand_in: Option<StandIn>) {
        self.0.set_stand_in(&tenant(), &id(primary), stand_in, None);
    }

    fn says(&self, name: &str, services: &[(&str, &[u16])]) {
        let host = Host::parse("10.0.0.1").unwrap();
        let instance = |service: &str, port| {
            Instance::new(InstanceKey { service: key(service), host: host.clone(), port })
        };
        let state = |(service, ports): &(&str, &[u16])| {
            ServiceState::new(key(service), ports.iter().map(|port| instance(service, *port)))
        };
        let all = services.iter().map(state).collect();
        self.0.apply(&tenant(), &id(name), vec![Change::Reset(all)]);
    }

    /// What was told since last asked.
    fn told(&self) -> Vec<ChangeSet> {
        let bus = Arc::clone(&self.0.told.as_ref().unwrap().bus);
        bus.take_now().loads.into_iter().collect()
    }

    fn fails(&self, name: &str) {
        self.0.set_link(&tenant(), &id(name), Link::Failing);
    }

    /// Each port with the sources that are shown for it.
    fn shown(&self, service: &str) -> Vec<(u16, Vec<String>)> {
        let (all, view) = (Visible::everything(), self.0.view());
        let found = view.look(&tenant(), &key(service).name, &GroupChoice::Unsaid, &all).found;
        let Found::One(found) = found else { return Vec::new() };
        let sources = |row: &super::super::Row| {
            row.origins.iter().map(|origin| origin.source.to_string()).collect()
        };
        found.rows.iter().map(|row| (row.key().port, sources(row))).collect()
    }

    fn tail(&self, service: &str) -> serde_json::Value {
        let (all, view) = (Visible::everything(), self.0.view());
        let found = view.look(&tenant(), &key(service).name, &GroupChoice::Unsaid, &all).found;
        let Found::One(found) = found else { panic!("{service} is not known") };
        let index = found.revision;
        let answer = view.answer(&tenant(), &[found], &InstanceFilter::default(), index);
        serde_json::from_slice(&[&answer.head[..], &answer.tail[..]].concat()).unwrap()
    }

    fn revision(&self) -> i64 {
        self.0.view().snapshot(&tenant()).revision
    }
}

fn rows(all: &[(u16, &[&str])]) -> Vec<(u16, Vec<String>)> {
    all.iter().map(|(port, s)| (*port, s.iter().map(|s| (*s).to_owned()).collect())).collect()
}

#[test]
fn a_standby_is_seen_through_its_primary_only_and_all_at_once() {
    let world = World::new();
    world.says("s", &[("web", &[2]), ("extra", &[9])]);
    assert_eq!(world.revision(), 0, "what is hidden changes nothing");
    world.says("p", &[("web", &[1]), ("api", &[3])]);
    world.fails("p");
    assert_eq!(world.shown("web"), rows(&[(1, &["p"])]));
    assert_eq!(world.tail("web")["stale"], true);
    let before = world.revision();
    world.link("p", link("s", true));
    assert_eq!(world.revision(), before + 1, "one revision for all of it");
    assert_eq!(world.shown("web"), rows(&[(2, &["s"])]));
    assert_eq!(world.shown("api"), rows(&[(3, &["p"])]), "the last good of the primary");
    assert_eq!(world.shown("extra"), rows(&[(9, &["s"])]), "new since the primary fails");
    let tail = world.tail("web");
    assert_eq!((&tail["stale"], &tail["partial"]), (&false.into(), &false.into()), "{tail:#}");
    assert_eq!(tail["sources"][0]["source"], "s");
    // What the standby learns now is seen; what the primary does, where the standby has nothing.
    world.says("s", &[("web", &[2, 4])]);
    world.says("p", &[("web", &[1]), ("api", &[3, 5])]);
    assert_eq!(world.shown("web"), rows(&[(2, &["s"]), (4, &["s"])]));
    assert_eq!(world.shown("api"), rows(&[(3, &["p"]), (5, &["p"])]));
    // A service the standby empties falls back.
    world.says("s", &[("web", &[])]);
    assert_eq!(world.shown("web"), rows(&[(1, &["p"])]));
    world.says("s", &[("web", &[2])]);
    world.link("p", link("s", false));
    assert_eq!(world.shown("web"), rows(&[(1, &["p"])]));
}

/// At a restart the standby may be shown before the primary has its place, and of the primary
/// nothing may be known.
#[test]
fn a_primary_that_never_said_anything_comes_and_goes_with_what_its_standby_serves() {
    let world = World::new();
    world.0.close(&tenant(), &id("p"));
    world.link("p", link("s", true));
    world.says("s", &[("web", &[2])]);
    assert_eq!(world.shown("web"), [], "it is hidden, and has nobody's place");
    world.open("p", 1);
    assert_eq!(world.shown("web"), rows(&[(2, &["s"])]));
    world.open("p", 7);
    assert_eq!(world.shown("web"), rows(&[(2, &["s"])]), "another place is no other instance");
    world.0.close(&tenant(), &id("p"));
    assert_eq!(world.shown("web"), []);
}

#[tokio::test]
async fn the_same_instances_on_both_sides_are_no_removal() {
    let world = World::telling();
    world.says("p", &[("web", &[1, 2])]);
    world.says("s", &[("web", &[1, 2])]);
    world.told();
    world.link("p", link("s", true));
    world.link("p", link("s", false));
    let sets = world.told();
    assert_eq!(sets.len(), 2);
    for change in sets.iter().flat_map(|set| &set.services).flat_map(|service| &service.rows) {
        assert!(matches!(change, RowChange::Updated { .. }), "{change:?}");
    }
}

#[tokio::test]
async fn a_step_is_told_once_and_with_what_readers_see_of_it() {
    use FailoverStatus::{Failover, Normal, Recovering};
    let world = World::telling();
    world.says("p", &[("web", &[1])]);
    world.says("s", &[("web", &[2])]);
    world.told();
    let step = |before, after, serving| {
        let [primary, standby] = ["p", "s"].map(|id| ConfigId::parse(id).unwrap());
        let handover = Handover {
            source: "p".to_owned(),
            kind: RegistryKind::Consul,
            id: primary,
            standby,
            before,
            after,
            by_operator: false,
            instances: 1,
            standby_instances: 1,
        };
        world.0.set_stand_in(&tenant(), &id("p"), link("s", serving), Some(handover));
        let rows = world.told().into_iter().flat_map(|set| tell(set, &Nobody).rows);
        rows.map(|row| (row.event_type, row.revision)).collect::<Vec<_>>()
    };
    let words = |rows: &[(String, i64)]| -> Vec<String> {
        assert!(rows.iter().all(|(_, revision)| *revision == world.revision()), "{rows:?}");
        rows.iter().map(|(word, _)| word.clone()).collect()
    };
    let away = step(Normal, Failover, true);
    assert_eq!(words(&away), ["INSTANCE_DEREGISTER", "INSTANCE_REGISTER", "EXTERNAL_FAILOVER"]);
    assert_eq!(words(&step(Failover, Recovering, true)), ["EXTERNAL_RECOVER"]);
    assert_eq!(words(&step(Recovering, Failover, true)), ["EXTERNAL_FAILOVER"]);
    let back = step(Recovering, Normal, false);
    assert_eq!(words(&back), ["INSTANCE_REGISTER", "INSTANCE_DEREGISTER", "EXTERNAL_RECOVER"]);
}

#[test]
fn who_is_hidden_or_stood_in_for_is_not_waited_for() {
    let world = World::new();
    let waited = |world: &World| -> Vec<String> {
        world.0.view().unloaded(&tenant()).iter().map(|cell| cell.info.name.clone()).collect()
    };
    assert_eq!(waited(&world), ["p"], "nobody waits for the standby");
    world.link("p", link("s", true));
    assert_eq!(waited(&world), ["p"], "it has nothing to say either");
    world.says("s", &[("web", &[2])]);
    assert_eq!(waited(&world), [""; 0]);
    world.link("p", None);
    assert_eq!(waited(&world), ["p"]);
    assert_eq!(world.shown("web"), rows(&[(2, &["s"])]), "a source as any other now");
}

#[test]
fn a_visible_standby_is_shown_once() {
    let world = World::new();
    world.says("p", &[("web", &[1]), ("api", &[3])]);
    world.says("s", &[("web", &[1, 2])]);
    let visible = |serving| StandIn { visible: true, ..link("s", serving).unwrap() };
    world.link("p", Some(visible(false)));
    assert_eq!(world.shown("web"), rows(&[(1, &["p", "s"]), (2, &["s"])]));
    world.link("p", Some(visible(true)));
    assert_eq!(world.shown("web"), rows(&[(1, &["s"]), (2, &["s"])]));
    assert_eq!(world.shown("api"), rows(&[(3, &["p"])]));
}

#[test]
fn two_primaries_may_have_one_standby_and_a_standby_one_of_its_own() {
    let world = World::new();
    world.open("q", 3);
    world.open("t", 4);
    world.link("q", link("s", false));
    world.link("s", link("t", false));
    world.says("p", &[("web", &[1])]);
    world.says("q", &[("web", &[11])]);
    world.says("s", &[("web", &[2])]);
    world.says("t", &[("web", &[3])]);
    assert_eq!(world.shown("web"), rows(&[(1, &["p"]), (11, &["q"])]));
    world.link("p", link("s", true));
    world.link("q", link("s", true));
    assert_eq!(world.shown("web"), rows(&[(2, &["s"])]));
    world.link("s", link("t", true));
    assert_eq!(world.shown("web"), rows(&[(3, &["t"])]));
    world.link("p", link("s", false));
    assert_eq!(world.shown("web"), rows(&[(1, &["p"]), (3, &["t"])]));
}

#[test]
fn only_services_the_primary_is_read_for_are_shown_through_it() {
    let world = World::new();
    world.says("p", &[("order-a", &[1])]);
    world.says("s", &[("order-a", &[2]), ("other", &[3])]);
    let scope = Scope::new(&["order-*".to_owned()], &[], Vec::new());
    world.link("p", Some(StandIn { scope, ..link("s", true).unwrap() }));
    assert_eq!(world.shown("order-a"), rows(&[(2, &["s"])]));
    assert_eq!(world.shown("other"), []);
}

#[test]
fn a_standby_that_goes_leaves_the_primary_in_its_place() {
    let world = World::new();
    world.says("p", &[("web", &[1])]);
    world.says("s", &[("web", &[2])]);
    world.fails("p");
    world.link("p", link("s", true));
    world.0.close(&tenant(), &id("s"));
    assert_eq!(world.shown("web"), rows(&[(1, &["p"])]));
}
