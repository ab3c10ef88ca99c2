//! [`StatusStore`] over SQLite.

use async_trait::async_trait;
use hub_registry_core::{ConfigId, TenantId};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::bind::{common, common_columns, time};
use crate::model::external::ExternalStatusRow;
use crate::storage::error::Result;
use crate::storage::external::StatusStore;
use crate::storage::sql::columns::Columns;
use crate::storage::sql::error::During;

macro_rules! columns {
    () => {
        concat!(
            "externalStatusId, tenantId, externalConfigId, connectionStatus, healthStatus, \
             lastConnectTime, lastDisconnectTime, lastHealthCheckTime, responseTime, \
             successCount, errorCount, timeoutCount, failoverStatus, failoverTime, \
             failoverCount, recoverTime, syncStatus, lastSyncTime, syncSuccessCount, \
             syncErrorCount, lastErrorMessage, lastErrorTime, errorDetails, ",
            common_columns!()
        )
    };
}

const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM HUB_REGISTRY_EXTERNAL_STATUS ORDER BY tenantId, externalConfigId"
);
const PUT: &str = concat!(
    "INSERT OR REPLACE INTO HUB_REGISTRY_EXTERNAL_STATUS (",
    columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?)"
);
pub(super) const DELETE: &str =
    "DELETE FROM HUB_REGISTRY_EXTERNAL_STATUS WHERE tenantId = ? AND externalConfigId = ?";

#[async_trait]
impl StatusStore for Sqlite {
    async fn list_all(&self) -> Result<Vec<ExternalStatusRow>> {
        let rows = sqlx::query(LIST).fetch_all(&self.reader).await.during("list status")?;
        Ok(rows.iter().map(read).collect())
    }

    async fn upsert(&self, batch: &[ExternalStatusRow]) -> Result<()> {
        const UPSERT: &str = "write status";
        let mut tx = self.write(UPSERT).await?;
        for row in batch {
            put(row).execute(&mut *tx).await.during(UPSERT)?;
        }
        tx.commit().await.during(UPSERT)
    }

    async fn forget(&self, tenant: &TenantId, id: &ConfigId) -> Result<()> {
        const REMOVE: &str = "remove status";
        let mut tx = self.write(REMOVE).await?;
        let delete = sqlx::query(DELETE).bind(tenant.as_str()).bind(id.as_str());
        delete.execute(&mut *tx).await.during(REMOVE)?;
        tx.commit().await.during(REMOVE)
    }
}

fn put(row: &ExternalStatusRow) -> super::bind::Statement<'_> {
    let statement = sqlx::query(PUT)
        .bind(&row.external_status_id)
        .bind(&row.tenant_id)
        .bind(&row.external_config_id)
        .bind(&row.connection_status)
        .bind(&row.health_status)
        .bind(time(row.last_connect_time))
        .bind(time(row.last_disconnect_time))
        .bind(time(row.last_health_check_time))
        .bind(row.response_time)
        .bind(row.success_count)
        .bind(row.error_count)
        .bind(row.timeout_count)
        .bind(&row.failover_status)
        .bind(time(row.failover_time))
        .bind(row.failover_count)
        .bind(time(row.recover_time))
        .bind(&row.sync_status)
        .bind(time(row.last_sync_time))
        .bind(row.sync_success_count)
        .bind(row.sync_error_count)
        .bind(&row.last_error_message)
        .bind(time(row.last_error_time))
        .bind(&row.error_details);
    common(statement, &row.common)
}

fn read(row: &SqliteRow) -> ExternalStatusRow {
    let mut columns = Columns::new(row);
    ExternalStatusRow {
        external_status_id: columns.key("externalStatusId"),
        tenant_id: columns.key("tenantId"),
        external_config_id: columns.key("externalConfigId"),
        connection_status: columns.text("connectionStatus"),
        health_status: columns.text("healthStatus"),
        last_connect_time: columns.time("lastConnectTime"),
        last_disconnect_time: columns.time("lastDisconnectTime"),
        last_health_check_time: columns.time("lastHealthCheckTime"),
        response_time: columns.int("responseTime"),
        success_count: columns.int("successCount"),
        error_count: columns.int("errorCount"),
        timeout_count: columns.int("timeoutCount"),
        failover_status: columns.text("failoverStatus"),
        failover_time: columns.time("failoverTime"),
        failover_count: columns.int("failoverCount"),
        recover_time: columns.time("recoverTime"),
        sync_status: columns.text("syncStatus"),
        last_sync_time: columns.time("lastSyncTime"),
        sync_success_count: columns.int("syncSuccessCount"),
        sync_error_count: columns.int("syncErrorCount"),
        last_error_message: columns.text("lastErrorMessage"),
        last_error_time: columns.time("lastErrorTime"),
        error_details: columns.text("errorDetails"),
        common: columns.common(),
        unreadable: columns.unreadable(),
    }
}
