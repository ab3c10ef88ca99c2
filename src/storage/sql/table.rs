//! Tables: their names, columns and keys.

/// A table as the stores write and read it.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    /// Every column that is written, in the order of the values.
    pub(super) columns: &'static [&'static str],
    /// The primary key.
    pub(super) key: &'static [&'static str],
    /// Another key, if there is one.
    pub(super) other_key: Option<&'static [&'static str]>,
}

impl Table {
    /// Where these columns stand; every name is one of the table's.
    pub(super) fn places(&self, columns: &[&str]) -> Vec<usize> {
        columns.iter().filter_map(|name| self.place(name)).collect()
    }

    fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|name| *name == column)
    }
}

/// Column by column: the field, the kind and the name. Makes the list of columns, ending with the
/// nine that every table has, the values of a row in that order, and the row read from it. Fields
/// that are no columns stand last, and are empty.
macro_rules! columns {
    ($row:ident { $($field:ident: $kind:ident $name:literal),* $(,)? } $($other:ident)*) => {
        const COLUMNS: &[&str] = &[
            $($name,)*
            "addTime", "addWho", "editTime", "editWho", "oprSeqFlag", "currentVersion",
            "activeFlag", "noteText", "extProperty",
        ];

        pub(super) fn values(row: &$row) -> Vec<$crate::storage::sql::value::Value<'_>> {
            use $crate::storage::sql::value::of;
            let common = &row.common;
            vec![
                $(of::$kind(&row.$field),)*
                of::time(&common.add_time),
                of::text(&common.add_who),
                of::time(&common.edit_time),
                of::text(&common.edit_who),
                of::text(&common.opr_seq_flag),
                of::int(&common.current_version),
                of::text(&common.active_flag),
                of::text(&common.note_text),
                of::text(&common.ext_property),
            ]
        }

        pub(super) fn read(row: &$crate::storage::sql::row::Row) -> $row {
            let mut columns = $crate::storage::sql::row::Columns::new(row, COLUMNS);
            $row {
                $($field: columns.$kind($name),)*
                common: columns.common(),
                unreadable: columns.unreadable(),
                $($other: Default::default(),)*
            }
        }
    };
}
pub(super) use columns;
