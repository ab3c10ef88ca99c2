//! [`RevisionStore`] over SQLite.

use async_trait::async_trait;

use super::Sqlite;
use crate::storage::error::Result;
use crate::storage::revision::RevisionStore;
use crate::storage::sql::error::During;

const GET: &str = "SELECT ceiling FROM HUB_REGISTRY_REVISION WHERE scope = ?";
const RAISE: &str = "INSERT INTO HUB_REGISTRY_REVISION (scope, ceiling) VALUES (?, ?) \
     ON CONFLICT (scope) DO UPDATE SET ceiling = max(ceiling, excluded.ceiling)";

#[async_trait]
impl RevisionStore for Sqlite {
    async fn ceiling(&self, scope: &str) -> Result<i64> {
        let found: Option<i64> = sqlx::query_scalar(GET)
            .bind(scope)
            .fetch_optional(&self.reader)
            .await
            .during("read ceiling")?;
        Ok(found.unwrap_or(0))
    }

    async fn raise(&self, scope: &str, to: i64) -> Result<()> {
        const RAISING: &str = "raise ceiling";
        let mut tx = self.write(RAISING).await?;
        sqlx::query(RAISE).bind(scope).bind(to).execute(&mut *tx).await.during(RAISING)?;
        tx.commit().await.during(RAISING)
    }
}
