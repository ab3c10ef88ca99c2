//! The parts that every change goes through, one by one: reading what a registry sends, merging,
//! comparing, and making the next snapshot with its answers.
//!
//! ```sh
//! cargo bench --bench micro                # all
//! cargo bench --bench micro -- merge       # one group
//! ```
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark: a failure is a panic, and the macros make public functions"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hub_registry::access::Visible;
use hub_registry::catalog::{
    Attributes, Catalog, Conflict, Found, GroupChoice, GuardPolicy, Revisions, ServiceView,
    SourceId, SourceInfo,
};
use hub_registry::clock::Clock;
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::{
    Change, ConfigId, GroupName, HealthStatus, Host, Instance, InstanceKey, RegistryKind,
    ServiceKey, ServiceName, ServiceState, TenantId,
};
use serde_json::{Value, json};

const INSTANCES: [u32; 3] = [10, 100, 1000];

fn key(service: u32) -> ServiceKey {
    let name = ServiceName::parse(&format!("service-{service}")).unwrap();
    ServiceKey::new(GroupName::default_group(), name)
}

fn instance(service: u32, number: u32, version: u32) -> Instance {
    let host = Host::parse(&format!("10.0.{}.{}", number >> 8, number & 255)).unwrap();
    let mut instance = Instance::new(InstanceKey { service: key(service), host, port: 8080 });
    instance.health = HealthStatus::Healthy;
    instance.metadata.insert("version".to_owned(), version.to_string());
    instance.metadata.insert("zone".to_owned(), "z1".to_owned());
    instance
}

/// A service in which the first instance has this version.
fn state(service: u32, instances: u32, version: u32) -> ServiceState {
    let first = |number| if number == 0 { version } else { 1 };
    let all = (0..instances).map(|number| instance(service, number, first(number)));
    ServiceState::new(key(service), all)
}

fn id(name: &str) -> SourceId {
    SourceId::External(ConfigId::parse(name).unwrap())
}

/// A view of these sources, that know the same.
fn catalog(sources: &[&str], services: u32, instances: u32) -> Catalog {
    let clock = Clock::fixed(1_000).0;
    let catalog = Catalog::new(Revisions::from_zero(), clock, Metrics::new());
    for (priority, name) in (0..).zip(sources) {
        let (id, name, kind) = (id(name), (*name).to_owned(), RegistryKind::Consul);
        let info = SourceInfo { id: id.clone(), name, kind, conflict: Conflict::Merge, priority };
        catalog.open(&TenantId::default_tenant(), info, GuardPolicy::Off);
        let all = (0..services).map(|service| state(service, instances, 1)).collect();
        catalog.apply(&TenantId::default_tenant(), &id, vec![Change::Reset(all)]);
    }
    catalog
}

fn found(catalog: &Catalog) -> Arc<ServiceView> {
    let (name, group) = (key(0).name, GroupChoice::Unsaid);
    let visible = Visible::everything();
    let looked = catalog.view().look(&TenantId::default_tenant(), &name, &group, &visible);
    let Found::One(view) = looked.found else { panic!("the service is there") };
    view
}

/// One instance of a service that two registries know changes: merge, difference, snapshot, answers.
fn merge(c: &mut Criterion) {
    let mut group = c.benchmark_group("merge");
    for instances in INSTANCES {
        let catalog = catalog(&["a", "b"], 10, instances);
        let mut version = 1;
        group.throughput(Throughput::Elements(instances.into()));
        group.bench_function(BenchmarkId::new("one of two sources changes", instances), |b| {
            b.iter(|| {
                version += 1;
                let change = Change::Put(state(0, instances, version));
                catalog.apply(&TenantId::default_tenant(), &id("a"), vec![change])
            });
        });
    }
    group.finish();
}

/// A registry says again what is known: nothing is different, nothing is made.
fn diff(c: &mut Criterion) {
    let mut group = c.benchmark_group("diff");
    for instances in INSTANCES {
        let catalog = catalog(&["a"], 10, instances);
        group.throughput(Throughput::Elements(instances.into()));
        group.bench_function(BenchmarkId::new("nothing changed", instances), |b| {
            b.iter(|| {
                let change = Change::Put(state(0, instances, 1));
                catalog.apply(&TenantId::default_tenant(), &id("a"), vec![change])
            });
        });
    }
    group.finish();
}

/// The next snapshot, by how many services there are, and a service's answers, by its instances.
fn snapshot(c: &mut Criterion) {
    let mut group = c.benchmark_group("snapshot");
    for services in [100, 20_000] {
        let catalog = catalog(&["a"], services, 1);
        let view = found(&catalog);
        let snapshot = catalog.view().snapshot(&TenantId::default_tenant());
        group.bench_function(BenchmarkId::new("a service is set, of", services), |b| {
            b.iter(|| {
                let mut next = (*snapshot).clone();
                next.set(&view.key, Some(Arc::clone(&view)));
                next
            });
        });
    }
    for instances in INSTANCES {
        let view = found(&catalog(&["a"], 1, instances));
        group.throughput(Throughput::Elements(instances.into()));
        let made = |before: Option<&ServiceView>| {
            let (key, rows) = (view.key.clone(), view.rows.clone());
            let (attributes, sources) = (Attributes::default(), Arc::clone(&view.sources));
            ServiceView::new(key, 2, rows, attributes, sources, before)
        };
        let name = |what| BenchmarkId::new(what, instances);
        group.bench_function(name("answers, all new"), |b| b.iter(|| made(None)));
        group.bench_function(name("answers, all known"), |b| b.iter(|| made(Some(&view))));
    }
    group.finish();
}

/// What a registry sends, read.
fn codec(c: &mut Criterion) {
    let mut group = c.benchmark_group("codec");
    for instances in INSTANCES {
        let name = |what| BenchmarkId::new(what, instances);
        let consul = consul(instances);
        group.throughput(Throughput::Bytes(consul.len() as u64));
        group.bench_function(name("consul, health/service"), |b| {
            b.iter(|| {
                let read: Vec<hub_registry_consul::wire::ServiceEntry> =
                    serde_json::from_slice(black_box(&consul)).unwrap();
                read
            });
        });
        let eureka = eureka(instances);
        group.throughput(Throughput::Bytes(eureka.len() as u64));
        group.bench_function(name("eureka, apps"), |b| {
            b.iter(|| hub_registry_eureka::wire::read_applications(black_box(&eureka)).unwrap());
        });
    }
    group.finish();
}

fn consul(instances: u32) -> Vec<u8> {
    let entry = |number: u32| {
        json!({
            "Node": { "ID": "", "Node": "n", "Address": "10.0.0.1", "Datacenter": "dc1",
                "TaggedAddresses": null, "Meta": {}, "CreateIndex": 5, "ModifyIndex": 6 },
            "Service": { "ID": format!("web-{number}"), "Service": "web", "Tags": ["blue"],
                "Address": format!("10.0.0.{}", number & 255), "Port": 8080,
                "Meta": { "version": "1.4.2", "zone": "z1" },
                "Weights": { "Passing": 1, "Warning": 1 }, "EnableTagOverride": false,
                "CreateIndex": 5, "ModifyIndex": 6 },
            "Checks": [{ "Node": "n", "CheckID": format!("service:web-{number}"), "Name": "c",
                "Status": "passing", "Notes": "", "Output": "", "ServiceID": format!("web-{number}"),
                "ServiceName": "web", "ServiceTags": ["blue"], "Definition": {},
                "CreateIndex": 5, "ModifyIndex": 6 }],
        })
    };
    serde_json::to_vec(&(0..instances).map(entry).collect::<Vec<_>>()).unwrap()
}

fn eureka(instances: u32) -> Vec<u8> {
    let instance = |number: u32| -> Value {
        json!({
            "instanceId": format!("web-{number}"), "hostName": format!("10.0.0.{}", number & 255),
            "app": "WEB", "ipAddr": format!("10.0.0.{}", number & 255), "status": "UP",
            "overriddenStatus": "UNKNOWN", "port": { "$": 8080, "@enabled": "true" },
            "securePort": { "$": 443, "@enabled": "false" }, "countryId": 1,
            "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo",
                "name": "MyOwn" },
            "leaseInfo": { "renewalIntervalInSecs": 30, "durationInSecs": 90,
                "registrationTimestamp": 1, "lastRenewalTimestamp": 1, "evictionTimestamp": 0,
                "serviceUpTimestamp": 1 },
            "metadata": { "version": "1.4.2", "zone": "z1" }, "vipAddress": "web",
            "isCoordinatingDiscoveryServer": "false", "lastUpdatedTimestamp": "1",
            "lastDirtyTimestamp": "1", "actionType": "ADDED",
        })
    };
    let all: Vec<_> = (0..instances).map(instance).collect();
    let application = json!([{ "name": "WEB", "instance": all }]);
    let body = json!({ "applications": { "versions__delta": "1", "apps__hashcode": "UP_1_",
        "application": application } });
    serde_json::to_vec(&body).unwrap()
}

criterion_group! {
    name = all;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = merge, diff, snapshot, codec
}
criterion_main!(all);
