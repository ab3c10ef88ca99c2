//! The database itself.

use std::fmt;

use async_trait::async_trait;

use super::error::Result;

/// How many connections there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// All that are open.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// As many as there may be.
    pub most: usize,
}

/// A database, whichever it is.
#[async_trait]
pub trait Database: fmt::Debug + Send + Sync + 'static {
    /// Asks for a sign of life.
    ///
    /// # Errors
    /// Whatever stands between us and it.
    async fn ping(&self) -> Result<()>;

    /// How many connections to it are open.
    fn connections(&self) -> Connections;
}
