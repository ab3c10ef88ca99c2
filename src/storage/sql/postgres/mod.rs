//! PostgreSQL, from version 12 on.

mod pool;

pub(super) use pool::{open, options};

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;

use super::dialect::{Dialect, repeated, update_from};
use super::table::Table;
use super::value::Value;
use crate::config::DatabaseType;
use crate::storage::error::StorageErrorKind;

/// Begins several reads of one moment.
pub(super) const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

#[derive(Debug)]
pub(super) struct Postgres;

pub(super) static DIALECT: Postgres = Postgres;

impl Dialect for Postgres {
    fn kind(&self) -> DatabaseType {
        DatabaseType::Postgres
    }

    fn numbers_placeholders(&self) -> bool {
        true
    }

    fn put(&self, table: &Table) -> (&'static str, String) {
        let others = table.columns.iter().filter(|name| !table.key.contains(name));
        let set: Vec<_> = others.map(|name| format!("{name} = EXCLUDED.{name}")).collect();
        let (key, set) = (table.key.join(", "), set.join(", "));
        ("INSERT", format!(" ON CONFLICT ({key}) DO UPDATE SET {set}"))
    }

    fn puts_over_other_key(&self) -> bool {
        false
    }

    fn beats(&self, rows: usize) -> String {
        let row = "(?, ?, CAST(? AS TIMESTAMPTZ), CAST(? AS TIMESTAMPTZ), ?, CAST(? AS TEXT))";
        update_from(&format!("(VALUES {}) AS beat", repeated(row, rows)))
    }

    // A row as text tells NULL from an empty text, and where a column ends.
    fn sum_of_prints(&self, columns: &[&str]) -> String {
        let row = columns.join(", ");
        format!("CAST(SUM(CAST(hashtext(CAST(ROW({row}) AS TEXT)) AS BIGINT)) AS BIGINT)")
    }

    fn rows_at_most(&self) -> usize {
        256
    }
}

/// The values as PostgreSQL takes them.
pub(super) fn arguments(values: &[Value<'_>]) -> sqlx::Result<PgArguments> {
    let mut arguments = PgArguments::default();
    let bytes = values.iter().map(Value::size).sum();
    arguments.reserve(values.len(), bytes);
    for value in values {
        match value {
            // It cannot keep this one character; one such message of a registry must not keep
            // all rows of its transaction off the disk.
            Value::Text(Some(text)) if text.contains('\0') => {
                arguments.add(text.replace('\0', "\u{fffd}"))
            }
            Value::Text(text) => arguments.add(*text),
            Value::Int(number) => arguments.add(*number),
            Value::Time(time) => arguments.add(*time),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
pub(super) fn error_kind(code: &str) -> StorageErrorKind {
    match code {
        "23505" => StorageErrorKind::Conflict,
        // Data or index found broken.
        "XX001" | "XX002" => StorageErrorKind::Corrupt,
        // A read-only transaction (a standby), a lock not had in time, a table that was altered
        // since its statement was prepared.
        "25006" | "55P03" | ALTERED => StorageErrorKind::Unavailable,
        _ => match code.get(..2) {
            // Connection, transaction undone, resources (disk full, memory, connections), an
            // operator came in the way (shutdown, starting up, cancelled), I/O.
            Some("08" | "40" | "53" | "57" | "58") => StorageErrorKind::Unavailable,
            _ => StorageErrorKind::Internal,
        },
    }
}

/// What an altered table makes of a prepared statement.
pub(super) const ALTERED: &str = "0A000";

/// A serialization failure or a deadlock.
pub(super) fn is_in_the_way(code: &str) -> bool {
    matches!(code, "40001" | "40P01")
}
