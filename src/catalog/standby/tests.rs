use hub_registry_core::{
    Change, ConfigId, GroupName, Host, Instance, InstanceKey, RegistryKind, Scope, ServiceName,
    ServiceState, TenantId,
};

use super::*;
use crate::access::Visible;
use crate::catalog::{Conflict, Found, GroupChoice, GuardPolicy, InstanceFilter, Link, Revisions};
use crate::clock::Clock;
use crate::telemetry::metrics::Metrics;

struct World(Catalog);

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
        let world =
            Self(Catalog::new(Revisions::from_zero(), Clock::fixed(1_000).0, Metrics::new()));
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
        self.0.open(&tenant(), info, GuardPolicy::NONE);
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

    fn fails(&self, name: &str) {
        self.0.set_link(&tenant(), &id(name), Link::Failing);
    }

    /// Each port with the sources that are shown for it.
    fn shown(&self, service: &str) -> Vec<(u16, Vec<String>)> {
        let (all, view) = (Visible::everything(), self.0.view());
        let found = view.find(&tenant(), &key(service).name, &GroupChoice::Unsaid, &all);
        let Found::One(found) = found else { return Vec::new() };
        let sources = |row: &super::super::Row| {
            row.origins.iter().map(|origin| origin.source.to_string()).collect()
        };
        found.rows.iter().map(|row| (row.key().port, sources(row))).collect()
    }

    fn tail(&self, service: &str) -> serde_json::Value {
        let (all, view) = (Visible::everything(), self.0.view());
        let found = view.find(&tenant(), &key(service).name, &GroupChoice::Unsaid, &all);
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

#[test]
fn the_same_instances_on_both_sides_are_no_removal() {
    let world = World::new();
    world.says("p", &[("web", &[1, 2])]);
    world.says("s", &[("web", &[1, 2])]);
    let mut changes = world.0.changes();
    world.link("p", link("s", true));
    world.link("p", link("s", false));
    while let Ok(set) = changes.try_recv() {
        for change in set.services.iter().flat_map(|service| &service.rows) {
            let updated = matches!(change, crate::catalog::RowChange::Updated { .. });
            assert!(updated, "{change:?}");
        }
    }
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
