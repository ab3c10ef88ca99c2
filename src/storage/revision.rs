//! Ceilings below which revisions are given out.

use std::fmt;

use async_trait::async_trait;

use super::error::Result;

/// Keeps one ceiling per scope; a ceiling never falls.
#[async_trait]
pub trait RevisionStore: fmt::Debug + Send + Sync + 'static {
    /// The ceiling; 0 where none was ever set.
    async fn ceiling(&self, scope: &str) -> Result<i64>;

    /// Raises it to at least `to`, on disk when this returns.
    async fn raise(&self, scope: &str, to: i64) -> Result<()>;
}
