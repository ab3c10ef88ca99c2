//! Removes what is too old, now and then.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::error::Result;
use super::retention::{Dead, Events, RetentionStore};
use crate::clock::Clock;
use crate::config::RetentionConfig;
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

/// Between two pieces of work, so that what serves requests comes first.
const PAUSE: Duration = Duration::from_millis(20);

/// Removes what is too old every `retention.interval`, first after one, until the group stops.
pub fn clean(
    store: Arc<dyn RetentionStore>,
    config: RetentionConfig,
    clock: Clock,
    metrics: Metrics,
    tasks: &TaskGroup,
) {
    let cleaner = Cleaner { store, config, clock, metrics };
    tasks.spawn_until_stopped(async move {
        loop {
            tokio::time::sleep(cleaner.config.interval).await;
            cleaner.turn().await;
        }
    });
}

struct Cleaner {
    store: Arc<dyn RetentionStore>,
    config: RetentionConfig,
    clock: Clock,
    metrics: Metrics,
}

impl Cleaner {
    /// Everything once. What fails is tried again at the next turn, and does not keep the rest.
    async fn turn(&self) {
        let old = self.before(self.config.events);
        self.repeat("events", || self.store.delete_events(Events::Before(old), self.limit())).await;
        match self.store.surplus_events(self.config.max_events).await {
            Ok(Some(last)) => {
                let events = Events::UpTo(last);
                self.repeat("events", || self.store.delete_events(events, self.limit())).await;
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "cannot count the events, will try again"),
        }
        let dead = self.before(self.config.dead_rows);
        for what in Dead::ALL {
            let remove = || self.store.delete_dead(what, dead, self.limit());
            self.repeat(what.word(), remove).await;
        }
    }

    /// Piece by piece until nothing is left.
    async fn repeat<F>(&self, what: &'static str, piece: impl Fn() -> F)
    where
        F: Future<Output = Result<u64>>,
    {
        let mut all = 0;
        loop {
            match piece().await {
                Ok(0) => break,
                Ok(rows) => {
                    all += rows;
                    self.metrics.database.retired(what, rows);
                }
                Err(error) => {
                    tracing::warn!(%error, what, "cannot remove old rows, will try again");
                    break;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        if all > 0 {
            tracing::info!(what, rows = all, "removed old rows");
        }
    }

    fn before(&self, age: Duration) -> DateTime<Utc> {
        // Out of range is older than everything.
        let age = chrono::TimeDelta::from_std(age).unwrap_or(chrono::TimeDelta::MAX);
        self.clock.now().checked_sub_signed(age).unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
    }

    fn limit(&self) -> u32 {
        self.config.batch_size
    }
}
