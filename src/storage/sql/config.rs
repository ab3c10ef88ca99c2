//! [`ConfigStore`] over SQL.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hub_registry_core::{ConfigId, TenantId};

use super::batch;
use super::engine::Transaction;
use super::error::again;
use super::row::Columns;
use super::snapshot::{SOURCE, SOURCE_SERVICE};
use super::status::{CONFIG, STATUS};
use super::store::SqlStore;
use super::table::{Table, columns};
use super::text::Form;
use super::value::{Value, of};
use crate::model::external::ExternalConfigRow;
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::external::{ChangeRow, ConfigStore};

static TABLE: Table = Table {
    name: "HUB_REGISTRY_EXTERNAL_CONFIG",
    columns: COLUMNS,
    key: CONFIG,
    other_key: Some(&["tenantId", "configName", "environmentName"]),
};

columns!(ExternalConfigRow {
    external_config_id: key "externalConfigId",
    tenant_id: key "tenantId",
    config_name: key "configName",
    config_description: text "configDescription",
    registry_type: key "registryType",
    environment_name: key "environmentName",
    server_address: key "serverAddress",
    server_port: int "serverPort",
    server_path: text "serverPath",
    server_scheme: text "serverScheme",
    auth_enabled: text "authEnabled",
    username: text "username",
    password: secret "password",
    access_token: secret "accessToken",
    secret_key: secret "secretKey",
    connection_timeout: int "connectionTimeout",
    read_timeout: int "readTimeout",
    max_retries: int "maxRetries",
    retry_interval: int "retryInterval",
    specific_config: text "specificConfig",
    field_mapping: text "fieldMapping",
    failover_enabled: text "failoverEnabled",
    failover_config_id: text "failoverConfigId",
    failover_strategy: text "failoverStrategy",
    sync_enabled: text "syncEnabled",
    sync_interval: int "syncInterval",
    conflict_resolution: text "conflictResolution",
} unopened);

/// What an update does not set: what names the row, and who made it when.
const KEPT: &[&str] = &["externalConfigId", "tenantId", "addTime", "addWho"];

const LIST: &str = " WHERE tenantId = ? AND (? IS NULL OR environmentName = ?) \
     AND (? IS NULL OR registryType = ?) ORDER BY configName, environmentName";
const THIS: &str = " WHERE tenantId = ? AND externalConfigId = ?";
const SET_SECRETS: Form = Form::Plain(
    "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET password = ?, accessToken = ?, secretKey = ? \
     WHERE tenantId = ? AND externalConfigId = ?",
);
const SET_ACTIVE: Form = Form::Plain(
    "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET activeFlag = ?, editTime = ?, editWho = ?, \
     currentVersion = ? WHERE tenantId = ? AND externalConfigId = ?",
);

#[async_trait]
impl ConfigStore for SqlStore {
    async fn list_all(&self) -> Result<Vec<ExternalConfigRow>> {
        let form = Form::Select(&TABLE, " ORDER BY tenantId, externalConfigId");
        let rows = self.engine.fetch("list configs", form, &[]).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn list(
        &self,
        tenant: &TenantId,
        environment: Option<&str>,
        registry_type: Option<&str>,
    ) -> Result<Vec<ExternalConfigRow>> {
        let (environment, kind) = (Value::from(environment), Value::from(registry_type));
        let values = [Value::from(tenant.as_str()), environment, environment, kind, kind];
        let rows = self.engine.fetch("list configs", Form::Select(&TABLE, LIST), &values).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn get(&self, tenant: &TenantId, id: &ConfigId) -> Result<Option<ExternalConfigRow>> {
        let key = [Value::from(tenant.as_str()), Value::from(id.as_str())];
        let rows = self.engine.fetch("get config", Form::Select(&TABLE, THIS), &key).await?;
        Ok(rows.first().map(read))
    }

    async fn insert(&self, row: &ExternalConfigRow) -> Result<()> {
        again(|| self.insert_config(row)).await
    }

    async fn update(&self, row: &ExternalConfigRow, expected_version: Option<i64>) -> Result<bool> {
        again(|| self.update_config(row, expected_version)).await
    }

    async fn delete(&self, tenant: &TenantId, id: &ConfigId) -> Result<bool> {
        again(|| self.delete_config(tenant, id)).await
    }

    async fn set_active(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        active: bool,
        who: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        again(|| self.switch_config(tenant, id, active, who, now)).await
    }

    async fn change_secrets(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        change: &ChangeRow<'_>,
    ) -> Result<bool> {
        again(|| self.change_config_secrets(tenant, id, change)).await
    }

    async fn wipe_traces(&self) -> Result<bool> {
        self.engine.wipe_traces("wipe traces").await
    }
}

impl SqlStore {
    async fn insert_config(&self, row: &ExternalConfigRow) -> Result<()> {
        let mut tx = self.engine.write("insert config").await?;
        batch::insert(&mut tx, &TABLE, &[with_version(row, 1)]).await?;
        tx.commit().await
    }

    async fn update_config(&self, row: &ExternalConfigRow, expected: Option<i64>) -> Result<bool> {
        const CHANGE: &str = "update config";
        let mut tx = self.engine.write(CHANGE).await?;
        let key =
            [Value::from(row.tenant_id.as_str()), Value::from(row.external_config_id.as_str())];
        let Some(before) = stored(&mut tx, &key).await? else {
            tx.commit().await?;
            return Ok(false);
        };
        if expected.is_some_and(|expected| expected != before.version) {
            tx.commit().await?;
            return Err(StorageError::new(StorageErrorKind::Conflict, CHANGE));
        }
        let set = with_version(row, before.version + 1).into_iter().zip(COLUMNS);
        let set = set.filter(|(_, name)| !KEPT.contains(name)).map(|(value, _)| value);
        let values: Vec<_> = set.chain(key).collect();
        tx.execute(Form::Update(&TABLE, KEPT), &values).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn delete_config(&self, tenant: &TenantId, id: &ConfigId) -> Result<bool> {
        let mut tx = self.engine.write("delete config").await?;
        let key = [vec![Value::from(tenant.as_str()), Value::from(id.as_str())]];
        let gone = batch::delete(&mut tx, &TABLE, CONFIG, "", &key).await?;
        for table in [&STATUS, &SOURCE_SERVICE, &SOURCE] {
            batch::delete(&mut tx, table, CONFIG, "", &key).await?;
        }
        tx.commit().await?;
        Ok(gone > 0)
    }

    async fn switch_config(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        active: bool,
        who: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let mut tx = self.engine.write("switch config").await?;
        let key = [Value::from(tenant.as_str()), Value::from(id.as_str())];
        let before = stored(&mut tx, &key).await?;
        let flag = if active { "Y" } else { "N" };
        if let Some(before) = before.as_ref().filter(|row| row.flag.as_deref() != Some(flag)) {
            let version = Value::from(before.version + 1);
            let set = [Value::from(flag), Value::from(now), Value::from(who), version];
            tx.execute(SET_ACTIVE, &[&set[..], &key[..]].concat()).await?;
        }
        tx.commit().await?;
        Ok(before.is_some())
    }

    async fn change_config_secrets(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        change: &ChangeRow<'_>,
    ) -> Result<bool> {
        let mut tx = self.engine.write("change secrets").await?;
        let key = [Value::from(tenant.as_str()), Value::from(id.as_str())];
        let rows = tx.fetch(Form::SelectToChange(&TABLE, THIS), &key).await?;
        let Some(before) = rows.first().map(read) else {
            tx.commit().await?;
            return Ok(false);
        };
        let mut after = before.clone();
        change(&mut after);
        // A column of another type reads as empty: writing it back would be a loss.
        let legible = after.secrets_mut().iter().all(|(c, _)| !before.unreadable.contains(c));
        let changed = legible && after != before;
        if changed {
            let set = [&after.password, &after.access_token, &after.secret_key];
            let set = set.map(of::secret);
            tx.execute(SET_SECRETS, &[&set[..], &key[..]].concat()).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }
}

/// What a change depends on.
struct Stored {
    version: i64,
    flag: Option<String>,
}

/// The row as it is, which nobody else changes until the transaction ends.
async fn stored(tx: &mut Transaction, key: &[Value<'_>]) -> Result<Option<Stored>> {
    let rows = tx.fetch(Form::SelectToChange(&TABLE, THIS), key).await?;
    Ok(rows.first().map(|row| {
        let mut columns = Columns::new(row, COLUMNS);
        let version = columns.int("currentVersion").unwrap_or(0);
        Stored { version, flag: columns.text("activeFlag") }
    }))
}

fn with_version(row: &ExternalConfigRow, version: i64) -> batch::Values<'_> {
    let mut values = values(row);
    for place in TABLE.places(&["currentVersion"]) {
        values[place] = Value::from(version);
    }
    values
}
