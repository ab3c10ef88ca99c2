//! [`TokenStore`] over SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;

use super::Sqlite;
use super::bind::{common, common_columns, time};
use crate::storage::access::{TokenRow, TokenStore};
use crate::storage::error::Result;
use crate::storage::sql::columns::Columns;
use crate::storage::sql::error::During;

macro_rules! columns {
    () => {
        concat!(
            "tokenId, tenantId, tokenName, tokenHash, tokenPrefix, userId, role, groupNames, \
             expireTime, ",
            common_columns!()
        )
    };
}

const LIST: &str =
    concat!("SELECT ", columns!(), " FROM HUB_REGISTRY_ACCESS_TOKEN ORDER BY tenantId, tokenId");
const INSERT: &str = concat!(
    "INSERT INTO HUB_REGISTRY_ACCESS_TOKEN (",
    columns!(),
    ") VALUES (?,?,?,?,?,?,?,?,?, ?,?,?,?,?,?,?,?,?)"
);
const DELETE: &str = "DELETE FROM HUB_REGISTRY_ACCESS_TOKEN WHERE tokenId = ?";

#[async_trait]
impl TokenStore for Sqlite {
    async fn list_all(&self) -> Result<Vec<TokenRow>> {
        let rows = sqlx::query(LIST).fetch_all(&self.reader).await.during("list tokens")?;
        Ok(rows.iter().map(read).collect())
    }

    async fn insert(&self, row: &TokenRow) -> Result<()> {
        const ADD: &str = "insert token";
        let mut tx = self.write(ADD).await?;
        let insert = sqlx::query(INSERT)
            .bind(&row.token_id)
            .bind(&row.tenant_id)
            .bind(&row.token_name)
            .bind(&row.token_hash)
            .bind(&row.token_prefix)
            .bind(&row.user_id)
            .bind(&row.role)
            .bind(&row.group_names)
            .bind(time(row.expire_time));
        common(insert, &row.common).execute(&mut *tx).await.during(ADD)?;
        tx.commit().await.during(ADD)
    }

    async fn delete(&self, token_id: &str) -> Result<bool> {
        const REMOVE: &str = "delete token";
        let mut tx = self.write(REMOVE).await?;
        let done = sqlx::query(DELETE).bind(token_id).execute(&mut *tx).await.during(REMOVE)?;
        tx.commit().await.during(REMOVE)?;
        Ok(done.rows_affected() > 0)
    }
}

fn read(row: &SqliteRow) -> TokenRow {
    let mut columns = Columns::new(row);
    TokenRow {
        token_id: columns.key("tokenId"),
        tenant_id: columns.key("tenantId"),
        token_name: columns.key("tokenName"),
        token_hash: columns.key("tokenHash"),
        token_prefix: columns.key("tokenPrefix"),
        user_id: columns.key("userId"),
        role: columns.key("role"),
        group_names: columns.text("groupNames"),
        expire_time: columns.time("expireTime"),
        common: columns.common(),
        unreadable: columns.unreadable(),
    }
}
