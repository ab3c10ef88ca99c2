//! What the log knows when a run begins, and whether that is everything.
//!
//! The view as it is found may differ from what was last told: by what native commits wrote and
//! nobody numbered, which is numbered now, and by whatever else happened in between. Two prints
//! tell whether there was anything else. If so, whoever resumes from before is told to begin anew.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::TenantId;

use crate::error::Result;
use crate::events::change::{Prints, Restored};
use crate::events::feed::{Feed, Start};
use crate::model::print::Print;
use crate::storage::{EventMark, EventStore, LogBatch, LogPosition};

/// What is found of one tenant.
#[derive(Debug, Default)]
struct Found {
    restored: Option<Restored>,
    position: Option<LogPosition>,
    pending: Vec<EventMark>,
}

/// How a native commit marks its events: its number in this run, and what the registry then holds.
#[must_use]
pub fn mark_of(commit: u64, native: Print) -> String {
    format!("{commit:016x}{native:016x}")
}

/// What the registry holds after the commit of this mark.
fn print_in(mark: &str) -> Option<Print> {
    let digits = mark.get(16..).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok().map(|bits| Print::from_column(bits.cast_signed()))
}

/// Numbers what nobody has numbered, notes from where this run goes on, and opens the feed.
/// `next` gives a tenant's next revision.
pub(in crate::events) async fn begin(
    store: &Arc<dyn EventStore>,
    feed: &Feed,
    base: i64,
    restored: Vec<Restored>,
    next: impl Fn(&TenantId) -> i64,
) -> Result<()> {
    let mut batch = LogBatch::default();
    for (tenant, found) in look(store, restored).await? {
        let (view, prints) = match &found.restored {
            Some(restored) => (restored.revision, restored.prints),
            None => (base, Prints::default()),
        };
        let is_known = is_known(&found, prints);
        let mut told = view;
        for mark in found.pending {
            told = next(&tenant);
            batch.number.push((mark, told));
        }
        let earlier = found.position.as_ref().map(|position| position.revision);
        if earlier.is_some() && !is_known {
            tracing::info!(tenant.id = %tenant, "the view is not what was last told: subscribers \
                that resume from before this start are told to read it anew");
        }
        batch.positions.push(LogPosition {
            tenant_id: tenant.to_string(),
            revision: told,
            floor: if is_known { 0 } else { told },
            view_print: prints.beyond_native().to_column(),
            native_print: prints.native.to_column(),
        });
        let earlier = earlier.filter(|_| is_known);
        feed.begin(&tenant, Start { base, quiet: view, told, earlier });
    }
    if !batch.number.is_empty() {
        tracing::info!(commits = batch.number.len(), "events of the last run are numbered");
    }
    store.append(Arc::new(batch)).await?;
    Ok(())
}

async fn look(
    store: &Arc<dyn EventStore>,
    restored: Vec<Restored>,
) -> Result<BTreeMap<TenantId, Found>> {
    let mut all: BTreeMap<TenantId, Found> = BTreeMap::new();
    for restored in restored {
        let found = all.entry(restored.tenant.clone()).or_default();
        found.restored = Some(restored);
    }
    // What is no tenant was put there by plain SQL.
    for position in store.positions().await? {
        if let Ok(tenant) = TenantId::parse(&position.tenant_id) {
            all.entry(tenant).or_default().position = Some(position);
        }
    }
    for mark in store.pending().await? {
        if let Ok(tenant) = TenantId::parse(&mark.tenant_id) {
            all.entry(tenant).or_default().pending.push(mark);
        }
    }
    Ok(all)
}

/// Whether what was told, and what is told now of native commits, explain all that is there.
fn is_known(found: &Found, prints: Prints) -> bool {
    let Some(position) = &found.position else { return false };
    let told = Some(Print::from_column(position.native_print));
    let native = found.pending.last().map_or(told, |mark| print_in(&mark.mark));
    native == Some(prints.native)
        && Print::from_column(position.view_print) == prints.beyond_native()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(number: i64) -> Print {
        Print::from_column(number)
    }

    fn found(pending: &[&str]) -> Found {
        let position = LogPosition { view_print: 7, native_print: -3, ..LogPosition::default() };
        let mark = |mark: &&str| EventMark { tenant_id: "t".to_owned(), mark: (*mark).to_owned() };
        Found {
            position: Some(position),
            pending: pending.iter().map(mark).collect(),
            restored: None,
        }
    }

    fn prints(beyond: i64, native: i64) -> Prints {
        Prints { view: print(beyond) + print(native), native: print(native) }
    }

    #[test]
    fn a_mark_holds_a_print() {
        for number in [0, 1, -1, i64::MAX, i64::MIN] {
            let mark = mark_of(u64::MAX, print(number));
            assert_eq!((mark.len(), print_in(&mark)), (32, Some(print(number))));
        }
        for mark in ["", "seq", "0123456789abcdef", "0123456789abcdef0123456789abcde\u{e4}"] {
            assert_eq!(print_in(mark), None, "{mark}");
        }
    }

    #[test]
    fn what_is_explained_is_known_and_nothing_else() {
        assert!(is_known(&found(&[]), prints(7, -3)), "nothing happened");
        assert!(!is_known(&found(&[]), prints(7, -4)), "a native row was changed by hand");
        assert!(!is_known(&found(&[]), prints(8, -3)), "a registry's last state is another");
        let committed = mark_of(1, print(50));
        assert!(is_known(&found(&["x", &committed]), prints(7, 50)), "the last commit explains it");
        assert!(!is_known(&found(&[&committed]), prints(7, -3)), "a commit without its row");
        assert!(!is_known(&found(&[&committed, "x"]), prints(7, 50)), "a row of plain SQL");
        assert!(!is_known(&Found::default(), prints(0, 0)), "nothing was ever told");
    }
}
