//! The removal guard by scenario: when does each row leave?

use std::time::Duration;

use hub_registry_core::Change;

use super::sim::Sim;
use super::*;
use crate::catalog::told::tell;
use crate::events::{Events, FeedSettings};

#[tokio::test(start_paused = true)]
async fn up_to_a_fifth_or_nine_leave_at_once() {
    let mut sim = Sim::new(&[("web", 0..80), ("api", 0..20)]);
    sim.put("web", 20..80);
    assert_eq!(sim.left("web", 0), Some((0.0, 0.0)), "20 of 100");
    assert_eq!(sim.state(), SourceState::Live);
    let mut small = Sim::new(&[("web", 0..12)]);
    small.put("web", 9..12);
    assert_eq!((small.count("web"), small.state()), ((3, 0), SourceState::Live), "9 of 12");
}

#[tokio::test(start_paused = true)]
async fn autoscaling_down_by_half_is_confirmed_in_15_seconds() {
    let mut sim = Sim::new(&[("web", 0..100)]);
    sim.put("web", 50..100);
    assert_eq!((sim.count("web"), sim.state()), ((100, 50), SourceState::Protected));
    sim.run_secs(30).await;
    assert_eq!(sim.left("web", 0), Some((15.0, 15.0)));
    assert_eq!((sim.count("web"), sim.state()), ((50, 0), SourceState::Live));
}

#[tokio::test(start_paused = true)]
async fn a_loss_piece_by_piece_counts_as_one() {
    let mut sim = Sim::new(&[("web", 0..50)]);
    // Five every ten seconds: ten pass, the rest of the minute is held.
    for step in 1..=5 {
        sim.put("web", step * 5..50);
        if step == 2 {
            assert_eq!(sim.count("web"), (40, 0));
        }
        if step == 3 {
            assert_eq!(sim.count("web"), (40, 5));
        }
        sim.run_secs(10).await;
    }
    sim.run_secs(30).await;
    assert_eq!(sim.count("web"), (25, 0), "in the end the truth gets through");
    let held = [10, 15, 20].map(|port| sim.left[&("web".to_owned(), port)]);
    assert_eq!(held, [35_000, 45_000, 55_000], "each 15 s after it was missing");
}

#[tokio::test(start_paused = true)]
async fn one_service_pays_for_no_other_and_arrival_does_not_matter() {
    // What another service gained does not make up for it.
    let mut sim = Sim::new(&[("web", 0..20), ("api", 0..20)]);
    sim.set("web", 0..5);
    sim.set("api", 0..60);
    sim.apply(vec![sim.told("web"), sim.told("api")]);
    assert_eq!((sim.count("web"), sim.count("api")), ((20, 15), (60, 0)));
    let mut turned = Sim::new(&[("web", 0..20), ("api", 0..20)]);
    turned.put("api", 0..60);
    turned.put("web", 0..5);
    assert_eq!(turned.rows(), sim.rows());
}

#[tokio::test(start_paused = true)]
async fn blue_green_is_no_loss_in_either_order() {
    let mut green_first = Sim::new(&[("web", 0..40), ("api", 0..5)]);
    green_first.put("web", 0..80);
    green_first.put("web", 40..80);
    assert_eq!(green_first.left("web", 0), Some((0.0, 0.0)));
    assert_eq!((green_first.count("web"), green_first.state()), ((40, 0), SourceState::Live));
    let mut blue_first = Sim::new(&[("web", 0..40), ("api", 0..5)]);
    blue_first.put("web", []);
    assert_eq!(blue_first.count("web"), (40, 40));
    blue_first.run_secs(1).await;
    blue_first.put("web", 40..80);
    assert_eq!(blue_first.left("web", 0), Some((1.0, 1.0)), "replaced: nothing to confirm");
    assert_eq!(blue_first.rows(), green_first.rows());
}

#[tokio::test(start_paused = true)]
async fn another_port_for_every_instance_is_no_loss() {
    let mut sim = Sim::new(&[("web", 0..50), ("api", 0..50)]);
    sim.set("web", 1000..1050);
    sim.set("api", 1000..1050);
    sim.apply(vec![sim.told("web"), sim.told("api")]);
    assert_eq!(sim.rows().len(), 100);
    assert_eq!((sim.state(), sim.left.len()), (SourceState::Live, 100));
}

#[tokio::test(start_paused = true)]
async fn a_registry_of_three_loses_one_then_two_then_all() {
    let mut sim = Sim::new(&[("web", 0..3)]);
    sim.put("web", 1..3);
    assert_eq!(sim.left("web", 0), Some((0.0, 0.0)), "one of three");
    sim.run_secs(5).await;
    sim.put("web", 2..3);
    assert_eq!(sim.count("web"), (1, 0), "two of three");
    sim.run_secs(5).await;
    sim.put("web", []);
    assert_eq!((sim.count("web"), sim.state()), ((1, 1), SourceState::Protected));
    sim.run_secs(30).await;
    assert_eq!(sim.left("web", 10).unwrap().1, 15.0, "the last one is confirmed");
    assert_eq!(sim.state(), SourceState::Live);
}

#[tokio::test(start_paused = true)]
async fn an_emptied_service_leaves_after_two_reads_two_seconds_apart() {
    let mut sim = Sim::new(&[("web", 0..3), ("pair", 0..2), ("api", 0..40)]);
    sim.put("web", []);
    sim.put("pair", []);
    assert_eq!((sim.count("web"), sim.count("pair")), ((3, 3), (0, 0)), "two may just leave");
    sim.run_secs(10).await;
    assert_eq!(sim.left("web", 0), Some((2.0, 2.0)));
    // Piece by piece it is the same service of three.
    let mut pieces = Sim::new(&[("web", 0..3), ("api", 0..40)]);
    pieces.put("web", 1..3);
    pieces.put("web", 2..3);
    pieces.put("web", []);
    assert_eq!(pieces.count("web"), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn services_emptied_one_after_the_other_are_one_loss() {
    // As a Consul whose token expires tells it: one service after the other.
    let names: Vec<String> = (0..12).map(|number| format!("s{number}")).collect();
    let services: Vec<_> = names.iter().map(|name| (name.as_str(), 0..3)).collect();
    let mut sim = Sim::new(&services);
    for name in &names {
        sim.put(name, []);
        sim.run(Duration::from_millis(500)).await;
    }
    // The first ones were alone when they went missing, and still are not confirmed as such.
    sim.run_secs(500).await;
    assert_eq!((sim.left.len(), sim.state()), (0, SourceState::Protected));
}

#[tokio::test(start_paused = true)]
async fn a_registry_really_emptied_leaves_in_ten_minutes_a_small_one_in_15_seconds() {
    let mut sim = Sim::new(&[("web", 0..60), ("api", 0..40)]);
    sim.truth.clear();
    sim.reset();
    assert_eq!((sim.rows().len(), sim.state()), (100, SourceState::Protected));
    sim.run_secs(700).await;
    assert_eq!(
        (sim.left("web", 0), sim.left("api", 0)),
        (Some((600.0, 600.0)), Some((600.0, 600.0)))
    );
    assert_eq!((sim.rows().len(), sim.state()), (0, SourceState::Live));
    let mut small = Sim::new(&[("web", 0..9)]);
    small.truth.clear();
    small.reset();
    small.run_secs(60).await;
    assert_eq!(small.left("web", 0), Some((15.0, 15.0)));
}

#[tokio::test(start_paused = true)]
async fn a_consul_token_that_expires_into_empty_lists_and_is_renewed_costs_nobody() {
    let mut sim = Sim::new(&[("web", 0..30), ("api", 0..30), ("db", 0..30)]);
    let truth = std::mem::take(&mut sim.truth);
    sim.reset();
    sim.run_secs(400).await;
    assert_eq!(sim.rows().len(), 90);
    // Renewed: the services come back one by one, the last of them after twenty seconds.
    for (name, ports) in truth {
        sim.put(&name, ports);
        sim.run_secs(10).await;
    }
    sim.run_secs(120).await;
    assert_eq!((sim.rows().len(), sim.left.len()), (90, 0));
    assert_eq!(sim.state(), SourceState::Live);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_back_with_an_emptied_source_leaves_after_the_settle_time() {
    let mut sim = Sim::new(&[("web", 0..30), ("api", 0..30)]);
    sim.truth.clear();
    sim.reset();
    sim.run_secs(100).await;
    sim.put("web", 0..30);
    sim.run_secs(60).await;
    assert_eq!((sim.left("api", 100), sim.left("web", 0)), (Some((30.0, 30.0)), None));
}

#[tokio::test(start_paused = true)]
async fn a_consul_that_elects_a_leader_confirms_nothing() {
    let mut sim = Sim::new(&[("web", 0..100)]);
    sim.put("web", 50..100);
    sim.answers = false;
    sim.run_secs(25).await;
    assert_eq!(sim.count("web"), (100, 50), "no leader, no confirmation");
    sim.answers = true;
    sim.run_secs(30).await;
    assert_eq!(sim.count("web").0, 50);
    let left = sim.left("web", 0).unwrap();
    assert!((30.0..=40.0).contains(&left.0), "{left:?}: two looks after the answers came back");
}

#[tokio::test(start_paused = true)]
async fn a_rolling_restart_of_a_pair_of_eurekas_costs_nobody() {
    let mut sim = Sim::new(&[("web", 0..40), ("api", 0..40)]);
    let full = sim.truth.clone();
    for _ in 0..2 {
        // The other one answers, with what its peers told it so far.
        sim.fail();
        sim.run_secs(2).await;
        sim.set("web", 0..10);
        sim.set("api", 0..3);
        sim.reset();
        assert_eq!((sim.rows().len(), sim.state()), (80, SourceState::Protected));
        sim.run_secs(20).await;
        sim.truth.clone_from(&full);
        sim.apply(vec![sim.told("web"), sim.told("api")]);
        assert_eq!(sim.state(), SourceState::Live);
        sim.run_secs(5).await;
    }
    assert_eq!((sim.rows().len(), sim.left.len()), (80, 0));
}

#[tokio::test(start_paused = true)]
async fn only_what_the_first_full_read_lacks_waits_for_its_clients() {
    let mut sim = Sim::new(&[("web", 0..8)]);
    sim.fail();
    sim.set("web", 0..6);
    sim.reset();
    assert_eq!(sim.count("web"), (8, 2));
    // Seen after the outage and then gone: an ordinary removal.
    sim.put("web", 1..6);
    assert_eq!(sim.count("web"), (7, 2));
    sim.run_secs(60).await;
    assert_eq!(sim.left("web", 0), Some((0.0, 30.0)));
}

#[tokio::test(start_paused = true)]
async fn one_that_flaps_does_not_hide_a_loss() {
    let mut sim = Sim::new(&[("web", 0..20)]);
    sim.put("web", []);
    sim.run_secs(5).await;
    sim.put("web", 0..20);
    assert_eq!(sim.count("web"), (20, 0));
    // A minute later it flaps again: what returned is no gain that would pay for it.
    sim.run_secs(58).await;
    sim.put("web", []);
    assert_eq!(sim.count("web"), (20, 20));
    sim.put("web", 0..20);
    assert_eq!((sim.state(), sim.left.len()), (SourceState::Live, 0));
}

#[tokio::test(start_paused = true)]
async fn whatever_flaps_the_missing_leave_within_twice_their_hold() {
    let mut sim = Sim::new(&[("web", 0..60), ("api", 0..40)]);
    sim.truth.remove("api");
    sim.apply(vec![sim.told("api")]);
    // A registry that fails every ten seconds never gives three reads over fifteen.
    for _ in 0..12 {
        sim.run_secs(10).await;
        sim.fail();
        sim.run_secs(1).await;
        sim.reset();
    }
    let (first, last) = sim.left("api", 0).unwrap();
    assert!(last <= 61.0, "{first} to {last}: twice the settle time of 30 s");
    assert!(first >= 15.0);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_flaps_between_empty_and_half_ends_within_twice_ten_minutes() {
    let mut sim = Sim::new(&[("web", 0..60), ("api", 0..40)]);
    let web: Vec<u16> = (0..60).collect();
    sim.truth.clear();
    sim.reset();
    for _ in 0..70 {
        sim.run_secs(10).await;
        sim.put("web", web.clone());
        sim.run_secs(10).await;
        sim.put("web", []);
        if sim.left("api", 0).is_some() {
            break;
        }
    }
    let (_, last) = sim.left("api", 0).expect("it left");
    assert!((600.0..=1201.0).contains(&last), "{last}");
    assert_eq!(sim.left("web", 0), None, "web was seen again and again");
}

#[tokio::test(start_paused = true)]
async fn one_a_look_finds_is_not_confirmed() {
    let mut sim = Sim::new(&[("web", 0..100)]);
    // The list lacks fifty, as a cache does; they are there.
    let half: Vec<u16> = (50..100).collect();
    sim.apply(vec![Change::Put(state("web", &half))]);
    assert_eq!(sim.count("web"), (100, 50));
    sim.run_secs(90).await;
    assert_eq!((sim.count("web"), sim.left.len()), ((100, 50), 0), "each look finds them");
    sim.set("web", 10..100);
    sim.run_secs(30).await;
    assert_eq!(sim.count("web"), (90, 40), "ten of them are gone now, and confirmed");
}

#[tokio::test(start_paused = true)]
async fn settings_count_at_once_and_without_a_hold_everything_passes() {
    let none = GuardRules {
        percent: 0,
        min_instances: 0,
        confirmations: 1,
        hold: Duration::ZERO,
        settle: Some(Duration::ZERO),
        empty_hold: Duration::ZERO,
    };
    let mut sim = Sim::with_rules(none, &[("web", 0..100)]);
    sim.put("web", []);
    assert_eq!(sim.count("web"), (0, 0));
    let mut strict = Sim::with_rules(
        GuardRules { percent: 1, min_instances: 1, ..GuardRules::default() },
        &[("web", 0..10)],
    );
    strict.put("web", 1..10);
    assert_eq!(strict.count("web"), (10, 1), "one of ten is more than 1 %");
    strict.run_secs(8).await;
    let patient = GuardRules { hold: Duration::from_secs(40), ..GuardRules::default() };
    let info = source("a", Conflict::PrimaryWins, 100);
    strict.world.catalog.open(&tenant(), info, GuardPolicy::On(patient));
    strict.run_secs(60).await;
    assert_eq!(strict.left("web", 0), Some((40.0, 40.0)), "what is held goes by the new settings");
}

#[tokio::test(start_paused = true)]
async fn accepted_removals_leave_at_once_unless_more_is_held_since() {
    let mut sim = Sim::new(&[("web", 0..100), ("api", 0..20)]);
    sim.put("web", 50..100);
    let (catalog, id) = (sim.world.catalog.clone(), sim.world.id.clone());
    let seen = catalog.counts(&tenant(), &id).held_revision;
    assert!(seen > 0);
    sim.put("api", 0..2);
    let newer = catalog.accept_removals(&tenant(), &id, seen).unwrap_err();
    assert_eq!(sim.count("web"), (100, 50), "nothing left");
    assert_eq!(catalog.held(&tenant(), &id, 1000).len(), 68);
    let (_, left) = catalog.accept_removals(&tenant(), &id, newer.held_revision).unwrap();
    assert_eq!((left, sim.rows().len(), sim.state()), (68, 52, SourceState::Live));
    // What was accepted counts no more: an ordinary removal is one again.
    sim.put("web", 51..100);
    assert_eq!(sim.count("web"), (49, 0));
}

#[derive(Debug)]
struct Nobody;

impl Readers for Nobody {
    fn of(&self, _: &TenantId, _: &GroupName) -> Option<String> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn listeners_are_told_what_is_held_and_why() {
    let mut sim = Sim::new(&[("web", 0..300)]);
    let settings = FeedSettings { buffer: 8, readers: 1, seats: 1, seats_per_user: 1 };
    let events = Events::new(None, settings, 0, Metrics::new());
    sim.world.catalog = sim.world.catalog.telling(events);
    sim.put("web", 200..300);
    let bus = Arc::clone(&sim.world.catalog.told.as_ref().unwrap().bus);
    let set = bus.take_now().loads.pop_front().unwrap();
    let held = set.held.as_ref().expect("told");
    assert_eq!((held.why, held.count, held.lost, held.of), (Why::Loss, 200, 200, 300));
    assert_eq!(held.instances.len(), 10, "some of them");
    assert_eq!((held.name.as_str(), held.held_revision), ("a", set.revision));
    let told = tell(set, &Nobody).rows;
    let words: Vec<_> = told.iter().map(|row| row.event_type.as_str()).collect();
    assert_eq!(words.iter().filter(|word| **word == "REMOVALS_HELD").count(), 1, "{words:?}");
    assert!(!words.contains(&"INSTANCE_DEREGISTER"), "{words:?}");
    sim.run_secs(5).await;
    let (key, waiting) = &sim.world.catalog.held(&tenant(), &sim.world.id, 1)[0];
    assert_eq!(key.port, 0);
    assert_eq!((waiting.missing_ms, waiting.reads, waiting.reads_needed), (5000, 2, 3));
    assert_eq!(waiting.leaves_in_ms, Some(10_000));
    sim.fail();
    let (_, waiting) = &sim.world.catalog.held(&tenant(), &sim.world.id, 1)[0];
    assert_eq!(waiting.leaves_in_ms, None, "not while its registry does not answer");
}
