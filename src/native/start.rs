//! The door, and how it opens.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use hub_registry_core::{Change, TenantId};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;

use super::checks::Checks;
use super::job::Job;
use super::keeper::Keeper;
use super::lease::Lease;
use super::leases::{Leases, PULSE};
use super::load::{Loaded, Loading};
use super::outside::{Seen, Watch};
use super::preservation::Preservation;
use super::publish::Publish;
use super::state::State;
use super::stats::LeaseStats;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::events::Events;
use crate::storage::{NativeStore, StorageError};
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether registering makes missing groups and services.
    pub auto_create: bool,
    /// The lease of an instance that names none.
    pub lease_seconds: u32,
    /// When many silent clients are not believed to be gone.
    pub preservation: Preservation,
    /// What is told of each change.
    pub events: EventsWanted,
    /// How often the tables are looked at for what others wrote; `None`: never.
    pub poll_interval: Option<Duration>,
}

/// What is told of each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventsWanted {
    /// Nothing.
    Nothing,
    /// It is told, and kept nowhere.
    Told,
    /// It is told, and written in the commit of the change.
    #[default]
    Kept,
}

impl Default for Settings {
    fn default() -> Self {
        let preservation = Preservation::default();
        let events = EventsWanted::default();
        Self { auto_create: true, lease_seconds: 30, preservation, events, poll_interval: None }
    }
}

/// Requests wait here while a commit runs: four commits' worth, then callers wait themselves.
const JOBS: usize = 2048;
/// News for the watches; one that falls further behind starts anew.
const NEWS: usize = 1024;
/// A pause of so many milliseconds is worth a word in the log.
const WORTH_A_WORD: u64 = 2000;
/// Instances heard again; one that finds no room is found by its deadline.
const REVIVED: usize = 1024;

/// The hub's own registry: the door for REST, the facades and the sync.
#[derive(Clone, Debug)]
pub struct Native {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Sender<Box<dyn Job>>,
}

/// What the door and the keeper share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: ArcSwap<State>,
    pub(super) leases: Arc<Leases>,
    pub(super) checks: Checks,
    pub(super) clock: Clock,
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) stats: DashMap<TenantId, LeaseStats>,
    pub(super) news: broadcast::Sender<Arc<News>>,
    pub(super) revived: mpsc::Sender<Arc<Lease>>,
    /// Who is told of heartbeats.
    pub(super) beats: OnceLock<Events>,
    /// Which look at the tables is under way; 0: none.
    pub(super) looking: AtomicU64,
    /// The keeper has ended: nothing changes any more.
    pub(super) ended: CancellationToken,
}

/// What one publication told.
#[derive(Debug)]
pub(super) struct News {
    pub(super) revision: u64,
    pub(super) tenant: TenantId,
    pub(super) changes: Vec<Change>,
}

impl Native {
    /// Loads everything, publishes it and begins to serve. Every lease begins anew.
    ///
    /// The keeper runs in `tasks`; when these are told to stop it finishes what waits, writes the
    /// last heartbeats and ends, and the door is closed: writes and heartbeats get `Unavailable`.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub async fn start(
        store: Arc<dyn NativeStore>,
        publish: Arc<dyn Publish>,
        clock: Clock,
        metrics: Metrics,
        tasks: &TaskGroup,
        settings: Settings,
    ) -> Result<Arc<Self>> {
        // What is written from here on is seen by the next look.
        let seen = Seen::now(&*store).await.map_err(failed)?;
        let loaded_at = clock.now();
        let mut loading = Loading::new(loaded_at, &State::default());
        store.read(&mut loading).await.map_err(failed)?;
        let Loaded { mut state, repairs, skipped } = loading.loaded;
        if !repairs.is_empty() {
            let repairs: Vec<_> = repairs.into_iter().map(|(_, write)| write).collect();
            store.commit(&repairs).await.map_err(failed)?;
        }
        state.revision = 1;
        let (tell, found) = mpsc::channel(1);
        let (jobs, waiting) = mpsc::channel(JOBS);
        let (revived, heard_again) = mpsc::channel(REVIVED);
        let shared = Arc::new(Shared {
            state: ArcSwap::from_pointee(state),
            leases: Arc::new(Leases::new()),
            checks: Checks::default(),
            clock,
            settings,
            metrics,
            stats: DashMap::new(),
            news: broadcast::Sender::new(NEWS),
            revived,
            beats: OnceLock::new(),
            looking: AtomicU64::new(0),
            ended: CancellationToken::new(),
        });
        let watch = Watch::new(Arc::clone(&store), Arc::clone(&shared), tell, seen, loaded_at);
        let watch = watch.knowing(skipped);
        let mut keeper =
            Keeper::new(Arc::clone(&shared), waiting, heard_again, found, store, publish, tasks);
        keeper.reset();
        if let Some(poll) = settings.poll_interval {
            tasks.spawn_until_stopped(watch.run(poll));
        }
        tasks.spawn(keeper.run());
        tasks.spawn(pulse(Arc::clone(&shared.leases), shared.ended.clone()));
        Ok(Arc::new(Self { shared, jobs }))
    }

    /// Tells these of heartbeats from now on; a second call changes nothing.
    pub fn tell_beats(&self, events: Events) {
        self.shared.beats.get_or_init(|| events);
    }
}

/// Shows that the process runs, for as long as the keeper does.
async fn pulse(leases: Arc<Leases>, ended: CancellationToken) {
    while ended.run_until_cancelled(tokio::time::sleep(PULSE)).await.is_some() {
        let paused_ms = leases.beat_pulse();
        if paused_ms > WORTH_A_WORD {
            tracing::warn!(
                paused_ms,
                "the process was paused: each lease of which a heartbeat may have been missed \
                 begins anew"
            );
        }
    }
}

fn failed(error: StorageError) -> Error {
    tracing::error!(%error, "native registry cannot be loaded");
    error.into()
}
