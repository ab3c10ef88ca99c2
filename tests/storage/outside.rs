//! Rows of the native registry that others write with plain SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry::access::Caller;
use hub_registry::clock::Clock;
use hub_registry::model::instance::{InstancePatch, Registration};
use hub_registry::native::{Native, Publication, Publish, Settings};
use hub_registry::storage::{NativeStore, Place};
use hub_registry::task::TaskGroup;
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::{InstanceKey, TenantId};
use serde_json::json;
use tokio::time::Instant;

use crate::database::{Database, Kind};

const POLL: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Nobody;

impl Publish for Nobody {
    fn publish(&self, _: &TenantId, _: Publication) {}
    fn hold(&self, _: &TenantId, _: Vec<InstanceKey>, _: Vec<InstanceKey>) {}
}

struct World {
    native: Arc<Native>,
    metrics: Metrics,
    tasks: TaskGroup,
    caller: Caller,
    tenant: TenantId,
}

impl World {
    async fn start(database: &Database) -> Self {
        let (metrics, tasks) = (Metrics::new(), TaskGroup::new());
        let settings = Settings { poll_interval: Some(POLL), ..Settings::default() };
        let store = Arc::new(database.store.clone());
        let publish = Arc::new(Nobody);
        let native =
            Native::start(store, publish, Clock::System, metrics.clone(), &tasks, settings);
        let native = native.await.unwrap();
        let tenant = TenantId::default_tenant();
        let caller = Caller::unlimited(tenant.clone(), "me");
        Self { native, metrics, tasks, caller, tenant }
    }

    async fn register(&self, service: &str, port: u16) -> String {
        let body = json!({
            "serviceName": service, "hostAddress": "10.0.0.1", "portNumber": port, "leaseSeconds": 3600,
            "metadata": {"zone": "z1", "empty": ""}, "tags": ["blue"], "contextPath": "",
            "extProperty": {"a": [1]}, "clientVersion": "1",
        });
        let said = Registration::from_value(body).unwrap();
        self.native.register(&self.caller, said).await.unwrap().instance_id.to_string()
    }

    /// `service:port` with weight and status of all instances.
    fn all(&self) -> BTreeMap<String, String> {
        let one = |it: &Arc<hub_registry::model::instance::NativeInstance>| {
            let name = format!("{}:{}", it.key.service.name, it.key.port);
            (name, format!("{} {} {}", it.weight.get(), it.status, it.health))
        };
        self.native.list(&self.tenant).iter().map(one).collect()
    }

    fn names(&self) -> Vec<String> {
        self.all().into_keys().collect()
    }

    async fn until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let end = Instant::now() + SOON;
        while !reached(self) {
            assert!(Instant::now() < end, "{what}: {:?}", self.all());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn metric(&self, line: &str) -> f64 {
        let text = String::from_utf8(self.metrics.scrape(|| ())).unwrap();
        let found = text.lines().find_map(|it| it.strip_prefix(line));
        found.unwrap_or_else(|| panic!("no {line}")).trim().parse().unwrap()
    }

    /// So many looks have ended.
    async fn looks(&self, more: f64) {
        let looks = || -> f64 {
            let of = |word: &str| {
                self.metric(&format!("hub_registry_native_looks_total{{outcome=\"{word}\"}}"))
            };
            of("quiet") + of("read")
        };
        let wanted = looks() + more;
        self.until("looks", |_| looks() >= wanted).await;
    }
}

const INSERT: &str = "INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE \
    (tenantId, groupName, serviceName, hostAddress, portNumber, leaseSeconds) VALUES \
    ('default', 'DEFAULT_GROUP', 'web', '10.0.0.1', ";

pub(crate) async fn native_rows_of_plain_sql_take_effect(database: &Database) {
    let world = World::start(database).await;
    let ours = world.register("own", 1).await;
    world.register("own", 2).await;
    world.looks(3.0).await;
    assert_eq!(
        world.metric("hub_registry_native_outside_rows_total{change=\"put\",row=\"instance\"}"),
        0.0,
        "what the hub wrote itself is no news"
    );

    // Inserted: group and service are made as at a start.
    database
        .sql(&format!(
            "{INSERT}80, 3600), ('default', 'DEFAULT_GROUP', 'web', '10.0.0.1', 81, 3600)"
        ))
        .await;
    world.until("insert", |w| w.names() == ["own:1", "own:2", "web:80", "web:81"]).await;
    // It is under the id that its address makes, on disk too.
    let id = world.native.list(&world.tenant)[2].id.to_string();
    let sql = format!(
        "SELECT hostAddress FROM HUB_REGISTRY_SERVICE_INSTANCE WHERE serviceInstanceId = '{id}'"
    );
    assert_eq!(database.column(&sql).await, ["10.0.0.1"]);
    world.native.heartbeat(&world.caller, &id).unwrap();
    world.until("heard", |w| w.all()["web:80"] == "100 UP HEALTHY").await;

    // Changed, by who does not care for versions.
    database.sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET weightValue = 7, instanceStatus = 'OUT_OF_SERVICE' WHERE portNumber = 1").await;
    world.until("update", |w| w.all()["own:1"] == "7 OUT_OF_SERVICE HEALTHY").await;
    database.sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET healthStatus = 'UNHEALTHY' WHERE portNumber = 1").await;
    world.until("health", |w| w.all()["own:1"] == "7 OUT_OF_SERVICE UNHEALTHY").await;
    world.native.heartbeat(&world.caller, &ours).unwrap();
    world.looks(3.0).await;
    assert_eq!(
        world.all()["own:1"],
        "7 OUT_OF_SERVICE UNHEALTHY",
        "as one that was stated by the API"
    );
    database.sql("UPDATE HUB_REGISTRY_SERVICE SET loadBalanceStrategy = 'RANDOM', serviceDescription = NULL WHERE serviceName = 'web'").await;
    let strategy = |w: &World| {
        let all = w.native.list_services(&w.tenant);
        all.iter()
            .find(|it| it.service.key.name.as_str() == "web")
            .map(|it| it.service.strategy.to_string())
    };
    world.until("service", |w| strategy(w).as_deref() == Some("RANDOM")).await;

    // A request after that changes what it names and nothing else.
    let patch = InstancePatch::from_value(json!({"metadata": {"by": "api"}})).unwrap();
    let patched = world.native.update(&world.caller, &ours, patch).await.unwrap();
    assert_eq!(patched.weight.get(), 7);

    // What breaks a rule is counted, and empties nothing.
    database.sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET metadataJson = '{broken' WHERE portNumber = 2").await;
    database
        .sql("UPDATE HUB_REGISTRY_SERVICE SET protocolType = 'PIGEON' WHERE serviceName = 'web'")
        .await;
    database.sql("UPDATE HUB_REGISTRY_SERVICE_GROUP SET groupType = 'NONE SUCH'").await;
    database.sql(&format!("{INSERT}82, 3600)")).await;
    world
        .until("bad rows", |w| w.names() == ["own:1", "own:2", "web:80", "web:81", "web:82"])
        .await;
    world.until("bad rows", |w| w.metric("hub_registry_native_rows_skipped") == 3.0).await;
    database.sql("UPDATE HUB_REGISTRY_SERVICE_GROUP SET groupType = 'TEST'").await;
    database
        .sql("UPDATE HUB_REGISTRY_SERVICE SET protocolType = NULL WHERE serviceName = 'web'")
        .await;
    database
        .sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET metadataJson = NULL WHERE portNumber = 2")
        .await;
    world.until("mended", |w| w.metric("hub_registry_native_rows_skipped") == 0.0).await;

    // Deactivated, row by row, and back.
    database
        .sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET activeFlag = 'N' WHERE portNumber = 81")
        .await;
    world.until("instance off", |w| w.names() == ["own:1", "own:2", "web:80", "web:82"]).await;
    database
        .sql("UPDATE HUB_REGISTRY_SERVICE SET activeFlag = 'N' WHERE serviceName = 'web'")
        .await;
    world.until("service off", |w| w.names() == ["own:1", "own:2"]).await;
    assert!(strategy(&world).is_none());
    database.sql("UPDATE HUB_REGISTRY_SERVICE_GROUP SET activeFlag = 'N'").await;
    world
        .until("group off", |w| w.names().is_empty() && w.native.list_groups(&w.tenant).is_empty())
        .await;
    database.sql("UPDATE HUB_REGISTRY_SERVICE SET activeFlag = 'Y'").await;
    database.sql("UPDATE HUB_REGISTRY_SERVICE_GROUP SET activeFlag = 'Y'").await;
    world.until("all on", |w| w.names() == ["own:1", "own:2", "web:80", "web:82"]).await;

    // Removed: an instance, a service with its instances, all of it.
    database.sql("DELETE FROM HUB_REGISTRY_SERVICE_INSTANCE WHERE portNumber = 80").await;
    world.until("delete", |w| w.names() == ["own:1", "own:2", "web:82"]).await;
    database.sql("DELETE FROM HUB_REGISTRY_SERVICE_INSTANCE WHERE serviceName = 'web'").await;
    database.sql("DELETE FROM HUB_REGISTRY_SERVICE WHERE serviceName = 'web'").await;
    world
        .until("delete service", |w| w.names() == ["own:1", "own:2"] && strategy(w).is_none())
        .await;
    for table in ["SERVICE_INSTANCE", "SERVICE", "SERVICE_GROUP"] {
        database.sql(&format!("DELETE FROM HUB_REGISTRY_{table}")).await;
    }
    world.until("delete all", |w| w.native.list_groups(&w.tenant).is_empty()).await;
    assert!(world.native.list_services(&world.tenant).is_empty());

    // And it goes on as if nothing had been.
    world.register("own", 1).await;
    assert_eq!(
        database.column("SELECT serviceName FROM HUB_REGISTRY_SERVICE_INSTANCE").await,
        ["own"]
    );
    world.looks(3.0).await;
    assert_eq!(world.names(), ["own:1"]);
    assert!(world.tasks.stop(SOON).await);
}

pub(crate) async fn looks_cost_little_where_nobody_wrote(database: &Database) {
    let place = |service: &str| Place {
        tenant_id: "default".to_owned(),
        group_name: "DEFAULT_GROUP".to_owned(),
        service_name: service.to_owned(),
    };
    let store = &database.store;
    let (tide, before) = (store.tide().await.unwrap(), store.prints().await.unwrap());
    assert_eq!(tide.is_some(), database.kind == Kind::Sqlite);
    let world = World::start(database).await;
    let id = world.register("own", 1).await;
    assert_eq!(store.tide().await.unwrap(), tide, "the store's own writes do not count");
    let written = store.prints().await.unwrap();
    assert!(before.is_empty() && written[&place("own")].count == 1, "{written:?}");
    assert!(written[&place("")].row.is_some() && written[&place("own")].row.is_some());
    database.sql(&format!("{INSERT}80, 3600)")).await;
    assert!(tide.is_none() || store.tide().await.unwrap() != tide);
    world.until("insert", |w| w.names().len() == 2).await;
    if tide.is_some() {
        world.looks(2.0).await;
        let read = "hub_registry_native_looks_total{outcome=\"read\"}";
        let before = world.metric(read);
        for port in 2..20 {
            world.register("own", port).await;
        }
        world.looks(3.0).await;
        assert_eq!(world.metric(read), before, "its own writes are not read again");
    } else {
        let before = store.prints().await.unwrap();
        database.sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET lastHeartbeatTime = '2030-01-01 00:00:00'").await;
        assert_eq!(store.prints().await.unwrap(), before, "heartbeats are no change");
        for change in [
            "clientId = ''",
            "clientId = NULL",
            "noteText = 'a'",
            "weightValue = NULL",
            "tagsJson = '[]'",
        ] {
            let before = store.prints().await.unwrap();
            database.sql(&format!("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET {change} WHERE serviceInstanceId = '{id}'")).await;
            assert_ne!(store.prints().await.unwrap(), before, "{change}");
        }
    }
    assert!(world.tasks.stop(SOON).await);
}

/// 200,000 instances of 20,000 services with `HUB_REGISTRY_LONG`, else a hundredth of them.
pub(crate) async fn many_rows_are_compared_in_pages(database: &Database) {
    let long = std::env::var_os("HUB_REGISTRY_LONG").is_some();
    let services = if long { 20_000 } else { 200 };
    let rows: Vec<_> = (0..services)
        .flat_map(|service| (0..10).map(move |port| (service, port)))
        .map(|(service, port)| {
            let mut row = crate::sample::instance("", 1000 + port);
            row.tenant_id = "default".to_owned();
            row.service_name = format!("service-{service:05}");
            row.service_instance_id = format!("{service:05}-{port}");
            row.lease_seconds = Some(3600);
            row.health_check_type = Some("NONE".to_owned());
            hub_registry::storage::NativeWrite::PutInstance(row)
        })
        .collect();
    for rows in rows.chunks(2000) {
        database.store.commit(rows).await.unwrap();
    }
    let world = World::start(database).await;
    assert_eq!(world.names().len(), services * 10);
    let seconds = |w: &World| w.metric("hub_registry_native_look_seconds_total");
    let began = seconds(&world);
    world.looks(2.0).await;
    let quiet = (seconds(&world) - began) / 2.0;
    let began = (Instant::now(), seconds(&world));
    database.sql("UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET weightValue = 9 WHERE serviceName = 'service-00007' AND portNumber = 1003").await;
    world.until("one of many", |w| w.all()["service-00007:1003"].starts_with("9 ")).await;
    let seen = began.0.elapsed();
    world.looks(1.0).await;
    let read = seconds(&world) - began.1;
    println!(
        "{:?}: {} instances: a quiet look {quiet:.3} s, one with a change {read:.3} s, seen after {seen:?}",
        database.kind,
        services * 10
    );
    assert!(world.tasks.stop(SOON).await);
}
