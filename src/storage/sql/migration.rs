//! [`MigrationStore`] over SQL.

use async_trait::async_trait;

use super::batch::{self, Batch, Values};
use super::error::again;
use super::row::{Columns, Row};
use super::store::SqlStore;
use super::table::{Table, columns};
use super::text::Form;
use super::value::{Value, of};
use crate::storage::error::Result;
use crate::storage::migration::{MigrationRow, MigrationStore, ParityRow};

const KEY: &[&str] = &["tenantId", "migrationId"];
const PARITY_KEY: &[&str] = &["tenantId", "migrationId", "sampleMillis"];
const PARITY_COLUMNS: &[&str] = &[
    "tenantId",
    "migrationId",
    "sampleMillis",
    "equalCount",
    "missingCount",
    "extraCount",
    "differentCount",
];

static MIGRATION: Table =
    Table { name: "HUB_REGISTRY_MIGRATION", columns: COLUMNS, key: KEY, other_key: None };
static PARITY: Table = Table {
    name: "HUB_REGISTRY_MIGRATION_PARITY",
    columns: PARITY_COLUMNS,
    key: PARITY_KEY,
    other_key: None,
};
/// Samples that are too old, so many at a time: one comes as one goes.
const OLD: Form = Form::Plain(
    "SELECT sampleMillis FROM HUB_REGISTRY_MIGRATION_PARITY \
     WHERE tenantId = ? AND migrationId = ? AND sampleMillis < ? \
     ORDER BY sampleMillis LIMIT 100",
);

columns!(MigrationRow {
    tenant_id: key "tenantId",
    migration_id: key "migrationId",
    migration_name: key "migrationName",
    from_name: key "fromName",
    to_name: key "toName",
    from_config_id: key "fromConfigId",
    to_config_id: key "toConfigId",
    plan_json: text "planJson",
    services_json: text "servicesJson",
    migration_state: key "migrationState",
    paused_flag: key "pausedFlag",
});

#[async_trait]
impl MigrationStore for SqlStore {
    async fn migrations(&self) -> Result<Vec<MigrationRow>> {
        let form = Form::Select(&MIGRATION, " ORDER BY tenantId, migrationId");
        let rows = self.engine.fetch("list migrations", form, &[]).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn save_migration(&self, row: &MigrationRow) -> Result<()> {
        again(|| self.put_migration(row)).await
    }

    async fn remove_migration(&self, tenant: &str, id: &str) -> Result<bool> {
        again(|| self.delete_migration(tenant, id)).await
    }

    async fn parity(&self, tenant: &str, id: &str) -> Result<Vec<ParityRow>> {
        let form =
            Form::Select(&PARITY, " WHERE tenantId = ? AND migrationId = ? ORDER BY sampleMillis");
        let key = [Value::from(tenant), Value::from(id)];
        let rows = self.engine.fetch("read parity", form, &key).await?;
        Ok(rows.iter().map(read_parity).collect())
    }

    async fn add_parity(&self, row: &ParityRow, oldest: i64) -> Result<()> {
        again(|| self.put_parity(row, oldest)).await
    }
}

impl SqlStore {
    async fn put_migration(&self, row: &MigrationRow) -> Result<()> {
        let mut tx = self.engine.write("write migration").await?;
        let mut batch = Batch::new(&MIGRATION, KEY);
        batch.put(values(row));
        batch.run(&mut tx, false).await?;
        tx.commit().await
    }

    async fn delete_migration(&self, tenant: &str, id: &str) -> Result<bool> {
        let mut tx = self.engine.write("delete migration").await?;
        let key = || vec![Value::from(tenant), Value::from(id)];
        let gone = batch::delete(&mut tx, &MIGRATION, KEY, "", &[key()]).await?;
        batch::delete(&mut tx, &PARITY, KEY, "", &[key()]).await?;
        tx.commit().await?;
        Ok(gone > 0)
    }

    async fn put_parity(&self, row: &ParityRow, oldest: i64) -> Result<()> {
        let mut tx = self.engine.write("write parity").await?;
        let (tenant, id) = (Value::from(&*row.tenant_id), Value::from(&*row.migration_id));
        let old = tx.fetch(OLD, &[tenant, id, Value::from(oldest)]).await?;
        let old: Vec<_> = old
            .iter()
            .filter_map(|row| Columns::new(row, &["sampleMillis"]).int("sampleMillis"))
            .map(|millis| vec![tenant, id, Value::from(millis)])
            .collect();
        if !old.is_empty() {
            batch::delete(&mut tx, &PARITY, PARITY_KEY, "", &old).await?;
        }
        let mut batch = Batch::new(&PARITY, PARITY_KEY);
        batch.put(parity_values(row));
        batch.run(&mut tx, false).await?;
        tx.commit().await
    }
}

fn parity_values(row: &ParityRow) -> Values<'_> {
    vec![
        of::key(&row.tenant_id),
        of::key(&row.migration_id),
        Value::from(row.sample_millis),
        Value::from(row.equal),
        Value::from(row.missing),
        Value::from(row.extra),
        Value::from(row.different),
    ]
}

fn read_parity(row: &Row) -> ParityRow {
    let mut columns = Columns::new(row, PARITY_COLUMNS);
    ParityRow {
        tenant_id: columns.key("tenantId"),
        migration_id: columns.key("migrationId"),
        sample_millis: columns.int("sampleMillis").unwrap_or(0),
        equal: columns.int("equalCount").unwrap_or(0),
        missing: columns.int("missingCount").unwrap_or(0),
        extra: columns.int("extraCount").unwrap_or(0),
        different: columns.int("differentCount").unwrap_or(0),
    }
}
