//! Statements, made from tables and forms. The only place that tells sqlx that a text is safe to
//! run: it holds names and forms from this program's own text, and values only as placeholders.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use sqlx::AssertSqlSafe;

use super::dialect::{Dialect, repeated};
use super::event::EVENT;
use super::table::Table;

/// A statement, ready to run.
#[derive(Clone, Debug)]
pub(super) struct Sql(Arc<str>);

impl Sql {
    pub(super) fn safe(&self) -> AssertSqlSafe<Arc<str>> {
        AssertSqlSafe(Arc::clone(&self.0))
    }
}

/// A statement to be made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// This text.
    Plain(&'static str),
    /// The table's columns, and what follows `FROM TABLE`.
    Select(&'static Table, &'static str),
    /// The same, and the rows are changed next in the same transaction.
    SelectToChange(&'static Table, &'static str),
    /// So many new rows.
    Insert(&'static Table, usize),
    /// So many rows that replace what has their key.
    Put(&'static Table, usize),
    /// Removes what has the other key of these rows under another primary key; binds both keys.
    Displace(&'static Table, usize),
    /// Removes the rows of so many keys made of these columns, if this condition holds for them.
    Delete(&'static Table, &'static [&'static str], &'static str, usize),
    /// Sets all columns but these of one row, named by its primary key.
    Update(&'static Table, &'static [&'static str]),
    /// Moves what heartbeats move.
    Beats(usize),
    /// The rows of so many keys made of these columns.
    SelectAny(&'static Table, &'static [&'static str], usize),
    /// By these columns how many rows there are and the sum of their prints, which the last
    /// columns have no part in.
    Prints(&'static Table, &'static [&'static str], &'static [&'static str]),
    /// Events that pass these conditions.
    Events(EventsForm),
}

/// Which conditions there are besides tenant and revision, and what is asked for. Binds tenant,
/// lowest and highest revision, the two numbers of each end, then the conditions in the order of
/// these fields, and last how many rows, unless they are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventsForm {
    pub(super) group: bool,
    pub(super) service: bool,
    pub(super) source: bool,
    /// How many types; 0: any.
    pub(super) types: usize,
    pub(super) since: bool,
    pub(super) until: bool,
    /// The newest instead of the oldest, and these first.
    pub(super) newest: bool,
    /// Not the rows, but how many there are by group and readers.
    pub(super) counts: bool,
}

impl EventsForm {
    /// Differs where the text does.
    fn number(self) -> usize {
        let flags = [
            self.group,
            self.service,
            self.source,
            self.since,
            self.until,
            self.newest,
            self.counts,
        ];
        flags.iter().fold(self.types, |number, flag| number << 1 | usize::from(*flag))
    }

    fn text(self) -> String {
        let what =
            if self.counts { "groupName, extProperty, COUNT(*)".to_owned() } else { names(&EVENT) };
        let mut text = format!(
            "SELECT {what} FROM {} WHERE tenantId = ? AND revision > 0 AND revision >= ? AND revision <= ? \
             AND (revision > ? OR revisionPlace > ?) AND (revision < ? OR revisionPlace < ?)",
            EVENT.name
        );
        let types = format!(" AND eventType IN ({})", repeated("?", self.types));
        let conditions = [
            (self.group, " AND groupName = ?"),
            (self.service, " AND serviceName = ?"),
            (self.source, " AND eventSource = ?"),
            (self.types > 0, types.as_str()),
            (self.since, " AND eventTime >= ?"),
            (self.until, " AND eventTime < ?"),
        ];
        conditions.iter().filter(|(is, _)| *is).for_each(|(_, part)| text.push_str(part));
        text.push_str(match (self.counts, self.newest) {
            (true, _) => " GROUP BY groupName, extProperty",
            (false, true) => " ORDER BY revision DESC, revisionPlace DESC LIMIT ?",
            (false, false) => " ORDER BY revision, revisionPlace LIMIT ?",
        });
        text
    }
}

type Key = (u8, &'static str, &'static str, &'static str, usize);

impl Form {
    fn key(self) -> Key {
        match self {
            Self::Plain(text) => (0, text, "", "", 0),
            Self::Select(table, rest) => (1, table.name, rest, "", 0),
            Self::SelectToChange(table, rest) => (2, table.name, rest, "", 0),
            Self::Insert(table, rows) => (3, table.name, "", "", rows),
            Self::Put(table, rows) => (4, table.name, "", "", rows),
            Self::Displace(table, rows) => (5, table.name, "", "", rows),
            // The keys of a table differ in their last column.
            Self::Delete(table, key, condition, rows) => {
                (6, table.name, key.last().unwrap_or(&""), condition, rows)
            }
            Self::Update(table, _) => (7, table.name, "", "", 0),
            Self::Beats(rows) => (8, "", "", "", rows),
            Self::Events(form) => (9, "", "", "", form.number()),
            Self::SelectAny(table, _, rows) => (10, table.name, "", "", rows),
            Self::Prints(table, _, _) => (11, table.name, "", "", 0),
        }
    }

    fn text(self, dialect: &dyn Dialect) -> String {
        match self {
            Self::Plain(text) => text.to_owned(),
            Self::Select(table, rest) => select(table, rest),
            Self::SelectToChange(table, rest) => select(table, rest) + dialect.for_update(),
            Self::Insert(table, rows) => {
                format!("INSERT INTO {} ({}) {}", table.name, names(table), tuples(table, rows))
            }
            Self::Put(table, rows) => {
                let (before, after) = dialect.put(table);
                let (name, names, rows) = (table.name, names(table), tuples(table, rows));
                format!("{before} INTO {name} ({names}) {rows}{after}")
            }
            Self::Displace(table, rows) => {
                let other = equal(table.other_key.unwrap_or(table.key), " AND ");
                let one = format!("({other} AND NOT ({}))", equal(table.key, " AND "));
                format!("DELETE FROM {} WHERE {}", table.name, any(&one, rows))
            }
            Self::Delete(table, key, condition, rows) => {
                let one = format!("({})", equal(key, " AND "));
                format!("DELETE FROM {} WHERE ({}){condition}", table.name, any(&one, rows))
            }
            Self::Update(table, kept) => {
                let set = table.columns.iter().copied().filter(|name| !kept.contains(name));
                let set = equal(&set.collect::<Vec<_>>(), ", ");
                let key = equal(table.key, " AND ");
                format!("UPDATE {} SET {set} WHERE {key}", table.name)
            }
            Self::Beats(rows) => dialect.beats(rows),
            Self::Events(form) => form.text(),
            Self::SelectAny(table, key, rows) => {
                let one = format!("({})", equal(key, " AND "));
                select(table, &format!(" WHERE {}", any(&one, rows)))
            }
            Self::Prints(table, by, without) => {
                let columns: Vec<_> =
                    table.columns.iter().copied().filter(|name| !without.contains(name)).collect();
                let (by, print) = (by.join(", "), dialect.sum_of_prints(&columns));
                format!("SELECT {by}, COUNT(*), {print} FROM {} GROUP BY {by}", table.name)
            }
        }
    }
}

fn select(table: &Table, rest: &str) -> String {
    format!("SELECT {} FROM {}{rest}", names(table), table.name)
}

fn names(table: &Table) -> String {
    table.columns.join(", ")
}

fn tuples(table: &Table, rows: usize) -> String {
    let one = format!("({})", repeated("?", table.columns.len()));
    format!("VALUES {}", repeated(&one, rows))
}

fn equal(columns: &[&str], between: &str) -> String {
    let pairs: Vec<_> = columns.iter().map(|name| format!("{name} = ?")).collect();
    pairs.join(between)
}

fn any(condition: &str, times: usize) -> String {
    vec![condition; times].join(" OR ")
}

fn numbered(text: &str) -> String {
    let mut pieces = text.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (index, piece) in pieces.enumerate() {
        numbered.push_str(&format!("${}", index + 1));
        numbered.push_str(piece);
    }
    numbered
}

/// The statements of one database. Each is made once; so many there are that forms and numbers of
/// rows make, which are few.
#[derive(Debug)]
pub(super) struct Texts {
    dialect: &'static dyn Dialect,
    made: RwLock<HashMap<Key, Sql>>,
}

impl Texts {
    pub(super) fn new(dialect: &'static dyn Dialect) -> Self {
        Self { dialect, made: RwLock::default() }
    }

    pub(super) fn dialect(&self) -> &'static dyn Dialect {
        self.dialect
    }

    pub(super) fn get(&self, form: Form) -> Sql {
        let key = form.key();
        if let Some(made) = self.made.read().get(&key) {
            return made.clone();
        }
        let text = form.text(self.dialect);
        let text = if self.dialect.numbers_placeholders() { numbered(&text) } else { text };
        self.made.write().entry(key).or_insert_with(|| Sql(Arc::from(text))).clone()
    }
}
