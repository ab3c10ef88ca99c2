//! What the tests of the native registry stand on: a store in memory that fails on demand, and a
//! listener that checks what it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hub_registry::access::Caller;
use hub_registry::clock::Clock;
use hub_registry::model::instance::{NativeInstance, Registration};
use hub_registry::native::{Native, Publication, Publish, Settings};
use hub_registry::storage::{
    EventRow, GroupRow, HeartbeatRow, InstanceRow, NativeReader, NativeRows, NativeStore,
    NativeWrite, Place, PlacePrint, Result, ServiceRow, StorageError, StorageErrorKind, Tide,
};
use hub_registry::task::TaskGroup;
use hub_registry::telemetry::metrics::Metrics;
use hub_registry_core::{Change, Instance, InstanceKey, ServiceKey, TenantId};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// How the next writes go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Refused: nothing is written.
    Before,
    /// Written, but the answer is lost.
    After,
}

#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) groups: BTreeMap<(String, String), GroupRow>,
    pub(crate) services: BTreeMap<(String, String, String), ServiceRow>,
    pub(crate) instances: BTreeMap<(String, String), InstanceRow>,
    pub(crate) events: Vec<EventRow>,
}

/// A store in memory.
#[derive(Debug, Default)]
pub(crate) struct FakeStore {
    pub(crate) tables: Mutex<Tables>,
    pub(crate) fault: Mutex<Fault>,
    pub(crate) commits: AtomicUsize,
    pub(crate) commit_time: Duration,
    /// The most writes of a commit that was tried.
    pub(crate) largest: AtomicUsize,
    /// So many rows of heartbeats were written.
    pub(crate) beats: AtomicUsize,
    /// Nothing is answered.
    pub(crate) hangs: AtomicBool,
    /// Commits are written, and what leases and checks found is not.
    pub(crate) keeps_no_beats: AtomicBool,
    /// So often the tables were looked at.
    pub(crate) looks: AtomicUsize,
    /// Looks at the tables fail.
    pub(crate) unreadable: AtomicBool,
}

impl FakeStore {
    fn unavailable() -> StorageError {
        StorageError::new(StorageErrorKind::Unavailable, "fake")
    }

    fn reads(&self) -> Result<()> {
        if self.unreadable.load(Ordering::Relaxed) { Err(Self::unavailable()) } else { Ok(()) }
    }

    async fn answers(&self) {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }
}

#[async_trait]
impl NativeStore for FakeStore {
    async fn read(&self, to: &mut dyn NativeReader) -> Result<()> {
        let tables = self.tables.lock();
        tables.groups.values().cloned().for_each(|row| to.group(row));
        tables.services.values().cloned().for_each(|row| to.service(row));
        tables.instances.values().cloned().for_each(|row| to.instance(row));
        Ok(())
    }

    async fn commit(&self, writes: &[NativeWrite]) -> Result<()> {
        self.largest.fetch_max(writes.len(), Ordering::Relaxed);
        self.answers().await;
        tokio::time::sleep(self.commit_time).await;
        self.commits.fetch_add(1, Ordering::Relaxed);
        let fault = *self.fault.lock();
        if fault == Fault::Before {
            return Err(Self::unavailable());
        }
        let mut tables = self.tables.lock();
        for write in writes.iter().cloned() {
            match write {
                NativeWrite::PutGroup(row) => {
                    tables.groups.insert((row.tenant_id.clone(), row.group_name.clone()), row);
                }
                NativeWrite::DeleteGroup { tenant_id, group_name } => {
                    tables.groups.remove(&(tenant_id, group_name));
                }
                NativeWrite::PutService(row) => {
                    let (group, name) = (row.group_name.clone(), row.service_name.clone());
                    tables.services.insert((row.tenant_id.clone(), group, name), row);
                }
                NativeWrite::DeleteService { tenant_id, group_name, service_name } => {
                    tables.services.remove(&(tenant_id, group_name, service_name));
                }
                NativeWrite::PutInstance(row) => {
                    let key = (row.tenant_id.clone(), row.service_instance_id.clone());
                    tables.instances.insert(key, row);
                }
                NativeWrite::DeleteInstance { tenant_id, service_instance_id } => {
                    tables.instances.remove(&(tenant_id, service_instance_id));
                }
                NativeWrite::AddEvent(row) => tables.events.push(row),
                NativeWrite::ForgetEvents(gone) => tables.events.retain(|row| {
                    row.revision != 0 || row.tenant_id != gone.tenant_id || row.mark != gone.mark
                }),
            }
        }
        if fault == Fault::After { Err(Self::unavailable()) } else { Ok(()) }
    }

    async fn flush(&self, beats: &[HeartbeatRow]) -> Result<()> {
        self.answers().await;
        let fault = *self.fault.lock();
        if fault == Fault::Before || self.keeps_no_beats.load(Ordering::Relaxed) {
            return Err(Self::unavailable());
        }
        self.beats.fetch_add(beats.len(), Ordering::Relaxed);
        let mut tables = self.tables.lock();
        for beat in beats {
            let key = (beat.tenant_id.clone(), beat.service_instance_id.clone());
            if let Some(row) = tables.instances.get_mut(&key) {
                row.last_heartbeat_time = beat.last_heartbeat_time;
                row.last_health_check_time = beat.last_health_check_time;
                row.health_status = Some(beat.health_status.clone());
                if beat.ext_property.is_some() {
                    row.common.ext_property.clone_from(&beat.ext_property);
                }
            }
        }
        if fault == Fault::After { Err(Self::unavailable()) } else { Ok(()) }
    }

    async fn tide(&self) -> Result<Option<Tide>> {
        self.reads()?;
        Ok(None)
    }

    async fn prints(&self) -> Result<BTreeMap<Place, PlacePrint>> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        self.reads()?;
        let tables = self.tables.lock();
        let mut prints: BTreeMap<Place, PlacePrint> = BTreeMap::new();
        for ((tenant, group), row) in &tables.groups {
            prints.entry(place(tenant, group, "")).or_default().row = Some(print(row));
        }
        for ((tenant, group, service), row) in &tables.services {
            prints.entry(place(tenant, group, service)).or_default().row = Some(print(row));
        }
        for row in tables.instances.values() {
            let place = place(&row.tenant_id, &row.group_name, &row.service_name);
            let of = prints.entry(place).or_default();
            let still = InstanceRow { last_heartbeat_time: None, ..row.clone() };
            of.count += 1;
            of.instances = of.instances.wrapping_add(print(&still));
        }
        Ok(prints)
    }

    async fn rows_of(&self, places: &[Place]) -> Result<NativeRows> {
        self.reads()?;
        let rows = {
            let tables = self.tables.lock();
            let asked: BTreeSet<_> = places.iter().collect();
            let service = |t: &str, g: &str, s: &str| asked.contains(&place(t, g, s));
            let group = |row: &&GroupRow| {
                let mut of = places.iter();
                of.any(|p| p.tenant_id == row.tenant_id && p.group_name == row.group_name)
            };
            NativeRows {
                groups: tables.groups.values().filter(group).cloned().collect(),
                services: tables
                    .services
                    .values()
                    .filter(|row| service(&row.tenant_id, &row.group_name, &row.service_name))
                    .cloned()
                    .collect(),
                instances: tables
                    .instances
                    .values()
                    .filter(|row| service(&row.tenant_id, &row.group_name, &row.service_name))
                    .cloned()
                    .collect(),
            }
        };
        // What is read is old by the time it arrives.
        tokio::time::sleep(self.commit_time * 3).await;
        Ok(rows)
    }
}

fn place(tenant: &str, group: &str, service: &str) -> Place {
    Place {
        tenant_id: tenant.to_owned(),
        group_name: group.to_owned(),
        service_name: service.to_owned(),
    }
}

fn print(row: &impl std::fmt::Debug) -> i64 {
    let mut hasher = DefaultHasher::new();
    format!("{row:?}").hash(&mut hasher);
    i64::from(hasher.finish() as u32)
}

type Seen = BTreeMap<TenantId, BTreeMap<ServiceKey, Vec<Arc<Instance>>>>;

/// Applies what is published, checking that it keeps the contract.
#[derive(Debug, Default)]
pub(crate) struct Listener {
    pub(crate) seen: Mutex<Seen>,
    pub(crate) held: Mutex<BTreeMap<TenantId, BTreeSet<InstanceKey>>>,
    pub(crate) publications: AtomicUsize,
    pub(crate) told: Mutex<Vec<EventRow>>,
}

impl Publish for Listener {
    fn publish(&self, tenant: &TenantId, publication: Publication) {
        let Publication { changes, facts, .. } = publication;
        self.told.lock().extend(facts.rows);
        if changes.is_empty() {
            return;
        }
        self.publications.fetch_add(1, Ordering::Relaxed);
        let mut seen = self.seen.lock();
        let services = seen.entry(tenant.clone()).or_default();
        for change in changes {
            match change {
                Change::Reset(all) => {
                    assert!(services.is_empty(), "a Reset comes first");
                    services.extend(all.into_iter().map(|state| (state.key, state.instances)));
                }
                Change::Put(state) => {
                    let before = services.insert(state.key.clone(), state.instances.clone());
                    assert!(state.instances.is_sorted_by(|a, b| a.key < b.key));
                    assert_ne!(before.as_ref(), Some(&state.instances), "a Put changes something");
                }
                Change::Gone(key) => assert!(services.remove(&key).is_some(), "{key} never was"),
                Change::Partial(_) | Change::Unchanged => {
                    panic!("the native registry has no reason to say so")
                }
            }
        }
    }

    fn hold(&self, tenant: &TenantId, held: Vec<InstanceKey>, freed: Vec<InstanceKey>) {
        let mut all = self.held.lock();
        let all = all.entry(tenant.clone()).or_default();
        for key in freed {
            assert!(all.remove(&key), "{key} was not held");
        }
        for key in held {
            assert!(all.insert(key.clone()), "{key} is held already");
        }
    }
}

impl Listener {
    pub(crate) fn instances(&self, tenant: &TenantId) -> Vec<Arc<Instance>> {
        let seen = self.seen.lock();
        seen.get(tenant).into_iter().flatten().flat_map(|(_, all)| all.clone()).collect()
    }
}

/// A running native registry.
pub(crate) struct World {
    pub(crate) native: Arc<Native>,
    pub(crate) listener: Arc<Listener>,
    pub(crate) tasks: TaskGroup,
}

impl World {
    pub(crate) async fn start(store: Arc<dyn NativeStore>) -> Self {
        Self::start_with(store, Settings::default()).await
    }

    pub(crate) async fn start_with(store: Arc<dyn NativeStore>, settings: Settings) -> Self {
        let (listener, tasks) = (Arc::new(Listener::default()), TaskGroup::new());
        let publish: Arc<dyn Publish> = Arc::clone(&listener) as _;
        let native = Native::start(store, publish, Clock::System, Metrics::new(), &tasks, settings)
            .await
            .unwrap();
        Self { native, listener, tasks }
    }

    pub(crate) async fn stop(&self) {
        assert!(self.tasks.stop(Duration::from_secs(60)).await);
    }
}

/// Everything a tenant has, heartbeat times aside: they are written later.
pub(crate) fn everything(
    native: &Native,
    tenant: &TenantId,
) -> impl PartialEq + std::fmt::Debug + use<> {
    let quiet = |i: &Arc<NativeInstance>| NativeInstance { last_heartbeat: None, ..(**i).clone() };
    let instances: Vec<_> = native.list(tenant).iter().map(quiet).collect();
    (native.list_groups(tenant), native.list_services(tenant), instances)
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub(crate) fn body(service: &str, port: u16) -> Value {
    json!({
        "serviceName": service, "hostAddress": "10.0.0.1", "portNumber": port,
        "metadata": {"zone": "z1"}, "tags": ["blue"],
    })
}

pub(crate) fn registration(service: &str, port: u16) -> Registration {
    Registration::from_value(body(service, port)).unwrap()
}

/// A caller with every right.
pub(crate) fn by(tenant: &TenantId, user: &str) -> Caller {
    Caller::unlimited(tenant.clone(), user)
}
