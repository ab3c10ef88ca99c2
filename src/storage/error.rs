//! What goes wrong in a store.

use std::fmt;

use crate::error::{Error, ErrorCode};

/// The result of a call to a store.
pub type Result<T, E = StorageError> = std::result::Result<T, E>;

/// What class of trouble it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageErrorKind {
    /// The database cannot be reached, is locked, full or read-only: later may be better.
    Unavailable,
    /// The write contradicts what is there: a key that exists, a version that moved on.
    Conflict,
    /// What the database holds cannot be read.
    Corrupt,
    /// There is no key to seal a secret with.
    NoKey,
    /// Anything else: a mistake of ours.
    Internal,
}

impl StorageErrorKind {
    /// A stable word for logs and metrics.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Conflict => "conflict",
            Self::Corrupt => "corrupt",
            Self::NoKey => "no_key",
            Self::Internal => "internal",
        }
    }
}

/// A failed call to a store. Its text is for the log; a caller gets [`Error`], which has neither
/// SQL nor values.
#[derive(Debug)]
pub struct StorageError {
    kind: StorageErrorKind,
    operation: &'static str,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StorageError {
    /// An error of this class in this operation (`"insert config"`).
    #[must_use]
    pub fn new(kind: StorageErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, source: None }
    }

    /// Keeps what caused it.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The class of trouble.
    #[must_use]
    pub fn kind(&self) -> StorageErrorKind {
        self.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed ({})", self.operation, self.kind.code())?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for StorageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<&StorageError> for Error {
    fn from(error: &StorageError) -> Self {
        match error.kind {
            StorageErrorKind::Unavailable => Self::unavailable("the database is not available"),
            StorageErrorKind::NoKey => Self::unavailable(
                "the hub has no key to keep secrets with (security.secretsKeyFile); its log says why",
            ),
            StorageErrorKind::Conflict => {
                Self::conflict(format!("{}: it contradicts what is there", error.operation))
            }
            StorageErrorKind::Corrupt => {
                Self::new(ErrorCode::Internal, "the database holds what cannot be read")
            }
            StorageErrorKind::Internal => {
                Self::new(ErrorCode::Internal, "the database call failed")
            }
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::from(&error)
    }
}
