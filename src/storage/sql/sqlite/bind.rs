//! Binding what several tables have.

use chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

use crate::model::row::CommonColumns;

/// A statement being filled.
pub(super) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The common columns, in the order of [`common`].
macro_rules! common_columns {
    () => {
        "addTime, addWho, editTime, editWho, oprSeqFlag, currentVersion, activeFlag, noteText, \
         extProperty"
    };
}
pub(super) use common_columns;

/// The form of `CURRENT_TIMESTAMP`, so that times sort as text whoever wrote them.
pub(super) fn time(time: Option<DateTime<Utc>>) -> Option<NaiveDateTime> {
    time.map(|time| time.naive_utc())
}

/// Binds the nine common columns.
pub(super) fn common<'q>(statement: Statement<'q>, columns: &'q CommonColumns) -> Statement<'q> {
    statement
        .bind(time(columns.add_time))
        .bind(&columns.add_who)
        .bind(time(columns.edit_time))
        .bind(&columns.edit_who)
        .bind(&columns.opr_seq_flag)
        .bind(columns.current_version)
        .bind(&columns.active_flag)
        .bind(&columns.note_text)
        .bind(&columns.ext_property)
}
