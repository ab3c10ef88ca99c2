//! The native registry: what it keeps, and for how long.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "native/believed.rs"]
mod believed;
#[path = "native/brought.rs"]
mod brought;
#[path = "native/checks.rs"]
mod checks;
#[path = "native/events.rs"]
mod events;
#[path = "native/faults.rs"]
mod faults;
#[path = "native/leases.rs"]
mod leases;
#[path = "native/outside.rs"]
mod outside;
#[path = "native/preservation.rs"]
mod preservation;
#[path = "native/property.rs"]
mod property;
#[path = "native/reaped.rs"]
mod reaped;
#[path = "native/silence.rs"]
mod silence;
#[path = "native/ward.rs"]
mod ward;
#[path = "native/world.rs"]
mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use hub_registry::error::ErrorCode;
use hub_registry::model::group::NewGroup;
use hub_registry::model::instance::{InstancePatch, Registration};
use hub_registry::model::service::{NewService, ServicePatch};
use hub_registry::native::Settings;
use hub_registry::storage::{NativeStore, SqlStore};
use hub_registry_core::{GroupName, HealthStatus, InstanceStatus, Protocol, TenantId};
use serde_json::json;
use world::{FakeStore, World, body, by, everything, registration, tenant};

async fn sqlite(folder: &tempfile::TempDir) -> Arc<SqlStore> {
    let path = folder.path().join("registry.db");
    Arc::new(SqlStore::sqlite(path.to_str().unwrap(), 4).await.unwrap())
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let default = TenantId::default_tenant();
    let first = World::start(sqlite(&folder).await).await;
    let native = &first.native;
    let group = json!({"groupName": "g", "groupType": "TEST", "defaultProtocolType": "GRPC"});
    native.create_group(&by(&default, "me"), NewGroup::from_value(group).unwrap()).await.unwrap();
    let mut said = body("order", 1);
    said["groupName"] = json!("g");
    said["healthCheckType"] = json!("NONE");
    said["extProperty"] = json!({"a": [1]});
    let said = Registration::from_value(said).unwrap();
    let registered = native.register(&by(&default, "me"), said).await.unwrap();
    native.register(&by(&default, "me"), registration("stock", 2)).await.unwrap();
    let id = registered.instance_id.to_string();
    native.set_status(&by(&default, "op"), &id, InstanceStatus::OutOfService).await.unwrap();
    first.stop().await;
    let before = everything(native, &default);

    let second = World::start(sqlite(&folder).await).await;
    assert_eq!(everything(&second.native, &default), before);
    let read = second.native.get(&default, &id).unwrap();
    assert_eq!((read.status, read.health), (InstanceStatus::OutOfService, HealthStatus::Unknown));
    assert_eq!((read.audit.version, &*read.audit.edit_who), (2, "op"));
    assert_eq!(second.listener.instances(&default).len(), 2);
    let published = &second.listener.instances(&default)[1];
    assert_eq!(published.protocol, Protocol::Grpc);
    assert_eq!(published.native_id.as_deref(), Some(id.as_str()));
    assert_eq!(
        first.native.register(&by(&default, "me"), registration("x", 1)).await.unwrap_err().code,
        ErrorCode::Unavailable
    );
}

#[tokio::test]
async fn rows_of_plain_sql_are_taken_and_bad_ones_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.db");
    drop(sqlite(&folder).await);
    let url = format!("sqlite://{}", path.display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    let sql = "INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE\
               (tenantId, groupName, serviceName, hostAddress, portNumber, metadataJson, activeFlag)\
               VALUES ('default', 'g', 's', 'h1', 80, '{\"n\":1}', 'Y'),\
               ('default', 'g', 's', 'h2', 0, NULL, 'Y'), ('default', 'g', 's', 'h3', 80, '[', 'Y'),\
               ('default', 'g', 's', 'h4', 'x', NULL, 'Y'), ('default', 'g', 's', 'h5', 80, NULL, 'N')";
    sqlx::query(sql).execute(&pool).await.unwrap();
    let world = World::start(sqlite(&folder).await).await;
    let all = world.native.list(&TenantId::default_tenant());
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].key.host.as_str(), all[0].metadata["n"].as_str()), ("h1", "1"));
    world.stop().await;
    let rows = sqlite(&folder).await.load().await.unwrap();
    assert_eq!((rows.groups.len(), rows.services.len(), rows.instances.len()), (1, 1, 5));
    assert!(rows.instances.iter().any(|row| row.service_instance_id == all[0].id.to_string()));
}

#[tokio::test]
async fn tenants_with_equal_names_do_not_meet() {
    let world = World::start(Arc::new(FakeStore::default())).await;
    let (a, b) = (tenant("a"), tenant("b"));
    let in_a = world.native.register(&by(&a, "me"), registration("s", 1)).await.unwrap();
    let in_b = world.native.register(&by(&b, "me"), registration("s", 1)).await.unwrap();
    assert!(in_a.created && in_b.created);
    let (id_a, id_b) = (in_a.instance_id.to_string(), in_b.instance_id.to_string());
    assert_ne!(id_a, id_b);
    let not_found = |code| assert_eq!(code, ErrorCode::NotFound);
    not_found(world.native.heartbeat(&by(&b, "me"), &id_a).unwrap_err().code);
    not_found(world.native.get(&b, &id_a).unwrap_err().code);
    not_found(world.native.deregister(&by(&b, "me"), &id_a).await.unwrap_err().code);
    let patch = InstancePatch::default();
    not_found(world.native.update(&by(&b, "me"), &id_a, patch).await.unwrap_err().code);
    world.native.deregister(&by(&a, "me"), &id_a).await.unwrap();
    assert_eq!(world.listener.instances(&a).len(), 0);
    assert_eq!(world.listener.instances(&b).len(), 1);
    let ids = [id_a.clone(), id_b, "nonsense".to_owned()];
    let unknown = vec![id_a, "nonsense".to_owned()];
    assert_eq!(world.native.heartbeats(&by(&b, "me"), &ids).unwrap(), (1, unknown));
}

#[tokio::test]
async fn concurrent_registrations_share_commits() {
    let store =
        Arc::new(FakeStore { commit_time: Duration::from_millis(5), ..FakeStore::default() });
    let world = World::start(Arc::clone(&store) as _).await;
    let default = TenantId::default_tenant();
    let all = (1..=200).map(|port| {
        let (native, default) = (&world.native, &default);
        let listener = &world.listener;
        async move {
            let registered =
                native.register(&by(default, "me"), registration("s", port)).await.unwrap();
            let seen = listener.instances(default);
            assert!(seen.iter().any(|i| i.key.port == port), "published before acknowledged");
            registered
        }
    });
    let all = join_all(all).await;
    assert!(all.iter().all(|registered| registered.created));
    let commits = store.commits.load(Ordering::Relaxed);
    assert!(commits <= 4, "{commits} commits for 200 registrations");
    assert!(world.listener.publications.load(Ordering::Relaxed) <= commits);
    assert_eq!(world.native.list(&default).len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tasks_register_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(sqlite(&folder).await).await;
    let default = TenantId::default_tenant();
    let started = tokio::time::Instant::now();
    let all = (1..=200_u16).map(|port| {
        let (native, default) = (Arc::clone(&world.native), default.clone());
        async move {
            let service = format!("s{}", port % 10);
            native.register(&by(&default, "me"), registration(&service, port)).await.unwrap()
        }
    });
    join_all(all).await;
    println!("200 registrations in {:?}", started.elapsed());
    let rows = sqlite(&folder).await.load().await.unwrap();
    assert_eq!((rows.instances.len(), rows.services.len()), (200, 10), "acknowledged is on disk");
}

#[tokio::test]
async fn a_batch_has_one_outcome_per_item() {
    let world = World::start(Arc::new(FakeStore::default())).await;
    let default = TenantId::default_tenant();
    let mut bad = registration("s", 2);
    bad.key.port = 0;
    let items = vec![registration("s", 1), bad, registration("s", 3), registration("s", 1)];
    let outcomes = world.native.register_batch(&by(&default, "me"), items).await;
    let created: Vec<_> = outcomes.iter().map(|o| o.as_ref().map(|r| r.created).ok()).collect();
    assert_eq!(created, [Some(true), None, Some(true), Some(false)]);
    assert_eq!(outcomes[1].as_ref().unwrap_err().details["field"], "portNumber");
    assert_eq!(world.native.list(&default).len(), 2);
}

#[tokio::test]
async fn a_change_names_the_version_it_was_made_for() {
    let world = World::start(Arc::new(FakeStore::default())).await;
    let default = TenantId::default_tenant();
    let native = &world.native;
    let id = native.register(&by(&default, "me"), registration("s", 1)).await.unwrap().instance_id;
    let id = id.to_string();
    let me = by(&default, "me");
    let weigh = |weight: u32, version: Option<i64>| {
        let body = json!({"weightValue": weight, "currentVersion": version});
        native.update(&me, &id, InstancePatch::from_value(body).unwrap())
    };
    assert_eq!(weigh(5, Some(1)).await.unwrap().audit.version, 2);
    let late = weigh(6, Some(1)).await.unwrap_err();
    assert_eq!((late.code, &late.details["value"]), (ErrorCode::Conflict, &json!(1)));
    let racing = join_all([weigh(7, Some(2)), weigh(8, Some(2))]).await;
    assert_eq!(racing.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let read = native.get(&default, &id).unwrap();
    assert_eq!((&*read.tags, read.metadata["zone"].as_str()), (&["blue".to_owned()][..], "z1"));
    // What a GET answers, put back, changes nothing.
    let read = native.get(&default, &id).unwrap();
    let back = InstancePatch::from_value(read.to_value(Protocol::Http)).unwrap();
    assert_eq!(native.update(&by(&default, "you"), &id, back).await.unwrap().audit, read.audit);
    // Registering again keeps what it does not name.
    native.set_status(&by(&default, "op"), &id, InstanceStatus::OutOfService).await.unwrap();
    let again = native.register(&by(&default, "me"), registration("s", 1)).await.unwrap();
    assert!(!again.created);
    let read = native.get(&default, &id).unwrap();
    assert_eq!((read.status, read.audit.version), (InstanceStatus::OutOfService, 4));
}

#[tokio::test]
async fn services_and_groups_are_made_changed_and_removed() {
    let world = World::start(Arc::new(FakeStore::default())).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let new = json!({"serviceName": "s", "groupName": "g", "contextPath": "/v1"});
    let service = native
        .create_service(&by(&default, "me"), NewService::from_value(new.clone()).unwrap())
        .await
        .unwrap();
    let twice =
        native.create_service(&by(&default, "me"), NewService::from_value(new).unwrap()).await;
    assert_eq!(twice.unwrap_err().code, ErrorCode::Conflict);
    let mut said = registration("s", 1);
    said.key.service = service.key.clone();
    native.register(&by(&default, "me"), said).await.unwrap();
    let instance = world.listener.instances(&default).remove(0);
    assert_eq!(instance.context_path.as_deref(), Some("/v1"));
    let patch = ServicePatch::from_value(json!({"contextPath": null, "protocolType": "GRPC"}));
    native.update_service(&by(&default, "me"), &service.key, patch.unwrap()).await.unwrap();
    let instance = world.listener.instances(&default).remove(0);
    assert_eq!((instance.context_path.as_deref(), instance.protocol), (None, Protocol::Grpc));

    let group = GroupName::parse("g").unwrap();
    let refused = native.delete_group(&by(&default, "me"), &group, false).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    let refused =
        native.delete_service(&by(&default, "me"), &service.key, false).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
    native.delete_group(&by(&default, "me"), &group, true).await.unwrap();
    assert!(native.list_services(&default).is_empty() && native.list_groups(&default).is_empty());
    assert!(world.listener.seen.lock()[&default].is_empty());
}

#[tokio::test]
async fn without_auto_create_what_is_missing_is_not_found() {
    let settings = Settings { auto_create: false, ..Settings::default() };
    let world = World::start_with(Arc::new(FakeStore::default()), settings).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let refused = native.register(&by(&default, "me"), registration("s", 1)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::NotFound);
    let group = json!({"groupName": "DEFAULT_GROUP"});
    native.create_group(&by(&default, "me"), NewGroup::from_value(group).unwrap()).await.unwrap();
    let service = NewService::from_value(json!({"serviceName": "s"})).unwrap();
    native.create_service(&by(&default, "me"), service).await.unwrap();
    native.register(&by(&default, "me"), registration("s", 1)).await.unwrap();
}
