//! [`SnapshotStore`] over SQL.

use std::collections::BTreeMap;

use async_trait::async_trait;
use hub_registry_core::{ConfigId, ServiceKey, ServiceState, TenantId};
use sha2::{Digest, Sha256};

use super::batch::{self, Batch};
use super::error::again;
use super::row::{Columns, Row};
use super::status::CONFIG;
use super::store::SqlStore;
use super::table::Table;
use super::text::Form;
use super::value::Value;
use crate::storage::error::{Result, StorageError, StorageErrorKind};
use crate::storage::snapshot::{SnapshotBatch, SnapshotStore, SourceSnapshot};

const SOURCE_COLUMNS: &[&str] = &["tenantId", "externalConfigId", "identityHash", "lastGoodTime"];
const SERVICE_COLUMNS: &[&str] =
    &["tenantId", "externalConfigId", "serviceHash", "groupName", "serviceName", "stateJson"];
/// Names from foreign registries are longer than the longest key of MySQL; their hash is not.
const SERVICE: &[&str] = &["tenantId", "externalConfigId", "serviceHash"];

pub(super) static SOURCE: Table = Table {
    name: "HUB_REGISTRY_EXTERNAL_SNAPSHOT",
    columns: SOURCE_COLUMNS,
    key: CONFIG,
    other_key: None,
};
pub(super) static SOURCE_SERVICE: Table = Table {
    name: "HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE",
    columns: SERVICE_COLUMNS,
    key: SERVICE,
    other_key: None,
};

const TOUCH: Form = Form::Plain(
    "UPDATE HUB_REGISTRY_EXTERNAL_SNAPSHOT SET lastGoodTime = ? \
     WHERE tenantId = ? AND externalConfigId = ?",
);

#[async_trait]
impl SnapshotStore for SqlStore {
    async fn load_all(&self) -> Result<Vec<SourceSnapshot>> {
        // One transaction, so that both tables are of one moment.
        let mut tx = self.engine.read("load last known good").await?;
        let sources = tx.fetch(Form::Select(&SOURCE, ""), &[]).await?;
        let order = " ORDER BY tenantId, externalConfigId, groupName, serviceName";
        let services = tx.fetch(Form::Select(&SOURCE_SERVICE, order), &[]).await?;
        tx.commit().await?;
        let mut states: BTreeMap<SourceKey, Vec<KeptService>> = BTreeMap::new();
        for row in &services {
            let (source, service) = kept_service(row);
            states.entry(source).or_default().push(service);
        }
        let mut loaded = Vec::with_capacity(sources.len());
        for row in &sources {
            let mut columns = Columns::new(row, SOURCE_COLUMNS);
            let key = (columns.key("tenantId"), columns.key("externalConfigId"));
            let hash = columns.key("identityHash");
            let last_good_ms = columns.int("lastGoodTime").unwrap_or(0);
            let services = states.remove(&key).unwrap_or_default();
            match snapshot(&key, hash, last_good_ms, &services) {
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
        let encode = |state: &ServiceState| Ok((hash(&state.key), serde_json::to_string(state)?));
        let puts: Result<Vec<_>, serde_json::Error> = batch.puts.iter().map(encode).collect();
        let puts = puts.map_err(|error| {
            let kind = StorageErrorKind::Internal;
            StorageError::new(kind, "save last known good").with_source(error)
        })?;
        let removes: Vec<_> = batch.removes.iter().map(hash).collect();
        again(|| self.write_snapshot(&batch, &puts, &removes)).await
    }

    async fn touch(&self, tenant: &TenantId, config: &ConfigId, last_good_ms: i64) -> Result<()> {
        again(|| self.touch_snapshot(tenant, config, last_good_ms)).await
    }

    async fn remove(&self, tenant: &TenantId, config: &ConfigId) -> Result<()> {
        again(|| self.remove_snapshot(tenant, config)).await
    }
}

impl SqlStore {
    async fn write_snapshot(
        &self,
        batch: &SnapshotBatch,
        puts: &[(String, String)],
        removes: &[String],
    ) -> Result<()> {
        let (tenant, config) =
            (Value::from(batch.tenant.as_str()), Value::from(batch.config_id.as_str()));
        let mut tx = self.engine.write("save last known good").await?;
        let mut source = Batch::new(&SOURCE, CONFIG);
        let (identity, last_good) = (batch.identity_hash.as_str(), batch.last_good_ms);
        source.put(vec![tenant, config, Value::from(identity), Value::from(last_good)]);
        source.run(&mut tx, false).await?;
        if batch.replace_all {
            batch::delete(&mut tx, &SOURCE_SERVICE, CONFIG, "", &[vec![tenant, config]]).await?;
        }
        let mut services = Batch::new(&SOURCE_SERVICE, SERVICE);
        for hash in removes {
            services.remove(vec![tenant, config, Value::from(hash.as_str())]);
        }
        for (state, (hash, json)) in batch.puts.iter().zip(puts) {
            services.put(vec![
                tenant,
                config,
                Value::from(hash.as_str()),
                Value::from(state.key.group.as_str()),
                Value::from(state.key.name.as_str()),
                Value::from(json.as_str()),
            ]);
        }
        services.run(&mut tx, false).await?;
        tx.commit().await
    }

    async fn touch_snapshot(
        &self,
        tenant: &TenantId,
        config: &ConfigId,
        last_good_ms: i64,
    ) -> Result<()> {
        let mut tx = self.engine.write("renew last known good").await?;
        let key = [Value::from(tenant.as_str()), Value::from(config.as_str())];
        tx.execute(TOUCH, &[&[Value::from(last_good_ms)], &key[..]].concat()).await?;
        tx.commit().await
    }

    async fn remove_snapshot(&self, tenant: &TenantId, config: &ConfigId) -> Result<()> {
        let mut tx = self.engine.write("forget last known good").await?;
        let key = [vec![Value::from(tenant.as_str()), Value::from(config.as_str())]];
        for table in [&SOURCE_SERVICE, &SOURCE] {
            batch::delete(&mut tx, table, CONFIG, "", &key).await?;
        }
        tx.commit().await
    }
}

type SourceKey = (String, String);
/// Group, name and state.
type KeptService = (String, String, String);

fn kept_service(row: &Row) -> (SourceKey, KeptService) {
    let mut columns = Columns::new(row, SERVICE_COLUMNS);
    let source = (columns.key("tenantId"), columns.key("externalConfigId"));
    let name = (columns.key("groupName"), columns.key("serviceName"));
    (source, (name.0, name.1, columns.key("stateJson")))
}

fn hash(key: &ServiceKey) -> String {
    let mut hash = Sha256::new();
    hash.update(key.group.as_str());
    // No name has control characters, so no two keys give the same bytes.
    hash.update([0]);
    hash.update(key.name.as_str());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn snapshot(
    (tenant, config): &SourceKey,
    identity_hash: String,
    last_good_ms: i64,
    services: &[KeptService],
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
