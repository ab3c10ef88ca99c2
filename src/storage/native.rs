//! Groups, services and instances of the hub's own registry.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::error::Result;
use super::event::{EventMark, EventRow};
use crate::model::row::CommonColumns;

/// A row of `HUB_REGISTRY_SERVICE_GROUP`, columns as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where the table is")]
pub struct GroupRow {
    pub service_group_id: String,
    pub tenant_id: String,
    pub group_name: String,
    pub group_description: Option<String>,
    pub group_type: Option<String>,
    pub owner_user_id: Option<String>,
    pub admin_user_ids: Option<String>,
    pub read_user_ids: Option<String>,
    pub access_control_enabled: Option<String>,
    pub default_protocol_type: Option<String>,
    pub default_load_balance_strategy: Option<String>,
    pub default_health_check_url: Option<String>,
    pub default_health_check_interval_seconds: Option<i64>,
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

/// A row of `HUB_REGISTRY_SERVICE`, columns as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where the table is")]
pub struct ServiceRow {
    pub tenant_id: String,
    pub group_name: String,
    pub service_name: String,
    pub service_description: Option<String>,
    pub protocol_type: Option<String>,
    pub context_path: Option<String>,
    pub load_balance_strategy: Option<String>,
    pub health_check_url: Option<String>,
    pub health_check_interval_seconds: Option<i64>,
    pub health_check_timeout_seconds: Option<i64>,
    pub metadata_json: Option<String>,
    pub tags_json: Option<String>,
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

/// A row of `HUB_REGISTRY_SERVICE_INSTANCE`, columns as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are described where the table is")]
pub struct InstanceRow {
    pub service_instance_id: String,
    pub tenant_id: String,
    pub group_name: String,
    pub service_name: String,
    pub host_address: String,
    pub port_number: Option<i64>,
    pub context_path: Option<String>,
    pub instance_status: Option<String>,
    pub health_status: Option<String>,
    pub weight_value: Option<i64>,
    pub client_id: Option<String>,
    pub client_version: Option<String>,
    pub client_type: Option<String>,
    pub metadata_json: Option<String>,
    pub tags_json: Option<String>,
    pub register_time: Option<DateTime<Utc>>,
    pub last_heartbeat_time: Option<DateTime<Utc>>,
    pub last_health_check_time: Option<DateTime<Utc>>,
    pub health_check_type: Option<String>,
    pub lease_seconds: Option<i64>,
    pub ephemeral: Option<String>,
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

/// Everything the three tables hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeRows {
    /// The groups.
    pub groups: Vec<GroupRow>,
    /// The services.
    pub services: Vec<ServiceRow>,
    /// The instances.
    pub instances: Vec<InstanceRow>,
}

/// Takes rows as they are read: all groups, then all services, then all instances.
pub trait NativeReader: Send {
    /// A group.
    fn group(&mut self, row: GroupRow);
    /// A service.
    fn service(&mut self, row: ServiceRow);
    /// An instance.
    fn instance(&mut self, row: InstanceRow);
}

impl NativeReader for NativeRows {
    fn group(&mut self, row: GroupRow) {
        self.groups.push(row);
    }

    fn service(&mut self, row: ServiceRow) {
        self.services.push(row);
    }

    fn instance(&mut self, row: InstanceRow) {
        self.instances.push(row);
    }
}

/// One write. Each says the whole row, so writing it twice is the same as once; only an event is
/// there twice then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeWrite {
    /// Inserts the group, or replaces the one of its id or name.
    PutGroup(GroupRow),
    /// Removes the group, if it is there.
    DeleteGroup {
        /// Its tenant.
        tenant_id: String,
        /// Its name.
        group_name: String,
    },
    /// Inserts the service, or replaces it.
    PutService(ServiceRow),
    /// Removes the service, if it is there.
    DeleteService {
        /// Its tenant.
        tenant_id: String,
        /// Its group.
        group_name: String,
        /// Its name.
        service_name: String,
    },
    /// Inserts the instance, or replaces the one of its id or address.
    PutInstance(InstanceRow),
    /// Removes the instance, if it is there.
    DeleteInstance {
        /// Its tenant.
        tenant_id: String,
        /// Its id.
        service_instance_id: String,
    },
    /// Adds an event.
    AddEvent(EventRow),
    /// Removes the events of a commit that is undone, if they are there and were not told.
    ForgetEvents(EventMark),
}

/// The columns of an instance that heartbeats move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatRow {
    /// The tenant.
    pub tenant_id: String,
    /// The instance.
    pub service_instance_id: String,
    /// The last beat.
    pub last_heartbeat_time: Option<DateTime<Utc>>,
    /// The last health somebody stated, rather than heartbeats.
    pub last_health_check_time: Option<DateTime<Utc>>,
    /// The health now.
    pub health_status: String,
    /// Its checks moved: `extProperty`, which holds them. `None`: it stays.
    pub ext_property: Option<String>,
}

/// What names a service as the tables do, whether or not the names are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The tenant.
    pub tenant_id: String,
    /// The group.
    pub group_name: String,
    /// The service; empty: the group itself.
    pub service_name: String,
}

/// A number that moves when somebody else wrote: nothing but equality has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tide {
    /// Which connection counts; another one counts anew.
    pub counter: u64,
    /// What it counted.
    pub count: i64,
}

/// What the rows of a place come to. Rows that differ have different prints, except by a chance of
/// one in four thousand million; what heartbeats and checks move by themselves, `lastHeartbeatTime` and
/// `lastHealthCheckTime`, is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlacePrint {
    /// Of the row of the service, or of the group.
    pub row: Option<i64>,
    /// How many instances there are.
    pub count: i64,
    /// Of these.
    pub instances: i64,
}

/// Keeps the hub's own registry.
#[async_trait]
pub trait NativeStore: fmt::Debug + Send + Sync + 'static {
    /// Reads everything there is: all rows at once would take more memory than what they come to.
    async fn read(&self, to: &mut dyn NativeReader) -> Result<()>;

    /// Everything there is.
    async fn load(&self) -> Result<NativeRows> {
        let mut rows = NativeRows::default();
        self.read(&mut rows).await?;
        Ok(rows)
    }

    /// Writes all in order, in one transaction that is on disk when this returns. After an error
    /// it is *unknown* whether it happened, but never half of it.
    async fn commit(&self, writes: &[NativeWrite]) -> Result<()>;

    /// Moves the columns that heartbeats move, in one transaction; rows that are gone are skipped.
    async fn flush(&self, beats: &[HeartbeatRow]) -> Result<()>;

    /// Moves when anybody wrote to the database but this store. `None`: it cannot tell, and the
    /// prints have to.
    async fn tide(&self) -> Result<Option<Tide>>;

    /// The prints of all places of one moment. Where [`tide`](Self::tide) tells, they are all the same
    /// but for the counts.
    async fn prints(&self) -> Result<BTreeMap<Place, PlacePrint>>;

    /// The rows of these services and of their groups, of one moment. A place without a service is
    /// its group's row alone.
    async fn rows_of(&self, places: &[Place]) -> Result<NativeRows>;
}
