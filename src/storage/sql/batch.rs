//! Many rows in few statements.

use std::collections::{HashMap, HashSet};

use super::engine::Transaction;
use super::table::Table;
use super::text::Form;
use super::value::Value;
use crate::storage::error::Result;

/// A statement is cut where its values become so many bytes: MySQL 5.7 takes four mebibytes at
/// most, in its default setting.
const BYTES: usize = 1 << 20;
/// Keys in one `DELETE`; SQLite nests `OR` at most a thousand deep.
const KEYS: usize = 128;

pub(super) type Values<'w> = Vec<Value<'w>>;

/// Writes to one table, so gathered that the outcome is that of one after the other: removals and
/// puts of different keys may change places, and of several puts of one key the last one counts.
#[derive(Debug)]
pub(super) struct Batch<'w> {
    table: &'static Table,
    /// Which columns make the key that removals name.
    removed_by: &'static [&'static str],
    key: Vec<usize>,
    other_key: Option<Vec<usize>>,
    steps: Vec<Step<'w>>,
}

/// Removals first, then puts; no key is in both unless it is to be put in the end, and no two puts
/// share a key.
#[derive(Debug, Default)]
struct Step<'w> {
    removes: Vec<Values<'w>>,
    removed: HashSet<Values<'w>>,
    puts: Vec<Values<'w>>,
    by_key: HashMap<Values<'w>, usize>,
    by_other_key: HashMap<Values<'w>, usize>,
}

impl<'w> Batch<'w> {
    pub(super) fn new(table: &'static Table, removed_by: &'static [&'static str]) -> Self {
        Self {
            table,
            removed_by,
            key: table.places(table.key),
            other_key: table.other_key.map(|columns| table.places(columns)),
            steps: Vec::new(),
        }
    }

    /// Brings the rows of each step in the order of their keys: two transactions that lock rows in
    /// the same order cannot wait for each other.
    pub(super) fn sorted(mut self) -> Self {
        for step in &mut self.steps {
            step.removes.sort_unstable();
            step.puts.sort_unstable_by(|a, b| pick(a, &self.key).cmp(&pick(b, &self.key)));
            step.by_key.clear();
            step.by_other_key.clear();
        }
        self
    }

    /// Puts a row, given by its values in the order of the table's columns.
    pub(super) fn put(&mut self, row: Values<'w>) {
        let key = pick(&row, &self.key);
        let other = self.other_key.as_ref().map(|places| pick(&row, places));
        let clashes = self.steps.last().map_or(Clash::None, |step| {
            let same = step.by_key.get(&key);
            let same_other = other.as_ref().map(|other| step.by_other_key.get(other));
            match (same, same_other) {
                (None, None | Some(None)) => Clash::None,
                (Some(at), None) => Clash::Same(*at),
                (Some(at), Some(Some(same))) if at == same => Clash::Same(*at),
                _ => Clash::Half,
            }
        });
        let step = match clashes {
            Clash::Half => self.new_step(),
            _ => self.last_step(),
        };
        if let Clash::Same(at) = clashes {
            step.puts[at] = row;
            return;
        }
        let at = step.puts.len();
        step.puts.push(row);
        step.by_key.insert(key, at);
        if let Some(other) = other {
            step.by_other_key.insert(other, at);
        }
    }

    /// Removes what has this key.
    pub(super) fn remove(&mut self, key: Values<'w>) {
        let by_other = self.table.other_key == Some(self.removed_by);
        let put_before = self.steps.last().is_some_and(|step| {
            let puts = if by_other { &step.by_other_key } else { &step.by_key };
            puts.contains_key(&key)
        });
        let step = if put_before { self.new_step() } else { self.last_step() };
        if step.removed.insert(key.clone()) {
            step.removes.push(key);
        }
    }

    fn last_step(&mut self) -> &mut Step<'w> {
        if self.steps.is_empty() {
            self.steps.push(Step::default());
        }
        let last = self.steps.len() - 1;
        &mut self.steps[last]
    }

    fn new_step(&mut self) -> &mut Step<'w> {
        self.steps.push(Step::default());
        self.last_step()
    }

    /// Runs it. `displace`: rows that somebody made by hand with another primary key for the same
    /// other key are removed first, where the database does not do that by itself.
    pub(super) async fn run(&self, tx: &mut Transaction, displace: bool) -> Result<()> {
        for step in &self.steps {
            delete(tx, self.table, self.removed_by, "", &step.removes).await?;
            if let Some(other_key) = self.other_key.as_ref().filter(|_| displace) {
                let both = |row: &Values<'w>| {
                    let mut both = pick(row, other_key);
                    both.extend(pick(row, &self.key));
                    both
                };
                let keys: Vec<_> = step.puts.iter().map(both).collect();
                for some in pieces(&keys, KEYS) {
                    tx.execute(Form::Displace(self.table, some.len()), &some.concat()).await?;
                }
            }
            for rows in pieces(&step.puts, tx.rows_at_most()) {
                tx.execute(Form::Put(self.table, rows.len()), &rows.concat()).await?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Clash {
    None,
    /// The row at this place has the same keys.
    Same(usize),
    /// Some row has one of the keys and not the other.
    Half,
}

fn pick<'w>(row: &[Value<'w>], places: &[usize]) -> Values<'w> {
    places.iter().map(|place| row[*place]).collect()
}

/// Adds new rows.
pub(super) async fn insert(
    tx: &mut Transaction,
    table: &'static Table,
    rows: &[Values<'_>],
) -> Result<()> {
    for rows in pieces(rows, tx.rows_at_most()) {
        tx.execute(Form::Insert(table, rows.len()), &rows.concat()).await?;
    }
    Ok(())
}

/// Removes the rows of these keys for which the condition holds; how many there were.
pub(super) async fn delete(
    tx: &mut Transaction,
    table: &'static Table,
    key: &'static [&'static str],
    condition: &'static str,
    keys: &[Values<'_>],
) -> Result<u64> {
    let mut gone = 0;
    for keys in pieces(keys, KEYS) {
        gone += tx.execute(Form::Delete(table, key, condition, keys.len()), &keys.concat()).await?;
    }
    Ok(gone)
}

/// Cuts rows into as few pieces as can be of so few lengths that not many statements are ever
/// prepared: each has three binary digits that count. Two are enough for 63 rows. None has more rows
/// than `most`, nor more bytes than a statement may have unless it is a single row.
pub(super) fn pieces<'r, 'w>(
    rows: &'r [Values<'w>],
    most: usize,
) -> impl Iterator<Item = &'r [Values<'w>]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        let mut count = rest.len().min(most);
        let zeros = count.checked_ilog2()?.saturating_sub(2);
        count = count >> zeros << zeros;
        let bytes = |count: usize| rest[..count].iter().flatten().map(Value::size).sum::<usize>();
        while count > 1 && bytes(count) > BYTES {
            count /= 2;
        }
        let (piece, after) = rest.split_at(count);
        rest = after;
        Some(piece)
    })
}
