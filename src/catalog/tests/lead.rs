use hub_registry_core::{Mark, Scope};

use super::*;
use crate::model::migration::{MigrationId, Services};

fn copy(service: &str, port: u16, from: &str) -> Instance {
    let mut copy = instance(service, port);
    let (owner, group, service, id) = ("hub".to_owned(), None, None, None);
    copy.mark = Some(Box::new(Mark { owner, source: Some(from.to_owned()), group, service, id }));
    copy
}

fn id(name: &str) -> SourceId {
    SourceId::External(ConfigId::parse(name).unwrap())
}

/// A source `a` with two instances, and a target `b` with copies of them and one of its own.
fn moving() -> Catalog {
    let catalog = Catalog::new(Revisions::from_zero(), Clock::fixed(1_000).0, Metrics::new());
    for (name, priority) in [("a", 1), ("b", 2)] {
        catalog.open(&tenant(), source(name, Conflict::PrimaryWins, priority), GuardPolicy::Off);
    }
    let at_a = ServiceState::new(key("web"), [instance("web", 1), instance("web", 2)]);
    let copies = [copy("web", 1, "a"), copy("web", 2, "a"), instance("web", 3)];
    let at_b = ServiceState::new(key("web"), copies);
    catalog.apply(&tenant(), &id("a"), vec![Change::Reset(vec![at_a])]);
    catalog.apply(&tenant(), &id("b"), vec![Change::Reset(vec![at_b])]);
    catalog
}

fn lead() -> Lead {
    let services = Services::of(Scope::all());
    let over = Services { all: false, ..services.clone() };
    let (services, over) = (by_one_name(services), by_one_name(over));
    Lead { from: id("a"), to: id("b"), services, over, since: 1 }
}

fn by_one_name(services: Services) -> Moved {
    Moved { at_source: services.clone(), at_target: services }
}

/// Each instance and who is named for it, in order.
fn shown(catalog: &Catalog) -> Vec<(u16, Vec<String>)> {
    let view = catalog.view();
    let found = view.look(&tenant(), &key("web").name, &GroupChoice::Unsaid, &ALL_GROUPS).found;
    let Found::One(found) = found else { return Vec::new() };
    let origins = |row: &Row| row.origins.iter().map(|origin| origin.source.to_string()).collect();
    found.rows.iter().map(|row| (row.key().port, origins(row))).collect()
}

fn rows(all: &[(u16, &[&str])]) -> Vec<(u16, Vec<String>)> {
    all.iter().map(|(port, of)| (*port, of.iter().map(ToString::to_string).collect())).collect()
}

#[tokio::test(start_paused = true)]
async fn the_target_stands_first_while_it_leads_and_its_copies_with_it() {
    let catalog = moving();
    let migration = MigrationId::random();
    let before = rows(&[(1, &["a"]), (2, &["a"]), (3, &["b"])]);
    assert_eq!(shown(&catalog), before);
    catalog.set_lead(&tenant(), &migration, Some(lead()), None);
    let led = rows(&[(1, &["b", "a"]), (2, &["b", "a"]), (3, &["b"])]);
    assert_eq!(shown(&catalog), led);
    // What the source loses stays for as long as the copy is there.
    let gone = ServiceState::new(key("web"), [instance("web", 2)]);
    catalog.apply(&tenant(), &id("a"), vec![Change::Reset(vec![gone])]);
    assert_eq!(shown(&catalog), rows(&[(1, &["b"]), (2, &["b", "a"]), (3, &["b"])]));
    catalog.set_lead(&tenant(), &migration, None, None);
    assert_eq!(shown(&catalog), rows(&[(2, &["a"]), (3, &["b"])]));
}

#[tokio::test(start_paused = true)]
async fn a_migration_that_goes_on_leads_before_one_that_is_over_and_then_the_last_one() {
    let catalog = moving();
    let first = |catalog: &Catalog| {
        let standings = catalog.standings(&tenant(), &key("web"));
        let leads = standings.iter().map(|standing| standing.leads);
        assert!(leads.eq([true, false]));
        standings[0].source.info.name.clone()
    };
    let back = Lead { from: id("b"), to: id("a"), ..lead() };
    // Migrations are in the order of their ids, which are random: both ways round.
    let ids = ["1", "2"].map(|digit| MigrationId::parse(&digit.repeat(32)).unwrap());
    for [one, other] in [[&ids[0], &ids[1]], [&ids[1], &ids[0]]] {
        let says = |id, lead| catalog.set_lead(&tenant(), id, Some(lead), None);
        let done = |lead: Lead| Lead { over: lead.services.clone(), ..lead };
        says(one, Lead { since: 9, ..done(lead()) });
        says(other, back.clone());
        assert_eq!(first(&catalog), "a");
        says(other, Lead { since: 10, ..done(back.clone()) });
        assert_eq!(first(&catalog), "a");
        says(other, Lead { since: 8, ..done(back.clone()) });
        assert_eq!(first(&catalog), "b");
        // This service alone is over, and the migration changed since in another one.
        let only = Services { all: false, but: [key("web")].into(), ..Services::of(Scope::all()) };
        says(one, Lead { over: by_one_name(only), since: 20, ..lead() });
        says(other, back.clone());
        assert_eq!(first(&catalog), "a");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lead_that_says_nothing_new_changes_nothing() {
    let catalog = moving();
    let migration = MigrationId::random();
    catalog.set_lead(&tenant(), &migration, Some(lead()), None);
    let revision = catalog.view().snapshot(&tenant()).revision;
    catalog.set_lead(&tenant(), &migration, Some(lead()), None);
    assert_eq!(catalog.view().snapshot(&tenant()).revision, revision);
    let services = Services { all: false, ..Services::of(Scope::all()) };
    let none = Lead { services: by_one_name(services), ..lead() };
    catalog.set_lead(&tenant(), &migration, Some(none), None);
    assert_eq!(shown(&catalog), rows(&[(1, &["a"]), (2, &["a"]), (3, &["b"])]));
}

#[tokio::test(start_paused = true)]
async fn the_native_registry_can_lead_too() {
    let catalog = moving();
    catalog.open(&tenant(), SourceInfo::native(), GuardPolicy::Off);
    let own = ServiceState::new(key("web"), [copy("web", 1, "a")]);
    catalog.apply(&tenant(), &SourceId::Native, vec![Change::Reset(vec![own])]);
    catalog.open(&tenant(), source("a", Conflict::SecondaryWins, -5), GuardPolicy::Off);
    let lead = Lead { to: SourceId::Native, ..lead() };
    catalog.set_lead(&tenant(), &MigrationId::random(), Some(lead), None);
    assert_eq!(shown(&catalog)[0], rows(&[(1, &["native", "a"])])[0]);
}

#[tokio::test(start_paused = true)]
async fn copies_in_another_group_make_no_service_there_until_their_target_leads() {
    let catalog = Catalog::new(Revisions::from_zero(), Clock::fixed(1_000).0, Metrics::new());
    for name in ["a", "b"] {
        catalog.open(&tenant(), source(name, Conflict::PrimaryWins, 1), GuardPolicy::Off);
    }
    let prod = GroupName::parse("prod").unwrap();
    let at = |group: &GroupName, mut instance: Instance| {
        instance.key.service.group = group.clone();
        ServiceState::new(instance.key.service.clone(), [instance])
    };
    let original = at(&prod, instance("web", 1));
    let mut copied = copy("web", 1, "a");
    copied.mark.as_mut().unwrap().group = Some(prod.clone());
    let copied = at(&GroupName::default_group(), copied);
    catalog.apply(&tenant(), &id("a"), vec![Change::Reset(vec![original])]);
    catalog.apply(&tenant(), &id("b"), vec![Change::Reset(vec![copied])]);
    // Who names no group finds the one there is.
    assert_eq!(shown(&catalog), rows(&[(1, &["a"])]));
    let back = Lead { from: id("b"), to: id("a"), ..lead() };
    catalog.set_lead(&tenant(), &MigrationId::random(), Some(back), None);
    let view = catalog.view();
    let group = GroupChoice::Named(GroupName::default_group());
    let found = view.look(&tenant(), &key("web").name, &group, &ALL_GROUPS).found;
    let Found::One(found) = found else { panic!("readers of the old group find it there still") };
    assert_eq!(&*found.rows[0].origins[0].source, "b");
}
