//! What Nacos sends is read as it is meant.
#![allow(clippy::unwrap_used, reason = "test code")]

use hub_registry_core::{GroupName, HealthStatus, InstanceStatus, ServiceKey, ServiceName};
use hub_registry_nacos::convert;
use hub_registry_nacos::wire::{
    ClusterList, ClusterMap, ClusterPage, Envelope, Host, InstancePage, ServiceItems, ServicePage,
};

const SERVICES: &str = include_str!("data/nacos-2.2.4-catalog-services.json");
const SERVICES_1: &str = include_str!("data/nacos-1.4.6-catalog-services.json");
const SERVICE_1: &str = include_str!("data/nacos-1.4.6-catalog-service.json");
const CLUSTER_1: &str = include_str!("data/nacos-1.4.6-catalog-instances.json");
const SERVICES_3: &str = include_str!("data/nacos-3.0.3-service-list.json");
const SERVICE_3: &str = include_str!("data/nacos-3.0.3-service.json");
const CLUSTER_3: &str = include_str!("data/nacos-3.0.3-instance-list.json");
const UNKNOWN_3: &str = include_str!("data/nacos-3.0.3-service-unknown.json");
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
fn the_answers_of_1_4_and_3_0_say_the_same() {
    let of_1: ServicePage = serde_json::from_str(SERVICES_1).unwrap();
    assert_eq!((of_1.count, of_1.service_list.len()), (4, 4));
    let of_3: Envelope<ServiceItems> = serde_json::from_str(SERVICES_3).unwrap();
    let of_3 = of_3.data.unwrap();
    assert_eq!((of_3.total_count, of_3.page_items.len()), (3, 3));
    let clusters_1: ClusterList = serde_json::from_str(SERVICE_1).unwrap();
    let mut clusters_1: Vec<_> = clusters_1.clusters.into_iter().map(|one| one.name).collect();
    clusters_1.sort();
    let clusters_3: Envelope<ClusterMap> = serde_json::from_str(SERVICE_3).unwrap();
    let clusters_3: Vec<_> = clusters_3.data.unwrap().cluster_map.into_keys().collect();
    assert_eq!(clusters_1, ["DEFAULT", "east"]);
    assert_eq!(clusters_3, clusters_1);
    let hosts_1: ClusterPage = serde_json::from_str(CLUSTER_1).unwrap();
    let hosts_3: Envelope<Vec<Host>> = serde_json::from_str(CLUSTER_3).unwrap();
    let (list_1, _) = convert::instances(&orders(), hosts_1.list);
    let (list_3, _) = convert::instances(&orders(), hosts_3.data.unwrap());
    assert_eq!(list_1, list_3);
    let states: Vec<_> = list_3.iter().map(|one| (one.status, one.health)).collect();
    let disabled = (InstanceStatus::OutOfService, HealthStatus::Unknown);
    assert_eq!(states, [disabled, (InstanceStatus::Up, HealthStatus::Unhealthy)]);
    let unknown: Envelope<String> = serde_json::from_str(UNKNOWN_3).unwrap();
    assert_eq!(unknown.code, 21_008);
}
