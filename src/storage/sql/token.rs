//! [`TokenStore`] over SQL.

use async_trait::async_trait;

use super::batch;
use super::error::again;
use super::store::SqlStore;
use super::table::{Table, columns};
use super::text::Form;
use super::value::Value;
use crate::storage::access::{TokenRow, TokenStore};
use crate::storage::error::Result;

const ID: &[&str] = &["tokenId"];

static TOKEN: Table =
    Table { name: "HUB_REGISTRY_ACCESS_TOKEN", columns: COLUMNS, key: ID, other_key: None };

columns!(TokenRow {
    token_id: key "tokenId",
    tenant_id: key "tenantId",
    token_name: key "tokenName",
    token_hash: key "tokenHash",
    token_prefix: key "tokenPrefix",
    user_id: key "userId",
    role: key "role",
    group_names: text "groupNames",
    expire_time: time "expireTime",
});

#[async_trait]
impl TokenStore for SqlStore {
    async fn list_all(&self) -> Result<Vec<TokenRow>> {
        let form = Form::Select(&TOKEN, " ORDER BY tenantId, tokenId");
        let rows = self.engine.fetch("list tokens", form, &[]).await?;
        Ok(rows.iter().map(read).collect())
    }

    async fn insert(&self, row: &TokenRow) -> Result<()> {
        again(|| self.add_token(row)).await
    }

    async fn delete(&self, token_id: &str) -> Result<bool> {
        again(|| self.remove_token(token_id)).await
    }
}

impl SqlStore {
    async fn add_token(&self, row: &TokenRow) -> Result<()> {
        let mut tx = self.engine.write("insert token").await?;
        batch::insert(&mut tx, &TOKEN, &[values(row)]).await?;
        tx.commit().await
    }

    async fn remove_token(&self, token_id: &str) -> Result<bool> {
        let mut tx = self.engine.write("delete token").await?;
        let key = vec![Value::from(token_id)];
        let gone = batch::delete(&mut tx, &TOKEN, ID, "", &[key]).await?;
        tx.commit().await?;
        Ok(gone > 0)
    }
}
