//! Each change is told in the commit that makes it.

use std::sync::Arc;
use std::time::Duration;

use hub_registry::model::group::{GroupPatch, NewGroup};
use hub_registry::model::instance::InstancePatch;
use hub_registry::model::service::ServicePatch;
use hub_registry::native::{EventsWanted, Settings};
use hub_registry::storage::EventRow;
use hub_registry_core::{GroupName, HealthStatus, InstanceStatus, TenantId};
use serde_json::{Value, json};

use super::world::{FakeStore, Fault, World, by, registration};

fn events(store: &FakeStore) -> Vec<EventRow> {
    store.tables.lock().events.clone()
}

fn kinds(store: &FakeStore) -> Vec<String> {
    events(store).into_iter().map(|event| event.event_type).collect()
}

fn data(event: &EventRow) -> Value {
    event.event_data_json.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_with_what_changed_and_by_whom() {
    let store = Arc::new(FakeStore::default());
    let world = World::start(Arc::clone(&store) as _).await;
    let (native, default) = (&world.native, TenantId::default_tenant());
    let me = by(&default, "me");
    let id = native.register(&me, registration("s", 1)).await.unwrap().instance_id.to_string();
    assert_eq!(kinds(&store), ["GROUP_CREATE", "SERVICE_CREATE", "INSTANCE_REGISTER"]);
    let told = &events(&store)[2];
    assert_eq!((told.event_source.as_str(), told.who.as_str(), told.revision), ("native", "me", 0));
    assert_eq!((told.host_address.as_deref(), told.port_number), (Some("10.0.0.1"), Some(1)));
    // The same again changes nothing, and is not told.
    native.register(&me, registration("s", 1)).await.unwrap();
    assert_eq!(events(&store).len(), 3);
    native.set_status(&by(&default, "op"), &id, InstanceStatus::Down).await.unwrap();
    native.set_health(&me, &id, HealthStatus::Unhealthy).await.unwrap();
    let patch =
        json!({ "weightValue": 7, "metadata": { "zone": "z2" }, "extProperty": {"a": "b"} });
    native.update(&me, &id, InstancePatch::from_value(patch).unwrap()).await.unwrap();
    let told = events(&store).split_off(3);
    assert_eq!(
        (told[0].event_type.as_str(), told[0].who.as_str()),
        ("INSTANCE_STATUS_CHANGE", "op")
    );
    assert_eq!(data(&told[0]), json!({"instanceStatus": {"old": "UP", "new": "DOWN"}}));
    assert_eq!(told[1].event_type, "INSTANCE_HEALTH_CHANGE");
    assert_eq!(data(&told[1]), json!({"healthStatus": {"old": "HEALTHY", "new": "UNHEALTHY"}}));
    assert_eq!(told[2].event_type, "INSTANCE_UPDATE");
    assert_eq!(
        data(&told[2]),
        json!({
            "weightValue": {"old": 100, "new": 7}, "extProperty": {},
            "metadata": {"old": {"zone": "z1"}, "new": {"zone": "z2"}},
        })
    );
    let service = native.list_services(&default)[0].service.key.clone();
    let patch = ServicePatch::from_value(json!({"contextPath": "/x"})).unwrap();
    native.update_service(&me, &service, patch).await.unwrap();
    let group = GroupName::parse("g").unwrap();
    let new = NewGroup::from_value(json!({"groupName": "g"})).unwrap();
    native.create_group(&me, new).await.unwrap();
    let patch = GroupPatch::from_value(json!({"groupDescription": "d"})).unwrap();
    native.update_group(&me, &group, patch).await.unwrap();
    native.delete_group(&me, &group, false).await.unwrap();
    native.delete_service(&me, &service, true).await.unwrap();
    assert_eq!(
        kinds(&store).split_off(6),
        [
            "SERVICE_UPDATE",
            "GROUP_CREATE",
            "GROUP_UPDATE",
            "GROUP_DELETE",
            "INSTANCE_DEREGISTER",
            "SERVICE_DELETE"
        ]
    );
}

/// What leases move is told at once, whatever the database does.
#[tokio::test(start_paused = true)]
async fn what_leases_move_is_told_once() {
    let store = Arc::new(FakeStore::default());
    let world = World::start(Arc::clone(&store) as _).await;
    let me = by(&TenantId::default_tenant(), "me");
    let id = world.native.register(&me, registration("s", 1)).await.unwrap().instance_id;
    let told = || std::mem::take(&mut *world.listener.told.lock());
    assert_eq!(told(), events(&store), "with its commit");
    for fault in [Fault::None, Fault::Before, Fault::After] {
        *store.fault.lock() = fault;
        tokio::time::sleep(Duration::from_secs(40)).await;
        *store.fault.lock() = Fault::None;
        tokio::time::sleep(Duration::from_secs(15)).await;
        world.native.heartbeat(&me, &id.to_string()).unwrap();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let told = told();
        assert_eq!(told.len(), 2, "{fault:?}: {told:#?}");
        assert_eq!(told[0].event_message.as_deref(), Some("not heard for 30 s, its lease"));
        assert_eq!(told[1].event_message.as_deref(), Some("heard again"));
        assert!(told.iter().all(|row| row.mark.is_empty()), "they are in no commit");
    }
    store.tables.lock().events.clear();
    tokio::time::sleep(Duration::from_secs(95)).await;
    let told = told();
    assert_eq!(kinds(&store), ["INSTANCE_DEREGISTER"]);
    assert_eq!(told[0].event_type, "INSTANCE_HEALTH_CHANGE");
    assert!(told[1].event_message.as_ref().unwrap().starts_with("expired"), "{told:#?}");
    assert_eq!(told[1].who, "system");
}

/// A commit whose outcome is unknown is undone: its events are gone with it, and nobody is told.
#[tokio::test(start_paused = true)]
async fn a_failed_commit_is_never_told() {
    for fault in [Fault::Before, Fault::After] {
        let store = Arc::new(FakeStore::default());
        let world = World::start(Arc::clone(&store) as _).await;
        let me = by(&TenantId::default_tenant(), "me");
        *store.fault.lock() = fault;
        world.native.register(&me, registration("s", 1)).await.unwrap_err();
        *store.fault.lock() = Fault::None;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(events(&store), [], "{fault:?}");
        world.native.register(&me, registration("s", 1)).await.unwrap();
        assert_eq!(events(&store).len(), 3, "{fault:?}");
        assert_eq!(*world.listener.told.lock(), events(&store));
    }
}

#[tokio::test(start_paused = true)]
async fn without_events_none_is_written() {
    let store = Arc::new(FakeStore::default());
    let settings = Settings { events: EventsWanted::Nothing, ..Settings::default() };
    let world = World::start_with(Arc::clone(&store) as _, settings).await;
    let me = by(&TenantId::default_tenant(), "me");
    world.native.register(&me, registration("s", 1)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(events(&store).is_empty() && world.native.list(&TenantId::default_tenant()).is_empty());
}
