//! [`NativeStore`] over SQLite.

use async_trait::async_trait;
use serde_json::json;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::bind::{Statement, common, common_columns, time};
use crate::storage::error::Result;
use crate::storage::native::{
    EventRow, GroupRow, HeartbeatRow, InstanceRow, NativeRows, NativeStore, NativeWrite, ServiceRow,
};
use crate::storage::sql::columns::Columns;
use crate::storage::sql::error::During;

macro_rules! group_columns {
    () => {
        concat!(
            "serviceGroupId, tenantId, groupName, groupDescription, groupType, ownerUserId, \
             adminUserIds, readUserIds, accessControlEnabled, defaultProtocolType, \
             defaultLoadBalanceStrategy, defaultHealthCheckUrl, \
             defaultHealthCheckIntervalSeconds, ",
            common_columns!()
        )
    };
}
macro_rules! service_columns {
    () => {
        concat!(
            "tenantId, groupName, serviceName, serviceDescription, protocolType, contextPath, \
             loadBalanceStrategy, healthCheckUrl, healthCheckIntervalSeconds, \
             healthCheckTimeoutSeconds, metadataJson, tagsJson, ",
            common_columns!()
        )
    };
}
macro_rules! instance_columns {
    () => {
        concat!(
            "serviceInstanceId, tenantId, groupName, serviceName, hostAddress, portNumber, \
             contextPath, instanceStatus, healthStatus, weightValue, clientId, clientVersion, \
             clientType, metadataJson, tagsJson, registerTime, lastHeartbeatTime, \
             lastHealthCheckTime, healthCheckType, leaseSeconds, ephemeral, ",
            common_columns!()
        )
    };
}

const GROUPS: &str = concat!(
    "SELECT ",
    group_columns!(),
    " FROM HUB_REGISTRY_SERVICE_GROUP ORDER BY tenantId, groupName"
);
const SERVICES: &str = concat!(
    "SELECT ",
    service_columns!(),
    " FROM HUB_REGISTRY_SERVICE ORDER BY tenantId, groupName, serviceName"
);
const INSTANCES: &str = concat!(
    "SELECT ",
    instance_columns!(),
    " FROM HUB_REGISTRY_SERVICE_INSTANCE \
     ORDER BY tenantId, groupName, serviceName, hostAddress, portNumber"
);
// REPLACE, not ON CONFLICT: a row somebody made by hand with another id for the same name or
// address gives way too, instead of failing every write that shares the transaction.
const PUT_GROUP: &str = concat!(
    "INSERT OR REPLACE INTO HUB_REGISTRY_SERVICE_GROUP (",
    group_columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?)"
);
const PUT_SERVICE: &str = concat!(
    "INSERT OR REPLACE INTO HUB_REGISTRY_SERVICE (",
    service_columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?)"
);
const PUT_INSTANCE: &str = concat!(
    "INSERT OR REPLACE INTO HUB_REGISTRY_SERVICE_INSTANCE (",
    instance_columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?)"
);
const ADD_EVENT: &str = "INSERT INTO HUB_REGISTRY_SERVICE_EVENT (tenantId, groupName, serviceName, \
     hostAddress, portNumber, eventType, eventSource, eventDataJson, eventMessage, eventTime, \
     revision, addTime, addWho, editTime, editWho) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
const DELETE_GROUP: &str =
    "DELETE FROM HUB_REGISTRY_SERVICE_GROUP WHERE tenantId = ? AND groupName = ?";
const DELETE_SERVICE: &str =
    "DELETE FROM HUB_REGISTRY_SERVICE WHERE tenantId = ? AND groupName = ? AND serviceName = ?";
const DELETE_INSTANCE: &str =
    "DELETE FROM HUB_REGISTRY_SERVICE_INSTANCE WHERE tenantId = ? AND serviceInstanceId = ?";
/// One statement for thousands of beats: the whole batch is one bound JSON text.
const FLUSH: &str = "UPDATE HUB_REGISTRY_SERVICE_INSTANCE \
     SET lastHeartbeatTime = beat.value ->> 2, lastHealthCheckTime = beat.value ->> 3, \
         healthStatus = beat.value ->> 4 \
     FROM json_each(?) AS beat \
     WHERE tenantId = beat.value ->> 0 AND serviceInstanceId = beat.value ->> 1";

#[async_trait]
impl NativeStore for Sqlite {
    async fn load(&self) -> Result<NativeRows> {
        const LOAD: &str = "load native rows";
        // One transaction, so that the tables are of one moment.
        let mut tx = self.reader.begin().await.during(LOAD)?;
        let groups = sqlx::query(GROUPS).fetch_all(&mut *tx).await.during(LOAD)?;
        let services = sqlx::query(SERVICES).fetch_all(&mut *tx).await.during(LOAD)?;
        let instances = sqlx::query(INSTANCES).fetch_all(&mut *tx).await.during(LOAD)?;
        tx.commit().await.during(LOAD)?;
        Ok(NativeRows {
            groups: groups.iter().map(group).collect(),
            services: services.iter().map(service).collect(),
            instances: instances.iter().map(instance).collect(),
        })
    }

    async fn commit(&self, writes: &[NativeWrite]) -> Result<()> {
        const COMMIT: &str = "write native rows";
        let mut tx = self.write(COMMIT).await?;
        for write in writes {
            statement(write).execute(&mut *tx).await.during(COMMIT)?;
        }
        tx.commit().await.during(COMMIT)
    }

    async fn flush(&self, beats: &[HeartbeatRow]) -> Result<()> {
        const FLUSHING: &str = "flush heartbeats";
        let text = |at| time(at).map(|at| at.format("%F %T%.f").to_string());
        let rows: Vec<_> = beats
            .iter()
            .map(|beat| {
                let (heard, checked) = (beat.last_heartbeat_time, beat.last_health_check_time);
                json!([
                    beat.tenant_id,
                    beat.service_instance_id,
                    text(heard),
                    text(checked),
                    beat.health_status
                ])
            })
            .collect();
        let rows = serde_json::Value::Array(rows).to_string();
        let mut tx = self.write(FLUSHING).await?;
        sqlx::query(FLUSH).bind(rows).execute(&mut *tx).await.during(FLUSHING)?;
        tx.commit().await.during(FLUSHING)
    }
}

fn statement(write: &NativeWrite) -> Statement<'_> {
    match write {
        NativeWrite::PutGroup(row) => put_group(row),
        NativeWrite::PutService(row) => put_service(row),
        NativeWrite::PutInstance(row) => put_instance(row),
        NativeWrite::DeleteGroup { tenant_id, group_name } => {
            sqlx::query(DELETE_GROUP).bind(tenant_id).bind(group_name)
        }
        NativeWrite::DeleteService { tenant_id, group_name, service_name } => {
            sqlx::query(DELETE_SERVICE).bind(tenant_id).bind(group_name).bind(service_name)
        }
        NativeWrite::DeleteInstance { tenant_id, service_instance_id } => {
            sqlx::query(DELETE_INSTANCE).bind(tenant_id).bind(service_instance_id)
        }
        NativeWrite::AddEvent(row) => add_event(row),
    }
}

fn put_group(row: &GroupRow) -> Statement<'_> {
    let statement = sqlx::query(PUT_GROUP)
        .bind(&row.service_group_id)
        .bind(&row.tenant_id)
        .bind(&row.group_name)
        .bind(&row.group_description)
        .bind(&row.group_type)
        .bind(&row.owner_user_id)
        .bind(&row.admin_user_ids)
        .bind(&row.read_user_ids)
        .bind(&row.access_control_enabled)
        .bind(&row.default_protocol_type)
        .bind(&row.default_load_balance_strategy)
        .bind(&row.default_health_check_url)
        .bind(row.default_health_check_interval_seconds);
    common(statement, &row.common)
}

fn put_service(row: &ServiceRow) -> Statement<'_> {
    let statement = sqlx::query(PUT_SERVICE)
        .bind(&row.tenant_id)
        .bind(&row.group_name)
        .bind(&row.service_name)
        .bind(&row.service_description)
        .bind(&row.protocol_type)
        .bind(&row.context_path)
        .bind(&row.load_balance_strategy)
        .bind(&row.health_check_url)
        .bind(row.health_check_interval_seconds)
        .bind(row.health_check_timeout_seconds)
        .bind(&row.metadata_json)
        .bind(&row.tags_json);
    common(statement, &row.common)
}

fn put_instance(row: &InstanceRow) -> Statement<'_> {
    let statement = sqlx::query(PUT_INSTANCE)
        .bind(&row.service_instance_id)
        .bind(&row.tenant_id)
        .bind(&row.group_name)
        .bind(&row.service_name)
        .bind(&row.host_address)
        .bind(row.port_number)
        .bind(&row.context_path)
        .bind(&row.instance_status)
        .bind(&row.health_status)
        .bind(row.weight_value)
        .bind(&row.client_id)
        .bind(&row.client_version)
        .bind(&row.client_type)
        .bind(&row.metadata_json)
        .bind(&row.tags_json)
        .bind(time(row.register_time))
        .bind(time(row.last_heartbeat_time))
        .bind(time(row.last_health_check_time))
        .bind(&row.health_check_type)
        .bind(row.lease_seconds)
        .bind(&row.ephemeral);
    common(statement, &row.common)
}

fn add_event(row: &EventRow) -> Statement<'_> {
    sqlx::query(ADD_EVENT)
        .bind(&row.tenant_id)
        .bind(&row.group_name)
        .bind(&row.service_name)
        .bind(&row.host_address)
        .bind(row.port_number)
        .bind(&row.event_type)
        .bind(&row.event_source)
        .bind(&row.event_data_json)
        .bind(&row.event_message)
        .bind(time(Some(row.event_time)))
        .bind(row.revision)
        .bind(time(Some(row.event_time)))
        .bind(&row.who)
        .bind(time(Some(row.event_time)))
        .bind(&row.who)
}

fn group(row: &SqliteRow) -> GroupRow {
    let mut columns = Columns::new(row);
    GroupRow {
        service_group_id: columns.key("serviceGroupId"),
        tenant_id: columns.key("tenantId"),
        group_name: columns.key("groupName"),
        group_description: columns.text("groupDescription"),
        group_type: columns.text("groupType"),
        owner_user_id: columns.text("ownerUserId"),
        admin_user_ids: columns.text("adminUserIds"),
        read_user_ids: columns.text("readUserIds"),
        access_control_enabled: columns.text("accessControlEnabled"),
        default_protocol_type: columns.text("defaultProtocolType"),
        default_load_balance_strategy: columns.text("defaultLoadBalanceStrategy"),
        default_health_check_url: columns.text("defaultHealthCheckUrl"),
        default_health_check_interval_seconds: columns.int("defaultHealthCheckIntervalSeconds"),
        common: columns.common(),
        unreadable: columns.unreadable(),
    }
}

fn service(row: &SqliteRow) -> ServiceRow {
    let mut columns = Columns::new(row);
    ServiceRow {
        tenant_id: columns.key("tenantId"),
        group_name: columns.key("groupName"),
        service_name: columns.key("serviceName"),
        service_description: columns.text("serviceDescription"),
        protocol_type: columns.text("protocolType"),
        context_path: columns.text("contextPath"),
        load_balance_strategy: columns.text("loadBalanceStrategy"),
        health_check_url: columns.text("healthCheckUrl"),
        health_check_interval_seconds: columns.int("healthCheckIntervalSeconds"),
        health_check_timeout_seconds: columns.int("healthCheckTimeoutSeconds"),
        metadata_json: columns.text("metadataJson"),
        tags_json: columns.text("tagsJson"),
        common: columns.common(),
        unreadable: columns.unreadable(),
    }
}

fn instance(row: &SqliteRow) -> InstanceRow {
    let mut columns = Columns::new(row);
    InstanceRow {
        service_instance_id: columns.key("serviceInstanceId"),
        tenant_id: columns.key("tenantId"),
        group_name: columns.key("groupName"),
        service_name: columns.key("serviceName"),
        host_address: columns.key("hostAddress"),
        port_number: columns.int("portNumber"),
        context_path: columns.text("contextPath"),
        instance_status: columns.text("instanceStatus"),
        health_status: columns.text("healthStatus"),
        weight_value: columns.int("weightValue"),
        client_id: columns.text("clientId"),
        client_version: columns.text("clientVersion"),
        client_type: columns.text("clientType"),
        metadata_json: columns.text("metadataJson"),
        tags_json: columns.text("tagsJson"),
        register_time: columns.time("registerTime"),
        last_heartbeat_time: columns.time("lastHeartbeatTime"),
        last_health_check_time: columns.time("lastHealthCheckTime"),
        health_check_type: columns.text("healthCheckType"),
        lease_seconds: columns.int("leaseSeconds"),
        ephemeral: columns.text("ephemeral"),
        common: columns.common(),
        unreadable: columns.unreadable(),
    }
}
