//! What Nacos sends is read as it is meant, and garbage never panics.
#![allow(clippy::unwrap_used, reason = "test code")]

use hub_registry_core::{GroupName, HealthStatus, InstanceStatus, ServiceKey, ServiceName};
use hub_registry_nacos::convert;
use hub_registry_nacos::wire::{Envelope, InstancePage, ServicePage};

const SERVICES: &str = include_str!("data/nacos-2.2.4-catalog-services.json");
const INSTANCES: &str = include_str!("data/nacos-2.2.4-catalog-instances.json");
const UNKNOWN: &str = include_str!("data/nacos-2.2.4-catalog-instances-unknown.json");

fn orders() -> ServiceKey {
    ServiceKey::new(GroupName::default_group(), ServiceName::parse("orders").unwrap())
}

fn instances(text: &str) -> InstancePage {
    let envelope: Envelope<InstancePage> = serde_json::from_str(text).unwrap();
    assert_eq!(envelope.code, 0);
    envelope.data.unwrap()
}

#[test]
fn every_group_is_listed() {
    let page: ServicePage = serde_json::from_str(SERVICES).unwrap();
    assert_eq!(page.count, page.service_list.len());
    let keys: Vec<_> = page.service_list.iter().map(convert::service_key).collect();
    let mut names: Vec<_> = keys.into_iter().map(|key| key.unwrap().to_string()).collect();
    names.sort();
    assert_eq!(names, ["DEFAULT_GROUP/orders", "pay-group/stock", "pay/x"]);
}

#[test]
fn every_state_is_read_as_it_is() {
    let (list, refused) = convert::instances(&orders(), instances(INSTANCES).instances);
    assert!(refused.is_empty());
    let seen: Vec<_> =
        list.iter().map(|i| (i.key.host.as_str(), i.status, i.health, i.weight.get())).collect();
    assert_eq!(
        seen,
        [
            ("10.0.0.1", InstanceStatus::Up, HealthStatus::Healthy, 250),
            ("10.0.0.2", InstanceStatus::OutOfService, HealthStatus::Unknown, 0),
            ("10.0.0.3", InstanceStatus::Up, HealthStatus::Unhealthy, 100),
        ]
    );
    let id = list[0].native_id.as_deref();
    assert_eq!(id, Some("10.0.0.1#8080#east#DEFAULT_GROUP@@orders"));
    assert_eq!(list[0].metadata[convert::CLUSTER_KEY], "east");
    assert_eq!(list[1].metadata.get(convert::CLUSTER_KEY), None);
    assert_eq!(list[0].metadata["version"], "1.0");
    assert_eq!(list[0].metadata["fed-tags"], "blue,n1", "read by the layer above");
    assert_eq!(list[0].native["cluster"], "east");
}

#[test]
fn of_one_address_in_two_clusters_the_first_by_name_stays() {
    let text = r#"{"code":0,"data":{"count":2,"instances":[
        {"ip":"10.0.0.9","port":80,"healthy":true,"enabled":true,"clusterName":"west"},
        {"ip":"10.0.0.9","port":80,"healthy":true,"enabled":true,"clusterName":"east"}]}}"#;
    let (list, _) = convert::instances(&orders(), instances(text).instances);
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].metadata[convert::CLUSTER_KEY], "east");
}

#[test]
fn an_unknown_service_is_empty() {
    let page = instances(UNKNOWN);
    assert_eq!((page.count, page.instances.len()), (0, 0));
}

#[test]
fn what_is_missing_gets_nacos_own_defaults() {
    let text = r#"{"code":0,"data":{"count":2,"instances":[
        {"ip":"A.example","port":80,"healthy":true,"enabled":true,"instanceId":"","metadata":null},
        {"ip":"10.0.0.9","port":80,"healthy":true,"enabled":true,"clusterName":"east",
         "metadata":{"cluster":"mine","empty":null}}]}}"#;
    let (list, _) = convert::instances(&orders(), instances(text).instances);
    let ids: Vec<_> = list.iter().map(|i| i.native_id.as_deref().unwrap()).collect();
    assert_eq!(
        ids,
        ["10.0.0.9#80#east#DEFAULT_GROUP@@orders", "A.example#80#DEFAULT#DEFAULT_GROUP@@orders"]
    );
    assert_eq!(list[0].metadata[convert::CLUSTER_KEY], "mine");
    assert_eq!(list[0].metadata.len(), 1);
    assert_eq!(list[1].weight.get(), 100);
}

#[test]
fn an_address_nobody_could_use_is_named_and_left_out() {
    let text = r#"{"code":0,"data":{"count":2,"instances":[
        {"ip":"a b","port":80,"healthy":true,"enabled":true},
        {"ip":"10.0.0.9","port":80,"healthy":true,"enabled":true,"clusterName":"east"}]}}"#;
    let (list, refused) = convert::instances(&orders(), instances(text).instances);
    assert_eq!((list.len(), refused.len()), (1, 1));
    assert!(refused[0].to_string().contains("a b"));
    assert_eq!(list[0].metadata[convert::CLUSTER_KEY], "east");
}

#[test]
fn garbage_never_panics() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..3000 {
        for text in [SERVICES, INSTANCES, UNKNOWN] {
            let mut bytes = text.as_bytes().to_vec();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            if random.bool() {
                bytes.truncate(random.usize(..bytes.len()));
            }
            if let Ok(page) = serde_json::from_slice::<ServicePage>(&bytes) {
                page.service_list.iter().for_each(|view| {
                    convert::service_key(view).ok();
                });
            }
            if let Ok(envelope) = serde_json::from_slice::<Envelope<InstancePage>>(&bytes) {
                let hosts = envelope.data.map_or_else(Vec::new, |page| page.instances);
                let (list, refused) = convert::instances(&orders(), hosts);
                assert!(list.len() + refused.len() <= bytes.len());
            }
        }
    }
}
