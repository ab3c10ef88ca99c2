//! How the sources fare: counters, times, last errors; written to the status table in batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hub_registry_core::layers::Observer;
use hub_registry_core::{Capability, ConfigId, Error, ErrorKind};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::SourceKey;
use super::attempts::Attempts;
use super::failover::Waits;
use crate::catalog::{Catalog, SourceId, SourceState};
use crate::clock::Clock;
use crate::model::external::ExternalStatusRow;
use crate::model::words::FailoverStatus;
use crate::storage::{self, StatusStore};
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

/// How often changed status rows are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// How the attempts to read a source went so far, for those who wait for the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Full reads so far.
    pub loads: u64,
    /// Failures so far.
    pub failures: u64,
    /// The last failure's class and text.
    pub last_error: Option<(String, String)>,
}

/// What is known of one source's connection.
#[derive(Clone, Debug, Default)]
pub struct SourceReport {
    /// How the last attempts went.
    pub outcome: Outcome,
    /// What the registry can do, once connected.
    pub capability: Option<Capability>,
    /// Good reads, failed ones, and those that failed by a time-out.
    pub successes: i64,
    /// Failed reads and calls.
    pub errors: i64,
    /// Of these, those that ran out of time.
    pub timeouts: i64,
    /// Duration of the last measured call, in milliseconds.
    pub response_ms: Option<i64>,
    /// When it was last connected.
    pub connected_at: Option<DateTime<Utc>>,
    /// When its connection last ended.
    pub disconnected_at: Option<DateTime<Utc>>,
    /// When it was last read well.
    pub checked_at: Option<DateTime<Utc>>,
    /// When it last failed.
    pub failed_at: Option<DateTime<Utc>>,
    /// It was switched off.
    pub off: bool,
    /// Its row breaks a rule; what ran before goes on.
    pub row_is_wrong: bool,
    /// Who serves, if it has a standby.
    pub failover: Option<FailoverReport>,
    /// How what its rule copies fares, if it has one.
    pub sync: Option<SyncReport>,
    dirty: bool,
}

/// How what a rule copies fares, in this run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReport {
    /// `IDLE`, `SYNCING` or `ERROR`.
    pub status: &'static str,
    /// When a copy was last written.
    pub at: Option<DateTime<Utc>>,
    /// Copies written, updated and removed.
    pub successes: i64,
    /// Writes that failed.
    pub errors: i64,
}

/// Who serves in the place of a source that has a standby.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailoverReport {
    /// How it stands.
    pub status: FailoverStatus,
    /// What the next step waits for.
    pub waits_for: Waits,
    /// Its standby.
    pub standby: ConfigId,
    /// The standby takes its place by itself.
    pub auto: bool,
    /// How long it must be read well before it serves again.
    pub hold_down: Duration,
    /// The configuration that serves.
    pub served_by: ConfigId,
    /// When the standby last took the place, in this run.
    pub since: Option<DateTime<Utc>>,
    /// When the primary last took it back, in this run.
    pub recovered: Option<DateTime<Utc>>,
    /// How often the standby took it, in this run.
    pub count: i64,
    /// It was an operator who had the standby serve.
    pub by_operator: bool,
    /// What a restart goes on from.
    pub details: String,
}

/// One source's status, shared by its task, the API and the writer of the rows.
#[derive(Debug)]
pub struct SourceStatus {
    id: String,
    name: String,
    kind: &'static str,
    clock: Clock,
    metrics: Metrics,
    report: Mutex<SourceReport>,
    attempts: Mutex<Attempts>,
    outcome: watch::Sender<Outcome>,
}

impl SourceStatus {
    /// A status without history, for calls outside a running source.
    #[must_use]
    pub fn new(id: &str, name: &str, kind: &'static str, clock: Clock, metrics: Metrics) -> Self {
        let (report, outcome) = (Mutex::default(), watch::Sender::new(Outcome::default()));
        let (id, name, attempts) = (id.to_owned(), name.to_owned(), Mutex::default());
        Self { id, name, kind, clock, metrics, report, attempts, outcome }
    }

    fn name(&self) -> (&str, &str, &'static str) {
        (&self.id, &self.name, self.kind)
    }

    /// What is known now.
    #[must_use]
    pub fn report(&self) -> SourceReport {
        self.report.lock().clone()
    }

    /// Follows the attempts.
    #[must_use]
    pub fn outcomes(&self) -> watch::Receiver<Outcome> {
        self.outcome.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut SourceReport, DateTime<Utc>)) {
        let now = self.clock.now();
        let mut report = self.report.lock();
        change(&mut report, now);
        report.dirty = true;
        let outcome = report.outcome.clone();
        drop(report);
        self.outcome.send_if_modified(|old| {
            let changed = *old != outcome;
            *old = outcome;
            changed
        });
    }

    /// How the attempts to read it go.
    pub(super) fn attempts(&self) -> Attempts {
        *self.attempts.lock()
    }

    /// An attempt to connect and read begins.
    pub(super) fn attempting(&self) {
        self.attempts.lock().begin(Instant::now());
    }

    /// Who serves in its place now.
    pub(super) fn set_failover(&self, failover: Option<FailoverReport>) {
        if self.report.lock().failover != failover {
            self.change(|report, _| report.failover = failover);
        }
    }

    /// How what its rule copies fares now.
    pub fn set_sync(&self, sync: Option<SyncReport>) {
        if self.report.lock().sync != sync {
            self.change(|report, _| report.sync = sync);
        }
    }

    /// The registry answered the login; what it can do.
    pub fn connected(&self, capability: Capability) {
        self.change(|report, now| {
            report.off = false;
            report.capability = Some(capability);
            report.connected_at = Some(now);
        });
    }

    /// A good read; `full` when it was one of everything.
    pub fn read(&self, full: bool) {
        self.attempts.lock().read(Instant::now());
        self.change(|report, now| {
            report.successes += 1;
            report.checked_at = Some(now);
            report.outcome.loads += u64::from(full);
        });
    }

    /// A failed attempt.
    pub fn failed(&self, error: &Error) {
        self.attempts.lock().fail(Instant::now());
        self.metrics.sources.failed(self.name(), error.kind().code());
        self.complain(error.kind(), error.to_string());
    }

    /// Its row breaks a rule.
    pub fn complain_of_row(&self, message: String) {
        self.complain(ErrorKind::Invalid, message);
        self.change(|report, _| report.row_is_wrong = true);
    }

    /// Its row is right again, or gone.
    pub fn mended(&self) {
        self.change(|report, _| report.row_is_wrong = false);
    }

    fn complain(&self, kind: ErrorKind, message: String) {
        self.change(|report, now| {
            report.errors += 1;
            report.timeouts += i64::from(kind == ErrorKind::Timeout);
            report.failed_at = Some(now);
            report.disconnected_at = Some(now);
            report.outcome.failures += 1;
            report.outcome.last_error = Some((kind.code().to_owned(), message));
        });
    }

    /// It was switched on, and is about to connect.
    pub fn switched_on(&self) {
        *self.attempts.lock() = Attempts::default();
        self.change(|report, _| report.off = false);
    }

    /// It was switched off by an operator.
    pub fn switched_off(&self) {
        self.change(|report, now| {
            report.off = true;
            report.disconnected_at = Some(now);
        });
    }
}

impl Observer for SourceStatus {
    fn observe(&self, operation: &'static str, took: Duration, error: Option<ErrorKind>) {
        let error = error.map(ErrorKind::code);
        self.metrics.sources.called(self.name(), operation, took, error);
        self.change(|report, _| report.response_ms = Some(took.as_millis() as i64));
    }
}

/// All statuses.
#[derive(Debug)]
pub struct StatusBoard {
    entries: Mutex<BTreeMap<SourceKey, Arc<SourceStatus>>>,
    rows: Mutex<BTreeMap<SourceKey, ExternalStatusRow>>,
    // A row a restart goes on from has changed.
    urgent: Notify,
    catalog: Catalog,
    clock: Clock,
    metrics: Metrics,
}

impl StatusBoard {
    /// A board that goes on from the rows an earlier run wrote.
    #[must_use]
    pub fn new(
        rows: Vec<ExternalStatusRow>,
        catalog: Catalog,
        clock: Clock,
        metrics: Metrics,
    ) -> Arc<Self> {
        let keyed = rows.into_iter().filter_map(|row| {
            let key = (row.tenant_id.parse().ok()?, row.external_config_id.parse().ok()?);
            Some((key, row))
        });
        let rows = Mutex::new(keyed.collect());
        let (entries, urgent) = (Mutex::default(), Notify::new());
        Arc::new(Self { entries, rows, urgent, catalog, clock, metrics })
    }

    /// The status of a source, made when it is new.
    pub fn entry(&self, key: &SourceKey, name: &str, kind: &'static str) -> Arc<SourceStatus> {
        let make = || {
            let (clock, metrics) = (self.clock.clone(), self.metrics.clone());
            Arc::new(SourceStatus::new(key.1.as_str(), name, kind, clock, metrics))
        };
        let mut entries = self.entries.lock();
        let entry = entries.entry(key.clone()).or_insert_with(make);
        if entry.name != name || entry.kind != kind {
            // The name changed, or the kind was not known before: the counts go on.
            let renamed = make();
            *renamed.report.lock() = entry.report();
            *renamed.attempts.lock() = entry.attempts();
            *entry = renamed;
        }
        Arc::clone(entry)
    }

    /// The status of a source, if it ever ran or complained.
    #[must_use]
    pub fn get(&self, key: &SourceKey) -> Option<Arc<SourceStatus>> {
        self.entries.lock().get(key).cloned()
    }

    /// Notes a source that was off already when this run began, whatever the last one wrote.
    pub fn switched_off_before(&self, key: &SourceKey) {
        self.entry(key, "", "UNKNOWN").change(|report, _| report.off = true);
    }

    /// Forgets a deleted source.
    pub fn forget(&self, key: &SourceKey) {
        self.entries.lock().remove(key);
        self.rows.lock().remove(key);
    }

    /// The status row of a source as it is or will be written.
    #[must_use]
    pub fn row(&self, key: &SourceKey) -> ExternalStatusRow {
        let base = self.rows.lock().get(key).cloned();
        let base = base.unwrap_or_else(|| ExternalStatusRow {
            external_status_id: key.1.as_str().to_owned(),
            tenant_id: key.0.as_str().to_owned(),
            external_config_id: key.1.as_str().to_owned(),
            ..ExternalStatusRow::default()
        });
        match self.get(key) {
            Some(status) => self.fill(key, base, &status.report()),
            // Nothing runs, whatever the last run wrote.
            None => {
                let connection_status = Some("DISCONNECTED".to_owned());
                ExternalStatusRow { connection_status, ..base }
            }
        }
    }

    fn fill(
        &self,
        key: &SourceKey,
        mut row: ExternalStatusRow,
        report: &SourceReport,
    ) -> ExternalStatusRow {
        let state = self.catalog.state(&key.0, &SourceId::External(key.1.clone()));
        let connection = match state {
            _ if report.row_is_wrong => "ERROR",
            Some((SourceState::Live | SourceState::Protected, _)) => "CONNECTED",
            Some((SourceState::Connecting, _)) => "CONNECTING",
            Some((SourceState::Stale | SourceState::Down, _)) => "ERROR",
            Some((SourceState::Disconnected, _)) | None if report.off => "DISCONNECTED",
            _ => "ERROR",
        };
        let sum = |before: Option<i64>, now: i64| Some(before.unwrap_or(0) + now);
        row.connection_status = Some(connection.to_owned());
        let health = if connection == "CONNECTED" { "HEALTHY" } else { "UNHEALTHY" };
        row.health_status = Some(if report.off { "UNKNOWN" } else { health }.to_owned());
        row.success_count = sum(row.success_count, report.successes);
        row.error_count = sum(row.error_count, report.errors);
        row.timeout_count = sum(row.timeout_count, report.timeouts);
        row.response_time = report.response_ms.or(row.response_time);
        row.last_connect_time = report.connected_at.or(row.last_connect_time);
        row.last_disconnect_time = report.disconnected_at.or(row.last_disconnect_time);
        row.last_health_check_time = report.checked_at.or(row.last_health_check_time);
        row.last_error_time = report.failed_at.or(row.last_error_time);
        if let Some((code, message)) = &report.outcome.last_error {
            row.last_error_message = Some(message.chars().take(500).collect());
            row.error_details =
                Some(serde_json::json!({ "code": code, "message": message }).to_string());
        }
        let failover = report.failover.as_ref();
        let status = failover.map_or(FailoverStatus::Normal, |f| f.status);
        row.failover_status = Some(status.as_str().to_owned());
        row.failover_count = sum(row.failover_count, failover.map_or(0, |f| f.count));
        row.failover_time = failover.and_then(|f| f.since).or(row.failover_time);
        row.recover_time = failover.and_then(|f| f.recovered).or(row.recover_time);
        row.failover_details = failover.map(|f| f.details.clone());
        let sync = report.sync.as_ref();
        row.sync_status = Some(sync.map_or("IDLE", |sync| sync.status).to_owned());
        row.last_sync_time = sync.and_then(|sync| sync.at).or(row.last_sync_time);
        row.sync_success_count = sum(row.sync_success_count, sync.map_or(0, |sync| sync.successes));
        row.sync_error_count = sum(row.sync_error_count, sync.map_or(0, |sync| sync.errors));
        row
    }

    /// The row of a source as the last run left it.
    pub(super) fn kept(&self, key: &SourceKey) -> Option<ExternalStatusRow> {
        self.rows.lock().get(key).cloned()
    }

    /// Writes the row of one source now.
    ///
    /// # Errors
    /// When the table cannot be written; it is tried again later.
    pub(super) async fn write_now(
        &self,
        store: &dyn StatusStore,
        key: &SourceKey,
    ) -> storage::Result<()> {
        store.upsert(&[self.row(key)]).await
    }

    /// Has changed rows written at once: a restart goes on from one of them.
    pub(super) fn hurry(&self) {
        self.urgent.notify_one();
    }

    /// Writes changed rows in batches until the group stops, and once more then.
    pub fn keep_written(self: &Arc<Self>, store: Arc<dyn StatusStore>, tasks: &TaskGroup) {
        let (board, stop) = (Arc::clone(self), tasks.stop_signal());
        tasks.spawn(async move {
            loop {
                let stopping = tokio::select! {
                    () = stop.cancelled() => true,
                    () = tokio::time::sleep(WRITE_EVERY) => false,
                    () = board.urgent.notified() => false,
                };
                board.write(store.as_ref()).await;
                if stopping {
                    return;
                }
            }
        });
    }

    async fn write(&self, store: &dyn StatusStore) {
        let entries = self.entries.lock().clone();
        let dirty = |status: &SourceStatus| std::mem::take(&mut status.report.lock().dirty);
        let changed: Vec<_> = entries.into_iter().filter(|(_, status)| dirty(status)).collect();
        if changed.is_empty() {
            return;
        }
        let rows: Vec<_> = changed.iter().map(|(key, _)| self.row(key)).collect();
        if let Err(error) = store.upsert(&rows).await {
            tracing::warn!(%error, rows = rows.len(), "cannot write status rows, will try again");
            for (_, status) in changed {
                status.report.lock().dirty = true;
            }
        }
    }
}
