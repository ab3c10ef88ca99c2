//! Revisions that never fall, restarts included.
//!
//! A tenant's revision counts its changes. At a start counting begins at a ceiling that an
//! earlier run wrote down before it gave out anything below it; the clock has no part in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::error::Result;
use crate::storage::RevisionStore;
use crate::task::TaskGroup;

/// How many revisions one raise of the ceiling allows: at 10,000 changes a second, a day's. 2^53
/// (what JSON numbers hold) has room for eight million restarts.
const BLOCK: i64 = 1 << 30;
/// How often it is checked whether the ceiling must be raised.
const CHECK: Duration = Duration::from_secs(10);
const SCOPE: &str = "view";

/// Where counting begins and how far it may go.
#[derive(Clone, Debug)]
pub struct Revisions {
    base: i64,
    highest: Arc<AtomicI64>,
}

impl Revisions {
    /// Raises the ceiling before anything is given out, and keeps raising it in time.
    ///
    /// # Errors
    /// When the ceiling cannot be written.
    pub async fn start(store: Arc<dyn RevisionStore>, tasks: &TaskGroup) -> Result<Self> {
        // Never 0: a reader's index of 0 means "answer at once".
        let base = store.ceiling(SCOPE).await?.max(1);
        store.raise(SCOPE, base + BLOCK).await?;
        let highest = Arc::new(AtomicI64::new(base));
        let given = Arc::clone(&highest);
        tasks.spawn_until_stopped(async move {
            let mut ceiling = base + BLOCK;
            loop {
                tokio::time::sleep(CHECK).await;
                if given.load(Ordering::Relaxed) < ceiling - BLOCK / 2 {
                    continue;
                }
                match store.raise(SCOPE, ceiling + BLOCK).await {
                    Ok(()) => ceiling += BLOCK,
                    Err(error) => tracing::error!(%error, "cannot raise the revision ceiling"),
                }
            }
        });
        Ok(Self { base, highest })
    }

    /// Counting from 0, for tests of the pure parts.
    #[must_use]
    pub fn from_zero() -> Self {
        Self { base: 0, highest: Arc::default() }
    }

    /// The revision of a tenant in which nothing changed yet.
    #[must_use]
    pub fn base(&self) -> i64 {
        self.base
    }

    /// Notes that this revision was given out.
    pub fn note(&self, revision: i64) {
        self.highest.fetch_max(revision, Ordering::Relaxed);
    }
}
