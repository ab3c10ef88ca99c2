//! The levels, changed while the server runs.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Registry, reload};

use super::filter;
use crate::clock::Clock;
use crate::config::LogLevels;

/// How much is logged, and how much it was meant to be.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelState {
    /// The levels that count now.
    pub current: LogLevels,
    /// Those of the configuration.
    pub configured: LogLevels,
    /// When the latter count again; `None`: they do, or the others stay.
    pub until: Option<DateTime<Utc>>,
}

/// The levels of the running log. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Levels {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    handle: reload::Handle<Targets, Registry>,
    configured: LogLevels,
    access: bool,
    clock: Clock,
    now: Mutex<Now>,
    changed: Notify,
}

#[derive(Debug)]
struct Now {
    levels: LogLevels,
    ends: Option<(Instant, DateTime<Utc>)>,
}

impl Levels {
    pub(super) fn new(
        handle: reload::Handle<Targets, Registry>,
        configured: LogLevels,
        access: bool,
        clock: Clock,
    ) -> Self {
        let now = Mutex::new(Now { levels: configured.clone(), ends: None });
        let changed = Notify::new();
        Self { inner: Arc::new(Inner { handle, configured, access, clock, now, changed }) }
    }

    /// How it stands.
    #[must_use]
    pub fn state(&self) -> LevelState {
        let now = self.inner.now.lock();
        LevelState {
            current: now.levels.clone(),
            configured: self.inner.configured.clone(),
            until: now.ends.map(|(_, until)| until),
        }
    }

    /// Logs so much from now on; with `length` those of the configuration count again after it.
    pub fn set(&self, levels: LogLevels, length: Option<Duration>) {
        let mut now = self.inner.now.lock();
        now.ends = length.map(|length| (Instant::now() + length, self.inner.clock.now() + length));
        self.inner.apply(&mut now, levels);
        drop(now);
        self.inner.changed.notify_one();
    }

    /// Ends what was set for a time. For ever; to be dropped at the end.
    pub async fn end_in_time(&self) {
        loop {
            let ends = self.inner.now.lock().ends.map(|(ends, _)| ends);
            let over = async {
                match ends {
                    Some(ends) => tokio::time::sleep_until(ends).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.inner.changed.notified() => continue,
                () = over => {}
            }
            let mut now = self.inner.now.lock();
            // It may have been set anew in the meantime.
            if now.ends.is_some_and(|(ends, _)| ends <= Instant::now()) {
                now.ends = None;
                let configured = self.inner.configured.clone();
                tracing::info!(target: filter::AUDIT, before = %now.levels, level = %configured,
                    "the time is over: the configured log level counts again");
                self.inner.apply(&mut now, configured);
            }
        }
    }
}

impl Inner {
    fn apply(&self, now: &mut Now, levels: LogLevels) {
        // It fails only when the log is gone, and then there is nothing to be filtered.
        self.handle.reload(filter::of(&levels, self.access)).ok();
        now.levels = levels;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_set_for_a_time_ends() {
        let configured: LogLevels = "warn".parse().unwrap();
        let (layer, handle) = reload::Layer::new(filter::of(&configured, false));
        let (clock, _) = Clock::fixed(60_000);
        let levels = Levels::new(handle, configured.clone(), false, clock);
        let debug: LogLevels = "debug".parse().unwrap();
        let ending = levels.end_in_time();
        tokio::pin!(ending);
        let mut pass = async |seconds| {
            tokio::select! {
                () = &mut ending => {}
                () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
            }
        };

        levels.set(debug.clone(), Some(Duration::from_secs(60)));
        assert_eq!(levels.state().until.map(|until| until.timestamp()), Some(120));
        pass(59).await;
        assert_eq!(levels.state().current, debug);
        // Set anew: the first end does not count.
        levels.set(debug.clone(), Some(Duration::from_secs(60)));
        pass(59).await;
        assert_eq!(levels.state().current, debug);
        pass(2).await;
        let state = LevelState { current: configured.clone(), configured, until: None };
        assert_eq!(levels.state(), state);

        levels.set(debug.clone(), None);
        pass(3600).await;
        assert_eq!((levels.state().current, levels.state().until), (debug, None));
        drop(layer);
    }
}
