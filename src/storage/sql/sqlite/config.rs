//! [`ConfigStore`] over SQLite.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hub_registry_core::{ConfigId, TenantId};
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::bind::{Statement, common_columns, time};
use super::{snapshot, status};
use crate::model::external::ExternalConfigRow;
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::external::ConfigStore;
use crate::storage::sql::columns::Columns;
use crate::storage::sql::error::During;

/// What a writer sets, in the order of [`bind`].
macro_rules! own_columns {
    () => {
        "configName, configDescription, registryType, environmentName, serverAddress, serverPort, \
         serverPath, serverScheme, authEnabled, username, password, accessToken, secretKey, \
         connectionTimeout, readTimeout, maxRetries, retryInterval, specificConfig, fieldMapping, \
         failoverEnabled, failoverConfigId, failoverStrategy, syncEnabled, syncInterval, \
         conflictResolution, editTime, editWho, oprSeqFlag, activeFlag, noteText, extProperty"
    };
}
macro_rules! own_values {
    () => {
        "?,?,?,?,?,?, ?,?,?,?,?,?,?, ?,?,?,?,?,?, ?,?,?,?,?, ?,?,?,?,?,?,?"
    };
}
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT externalConfigId, tenantId, configName, configDescription, registryType, \
             environmentName, serverAddress, serverPort, serverPath, serverScheme, authEnabled, \
             username, password, accessToken, secretKey, connectionTimeout, readTimeout, \
             maxRetries, retryInterval, specificConfig, fieldMapping, failoverEnabled, \
             failoverConfigId, failoverStrategy, syncEnabled, syncInterval, conflictResolution, ",
            common_columns!(),
            " FROM HUB_REGISTRY_EXTERNAL_CONFIG ",
            $rest
        )
    };
}

const LIST_ALL: &str = select!("ORDER BY tenantId, externalConfigId");
const LIST: &str = select!(
    "WHERE tenantId = ? AND (? IS NULL OR environmentName = ?) AND (? IS NULL OR registryType = ?) \
     ORDER BY configName, environmentName"
);
const GET: &str = select!("WHERE tenantId = ? AND externalConfigId = ?");
const INSERT: &str = concat!(
    "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG (",
    own_columns!(),
    ", tenantId, externalConfigId, addTime, addWho, currentVersion) VALUES (",
    own_values!(),
    ", ?, ?, ?, ?, 1)"
);
const UPDATE: &str = concat!(
    "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET (",
    own_columns!(),
    ", currentVersion) = (",
    own_values!(),
    ", coalesce(currentVersion, 0) + 1) WHERE tenantId = ? AND externalConfigId = ?"
);
const VERSION: &str = "SELECT coalesce(currentVersion, 0) FROM HUB_REGISTRY_EXTERNAL_CONFIG \
     WHERE tenantId = ? AND externalConfigId = ?";
const DELETE: &str =
    "DELETE FROM HUB_REGISTRY_EXTERNAL_CONFIG WHERE tenantId = ? AND externalConfigId = ?";
const SET_ACTIVE: &str = "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG \
     SET activeFlag = ?, editTime = ?, editWho = ?, \
         currentVersion = coalesce(currentVersion, 0) + 1 \
     WHERE tenantId = ? AND externalConfigId = ? AND activeFlag IS NOT ?";

#[async_trait]
impl ConfigStore for Sqlite {
    async fn list_all(&self) -> Result<Vec<ExternalConfigRow>> {
        let rows = sqlx::query(LIST_ALL).fetch_all(&self.reader).await.during("list configs")?;
        Ok(rows.iter().map(read).collect())
    }

    async fn list(
        &self,
        tenant: &TenantId,
        environment: Option<&str>,
        registry_type: Option<&str>,
    ) -> Result<Vec<ExternalConfigRow>> {
        let list = sqlx::query(LIST).bind(tenant.as_str());
        let list = list.bind(environment).bind(environment);
        let list = list.bind(registry_type).bind(registry_type);
        let rows = list.fetch_all(&self.reader).await.during("list configs")?;
        Ok(rows.iter().map(read).collect())
    }

    async fn get(&self, tenant: &TenantId, id: &ConfigId) -> Result<Option<ExternalConfigRow>> {
        let get = sqlx::query(GET).bind(tenant.as_str()).bind(id.as_str());
        let row = get.fetch_optional(&self.reader).await.during("get config")?;
        Ok(row.as_ref().map(read))
    }

    async fn insert(&self, row: &ExternalConfigRow) -> Result<()> {
        const ADD: &str = "insert config";
        let mut tx = self.write(ADD).await?;
        bind(sqlx::query(INSERT), row)
            .bind(&row.tenant_id)
            .bind(&row.external_config_id)
            .bind(time(row.common.add_time))
            .bind(&row.common.add_who)
            .execute(&mut *tx)
            .await
            .during(ADD)?;
        tx.commit().await.during(ADD)
    }

    async fn update(&self, row: &ExternalConfigRow, expected_version: Option<i64>) -> Result<bool> {
        const CHANGE: &str = "update config";
        let mut tx = self.write(CHANGE).await?;
        let version =
            sqlx::query_scalar(VERSION).bind(&row.tenant_id).bind(&row.external_config_id);
        let version: Option<i64> = version.fetch_optional(&mut *tx).await.during(CHANGE)?;
        let Some(version) = version else {
            return Ok(false);
        };
        if expected_version.is_some_and(|expected| expected != version) {
            return Err(StorageError::new(StorageErrorKind::Conflict, CHANGE));
        }
        bind(sqlx::query(UPDATE), row)
            .bind(&row.tenant_id)
            .bind(&row.external_config_id)
            .execute(&mut *tx)
            .await
            .during(CHANGE)?;
        tx.commit().await.during(CHANGE)?;
        Ok(true)
    }

    async fn delete(&self, tenant: &TenantId, id: &ConfigId) -> Result<bool> {
        const REMOVE: &str = "delete config";
        let mut tx = self.write(REMOVE).await?;
        let mut found = 0;
        let statements =
            [status::DELETE, snapshot::FORGET_SERVICES, snapshot::FORGET_SOURCE, DELETE];
        for statement in statements {
            let delete = sqlx::query(statement).bind(tenant.as_str()).bind(id.as_str());
            found = delete.execute(&mut *tx).await.during(REMOVE)?.rows_affected();
        }
        tx.commit().await.during(REMOVE)?;
        Ok(found > 0)
    }

    async fn set_active(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        active: bool,
        who: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        const SWITCH: &str = "switch config";
        let flag = if active { "Y" } else { "N" };
        let mut tx = self.write(SWITCH).await?;
        let version = sqlx::query_scalar(VERSION).bind(tenant.as_str()).bind(id.as_str());
        let version: Option<i64> = version.fetch_optional(&mut *tx).await.during(SWITCH)?;
        sqlx::query(SET_ACTIVE)
            .bind(flag)
            .bind(time(Some(now)))
            .bind(who)
            .bind(tenant.as_str())
            .bind(id.as_str())
            .bind(flag)
            .execute(&mut *tx)
            .await
            .during(SWITCH)?;
        tx.commit().await.during(SWITCH)?;
        Ok(version.is_some())
    }
}

fn bind<'q>(statement: Statement<'q>, row: &'q ExternalConfigRow) -> Statement<'q> {
    statement
        .bind(&row.config_name)
        .bind(&row.config_description)
        .bind(&row.registry_type)
        .bind(&row.environment_name)
        .bind(&row.server_address)
        .bind(row.server_port)
        .bind(&row.server_path)
        .bind(&row.server_scheme)
        .bind(&row.auth_enabled)
        .bind(&row.username)
        .bind(row.password.as_ref().map(|secret| secret.expose()))
        .bind(row.access_token.as_ref().map(|secret| secret.expose()))
        .bind(row.secret_key.as_ref().map(|secret| secret.expose()))
        .bind(row.connection_timeout)
        .bind(row.read_timeout)
        .bind(row.max_retries)
        .bind(row.retry_interval)
        .bind(&row.specific_config)
        .bind(&row.field_mapping)
        .bind(&row.failover_enabled)
        .bind(&row.failover_config_id)
        .bind(&row.failover_strategy)
        .bind(&row.sync_enabled)
        .bind(row.sync_interval)
        .bind(&row.conflict_resolution)
        .bind(time(row.common.edit_time))
        .bind(&row.common.edit_who)
        .bind(&row.common.opr_seq_flag)
        .bind(&row.common.active_flag)
        .bind(&row.common.note_text)
        .bind(&row.common.ext_property)
}

fn read(row: &SqliteRow) -> ExternalConfigRow {
    let mut columns = Columns::new(row);
    ExternalConfigRow {
        external_config_id: columns.key("externalConfigId"),
        tenant_id: columns.key("tenantId"),
        config_name: columns.key("configName"),
        config_description: columns.text("configDescription"),
        registry_type: columns.key("registryType"),
        environment_name: columns.key("environmentName"),
        server_address: columns.key("serverAddress"),
        server_port: columns.int("serverPort"),
        server_path: columns.text("serverPath"),
        server_scheme: columns.text("serverScheme"),
        auth_enabled: columns.text("authEnabled"),
        username: columns.text("username"),
        password: columns.secret("password"),
        access_token: columns.secret("accessToken"),
        secret_key: columns.secret("secretKey"),
        connection_timeout: columns.int("connectionTimeout"),
        read_timeout: columns.int("readTimeout"),
        max_retries: columns.int("maxRetries"),
        retry_interval: columns.int("retryInterval"),
        specific_config: columns.text("specificConfig"),
        field_mapping: columns.text("fieldMapping"),
        failover_enabled: columns.text("failoverEnabled"),
        failover_config_id: columns.text("failoverConfigId"),
        failover_strategy: columns.text("failoverStrategy"),
        sync_enabled: columns.text("syncEnabled"),
        sync_interval: columns.int("syncInterval"),
        conflict_resolution: columns.text("conflictResolution"),
        common: columns.common(),
        unreadable: columns.unreadable(),
    }
}
