//! From what is on disk to what everybody sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_registry_core::{Change, ServiceKey, TenantId};
use tokio::time::Instant;

use super::draft::Draft;
use super::keeper::Keeper;
use super::start::News;
use super::state::State;
use crate::model::instance::NativeInstance;

impl Keeper {
    /// Publishes everything and opens the leases.
    pub(super) fn reset(&mut self) {
        let state = self.shared.state.load_full();
        for (id, tenant) in state.tenants() {
            for instance in tenant.instances.values() {
                self.follow_lease(instance, false);
            }
            let all = tenant.services.values().map(|entry| entry.to_core()).collect();
            for entry in tenant.services.values() {
                let service = &entry.service;
                self.publish.describe(id, &service.key, Some(service));
            }
            self.publish.publish(id, vec![Change::Reset(all)]);
        }
        self.last_turn = Instant::now();
    }

    /// Shows what was written, and then tells those who asked for it.
    pub(super) fn show(&mut self) {
        if let Some(mut commit) = self.pipeline.written.take() {
            self.apply(&mut commit.batch.draft);
            commit.batch.acknowledge(None);
        }
    }

    /// Makes the committed draft the state and tells everybody.
    fn apply(&mut self, draft: &mut Draft) {
        let before = self.shared.state.load_full();
        let mut freed: BTreeMap<TenantId, Vec<_>> = BTreeMap::new();
        for (id, (tenant, heard)) in &draft.touched {
            let instance = draft.next.instance(tenant, *id);
            match instance {
                Some(instance) => self.follow_lease(instance, *heard),
                None => self.shared.leases.close(*id),
            }
            if let Some(key) = self.heard_or_gone(tenant, *id, instance.is_some()) {
                freed.entry(tenant.clone()).or_default().push(key);
            }
        }
        for (tenant, keys) in freed {
            self.publish.hold(&tenant, Vec::new(), keys);
        }
        let next = std::mem::take(&mut draft.next);
        self.swap(&before, next, std::mem::take(&mut draft.changed));
    }

    fn follow_lease(&mut self, instance: &NativeInstance, heard: bool) {
        if let Some(lease) = self.shared.leases.follow(instance, heard) {
            let (_, at) = self.shared.leases.due(&lease, self.shared.leases.now());
            self.deadlines.push(at, lease);
        }
    }

    /// Replaces the state; services that look different to readers are published, each once.
    pub(super) fn swap(
        &self,
        before: &State,
        mut next: State,
        changed: BTreeSet<(TenantId, ServiceKey)>,
    ) {
        let mut changes: BTreeMap<TenantId, Vec<Change>> = BTreeMap::new();
        let mut described = Vec::new();
        for (tenant, key) in changed {
            let (old, new) = (before.service(&tenant, &key), next.service(&tenant, &key));
            let settings = new.map(|entry| &entry.service);
            if old.map(|entry| &entry.service) != settings {
                described.push((tenant.clone(), key.clone(), settings.cloned()));
            }
            let change = match (old, new) {
                (Some(old), Some(new)) if old.looks_like(new) => continue,
                (_, Some(new)) => Change::Put(new.to_core()),
                (Some(_), None) => Change::Gone(key),
                (None, None) => continue,
            };
            changes.entry(tenant).or_default().push(change);
        }
        next.revision = before.revision + u64::from(!changes.is_empty());
        let revision = next.revision;
        self.shared.state.store(Arc::new(next));
        for (tenant, key, service) in described {
            self.publish.describe(&tenant, &key, service.as_deref());
        }
        for (tenant, changes) in changes {
            if self.shared.news.receiver_count() > 0 {
                let news = News { revision, tenant: tenant.clone(), changes: changes.clone() };
                // Fails when the last watch has just left.
                drop(self.shared.news.send(Arc::new(news)));
            }
            self.publish.publish(&tenant, changes);
        }
    }
}
