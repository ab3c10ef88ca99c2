//! From sqlx' errors to ours.

use crate::storage::error::{StorageError, StorageErrorKind};

/// Says in which operation an error of sqlx happened.
pub(super) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T, StorageError>;
}

impl<T, E: Into<sqlx::Error>> During<T> for Result<T, E> {
    fn during(self, operation: &'static str) -> Result<T, StorageError> {
        self.map_err(|error| {
            let error = error.into();
            StorageError::new(kind(&error), operation).with_source(error)
        })
    }
}

fn kind(error: &sqlx::Error) -> StorageErrorKind {
    use sqlx::Error::{
        ColumnDecode, Configuration, Database, Decode, Io, PoolClosed, PoolTimedOut, WorkerCrashed,
    };
    match error {
        Database(error) if error.is_unique_violation() => StorageErrorKind::Conflict,
        Database(error) => error.code().map_or(StorageErrorKind::Internal, |code| of_code(&code)),
        Io(_) | PoolTimedOut | PoolClosed | WorkerCrashed | Configuration(_) => {
            StorageErrorKind::Unavailable
        }
        Decode(_) | ColumnDecode { .. } => StorageErrorKind::Corrupt,
        _ => StorageErrorKind::Internal,
    }
}

/// SQLite's result codes: the low byte is the class, <https://www.sqlite.org/rescode.html>.
fn of_code(code: &str) -> StorageErrorKind {
    const CORRUPT: i64 = 11;
    const NOT_A_DATABASE: i64 = 26;
    // PERM, ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL
    const LATER: [i64; 11] = [3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15];
    match code.parse::<i64>().map(|code| code & 0xff) {
        Ok(CORRUPT | NOT_A_DATABASE) => StorageErrorKind::Corrupt,
        Ok(code) if LATER.contains(&code) => StorageErrorKind::Unavailable,
        _ => StorageErrorKind::Internal,
    }
}
