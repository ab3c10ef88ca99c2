//! What is told of each change, and how far it was told.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::Result;
use crate::model::words::EventType;

/// A row of `HUB_REGISTRY_SERVICE_EVENT`; its id is given by the database. Texts for people are
/// cut to what their columns hold when they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where the table is")]
pub struct EventRow {
    pub tenant_id: String,
    pub group_name: Option<String>,
    pub service_name: Option<String>,
    pub host_address: Option<String>,
    pub port_number: Option<i64>,
    pub event_type: String,
    pub event_source: String,
    pub event_data_json: Option<String>,
    pub event_message: Option<String>,
    pub event_time: DateTime<Utc>,
    /// 0 until the change has its place among the tenant's revisions.
    pub revision: i64,
    /// Its place among the events of its revision, from 0: column `revisionPlace`.
    pub place: i64,
    /// Who caused it: `addWho` and `editWho`.
    pub who: String,
    /// Which commit it came with: `oprSeqFlag`.
    pub mark: String,
    /// Who alone may read it, when not everybody: JSON in `extProperty`.
    pub readers: Option<String>,
}

/// The events that one commit of the native registry wrote for one tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventMark {
    /// The tenant.
    pub tenant_id: String,
    /// The column `oprSeqFlag` of the rows.
    pub mark: String,
}

/// How far a tenant's changes were told: a row of `HUB_REGISTRY_EVENT_LOG`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// The tenant.
    pub tenant_id: String,
    /// The last revision that was told.
    pub revision: i64,
    /// Events of this revision and lower ones may be missing. In a write: raised to this, at
    /// least.
    pub floor: i64,
    /// The print of the view at `revision`, without what the native registry alone knows.
    pub view_print: i64,
    /// The print of the native registry at `revision`.
    pub native_print: i64,
}

/// What is written to the log in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogBatch {
    /// Events that were not numbered, and that others take the place of, or that nobody is told.
    pub forget: Vec<EventMark>,
    /// The revisions of events that are there.
    pub number: Vec<(EventMark, i64)>,
    /// New events.
    pub rows: Vec<EventRow>,
    /// How far that is, one for each tenant.
    pub positions: Vec<LogPosition>,
}

/// A place between two events of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The revision of the last event before it.
    pub revision: i64,
    /// That event's place in the revision; `i64::MAX`: all of the revision is before it.
    pub place: i64,
}

impl Cursor {
    /// After all events.
    pub const END: Self = Self::after(i64::MAX);

    /// After everything of this revision; 0 is before all events.
    #[must_use]
    pub const fn after(revision: i64) -> Self {
        Self { revision, place: i64::MAX }
    }
}

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of these types; empty: of all.
    pub types: Vec<EventType>,
    /// Of this group.
    pub group: Option<String>,
    /// Of a service of this name.
    pub service: Option<String>,
    /// That this source told.
    pub source: Option<String>,
}

/// A question to the log.
#[derive(Clone, Debug)]
pub struct EventQuery<'q> {
    /// Whose events.
    pub tenant: &'q str,
    /// Which.
    pub filter: &'q EventFilter,
    /// Only those after this place.
    pub after: Cursor,
    /// Only those before this place.
    pub before: Cursor,
    /// Only those that happened then or later.
    pub since: Option<DateTime<Utc>>,
    /// Only those that happened before.
    pub until: Option<DateTime<Utc>>,
}

/// Which of those that a query finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// So many of the oldest.
    First(u32),
    /// So many of the newest.
    Last(u32),
}

/// Some events of the log, as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventPage {
    /// Events of this revision and lower ones may be missing.
    pub floor: i64,
    /// In the order of revisions.
    pub rows: Vec<EventRow>,
}

/// How many events of one group there are that the same people may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventCount {
    /// The group, if they have one.
    pub group_name: Option<String>,
    /// Who alone may read them.
    pub readers: Option<String>,
    /// How many.
    pub events: u64,
}

/// Keeps the log of events.
#[async_trait]
pub trait EventStore: fmt::Debug + Send + Sync + 'static {
    /// How far each tenant's changes were told.
    async fn positions(&self) -> Result<Vec<LogPosition>>;

    /// The events that native commits wrote and that never got a revision, oldest first.
    async fn pending(&self) -> Result<Vec<EventMark>>;

    /// Writes all in one transaction. It outlives this process as soon as this returns, and the
    /// machine's power soon after, in the order of transactions. After an error it is *unknown*
    /// whether it happened, but never half of it.
    async fn append(&self, batch: Arc<LogBatch>) -> Result<()>;

    /// Events that were told.
    async fn events(&self, query: &EventQuery<'_>, take: Take) -> Result<EventPage>;

    /// How many there are, by group and readers.
    async fn count(&self, query: &EventQuery<'_>) -> Result<Vec<EventCount>>;

    /// Whether there is an event of this revision.
    async fn has_revision(&self, tenant: &str, revision: i64) -> Result<bool>;
}
