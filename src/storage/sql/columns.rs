//! Reading rows that anybody may have written.

use chrono::{DateTime, Utc};
use hub_registry_core::Secret;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

use crate::model::row::CommonColumns;

/// A row being read column by column. SQLite keeps a word in an integer column if told to; such a
/// value reads as `None` and its column's name is remembered, so that one row made by a slip of
/// the hand does not hide all others.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    unreadable: Vec<&'static str>,
}

impl<'r> Columns<'r> {
    pub(super) fn new(row: &'r SqliteRow) -> Self {
        Self { row, unreadable: Vec::new() }
    }

    fn get<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(name).unwrap_or_else(|_| {
            self.unreadable.push(name);
            None
        })
    }

    /// A column that is a key: what cannot be read is empty.
    pub(super) fn key(&mut self, name: &'static str) -> String {
        self.get(name).unwrap_or_default()
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.get(name)
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Secret> {
        self.get::<String>(name).map(|text| Secret::new(&text))
    }

    pub(super) fn int(&mut self, name: &'static str) -> Option<i64> {
        self.get(name)
    }

    pub(super) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        self.get(name)
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
