//! Where instances are whose ids clients name. An id of a service says nothing of its address.

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use hub_registry_core::TenantId;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Face;
use super::render::term;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;

/// How many are remembered.
const MAX: usize = 200_000;
/// All instances are looked through no more often than this.
const PAUSE: Duration = Duration::from_secs(1);

/// By service id and by check id.
#[derive(Debug, Default)]
pub(super) struct Places {
    known: DashMap<(TenantId, String), InstanceId>,
    looked: Mutex<Option<Instant>>,
}

fn of_check(id: &str) -> String {
    format!("check {id}")
}

impl Places {
    /// Remembers an instance that has an id of Consul's.
    pub(super) fn remember(&self, instance: &NativeInstance) {
        let Some(id) = instance.native.get(term::ID) else { return };
        if self.known.len() >= MAX {
            self.known.clear();
        }
        self.known.insert((instance.tenant.clone(), id.clone()), instance.id);
        if let Some(check) = instance.native.get(term::CHECK_ID) {
            self.known.insert((instance.tenant.clone(), of_check(check)), instance.id);
        }
    }

    fn may_look(&self) -> bool {
        let mut looked = self.looked.lock();
        let may = looked.is_none_or(|at| at.elapsed() >= PAUSE);
        if may {
            *looked = Some(Instant::now());
        }
        may
    }
}

impl Face {
    /// The hub's own instance with this service id.
    pub(super) fn by_id(&self, tenant: &TenantId, id: &str) -> Option<NativeInstance> {
        let is_it = |one: &NativeInstance| one.native.get(term::ID).is_some_and(|own| own == id);
        // One that registered by another way has no id but the hub's.
        let plain =
            || self.native.get(tenant, id).ok().filter(|one| !one.native.contains_key(term::ID));
        self.known(tenant, id, is_it).or_else(plain)
    }

    /// The hub's own instance whose check this is.
    pub(super) fn by_check(&self, tenant: &TenantId, check: &str) -> Option<NativeInstance> {
        let is_it = |one: &NativeInstance| match one.native.get(term::CHECK_ID) {
            Some(own) => own == check,
            None => false,
        };
        let of_service = check.strip_prefix("service:").and_then(|id| self.by_id(tenant, id));
        let of_service = of_service.filter(|one| !one.native.contains_key(term::CHECK_ID));
        of_service.or_else(|| self.known(tenant, &of_check(check), is_it))
    }

    fn known(
        &self,
        tenant: &TenantId,
        key: &str,
        is_it: impl Fn(&NativeInstance) -> bool,
    ) -> Option<NativeInstance> {
        let look = || {
            let id = *self.places.known.get(&(tenant.clone(), key.to_owned()))?;
            self.native.get(tenant, &id.to_string()).ok().filter(&is_it)
        };
        look().or_else(|| {
            // After a start nobody is known, and all come at once.
            if !self.places.may_look() {
                return None;
            }
            self.native.list(tenant).iter().for_each(|one| self.places.remember(one));
            look()
        })
    }

    /// All that registered as services of this agent.
    pub(super) fn registered(&self, tenant: &TenantId) -> Vec<Arc<NativeInstance>> {
        let mut all = self.native.list(tenant);
        all.retain(|one| one.native.contains_key(term::ID));
        all
    }
}
