//! From sqlx' errors to ours.

use std::time::Duration;

use sqlx::mysql::MySqlDatabaseError;
use sqlx::postgres::PgDatabaseError;

use super::{mysql, postgres, sqlite};
use crate::storage::error::{Result, StorageError, StorageErrorKind};

/// Says in which operation an error of sqlx happened.
pub(super) trait During<T> {
    fn during(self, operation: &'static str) -> Result<T>;
}

impl<T, E: Into<sqlx::Error>> During<T> for Result<T, E> {
    fn during(self, operation: &'static str) -> Result<T> {
        self.map_err(|error| {
            let error = error.into();
            StorageError::new(kind(&error), operation).with_source(error)
        })
    }
}

pub(super) fn kind(error: &sqlx::Error) -> StorageErrorKind {
    use sqlx::Error::{
        ColumnDecode, Configuration, Database, Decode, Io, PoolClosed, PoolTimedOut, Protocol, Tls,
        WorkerCrashed,
    };
    match error {
        Database(error) if error.is_unique_violation() => StorageErrorKind::Conflict,
        Database(error) => of_database(error.as_ref()),
        // A connection that ends in the middle of an answer is a broken protocol to sqlx.
        Io(_) | PoolTimedOut | PoolClosed | WorkerCrashed | Configuration(_) | Protocol(_)
        | Tls(_) => StorageErrorKind::Unavailable,
        Decode(_) | ColumnDecode { .. } => StorageErrorKind::Corrupt,
        _ => StorageErrorKind::Internal,
    }
}

fn of_database(error: &dyn sqlx::error::DatabaseError) -> StorageErrorKind {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        postgres::error_kind(error.code())
    } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        mysql::error_kind(error.number())
    } else {
        error.code().map_or(StorageErrorKind::Internal, |code| sqlite::error_kind(&code))
    }
}

/// Whether another transaction came in the way: the same once more will likely do.
fn is_in_the_way(error: &StorageError) -> bool {
    let source = std::error::Error::source(error);
    let Some(sqlx::Error::Database(error)) = source.and_then(|source| source.downcast_ref()) else {
        return false;
    };
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        postgres::is_in_the_way(error.code())
    } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        mysql::is_in_the_way(error.number())
    } else {
        false
    }
}

/// Runs a transaction, and again when another one came in its way. The database has then undone
/// the whole of it.
pub(super) async fn again<T, F>(mut transaction: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    // Ten at once that all write the same rows may need as many.
    for longest in [5_u64, 10, 20, 40, 80, 160, 320, 640, 640, 640] {
        match transaction().await {
            Err(error) if is_in_the_way(&error) => {
                // Two that met must not meet again.
                tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=longest))).await;
            }
            done => return done,
        }
    }
    transaction().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        // Busy, read-only, I/O, full; the extended ones too.
        for code in ["5", "8", "10", "13", "14", "517", "1032"] {
            assert_eq!(sqlite::error_kind(code), StorageErrorKind::Unavailable, "{code}");
        }
        // Refused, deadlock, serialization, disk full, connections, read-only, lock, shutdown.
        for code in
            ["08006", "40P01", "40001", "53100", "53300", "25006", "55P03", "57P01", "57P03"]
        {
            assert_eq!(postgres::error_kind(code), StorageErrorKind::Unavailable, "{code}");
        }
        // Disk full, table full, connections, shutdown, lock, deadlock, read-only.
        for number in [1021, 1114, 1040, 1203, 1053, 1205, 1213, 1290, 1836] {
            assert_eq!(mysql::error_kind(number), StorageErrorKind::Unavailable, "{number}");
        }
    }

    #[test]
    fn what_does_not_pass_is_not() {
        assert_eq!(sqlite::error_kind("11"), StorageErrorKind::Corrupt);
        assert_eq!(sqlite::error_kind("1"), StorageErrorKind::Internal);
        assert_eq!(postgres::error_kind("23505"), StorageErrorKind::Conflict);
        assert_eq!(postgres::error_kind("42P01"), StorageErrorKind::Internal);
        assert_eq!(postgres::error_kind("28P01"), StorageErrorKind::Internal);
        assert_eq!(mysql::error_kind(1062), StorageErrorKind::Conflict);
        assert_eq!(mysql::error_kind(1045), StorageErrorKind::Internal);
        assert_eq!(mysql::error_kind(1146), StorageErrorKind::Internal);
    }
}
