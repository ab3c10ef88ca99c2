//! SQLite.

mod pool;
mod writer;

pub(super) use pool::{Address, open};
pub(super) use writer::{Sync, Writer, Writing};

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::Arguments;
use sqlx::sqlite::SqliteArguments;

use super::dialect::{Dialect, repeated, update_from};
use super::table::Table;
use super::value::Value;
use crate::config::DatabaseType;
use crate::storage::error::StorageErrorKind;

#[derive(Debug)]
pub(super) struct Sqlite;

pub(super) static DIALECT: Sqlite = Sqlite;

impl Dialect for Sqlite {
    fn kind(&self) -> DatabaseType {
        DatabaseType::Sqlite
    }

    // Not ON CONFLICT: a row somebody made by hand with another id for the same name or address
    // gives way too, instead of failing every write that shares the transaction.
    fn put(&self, _: &Table) -> (&'static str, String) {
        ("INSERT OR REPLACE", String::new())
    }

    fn has_one_writer(&self) -> bool {
        true
    }

    // It has one writer at a time.
    fn for_update(&self) -> &'static str {
        ""
    }

    fn beats(&self, rows: usize) -> String {
        update_from(&format!("(VALUES {}) AS beat", repeated("(?, ?, ?, ?, ?, ?)", rows)))
    }

    // It has no hashes, and `PRAGMA data_version`.
    fn sum_of_prints(&self, _: &[&str]) -> String {
        "0".to_owned()
    }

    /// More of them save nothing any more.
    fn rows_at_most(&self) -> usize {
        64
    }
}

/// The values as SQLite takes them. Times have the form of `CURRENT_TIMESTAMP`, so that they sort
/// as text whoever wrote them.
pub(super) fn arguments(values: &[Value<'_>]) -> sqlx::Result<SqliteArguments> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    // Most times of a batch are the same, and making text of one takes a while.
    let mut last: Option<(DateTime<Utc>, Arc<str>)> = None;
    for value in values {
        match value {
            Value::Text(text) => Arguments::add(&mut arguments, *text),
            Value::Int(number) => Arguments::add(&mut arguments, *number),
            Value::Time(None) => Arguments::add(&mut arguments, None::<&str>),
            Value::Time(Some(time)) => {
                let (_, text) = match last.take() {
                    Some(same) if same.0 == *time => last.insert(same),
                    _ => last.insert((*time, time.format("%F %T%.f").to_string().into())),
                };
                Arguments::add(&mut arguments, Arc::clone(text))
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// SQLite's result codes: the low byte is the class, <https://www.sqlite.org/rescode.html>.
pub(super) fn error_kind(code: &str) -> StorageErrorKind {
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
