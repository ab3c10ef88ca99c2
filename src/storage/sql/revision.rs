//! [`RevisionStore`] over SQL.

use async_trait::async_trait;

use super::error::again;
use super::row::{Columns, Row};
use super::store::SqlStore;
use super::text::Form;
use super::value::Value;
use crate::storage::error::{Result, StorageErrorKind};
use crate::storage::revision::RevisionStore;

const GET: Form = Form::Plain("SELECT ceiling FROM HUB_REGISTRY_REVISION WHERE scope = ?");
const RAISE: Form =
    Form::Plain("UPDATE HUB_REGISTRY_REVISION SET ceiling = ? WHERE scope = ? AND ceiling < ?");
const FIRST: Form = Form::Plain("INSERT INTO HUB_REGISTRY_REVISION (ceiling, scope) VALUES (?, ?)");

#[async_trait]
impl RevisionStore for SqlStore {
    async fn ceiling(&self, scope: &str) -> Result<i64> {
        let rows = self.engine.fetch("read ceiling", GET, &[Value::from(scope)]).await?;
        Ok(ceiling(&rows).unwrap_or(0))
    }

    async fn raise(&self, scope: &str, to: i64) -> Result<()> {
        match again(|| self.raise_once(scope, to)).await {
            // Another node made the row at the same time: now there is one to raise.
            Err(error) if error.kind() == StorageErrorKind::Conflict => {
                again(|| self.raise_once(scope, to)).await
            }
            done => done,
        }
    }
}

impl SqlStore {
    async fn raise_once(&self, scope: &str, to: i64) -> Result<()> {
        let mut tx = self.engine.write("raise ceiling").await?;
        let (scope, to) = (Value::from(scope), Value::from(to));
        let raised = tx.execute(RAISE, &[to, scope, to]).await?;
        if raised == 0 && tx.fetch(GET, &[scope]).await?.is_empty() {
            tx.execute(FIRST, &[to, scope]).await?;
        }
        tx.commit().await
    }
}

fn ceiling(rows: &[Row]) -> Option<i64> {
    rows.first().and_then(|row| Columns::new(row, &["ceiling"]).int("ceiling"))
}
