//! What the hub wrote, and where: in memory as on disk. A copy is in here before it is written and
//! until it is removed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use hub_registry_core::{GroupName, Host, InstanceKey, ServiceKey, ServiceName, TenantId, carry};
use parking_lot::RwLock;
use tokio::time::Instant;

use super::route::RouteKey;
use crate::catalog::SourceId;
use crate::model::external::Orphan;
use crate::storage::{self, CopyKey, CopyRow, LedgerStore};

/// One copy.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Copied {
    /// Where from.
    pub(super) from: SourceId,
    /// The original's service.
    pub(super) original: ServiceKey,
    /// The print of what it was made of.
    pub(super) print: String,
    /// What becomes of it in the end.
    pub(super) orphan: Orphan,
    /// What of the original found no room.
    pub(super) lost: Vec<String>,
    /// When it was last written, in this run.
    pub(super) written_at: Option<Instant>,
}

type Place = (TenantId, SourceId);

/// The copies in one registry.
#[derive(Debug, Default)]
struct Copies {
    all: BTreeMap<InstanceKey, Copied>,
    /// By what they were copied from.
    by_original: BTreeMap<(SourceId, ServiceKey), BTreeSet<InstanceKey>>,
    counts: BTreeMap<SourceId, usize>,
}

impl Copies {
    fn put(&mut self, key: InstanceKey, copied: Copied) {
        self.remove(&key);
        let original = (copied.from.clone(), copied.original.clone());
        self.by_original.entry(original).or_default().insert(key.clone());
        *self.counts.entry(copied.from.clone()).or_default() += 1;
        self.all.insert(key, copied);
    }

    fn remove(&mut self, key: &InstanceKey) {
        let Some(copied) = self.all.remove(key) else { return };
        if let Some(count) = self.counts.get_mut(&copied.from) {
            *count -= 1;
        }
        let original = (copied.from, copied.original);
        if let Some(keys) = self.by_original.get_mut(&original) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_original.remove(&original);
            }
        }
    }
}

/// The copies of all routes.
#[derive(Debug)]
pub(super) struct Ledger {
    store: Arc<dyn LedgerStore>,
    pub(super) owner: String,
    copies: RwLock<HashMap<Place, Copies>>,
}

impl Ledger {
    /// What is on disk.
    pub(super) async fn load(store: Arc<dyn LedgerStore>) -> storage::Result<Self> {
        let new = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let owner = store.owner(&new).await?;
        let mut copies: HashMap<Place, Copies> = HashMap::new();
        for row in store.copies().await? {
            match read(&row) {
                Some((place, key, copied)) => copies.entry(place).or_default().put(key, copied),
                None => tracing::warn!(copy = ?row.key, "a copy's row cannot be read: left alone"),
            }
        }
        Ok(Self { store, owner, copies: RwLock::new(copies) })
    }

    fn with<T>(
        &self,
        tenant: &TenantId,
        to: &SourceId,
        look: impl FnOnce(&Copies) -> T,
    ) -> Option<T> {
        self.copies.read().get(&(tenant.clone(), to.clone())).map(look)
    }

    /// The copies of a service.
    pub(super) fn of_service(
        &self,
        (tenant, from, to): &RouteKey,
        original: &ServiceKey,
    ) -> BTreeMap<InstanceKey, Copied> {
        let of = |copies: &Copies| {
            let keys = copies.by_original.get(&(from.clone(), original.clone()));
            let copied = |key: &InstanceKey| Some((key.clone(), copies.all.get(key)?.clone()));
            keys.into_iter().flatten().filter_map(copied).collect()
        };
        self.with(tenant, to, of).unwrap_or_default()
    }

    /// The services that something was copied of.
    pub(super) fn originals(&self, (tenant, from, to): &RouteKey) -> Vec<ServiceKey> {
        let of = |copies: &Copies| {
            let own = copies.by_original.keys().filter(|(source, _)| source == from);
            own.map(|(_, original)| original.clone()).collect()
        };
        self.with(tenant, to, of).unwrap_or_default()
    }

    /// How many copies there are.
    pub(super) fn count(&self, (tenant, from, to): &RouteKey) -> usize {
        let of = |copies: &Copies| copies.counts.get(from).copied().unwrap_or_default();
        self.with(tenant, to, of).unwrap_or_default()
    }

    /// One copy, if it came this way.
    pub(super) fn get(&self, (tenant, from, to): &RouteKey, key: &InstanceKey) -> Option<Copied> {
        let of = |copies: &Copies| copies.all.get(key).filter(|c| c.from == *from).cloned();
        self.with(tenant, to, of).flatten()
    }

    /// Whether another route has a copy at this address.
    pub(super) fn is_of_another(&self, (tenant, from, to): &RouteKey, key: &InstanceKey) -> bool {
        let of = |copies: &Copies| copies.all.get(key).is_some_and(|c| c.from != *from);
        self.with(tenant, to, of).unwrap_or_default()
    }

    /// How many copies that came this way are such.
    pub(super) fn count_such(
        &self,
        (tenant, from, to): &RouteKey,
        such: impl Fn(&Copied) -> bool,
    ) -> usize {
        let of =
            |copies: &Copies| copies.all.values().filter(|c| c.from == *from && such(c)).count();
        self.with(tenant, to, of).unwrap_or_default()
    }

    /// The copies that came this way and are such, so many at most.
    pub(super) fn select(
        &self,
        (tenant, from, to): &RouteKey,
        most: usize,
        such: impl Fn(&Copied) -> bool,
    ) -> Vec<(InstanceKey, Copied)> {
        let of = |copies: &Copies| {
            let own = copies.all.iter().filter(|(_, c)| c.from == *from && such(c)).take(most);
            own.map(|(key, copied)| (key.clone(), copied.clone())).collect()
        };
        self.with(tenant, to, of).unwrap_or_default()
    }

    /// Every way something was copied.
    pub(super) fn ways(&self) -> Vec<RouteKey> {
        let copies = self.copies.read();
        let ways = copies.iter().flat_map(|((tenant, to), copies)| {
            let some = copies.counts.iter().filter(|(_, count)| **count > 0);
            some.map(|(from, _)| (tenant.clone(), from.clone(), to.clone()))
        });
        ways.collect()
    }

    /// Writes down what is about to be written, and what is ours no more.
    pub(super) async fn save(
        &self,
        tenant: &TenantId,
        to: &SourceId,
        puts: Vec<(InstanceKey, Copied)>,
        removes: &[InstanceKey],
    ) -> storage::Result<()> {
        if puts.is_empty() && removes.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = puts.iter().map(|(key, copied)| row(tenant, to, key, copied)).collect();
        let gone: Vec<_> = removes.iter().map(|key| copy_key(tenant, to, key)).collect();
        self.store.save_copies(&rows, &gone).await?;
        let mut copies = self.copies.write();
        let copies = copies.entry((tenant.clone(), to.clone())).or_default();
        removes.iter().for_each(|key| copies.remove(key));
        puts.into_iter().for_each(|(key, copied)| copies.put(key, copied));
        Ok(())
    }
}

fn copy_key(tenant: &TenantId, to: &SourceId, key: &InstanceKey) -> CopyKey {
    CopyKey {
        tenant_id: tenant.to_string(),
        to_source: to.as_str().to_owned(),
        copy_id: carry::copy_id(key),
    }
}

fn row(tenant: &TenantId, to: &SourceId, key: &InstanceKey, copied: &Copied) -> CopyRow {
    let lost = (!copied.lost.is_empty()).then(|| serde_json::json!(copied.lost).to_string());
    CopyRow {
        key: copy_key(tenant, to, key),
        from_source: copied.from.as_str().to_owned(),
        from_group: copied.original.group.to_string(),
        from_service: copied.original.name.to_string(),
        group_name: key.service.group.to_string(),
        service_name: key.service.name.to_string(),
        host_address: key.host.to_string(),
        port_number: key.port.into(),
        content_print: copied.print.clone(),
        orphan_policy: copied.orphan.as_str().to_owned(),
        lost_fields: lost,
    }
}

fn read(row: &CopyRow) -> Option<(Place, InstanceKey, Copied)> {
    let service = |group: &str, name: &str| {
        Some(ServiceKey::new(GroupName::parse(group).ok()?, ServiceName::parse(name).ok()?))
    };
    let key = InstanceKey {
        service: service(&row.group_name, &row.service_name)?,
        host: Host::parse(&row.host_address).ok()?,
        port: u16::try_from(row.port_number).ok()?,
    };
    let lost = row.lost_fields.as_deref().unwrap_or("[]");
    let copied = Copied {
        from: SourceId::parse(&row.from_source)?,
        original: service(&row.from_group, &row.from_service)?,
        print: row.content_print.clone(),
        orphan: if row.orphan_policy == Orphan::Keep.as_str() {
            Orphan::Keep
        } else {
            Orphan::Expire
        },
        lost: serde_json::from_str(lost).unwrap_or_default(),
        written_at: None,
    };
    let tenant = TenantId::parse(&row.key.tenant_id).ok()?;
    Some(((tenant, SourceId::parse(&row.key.to_source)?), key, copied))
}
