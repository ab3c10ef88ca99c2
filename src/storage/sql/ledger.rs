//! [`LedgerStore`] over SQL.

use async_trait::async_trait;

use super::batch::{self, Batch, Values};
use super::error::again;
use super::row::{Columns, Row};
use super::store::SqlStore;
use super::table::Table;
use super::text::Form;
use super::value::{Value, of};
use crate::storage::error::Result;
use crate::storage::ledger::{CopyKey, CopyRow, LedgerStore};

const OWNER_COLUMNS: &[&str] = &["ownerName", "ownerId"];
const OWNER_KEY: &[&str] = &["ownerName"];
/// The one row there is.
const OWNER_NAME: &str = "hub";
const COLUMNS: &[&str] = &[
    "tenantId",
    "toSource",
    "copyId",
    "fromSource",
    "fromGroup",
    "fromService",
    "groupName",
    "serviceName",
    "hostAddress",
    "portNumber",
    "contentPrint",
    "orphanPolicy",
    "lostFields",
];
const KEY: &[&str] = &["tenantId", "toSource", "copyId"];

pub(super) static OWNER: Table = Table {
    name: "HUB_REGISTRY_SYNC_OWNER",
    columns: OWNER_COLUMNS,
    key: OWNER_KEY,
    other_key: None,
};
pub(super) static COPY: Table =
    Table { name: "HUB_REGISTRY_SYNC_COPY", columns: COLUMNS, key: KEY, other_key: None };

#[async_trait]
impl LedgerStore for SqlStore {
    async fn owner(&self, new: &str) -> Result<String> {
        again(|| self.read_owner(new)).await
    }

    async fn copies(&self) -> Result<Vec<CopyRow>> {
        let form = Form::Select(&COPY, " ORDER BY tenantId, toSource, copyId");
        let rows = self.engine.fetch("read what was copied", form, &[]).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn save_copies(&self, puts: &[CopyRow], removes: &[CopyKey]) -> Result<()> {
        again(|| self.write_copies(puts, removes)).await
    }
}

impl SqlStore {
    async fn read_owner(&self, new: &str) -> Result<String> {
        let mut tx = self.engine.write("read who the hub is").await?;
        let known = tx.fetch(Form::Select(&OWNER, ""), &[]).await?;
        let owner = match known.first() {
            Some(row) => Columns::new(row, OWNER_COLUMNS).key("ownerId"),
            None => {
                let row = vec![Value::from(OWNER_NAME), Value::from(new)];
                batch::insert(&mut tx, &OWNER, &[row]).await?;
                new.to_owned()
            }
        };
        tx.commit().await?;
        Ok(owner)
    }

    async fn write_copies(&self, puts: &[CopyRow], removes: &[CopyKey]) -> Result<()> {
        let mut tx = self.engine.write("write what was copied").await?;
        let mut copies = Batch::new(&COPY, KEY);
        for key in removes {
            copies.remove(vec![
                of::key(&key.tenant_id),
                of::key(&key.to_source),
                of::key(&key.copy_id),
            ]);
        }
        for row in puts {
            copies.put(values(row));
        }
        copies.sorted().run(&mut tx, false).await?;
        tx.commit().await
    }
}

fn values(row: &CopyRow) -> Values<'_> {
    vec![
        of::key(&row.key.tenant_id),
        of::key(&row.key.to_source),
        of::key(&row.key.copy_id),
        of::key(&row.from_source),
        of::key(&row.from_group),
        of::key(&row.from_service),
        of::key(&row.group_name),
        of::key(&row.service_name),
        of::key(&row.host_address),
        Value::from(row.port_number),
        of::key(&row.content_print),
        of::key(&row.orphan_policy),
        of::text(&row.lost_fields),
    ]
}

fn read(row: &Row) -> CopyRow {
    let mut columns = Columns::new(row, COLUMNS);
    CopyRow {
        key: CopyKey {
            tenant_id: columns.key("tenantId"),
            to_source: columns.key("toSource"),
            copy_id: columns.key("copyId"),
        },
        from_source: columns.key("fromSource"),
        from_group: columns.key("fromGroup"),
        from_service: columns.key("fromService"),
        group_name: columns.key("groupName"),
        service_name: columns.key("serviceName"),
        host_address: columns.key("hostAddress"),
        port_number: columns.int("portNumber").unwrap_or(0),
        content_print: columns.key("contentPrint"),
        orphan_policy: columns.key("orphanPolicy"),
        lost_fields: columns.text("lostFields"),
    }
}
