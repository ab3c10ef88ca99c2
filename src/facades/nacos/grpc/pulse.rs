//! Whether the process stood still of late (SIGSTOP, a suspended machine). Clients gave it up then,
//! and none of them left: what they registered must not go with connections that are found closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::facades::nacos::Face;

const TICK: Duration = Duration::from_millis(500);
/// A tick that comes so late is one after a pause.
const PAUSE: Duration = Duration::from_secs(3);
/// How long after a pause a closed connection is one of those: clients come back within a minute.
const RECENT: Duration = Duration::from_secs(90);

/// Times are in milliseconds since it began; 0: never.
#[derive(Debug)]
pub(in crate::facades::nacos) struct Pulse {
    began: Instant,
    ticked: AtomicU64,
    paused: AtomicU64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { began: Instant::now(), ticked: AtomicU64::new(0), paused: AtomicU64::new(0) }
    }
}

impl Pulse {
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tick(&self) {
        let now = self.now();
        let before = self.ticked.swap(now, Ordering::Relaxed);
        if before > 0 && now - before > PAUSE.as_millis() as u64 {
            self.paused.store(now, Ordering::Relaxed);
            tracing::warn!(
                paused_ms = now - before,
                "the process was paused: clients of Nacos that gave it up keep what they registered for a lease"
            );
        }
    }

    /// Whether it stood still within the last while, the moment before this one included.
    pub(super) fn was_paused(&self) -> bool {
        // Whoever asks may be awake before the one that ticks.
        self.tick();
        let paused = self.paused.load(Ordering::Relaxed);
        paused > 0 && self.now() - paused < RECENT.as_millis() as u64
    }
}

/// Ticks until it is dropped.
pub(super) async fn run(face: Arc<Face>) {
    loop {
        face.pulse.tick();
        tokio::time::sleep(TICK).await;
    }
}
