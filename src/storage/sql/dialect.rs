//! What the databases say differently.

use std::fmt::Debug;

use super::table::Table;
use crate::config::DatabaseType;

/// One database's way to say what they do not have in common. Placeholders are written `?`
/// everywhere and numbered at the end where the database wants that.
pub(super) trait Dialect: Debug + Send + Sync {
    fn kind(&self) -> DatabaseType;

    /// Whether placeholders are `$1`, `$2` instead of `?`.
    fn numbers_placeholders(&self) -> bool {
        false
    }

    /// What stands before and after `TABLE (columns) VALUES ...` so that a row that is there gives
    /// way.
    fn put(&self, table: &Table) -> (&'static str, String);

    /// Whether [`put`](Self::put) also makes a row with the same other key give way.
    fn puts_over_other_key(&self) -> bool {
        true
    }

    /// Whether it has one writer at a time, and so what waits may as well go with another commit.
    fn has_one_writer(&self) -> bool {
        false
    }

    /// What ends a `SELECT` whose row is changed next in the same transaction.
    fn for_update(&self) -> &'static str {
        " FOR UPDATE"
    }

    /// Moves the columns that heartbeats move, for so many instances; each binds tenant, id, last
    /// heartbeat, last check, health.
    fn beats(&self, rows: usize) -> String;

    /// The sum over rows of a number that their columns make, as an expression; where it costs nothing to
    /// know whether anybody else wrote there is no need of one.
    fn sum_of_prints(&self, columns: &[&str]) -> String;

    /// How many rows a statement has at most.
    fn rows_at_most(&self) -> usize;
}

/// The columns of [`Dialect::beats`] from the rows of `VALUES`, for the databases that can update
/// from them. `from` has the rows with the columns `column1` to `column6`.
pub(super) fn update_from(from: &str) -> String {
    format!(
        "UPDATE HUB_REGISTRY_SERVICE_INSTANCE SET lastHeartbeatTime = beat.column3, \
         lastHealthCheckTime = beat.column4, healthStatus = beat.column5, \
         extProperty = COALESCE(beat.column6, extProperty) FROM {from} \
         WHERE tenantId = beat.column1 AND serviceInstanceId = beat.column2"
    )
}

/// `item, item, item`.
pub(super) fn repeated(item: &str, times: usize) -> String {
    let mut text = String::with_capacity((item.len() + 2) * times);
    for number in 0..times {
        if number > 0 {
            text.push_str(", ");
        }
        text.push_str(item);
    }
    text
}
