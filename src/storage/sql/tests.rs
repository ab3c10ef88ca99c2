//! The stores keep what they promise.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::{
    ConfigId, GroupName, Host, Instance, InstanceKey, Secret, ServiceKey, ServiceName,
    ServiceState, TenantId,
};
use tempfile::TempDir;

use super::Sqlite;
use crate::clock;
use crate::error::{Error, ErrorCode};
use crate::model::external::{ExternalConfigRow, ExternalStatusRow};
use crate::model::row::CommonColumns;
use crate::storage::{
    ConfigStore, GroupRow, HeartbeatRow, InstanceRow, NativeStore, NativeWrite, RevisionStore,
    ServiceRow, SnapshotBatch, SnapshotStore, StatusStore, StorageErrorKind,
};

async fn open() -> (TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/registry.db");
    let store = Sqlite::open(path.to_str().unwrap(), 4).await.unwrap();
    (folder, store)
}

async fn plain_sql(store: &Sqlite, sql: &'static str) {
    sqlx::query(sql).execute(&store.reader).await.unwrap();
}

fn now() -> DateTime<Utc> {
    clock::at(1_700_000_000_123)
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

fn config(id: &str, name: &str) -> ExternalConfigRow {
    ExternalConfigRow {
        external_config_id: id.to_owned(),
        tenant_id: "default".to_owned(),
        config_name: name.to_owned(),
        registry_type: "CONSUL".to_owned(),
        environment_name: "default".to_owned(),
        server_address: "127.0.0.1:8500".to_owned(),
        password: Some(Secret::new("hunter2")),
        common: CommonColumns {
            add_time: Some(now()),
            edit_time: Some(now()),
            edit_who: Some("me".to_owned()),
            current_version: Some(1),
            active_flag: Some("Y".to_owned()),
            ..CommonColumns::default()
        },
        ..ExternalConfigRow::default()
    }
}

#[tokio::test]
async fn a_row_of_plain_sql_has_every_default() {
    let (_folder, store) = open().await;
    plain_sql(
        &store,
        "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG(tenantId, configName, registryType, \
         serverAddress) VALUES('default', 'c', 'CONSUL', '127.0.0.1')",
    )
    .await;
    let rows = ConfigStore::list_all(&store).await.unwrap();
    let row = &rows[0];
    assert_eq!(row.external_config_id.len(), 32);
    assert_eq!(row.environment_name, "default");
    assert_eq!(row.server_scheme.as_deref(), Some("http"));
    assert_eq!((row.connection_timeout, row.read_timeout), (Some(5000), Some(10_000)));
    assert_eq!((row.max_retries, row.retry_interval), (Some(3), Some(1000)));
    assert_eq!(row.conflict_resolution.as_deref(), Some("primary_wins"));
    assert_eq!(row.common.current_version, Some(1));
    assert!(row.common.is_active());
    assert!(row.common.add_time.is_some(), "CURRENT_TIMESTAMP is read as a time");
    assert_eq!(row.unreadable, Vec::<&str>::new());
}

#[tokio::test]
async fn a_row_with_nonsense_does_not_hide_the_others() {
    let (_folder, store) = open().await;
    store.insert(&config("a", "a")).await.unwrap();
    store.insert(&config("b", "b")).await.unwrap();
    plain_sql(
        &store,
        "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverPort = 'x80', editTime = 'yesterday' \
         WHERE externalConfigId = 'a'",
    )
    .await;
    let rows = ConfigStore::list_all(&store).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].unreadable, ["serverPort", "editTime"]);
    assert_eq!(rows[1], config("b", "b"));
}

#[tokio::test]
async fn configs_are_compared_and_set() {
    let (_folder, store) = open().await;
    let (tenant, id) = (tenant(), ConfigId::parse("a").unwrap());
    let mut row = config("a", "a");
    store.insert(&row).await.unwrap();
    let twice = store.insert(&config("b", "a")).await.unwrap_err();
    assert_eq!(twice.kind(), StorageErrorKind::Conflict);
    assert_eq!(store.get(&tenant, &id).await.unwrap().unwrap(), row);

    row.server_address = "10.0.0.1".to_owned();
    assert!(store.update(&row, Some(1)).await.unwrap());
    let old = store.update(&row, Some(1)).await.unwrap_err();
    assert_eq!(old.kind(), StorageErrorKind::Conflict);
    row.common.current_version = Some(2);
    assert_eq!(store.get(&tenant, &id).await.unwrap().unwrap(), row);
    assert!(!store.update(&config("z", "z"), None).await.unwrap());

    assert!(store.set_active(&tenant, &id, false, "op", now()).await.unwrap());
    assert!(store.set_active(&tenant, &id, false, "op", now()).await.unwrap());
    let read = store.get(&tenant, &id).await.unwrap().unwrap();
    assert_eq!((read.common.is_active(), read.common.current_version), (false, Some(3)));
    let absent = ConfigId::parse("z").unwrap();
    assert!(!store.set_active(&tenant, &absent, true, "op", now()).await.unwrap());

    let narrowed = store.list(&tenant, Some("default"), Some("NACOS")).await.unwrap();
    assert_eq!(narrowed, []);
    assert_eq!(store.list(&tenant, None, Some("CONSUL")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn deleting_a_config_takes_status_and_snapshot_along() {
    let (_folder, store) = open().await;
    store.insert(&config("a", "a")).await.unwrap();
    let status = ExternalStatusRow {
        external_status_id: "s".to_owned(),
        tenant_id: "default".to_owned(),
        external_config_id: "a".to_owned(),
        last_error_time: Some(now()),
        response_time: Some(7),
        ..ExternalStatusRow::default()
    };
    store.upsert(std::slice::from_ref(&status)).await.unwrap();
    store.upsert(std::slice::from_ref(&status)).await.unwrap();
    assert_eq!(StatusStore::list_all(&store).await.unwrap(), [status]);
    store.save(batch(&[state("x", 2)], true)).await.unwrap();
    assert!(store.delete(&tenant(), &ConfigId::parse("a").unwrap()).await.unwrap());
    assert!(!store.delete(&tenant(), &ConfigId::parse("a").unwrap()).await.unwrap());
    assert_eq!(StatusStore::list_all(&store).await.unwrap(), []);
    assert_eq!(store.load_all().await.unwrap(), []);
}

fn state(name: &str, instances: u16) -> ServiceState {
    let key = ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap());
    let host = Host::parse("10.0.0.1").unwrap();
    let instance =
        |port| Instance::new(InstanceKey { service: key.clone(), host: host.clone(), port });
    ServiceState::new(key.clone(), (1..=instances).map(instance).collect())
}

fn batch(puts: &[ServiceState], replace_all: bool) -> SnapshotBatch {
    SnapshotBatch {
        tenant: tenant(),
        config_id: ConfigId::parse("a").unwrap(),
        identity_hash: "h".to_owned(),
        last_good_ms: 5,
        puts: puts.to_vec(),
        removes: Vec::new(),
        replace_all,
    }
}

#[tokio::test]
async fn a_snapshot_is_whole_or_not_there() {
    let (_folder, store) = open().await;
    store.save(batch(&[state("x", 2), state("y", 0)], true)).await.unwrap();
    let mut changed = batch(&[state("x", 3)], false);
    changed.removes = vec![state("y", 0).key];
    store.save(changed).await.unwrap();
    store.touch(&tenant(), &ConfigId::parse("a").unwrap(), 9).await.unwrap();
    let loaded = store.load_all().await.unwrap();
    assert_eq!(loaded[0].services, [state("x", 3)]);
    assert_eq!(loaded[0].last_good_ms, 9);
    store.save(batch(&[state("z", 1)], true)).await.unwrap();
    assert_eq!(store.load_all().await.unwrap()[0].services, [state("z", 1)]);
    store.save(batch(&[state("w", 1)], false)).await.unwrap();
    plain_sql(
        &store,
        "UPDATE HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE SET stateJson = '{' WHERE serviceName = 'z'",
    )
    .await;
    assert_eq!(store.load_all().await.unwrap(), []);
    store.remove(&tenant(), &ConfigId::parse("a").unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_ceiling_never_falls() {
    let (_folder, store) = open().await;
    assert_eq!(store.ceiling("view").await.unwrap(), 0);
    store.raise("view", 100).await.unwrap();
    store.raise("view", 50).await.unwrap();
    assert_eq!(store.ceiling("view").await.unwrap(), 100);
}

#[tokio::test]
async fn native_rows_come_back_as_written() {
    let (_folder, store) = open().await;
    let common = config("a", "a").common;
    let group = GroupRow {
        service_group_id: "g".to_owned(),
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        common: common.clone(),
        ..GroupRow::default()
    };
    let service = ServiceRow {
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: "s".to_owned(),
        common: common.clone(),
        ..ServiceRow::default()
    };
    let mut instance = InstanceRow {
        service_instance_id: "i".to_owned(),
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: "s".to_owned(),
        host_address: "h".to_owned(),
        port_number: Some(1),
        register_time: Some(now()),
        common,
        ..InstanceRow::default()
    };
    let writes = [
        NativeWrite::PutGroup(group.clone()),
        NativeWrite::PutService(service.clone()),
        NativeWrite::PutInstance(instance.clone()),
    ];
    store.commit(&writes).await.unwrap();
    store.commit(&writes).await.unwrap();
    let beat = HeartbeatRow {
        tenant_id: "t".to_owned(),
        service_instance_id: "i".to_owned(),
        last_heartbeat_time: Some(now()),
        last_health_check_time: None,
        health_status: "HEALTHY".to_owned(),
    };
    let gone = HeartbeatRow { service_instance_id: "z".to_owned(), ..beat.clone() };
    store.flush(&[beat, gone], &[]).await.unwrap();
    instance.last_heartbeat_time = Some(now());
    instance.health_status = Some("HEALTHY".to_owned());
    let rows = store.load().await.unwrap();
    assert_eq!((rows.groups, rows.services), (vec![group], vec![service]));
    assert_eq!(rows.instances, [instance]);
    let delete = [
        NativeWrite::DeleteInstance { tenant_id: "t".to_owned(), service_instance_id: "i".into() },
        NativeWrite::DeleteGroup { tenant_id: "t".to_owned(), group_name: "G".to_owned() },
        NativeWrite::DeleteService {
            tenant_id: "t".to_owned(),
            group_name: "G".to_owned(),
            service_name: "s".to_owned(),
        },
    ];
    store.commit(&delete).await.unwrap();
    assert_eq!(store.load().await.unwrap(), crate::storage::NativeRows::default());
}

#[tokio::test]
async fn readers_and_other_processes_go_on_while_we_write() {
    let (folder, store) = open().await;
    let other = Sqlite::open(folder.path().join("deep/er/registry.db").to_str().unwrap(), 1).await;
    let other = Arc::new(other.unwrap());
    let tx = store.write("test").await.unwrap();
    assert_eq!(ConfigStore::list_all(&*other).await.unwrap(), []);
    drop(tx);
    other.insert(&config("a", "a")).await.unwrap();
    assert_eq!(ConfigStore::list_all(&store).await.unwrap().len(), 1);
}

#[tokio::test]
async fn errors_and_debug_tell_no_secret() {
    let (_folder, store) = open().await;
    let row = config("a", "a");
    assert!(!format!("{row:?}").contains("hunter2"));
    store.close().await;
    let error = store.insert(&row).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Unavailable);
    assert!(!error.to_string().contains("hunter2"));
    assert_eq!(Error::from(error).code, ErrorCode::Unavailable);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    std::fs::write(&path, "this is not a database, but it is long enough to look at".repeat(30))
        .unwrap();
    let error = Sqlite::open(path.to_str().unwrap(), 1).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Corrupt);
    assert!(Sqlite::open(":memory:", 3).await.is_ok());
}
