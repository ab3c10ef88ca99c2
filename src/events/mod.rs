//! What happens, told: in the order of revisions, once, without a silent gap.
//!
//! ```text
//! view's writers ── bus ── log (durable, numbers) ── feed ── subscribers
//!                                 │                    ▲
//!                                 └── what was told ───┘ those who resume
//! ```
//!
//! The events of a change set are those of one revision of a tenant's view. Decision 0018 says why
//! they are numbered after their commit, and what a start does with those that were not.
//!
//! | module | what |
//! |---|---|
//! | `data` | what an event says of a change |
//! | `change` | what is told of one revision |
//! | `bus` | a queue that never keeps a writer waiting |
//! | `log` | writes the log; what a start finds in it |
//! | `feed` | recent events in memory, places of subscribers, resuming |
//! | `frame`, `id` | an event as it is sent, and what names it |

mod bus;
mod change;
pub mod data;
mod feed;
mod frame;
mod id;
mod log;

pub use bus::{Bus, Load, Waiting};
pub use change::{ChangeSet, Facts, OnDisk, Prints, Restored};
pub use feed::{FeedSettings, Item, NoSeat, Subscription, Wanted};
pub use frame::{Frame, Notice};
pub use id::{EventId, ID_RULE};

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::sync::mpsc;

use self::feed::{Feed, Start};
use self::log::Recorder;
use crate::access::Visible;
use crate::error::Result;
use crate::storage::{EventRow, EventStore};
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

pub use self::log::mark_of;

/// Batches that wait for the log while it writes; whoever brings more waits.
const INPUT: usize = 4;

/// The events of all tenants. Clones share them.
#[derive(Clone, Debug)]
pub struct Events {
    feed: Arc<Feed>,
    base: i64,
    settings: FeedSettings,
}

/// Where change sets go in. The log ends when the last one is dropped and all is written.
#[derive(Clone, Debug)]
pub struct Telling {
    events: Events,
    log: Option<mpsc::Sender<Vec<ChangeSet>>>,
}

impl Events {
    /// Without a store nothing is kept but what is in memory. `base`: the lowest revision of this
    /// run.
    #[must_use]
    pub fn new(
        store: Option<Arc<dyn EventStore>>,
        settings: FeedSettings,
        base: i64,
        metrics: Metrics,
    ) -> Self {
        let feed = Arc::new(Feed::new(store, settings, base, metrics));
        Self { feed, base, settings }
    }

    /// Begins to tell: with the views as they were found, and with what earlier runs left untold.
    /// `next` gives a tenant's next revision.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub async fn begin(
        &self,
        restored: Vec<Restored>,
        next: impl Fn(&TenantId) -> i64,
        metrics: Metrics,
        tasks: &TaskGroup,
    ) -> Result<Telling> {
        let Some(store) = &self.feed.store else {
            for Restored { tenant, revision, .. } in restored {
                let (base, earlier) = (self.base, None);
                let start = Start { base, quiet: revision, told: revision, earlier };
                self.feed.begin(&tenant, start);
            }
            return Ok(Telling { events: self.clone(), log: None });
        };
        log::begin(store, &self.feed, self.base, restored, next).await?;
        let (log, input) = mpsc::channel(INPUT);
        let (store, feed) = (Arc::clone(store), Arc::clone(&self.feed));
        tasks.spawn(Recorder::new(store, feed, metrics, input).run());
        Ok(Telling { events: self.clone(), log: Some(log) })
    }

    /// The tenant's view has this revision now, and its events are on their way.
    pub fn give(&self, tenant: &TenantId, revision: i64) {
        self.feed.give(tenant, revision);
    }

    /// Waits until the tenant's events up to this revision are on disk; at most so long. Whether
    /// they are.
    pub async fn reached(&self, tenant: &TenantId, revision: i64, within: Duration) -> bool {
        if self.feed.store.is_none() {
            return true;
        }
        // Of one that nobody knows nothing is on its way.
        let Some(mut logged) = self.feed.follow_log(tenant) else { return true };
        let reached = logged.wait_for(|logged| *logged >= revision);
        matches!(tokio::time::timeout(within, reached).await, Ok(Ok(_)))
    }

    /// Waits until all that happened to the tenant by now is in the log; at most so long.
    pub async fn settled(&self, tenant: &TenantId, within: Duration) -> bool {
        self.reached(tenant, self.feed.given(tenant), within).await
    }

    /// Subscribes.
    ///
    /// # Errors
    /// There is no room.
    pub fn subscribe(&self, wanted: Wanted, visible: Visible) -> Result<Subscription, NoSeat> {
        self.feed.subscribe(wanted, visible)
    }

    /// Tells of a heartbeat, if anybody asked for this tenant's; else nothing is made.
    pub fn beat(&self, tenant: &TenantId, row: impl FnOnce() -> Option<EventRow>) {
        self.feed.beat(tenant, || {
            let mut row = row()?;
            row.revision = self.feed.told(tenant);
            Some(Frame::passing(&row))
        });
    }

    /// The log; `None`: none is kept.
    #[must_use]
    pub fn log(&self) -> Option<&Arc<dyn EventStore>> {
        self.feed.store.as_ref()
    }

    /// The last revision of the tenant whose events were given out.
    #[must_use]
    pub fn told(&self, tenant: &TenantId) -> i64 {
        self.feed.told(tenant)
    }

    /// Subscribers now, and events in memory.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        (self.feed.subscribers(), self.feed.buffered())
    }

    /// The bounds.
    #[must_use]
    pub fn settings(&self) -> FeedSettings {
        self.settings
    }
}

impl Telling {
    /// Tells these, in the order of revisions of each tenant. Waits while the log has enough to
    /// do.
    pub async fn tell(&self, sets: Vec<ChangeSet>) {
        let Some(log) = &self.log else {
            sets.iter().for_each(|set| self.events.feed.release(set));
            return;
        };
        // Fails when the log has ended, which it does after its last input.
        log.send(sets).await.ok();
    }
}
