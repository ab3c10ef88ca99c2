//! [`SnapshotStore`] over SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hub_registry_core::{ConfigId, ServiceState, TenantId};

use super::Sqlite;
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::snapshot::{SnapshotBatch, SnapshotStore, SourceSnapshot};
use crate::storage::sql::error::During;

const SOURCES: &str = "SELECT tenantId, externalConfigId, identityHash, lastGoodTime \
     FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT";
const SERVICES: &str = "SELECT tenantId, externalConfigId, groupName, serviceName, stateJson \
     FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE \
     ORDER BY tenantId, externalConfigId, groupName, serviceName";
const PUT_SOURCE: &str = "INSERT OR REPLACE INTO HUB_REGISTRY_EXTERNAL_SNAPSHOT \
     (tenantId, externalConfigId, identityHash, lastGoodTime) VALUES (?, ?, ?, ?)";
const TOUCH: &str = "UPDATE HUB_REGISTRY_EXTERNAL_SNAPSHOT SET lastGoodTime = ? \
     WHERE tenantId = ? AND externalConfigId = ?";
pub(super) const FORGET_SOURCE: &str =
    "DELETE FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT WHERE tenantId = ? AND externalConfigId = ?";
pub(super) const FORGET_SERVICES: &str = "DELETE FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE \
     WHERE tenantId = ? AND externalConfigId = ?";
const PUT_SERVICE: &str = "INSERT OR REPLACE INTO HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE \
     (tenantId, externalConfigId, groupName, serviceName, stateJson) VALUES (?, ?, ?, ?, ?)";
const FORGET_SERVICE: &str = "DELETE FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE \
     WHERE tenantId = ? AND externalConfigId = ? AND groupName = ? AND serviceName = ?";

type SourceKey = (String, String);

#[async_trait]
impl SnapshotStore for Sqlite {
    async fn load_all(&self) -> Result<Vec<SourceSnapshot>> {
        const LOAD: &str = "load last known good";
        // One transaction, so that both tables are of one moment.
        let mut tx = self.reader.begin().await.during(LOAD)?;
        let sources: Vec<(String, String, String, i64)> =
            sqlx::query_as(SOURCES).fetch_all(&mut *tx).await.during(LOAD)?;
        let services: Vec<(String, String, String, String, String)> =
            sqlx::query_as(SERVICES).fetch_all(&mut *tx).await.during(LOAD)?;
        tx.commit().await.during(LOAD)?;
        let mut states: BTreeMap<SourceKey, Vec<(String, String, String)>> = BTreeMap::new();
        for (tenant, config, group, name, json) in services {
            states.entry((tenant, config)).or_default().push((group, name, json));
        }
        let mut loaded = Vec::with_capacity(sources.len());
        for (tenant, config, identity_hash, last_good_ms) in sources {
            let key = (tenant, config);
            let services = states.remove(&key).unwrap_or_default();
            match snapshot(&key, identity_hash, last_good_ms, &services) {
                Ok(snapshot) => loaded.push(snapshot),
                Err(reason) => {
                    tracing::warn!(tenant.id = key.0, config.id = key.1, %reason,
                        "last known good of a source dropped: it cannot be read");
                }
            }
        }
        Ok(loaded)
    }

    async fn save(&self, batch: SnapshotBatch) -> Result<()> {
        const SAVE: &str = "save last known good";
        let (tenant, config) = (batch.tenant.as_str(), batch.config_id.as_str());
        let encoded: Vec<String> =
            batch.puts.iter().map(serde_json::to_string).collect::<Result<_, _>>().map_err(
                |error| StorageError::new(StorageErrorKind::Internal, SAVE).with_source(error),
            )?;
        let mut tx = self.write(SAVE).await?;
        sqlx::query(PUT_SOURCE)
            .bind(tenant)
            .bind(config)
            .bind(&batch.identity_hash)
            .bind(batch.last_good_ms)
            .execute(&mut *tx)
            .await
            .during(SAVE)?;
        if batch.replace_all {
            let forget = sqlx::query(FORGET_SERVICES).bind(tenant).bind(config);
            forget.execute(&mut *tx).await.during(SAVE)?;
        }
        for key in &batch.removes {
            let forget = sqlx::query(FORGET_SERVICE).bind(tenant).bind(config);
            let forget = forget.bind(key.group.as_str()).bind(key.name.as_str());
            forget.execute(&mut *tx).await.during(SAVE)?;
        }
        for (state, json) in batch.puts.iter().zip(&encoded) {
            let put = sqlx::query(PUT_SERVICE).bind(tenant).bind(config);
            let put = put.bind(state.key.group.as_str()).bind(state.key.name.as_str()).bind(json);
            put.execute(&mut *tx).await.during(SAVE)?;
        }
        tx.commit().await.during(SAVE)
    }

    async fn touch(&self, tenant: &TenantId, config: &ConfigId, last_good_ms: i64) -> Result<()> {
        const TOUCHING: &str = "renew last known good";
        let mut tx = self.write(TOUCHING).await?;
        let touch = sqlx::query(TOUCH).bind(last_good_ms);
        let touch = touch.bind(tenant.as_str()).bind(config.as_str());
        touch.execute(&mut *tx).await.during(TOUCHING)?;
        tx.commit().await.during(TOUCHING)
    }

    async fn remove(&self, tenant: &TenantId, config: &ConfigId) -> Result<()> {
        const REMOVE: &str = "forget last known good";
        let mut tx = self.write(REMOVE).await?;
        for statement in [FORGET_SERVICES, FORGET_SOURCE] {
            let forget = sqlx::query(statement).bind(tenant.as_str()).bind(config.as_str());
            forget.execute(&mut *tx).await.during(REMOVE)?;
        }
        tx.commit().await.during(REMOVE)
    }
}

fn snapshot(
    (tenant, config): &SourceKey,
    identity_hash: String,
    last_good_ms: i64,
    services: &[(String, String, String)],
) -> Result<SourceSnapshot, String> {
    let mut states = Vec::with_capacity(services.len());
    for (group, name, json) in services {
        let state: ServiceState =
            serde_json::from_str(json).map_err(|error| format!("{group}/{name}: {error}"))?;
        if state.key.group.as_str() != group || state.key.name.as_str() != name {
            return Err(format!("{group}/{name}: the state is that of {}", state.key));
        }
        states.push(state);
    }
    Ok(SourceSnapshot {
        tenant: TenantId::parse(tenant).map_err(|error| error.to_string())?,
        config_id: ConfigId::parse(config).map_err(|error| error.to_string())?,
        identity_hash,
        last_good_ms,
        services: states,
    })
}
