//! Damaged answers of a Nacos: never a panic, and no shorter list.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use hub_registry_core::Scope;
use hub_registry_nacos::convert;
use hub_registry_nacos::wire::{
    ClusterList, ClusterMap, ClusterPage, Envelope, Host, InstancePage, ServiceItems, ServicePage,
};
use hub_registry_testkit::mutate::{Mutator, beginnings, rounds};
use hub_registry_testkit::stub::canned::Canned;
use serde_json::{Value, json};

use common::{connect, service, spec};

const SERVICES: &[u8] = include_bytes!("data/nacos-2.2.4-catalog-services.json");
const INSTANCES: &[u8] = include_bytes!("data/nacos-2.2.4-catalog-instances.json");
const SERVICES_1: &[u8] = include_bytes!("data/nacos-1.4.6-catalog-services.json");
const SERVICE_1: &[u8] = include_bytes!("data/nacos-1.4.6-catalog-service.json");
const CLUSTER_1: &[u8] = include_bytes!("data/nacos-1.4.6-catalog-instances.json");
const SERVICES_3: &[u8] = include_bytes!("data/nacos-3.0.3-service-list.json");
const SERVICE_3: &[u8] = include_bytes!("data/nacos-3.0.3-service.json");
const CLUSTER_3: &[u8] = include_bytes!("data/nacos-3.0.3-instance-list.json");

/// What of an answer is read: how many entries; `None` when it cannot be read.
type Reader = fn(&[u8]) -> Option<usize>;

fn hosts(hosts: Vec<Host>) -> usize {
    let (all, count) = (hosts.len(), hosts.iter().filter(|host| host.port > 0).count());
    let (list, refused) = convert::instances(&service("orders"), hosts);
    assert!(list.len() + refused.len() <= all && count <= all);
    all
}

fn opened<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice::<Envelope<T>>(bytes).ok()?.data
}

/// Each recorded answer, how it is read, and where its entries are.
fn answers() -> [(&'static [u8], Reader, &'static str); 8] {
    [
        (SERVICES, |b| Some(from::<ServicePage>(b)?.service_list.len()), "/serviceList"),
        (SERVICES_1, |b| Some(from::<ServicePage>(b)?.service_list.len()), "/serviceList"),
        (SERVICES_3, |b| Some(opened::<ServiceItems>(b)?.page_items.len()), "/data/pageItems"),
        (INSTANCES, |b| Some(hosts(opened::<InstancePage>(b)?.instances)), "/data/instances"),
        (CLUSTER_1, |b| Some(hosts(from::<ClusterPage>(b)?.list)), "/list"),
        (CLUSTER_3, |b| Some(hosts(opened::<Vec<Host>>(b)?)), "/data"),
        (SERVICE_1, |b| Some(from::<ClusterList>(b)?.clusters.len()), "/clusters"),
        (SERVICE_3, |b| Some(opened::<ClusterMap>(b)?.cluster_map.len()), "/data/clusterMap"),
    ]
}

fn from<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn entries(value: Option<&Value>) -> usize {
    match value {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(map)) => map.len(),
        _ => 0,
    }
}

#[test]
fn a_cut_answer_is_never_a_list() {
    for (answer, read, _) in answers() {
        assert!(read(answer).unwrap() > 0);
        for cut in beginnings(answer) {
            assert_eq!(read(cut), None, "{}", cut.len());
        }
    }
}

#[test]
fn what_is_read_of_a_damaged_answer_is_all_that_is_in_it() {
    let mut mutator = Mutator::new(None);
    let (mut count, mut read_at_all) = (0, 0);
    for _ in 0..rounds() {
        for (answer, read, place) in answers() {
            let bytes = mutator.any(answer);
            count += 1;
            let Some(read) = read(&bytes) else { continue };
            // What nobody looks at may be no text at all.
            let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
            read_at_all += 1;
            assert_eq!(read, entries(value.pointer(place)), "{}", String::from_utf8_lossy(&bytes));
        }
    }
    println!("{read_at_all} of {count} damaged answers could be read");
    assert!(read_at_all > 0);
}

const MANY: usize = 40;

fn host(number: usize) -> Value {
    json!({"instanceId": format!("10.0.0.{number}#80#DEFAULT#DEFAULT_GROUP@@orders"),
        "ip": format!("10.0.0.{number}"), "port": 80, "weight": 1.0, "healthy": true,
        "enabled": true, "ephemeral": true, "clusterName": "DEFAULT",
        "serviceName": "DEFAULT_GROUP@@orders", "metadata": {"version": "1.0"}})
}

fn view(number: usize) -> Value {
    let name = if number == 0 { "orders".to_owned() } else { format!("s{number}") };
    json!({"name": name, "groupName": "DEFAULT_GROUP", "clusterCount": 1, "ipCount": MANY,
        "healthyInstanceCount": MANY, "triggerFlag": "false"})
}

/// The paths of a dialect with what a server says there.
fn scripts() -> [Vec<(&'static str, Value)>; 3] {
    let hosts: Vec<_> = (0..MANY).map(host).collect();
    let views: Vec<_> = (0..MANY).map(view).collect();
    let list = ("/nacos/v1/ns/catalog/services", json!({"count": MANY, "serviceList": views}));
    let wrapped = |data: Value| json!({"code": 0, "message": "success", "data": data});
    [
        vec![
            list.clone(),
            (
                "/nacos/v1/ns/catalog/service",
                json!({"service": {}, "clusters": [{"name": "DEFAULT"}]}),
            ),
            ("/nacos/v1/ns/catalog/instances", json!({"count": MANY, "list": hosts})),
        ],
        vec![
            list,
            ("/nacos/v2/ns/catalog/instances", wrapped(json!({"count": MANY, "instances": hosts}))),
        ],
        vec![
            (
                "/nacos/v3/admin/ns/service/list",
                wrapped(json!({"totalCount": MANY, "pageItems": views})),
            ),
            ("/nacos/v3/admin/ns/service", wrapped(json!({"clusterMap": {"DEFAULT": {}}}))),
            ("/nacos/v3/admin/ns/instance/list", wrapped(json!(hosts))),
        ],
    ]
}

/// Through the whole adapter: what damage does to a value is seen in its entry; what it does to a
/// list is an error.
#[tokio::test]
async fn a_damaged_answer_is_no_shorter_list_in_any_dialect() {
    let mut mutator = Mutator::new(None);
    for (number, script) in (1..).zip(scripts()) {
        let server = Canned::start().await;
        for (path, body) in &script {
            server.set(path, 200, body.to_string());
        }
        let registry = connect(&spec(server.port())).await;
        let (orders, all) = (service("orders"), Scope::all());
        assert_eq!(registry.instances(&orders).await.unwrap().len(), MANY, "v{number}");
        let (mut errors, mut lists) = (0, 0);
        for round in 0..rounds() / 3 {
            let (path, body) = &script[round % script.len()];
            let body = body.to_string();
            // At most so many entries can be unreadable, or two of them one.
            let (bytes, touched) = match round % 3 {
                0 => (mutator.cut(body.as_bytes()), 0),
                1 => (mutator.swap(body.as_bytes()), 1),
                _ => (mutator.flip(body.as_bytes()), 5),
            };
            server.set(path, 200, bytes.clone());
            let said = String::from_utf8_lossy(&bytes).into_owned();
            let read = [
                registry.instances(&orders).await.map(|list| list.len()),
                registry.services(&all).await.map(|list| list.len()),
            ];
            for read in read {
                match read {
                    Ok(count) => {
                        assert!(count + touched >= MANY, "v{number}: {count} of {path}: {said}");
                        lists += 1;
                    }
                    Err(_) => errors += 1,
                }
            }
            server.set(path, 200, body);
        }
        println!("v{number}: {lists} lists, {errors} errors");
        assert!(errors > 0 && lists > 0);
        assert_eq!(registry.instances(&orders).await.unwrap().len(), MANY, "v{number}");
    }
}
