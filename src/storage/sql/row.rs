//! Reading rows that anybody may have written.

use chrono::{DateTime, NaiveDateTime, Utc};
use hub_registry_core::Secret;
use sqlx::Row as _;
use sqlx::mysql::MySqlRow;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use crate::model::row::CommonColumns;

/// A row, whichever database it is from.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
    MySql(MySqlRow),
}

type Read<T> = Result<Option<T>, sqlx::Error>;

impl Row {
    /// Columns are named by their place: PostgreSQL folds unquoted names to lower case.
    pub(super) fn text(&self, at: usize) -> Read<String> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::Postgres(row) => row.try_get(at),
            Self::MySql(row) => row.try_get(at),
        }
    }

    pub(super) fn int(&self, at: usize) -> Read<i64> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::MySql(row) => row.try_get(at),
            // Each width of integer is a type of its own there.
            Self::Postgres(row) => row
                .try_get(at)
                .or_else(|_| row.try_get::<Option<i32>, _>(at).map(|n| n.map(i64::from)))
                .or_else(|_| row.try_get::<Option<i16>, _>(at).map(|n| n.map(i64::from))),
        }
    }

    fn time(&self, at: usize) -> Read<DateTime<Utc>> {
        match self {
            Self::Sqlite(row) => row.try_get(at),
            Self::MySql(row) => row.try_get(at),
            // A table made by hand may have the type without a time zone.
            Self::Postgres(row) => row.try_get(at).or_else(|_| {
                row.try_get::<Option<NaiveDateTime>, _>(at).map(|t| t.map(|t| t.and_utc()))
            }),
        }
    }
}

/// A row being read column by column. SQLite keeps a word in an integer column if told to; such a
/// value reads as `None` and its column's name is remembered, so that one row made by a slip of
/// the hand does not hide all others.
pub(super) struct Columns<'r> {
    row: &'r Row,
    names: &'static [&'static str],
    next: usize,
    unreadable: Vec<&'static str>,
}

impl<'r> Columns<'r> {
    /// Of a row that was selected with these columns in this order.
    pub(super) fn new(row: &'r Row, names: &'static [&'static str]) -> Self {
        Self { row, names, next: 0, unreadable: Vec::new() }
    }

    fn get<T>(&mut self, name: &'static str, read: fn(&Row, usize) -> Read<T>) -> Option<T> {
        // Nearly always the next one.
        let at = match self.names.get(self.next) {
            Some(next) if *next == name => self.next,
            _ => self.names.iter().position(|other| *other == name).unwrap_or(usize::MAX),
        };
        self.next = at.saturating_add(1);
        read(self.row, at).unwrap_or_else(|_| {
            self.unreadable.push(name);
            None
        })
    }

    /// A column that is a key: what cannot be read is empty.
    pub(super) fn key(&mut self, name: &'static str) -> String {
        self.text(name).unwrap_or_default()
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.get(name, Row::text)
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.text(name).map(|text| Secret::new(&text))
    }

    pub(super) fn int(&mut self, name: &'static str) -> Option<i64> {
        self.get(name, Row::int)
    }

    pub(super) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        self.get(name, Row::time)
    }

    pub(super) fn common(&mut self) -> CommonColumns {
        CommonColumns {
            add_time: self.time("addTime"),
            add_who: self.text("addWho"),
            edit_time: self.time("editTime"),
            edit_who: self.text("editWho"),
            opr_seq_flag: self.text("oprSeqFlag"),
            current_version: self.int("currentVersion"),
            active_flag: self.text("activeFlag"),
            note_text: self.text("noteText"),
            ext_property: self.text("extProperty"),
        }
    }

    pub(super) fn unreadable(self) -> Vec<&'static str> {
        self.unreadable
    }
}
