//! Recorded answers are read as they were meant, and damaged ones never panic.

use hub_registry_core::{GroupName, Protocol, ServiceName};

use super::*;
use crate::wire::{Services, Token};

const HEALTH: &str = include_str!("../../tests/data/consul-1.8.7-health-web.json");
const SERVICES: &str = include_str!("../../tests/data/consul-1.8.7-services.json");
const CHECKS: &str = include_str!("../../tests/data/consul-1.8.7-checks.json");
const TOKEN: &str = include_str!("../../tests/data/consul-1.8.7-token-self.json");

fn web() -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse("web").unwrap())
}

fn recorded() -> Vec<Instance> {
    instances(&web(), serde_json::from_str(HEALTH).unwrap())
}

fn by_id(id: &str) -> Instance {
    let found = recorded().into_iter().find(|instance| instance.native_id.as_deref() == Some(id));
    found.unwrap_or_else(|| panic!("{id} is there"))
}

#[test]
fn states_are_those_of_the_worst_check() {
    use HealthStatus::{Healthy, Unhealthy, Unknown};
    use InstanceStatus::{OutOfService, Up};
    let table = [
        ("web-1", Up, Healthy, "passing"),
        ("web-2", Up, Healthy, "one of two checks warns"),
        ("web-3", Up, Unhealthy, "a TTL check nobody passed yet"),
        ("web-4", OutOfService, Unknown, "maintenance"),
        ("web-5", Up, Unknown, "a node without any check"),
    ];
    for (id, status, health, why) in table {
        let instance = by_id(id);
        assert_eq!((instance.status, instance.health), (status, health), "{id}: {why}");
    }
    let warned = by_id("web-2");
    assert_eq!(warned.metadata[STATUS_KEY], "warning", "the raw word is kept");
    assert!(!by_id("web-1").metadata.contains_key(STATUS_KEY));
}

#[test]
fn a_node_in_maintenance_takes_its_instances_along() {
    let mut entries: Vec<ServiceEntry> = serde_json::from_str(HEALTH).unwrap();
    for entry in &mut entries {
        entry.checks.push(Check {
            check_id: NODE_MAINTENANCE.to_owned(),
            status: "critical".to_owned(),
            ..Check::default()
        });
    }
    let all = instances(&web(), entries);
    assert!(all.iter().all(|i| i.status == InstanceStatus::OutOfService));
}

#[test]
fn addresses_are_the_services_own_or_the_nodes() {
    let address = |id: &str| {
        let key = by_id(id).key;
        (key.host.to_string(), key.port)
    };
    assert_eq!(address("web-1"), ("10.0.0.1".to_owned(), 8080));
    assert_eq!(address("web-3"), ("web-3.example".to_owned(), 8080));
    assert_eq!(address("web-4"), ("127.0.0.1".to_owned(), 8084), "the node's");
    assert_eq!(address("web-5"), ("2001:db8::1".to_owned(), 9000));
    assert_eq!(address("web-6"), ("192.0.2.7".to_owned(), 0), "no port at all");
}

#[test]
fn one_address_is_one_instance_and_a_wild_port_none() {
    let all = recorded();
    assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
    let ids: Vec<_> = all.iter().filter_map(|i| i.native_id.as_deref()).collect();
    assert!(!ids.contains(&"web-8"), "web-1 has its address and comes first");
    assert!(!ids.contains(&"web-9"), "port 70000");
}

#[test]
fn the_order_of_the_answer_does_not_matter() {
    let mut entries: Vec<ServiceEntry> = serde_json::from_str(HEALTH).unwrap();
    entries.reverse();
    assert_eq!(instances(&web(), entries), recorded());
}

#[test]
fn pairs_tags_weight_and_protocol_are_kept() {
    let one = by_id("web-1");
    assert_eq!(one.weight, Weight::new(300));
    assert_eq!(*one.tags, ["blue", "v2"]);
    assert_eq!(one.metadata["version"], "2.1");
    assert_eq!(one.protocol, Protocol::Https, "secure=true");
    assert_eq!(by_id("web-2").weight, Weight::DEFAULT);
    assert_eq!(by_id("web-2").context_path.as_deref(), Some("/api"));
    assert_eq!(by_id("web-3").protocol, Protocol::Grpc, "protocol=grpc");
    assert_eq!(by_id("web-4").protocol, Protocol::Http);
}

#[test]
fn weights_are_bounded() {
    let of = |passing| weight(Weights { passing, warning: 1 }).get();
    assert_eq!(of(-5), 0);
    assert_eq!(of(0), 0);
    assert_eq!(of(i64::MAX), Weight::MAX);
}

#[test]
fn what_a_check_prints_changes_nothing() {
    let mut entries: Vec<ServiceEntry> = serde_json::from_str(HEALTH).unwrap();
    for check in entries.iter_mut().flat_map(|entry| &mut entry.checks) {
        check.output = "42 ms".to_owned();
    }
    assert_eq!(instances(&web(), entries), recorded());
}

#[test]
fn names_come_from_the_catalog() {
    let Services(all) = serde_json::from_str(SERVICES).unwrap();
    let group = GroupName::default_group();
    let names: Vec<_> =
        keys(&group, all.into_keys().collect()).map(|key| key.name.to_string()).collect();
    assert_eq!(names, ["Web", "consul", "web"]);
    let odd = vec![String::new(), "a\nb".to_owned(), "fine".to_owned()];
    assert_eq!(keys(&group, odd).count(), 1, "what the port cannot hold is left out");
}

#[test]
fn null_and_absent_count_as_empty() {
    let text = r#"[{
        "Node": {"Address": "10.0.0.1", "Meta": null},
        "Service": {"ID": "a", "Service": "web", "Tags": null, "Meta": null},
        "Checks": null
    }]"#;
    let all = instances(&web(), serde_json::from_str(text).unwrap());
    assert_eq!((all.len(), all[0].key.port), (1, 0));
    assert_eq!(all[0].health, HealthStatus::Unknown);
    let Services(names) = serde_json::from_str(r#"{"web": null}"#).unwrap();
    assert_eq!(names["web"], Vec::<String>::new());
    for bad in ["null", "{}", "[{}]", r#"[{"Node": {}, "Service": {}}]"#] {
        serde_json::from_str::<Vec<ServiceEntry>>(bad).expect_err(bad);
    }
}

#[test]
fn a_token_with_a_policy_has_rights() {
    assert!(!serde_json::from_str::<Token>(TOKEN).unwrap().is_powerless());
    assert!(serde_json::from_str::<Token>("{}").unwrap().is_powerless());
}

#[test]
fn damaged_answers_are_errors_or_values_but_never_panics() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..2_000 {
        for text in [HEALTH, SERVICES, CHECKS, TOKEN] {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.usize(1..4) {
                let place = random.usize(..bytes.len());
                bytes[place] = random.u8(..);
            }
            if random.bool() {
                bytes.truncate(random.usize(..bytes.len()));
            }
            if let Ok(entries) = serde_json::from_slice::<Vec<ServiceEntry>>(&bytes) {
                let all = instances(&web(), entries);
                assert!(all.windows(2).all(|pair| pair[0].key < pair[1].key));
            }
            serde_json::from_slice::<Services>(&bytes).ok();
            serde_json::from_slice::<Vec<Check>>(&bytes).ok();
            serde_json::from_slice::<Token>(&bytes).ok();
        }
    }
}
