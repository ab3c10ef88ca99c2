//! [`StatusStore`] over SQL.

use async_trait::async_trait;
use hub_registry_core::{ConfigId, TenantId};

use super::batch::{self, Batch};
use super::error::again;
use super::store::SqlStore;
use super::table::{Table, columns};
use super::text::Form;
use super::value::Value;
use crate::model::external::ExternalStatusRow;
use crate::storage::error::{Result, StorageErrorKind};
use crate::storage::external::StatusStore;

/// Which configuration it is about.
pub(super) const CONFIG: &[&str] = &["tenantId", "externalConfigId"];

pub(super) static STATUS: Table = Table {
    name: "HUB_REGISTRY_EXTERNAL_STATUS",
    columns: COLUMNS,
    key: &["tenantId", "externalStatusId"],
    other_key: Some(CONFIG),
};

columns!(ExternalStatusRow {
    external_status_id: key "externalStatusId",
    tenant_id: key "tenantId",
    external_config_id: key "externalConfigId",
    connection_status: text "connectionStatus",
    health_status: text "healthStatus",
    last_connect_time: time "lastConnectTime",
    last_disconnect_time: time "lastDisconnectTime",
    last_health_check_time: time "lastHealthCheckTime",
    response_time: int "responseTime",
    success_count: int "successCount",
    error_count: int "errorCount",
    timeout_count: int "timeoutCount",
    failover_status: text "failoverStatus",
    failover_time: time "failoverTime",
    failover_count: int "failoverCount",
    recover_time: time "recoverTime",
    failover_details: text "failoverDetails",
    sync_status: text "syncStatus",
    last_sync_time: time "lastSyncTime",
    sync_success_count: int "syncSuccessCount",
    sync_error_count: int "syncErrorCount",
    last_error_message: text "lastErrorMessage",
    last_error_time: time "lastErrorTime",
    error_details: text "errorDetails",
});

#[async_trait]
impl StatusStore for SqlStore {
    async fn list_all(&self) -> Result<Vec<ExternalStatusRow>> {
        let form = Form::Select(&STATUS, " ORDER BY tenantId, externalConfigId");
        let rows = self.engine.fetch("list status", form, &[]).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn upsert(&self, rows: &[ExternalStatusRow]) -> Result<()> {
        let mut batch = Batch::new(&STATUS, CONFIG);
        rows.iter().for_each(|row| batch.put(values(row)));
        match again(|| self.write_status(&batch, false)).await {
            // Only a row made by hand has another id than ours.
            Err(error)
                if error.kind() == StorageErrorKind::Conflict
                    && !self.engine.dialect().puts_over_other_key() =>
            {
                again(|| self.write_status(&batch, true)).await
            }
            done => done,
        }
    }

    async fn forget(&self, tenant: &TenantId, id: &ConfigId) -> Result<()> {
        again(|| self.remove_status(tenant, id)).await
    }
}

impl SqlStore {
    async fn write_status(&self, batch: &Batch<'_>, displace: bool) -> Result<()> {
        let mut tx = self.engine.write("write status").await?;
        batch.run(&mut tx, displace).await?;
        tx.commit().await
    }

    async fn remove_status(&self, tenant: &TenantId, id: &ConfigId) -> Result<()> {
        let mut tx = self.engine.write("remove status").await?;
        let key = vec![Value::from(tenant.as_str()), Value::from(id.as_str())];
        batch::delete(&mut tx, &STATUS, CONFIG, "", &[key]).await?;
        tx.commit().await
    }
}
