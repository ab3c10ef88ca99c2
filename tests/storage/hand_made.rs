//! Rows that somebody made with plain SQL.

use hub_registry::storage::{ConfigStore, NativeStore, StatusStore, StorageErrorKind};

use crate::database::{Database, Kind};
use crate::sample::{put, status};

const CONFIG: &str = "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG \
    (tenantId, configName, registryType, serverAddress) VALUES ('default', 'c', 'CONSUL', '127.0.0.1')";

pub(crate) async fn a_row_of_plain_sql_has_every_default(database: &Database) {
    database.sql(CONFIG).await;
    let rows = ConfigStore::list_all(&database.store).await.unwrap();
    let row = &rows[0];
    assert_eq!(row.external_config_id.len(), 32);
    assert_eq!(row.environment_name, "default");
    assert_eq!(row.server_scheme.as_deref(), Some("http"));
    assert_eq!((row.connection_timeout, row.read_timeout), (Some(5000), Some(10_000)));
    assert_eq!((row.max_retries, row.retry_interval), (Some(3), Some(1000)));
    assert_eq!((row.sync_interval, row.sync_enabled.as_deref()), (Some(30), Some("N")));
    assert_eq!(row.conflict_resolution.as_deref(), Some("primary_wins"));
    assert_eq!(row.common.current_version, Some(1));
    assert!(row.common.is_active());
    let made = row.common.add_time.unwrap();
    let age = (hub_registry::clock::Clock::System.now() - made).num_seconds().abs();
    assert!(age < 60, "the default is the time now, in UTC: {made}");
    assert_eq!(row.unreadable, Vec::<&str>::new());
}

pub(crate) async fn native_rows_of_plain_sql_have_every_default(database: &Database) {
    database
        .sql(
            "INSERT INTO HUB_REGISTRY_SERVICE_GROUP (tenantId, groupName) VALUES ('t', 'g');\
             INSERT INTO HUB_REGISTRY_SERVICE (tenantId, groupName, serviceName) VALUES ('t', 'g', 's');\
             INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE (tenantId, groupName, serviceName, hostAddress, portNumber) \
             VALUES ('t', 'g', 's', 'h', 80);\
             INSERT INTO HUB_REGISTRY_SERVICE_EVENT (tenantId) VALUES ('t');\
             INSERT INTO HUB_REGISTRY_EXTERNAL_STATUS (tenantId, externalConfigId) VALUES ('t', 'c');\
             INSERT INTO HUB_REGISTRY_ACCESS_TOKEN (tenantId, tokenHash) VALUES ('t', 'h');",
        )
        .await;
    let rows = database.store.load().await.unwrap();
    let (group, service, instance) = (&rows.groups[0], &rows.services[0], &rows.instances[0]);
    assert_eq!((group.service_group_id.len(), group.group_type.as_deref()), (32, Some("BUSINESS")));
    assert_eq!(group.default_health_check_interval_seconds, Some(30));
    assert_eq!(service.health_check_url.as_deref(), Some("/health"));
    assert_eq!((instance.service_instance_id.len(), instance.weight_value), (32, Some(100)));
    assert_eq!((instance.lease_seconds, instance.ephemeral.as_deref()), (Some(30), Some("Y")));
    assert!(instance.register_time.is_some() && instance.last_heartbeat_time.is_none());
    let unreadable = [&group.unreadable, &service.unreadable, &instance.unreadable];
    assert!(unreadable.iter().all(|columns| columns.is_empty()), "{unreadable:?}");
    let statuses = StatusStore::list_all(&database.store).await.unwrap();
    assert_eq!(statuses[0].connection_status.as_deref(), Some("DISCONNECTED"));
}

pub(crate) async fn a_row_with_another_id_gives_way(database: &Database) {
    database
        .sql(
            "INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE \
             (tenantId, serviceInstanceId, groupName, serviceName, hostAddress, portNumber) VALUES \
             ('t', 'mine', 'G', 's', '10.0.0.1', 80), ('t', 'other', 'G', 's', '10.0.0.1', 81);\
             INSERT INTO HUB_REGISTRY_SERVICE_GROUP (tenantId, serviceGroupId, groupName) \
             VALUES ('t', 'mine', 'G');",
        )
        .await;
    let group = hub_registry::storage::NativeWrite::PutGroup(crate::sample::group("G"));
    database.store.commit(&[put("1", 80), group, put("2", 82)]).await.unwrap();
    let rows = database.store.load().await.unwrap();
    let ids: Vec<_> = rows.instances.iter().map(|row| row.service_instance_id.as_str()).collect();
    assert_eq!(ids, ["1", "other", "2"]);
    let groups: Vec<_> = rows.groups.iter().map(|row| row.service_group_id.as_str()).collect();
    assert_eq!(groups, ["id-G"]);
}

pub(crate) async fn a_status_with_another_id_gives_way(database: &Database) {
    let mine = "INSERT INTO HUB_REGISTRY_EXTERNAL_STATUS \
         (tenantId, externalStatusId, externalConfigId) VALUES ('default', 'mine', 'a')";
    database.sql(mine).await;
    database.store.upsert(&[status("s", "a")]).await.unwrap();
    assert_eq!(StatusStore::list_all(&database.store).await.unwrap(), [status("s", "a")]);
}

pub(crate) async fn null_columns_are_read(database: &Database) {
    database.sql(CONFIG).await;
    database
        .sql(
            "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverScheme = NULL, authEnabled = NULL, \
             connectionTimeout = NULL, addTime = NULL, addWho = NULL, activeFlag = NULL, \
             currentVersion = NULL, failoverEnabled = ''",
        )
        .await;
    let row = ConfigStore::list_all(&database.store).await.unwrap().remove(0);
    assert_eq!(row.unreadable, [""; 0]);
    assert_eq!((row.server_scheme, row.connection_timeout), (None, None));
    assert_eq!((row.common.add_time, row.common.current_version), (None, None));
    assert!(row.common.is_active());
    assert_eq!(row.failover_enabled.as_deref(), Some(""), "not padded");
    if database.kind == Kind::Postgres {
        // A type that a person may choose.
        database
            .sql(
                "ALTER TABLE HUB_REGISTRY_EXTERNAL_CONFIG ALTER serverPort TYPE SMALLINT, \
                 ALTER readTimeout TYPE BIGINT, ALTER editTime TYPE TIMESTAMP; \
                 UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET serverPort = 8500, editTime = '2024-01-02 03:04:05'",
            )
            .await;
        // What was prepared before fails once on each connection.
        let mut rows = ConfigStore::list_all(&database.store).await;
        for _ in 0..10 {
            let Err(error) = rows else { break };
            assert_eq!(error.kind(), StorageErrorKind::Unavailable, "{error}");
            rows = ConfigStore::list_all(&database.store).await;
        }
        let row = rows.unwrap().remove(0);
        assert_eq!((row.server_port, row.read_timeout), (Some(8500), Some(10_000)));
        assert!(
            row.common.edit_time.is_some() && row.unreadable.is_empty(),
            "{:?}",
            row.unreadable
        );
    }
}
