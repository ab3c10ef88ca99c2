//! The database itself.

use std::fmt;

use async_trait::async_trait;

use super::error::Result;

/// A database, whichever it is.
#[async_trait]
pub trait Database: fmt::Debug + Send + Sync + 'static {
    /// Asks for a sign of life.
    ///
    /// # Errors
    /// Whatever stands between us and it.
    async fn ping(&self) -> Result<()>;
}
