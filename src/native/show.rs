//! From what is on disk to what everybody sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_registry_core::{Change, InstanceKey, ServiceKey, TenantId};
use tokio::time::Instant;

use super::draft::Draft;
use super::keeper::Keeper;
use super::lease::Lease;
use super::publish::{Publication, by_tenant, facts};
use super::start::News;
use super::state::State;
use crate::events::Facts;
use crate::model::instance::NativeInstance;
use crate::model::names::CheckKey;

impl Keeper {
    /// Publishes everything and opens the leases.
    pub(super) fn reset(&mut self) {
        let state = self.shared.state.load_full();
        for (id, tenant) in state.tenants() {
            for instance in tenant.instances.values() {
                self.follow_lease(instance, false);
                self.follow_checks(None, Some(instance));
            }
            let all = tenant.services.values().map(|entry| entry.to_core()).collect();
            let services = tenant.services.values().map(|entry| &entry.service);
            let described = services.map(|it| (it.key.clone(), Some(Arc::clone(it)))).collect();
            let (changes, print) = (vec![Change::Reset(all)], state.print(id.as_str()));
            let facts = Facts::default();
            self.publish.publish(id, Publication { changes, described, facts, print });
        }
        self.last_turn = Instant::now();
    }

    /// Shows what was written, and then tells those who asked for it.
    pub(super) fn show(&mut self) {
        if let Some(mut commit) = self.pipeline.written.take() {
            let told = std::mem::take(&mut commit.told);
            let facts = match told.is_empty() {
                true => facts(Arc::unwrap_or_clone(commit.writes)),
                false => by_tenant(told.into_iter()),
            };
            self.apply(&mut commit.batch.draft, facts);
            commit.batch.acknowledge(None);
        }
    }

    /// Makes the committed draft the state and tells everybody.
    fn apply(&mut self, draft: &mut Draft, facts: BTreeMap<TenantId, Facts>) {
        let before = self.shared.state.load_full();
        let mut freed: BTreeMap<TenantId, Vec<_>> = BTreeMap::new();
        for (id, (tenant, heard)) in &draft.touched {
            let instance = draft.next.instance(tenant, *id);
            match instance {
                Some(instance) => self.follow_lease(instance, *heard),
                None => self.shared.leases.close(CheckKey::own(*id)),
            }
            let own = self.heard_or_gone(tenant, CheckKey::own(*id), instance.is_some());
            let of_checks = self.follow_checks(before.instance(tenant, *id), instance);
            if own.is_some() || !of_checks.is_empty() {
                freed.entry(tenant.clone()).or_default().extend(own.into_iter().chain(of_checks));
            }
        }
        for (tenant, keys) in freed {
            self.publish.hold(&tenant, Vec::new(), keys);
        }
        let next = std::mem::take(&mut draft.next);
        self.swap(&before, next, std::mem::take(&mut draft.changed), facts);
        self.shared.checks.touched(&before, &self.shared.state.load(), &draft.touched);
    }

    fn follow_lease(&mut self, instance: &NativeInstance, heard: bool) {
        if let Some(lease) = self.shared.leases.follow(instance, heard) {
            self.queue(lease);
        }
    }

    /// Follows the leases of its checks, and ends those of checks that it has no more; the keys of
    /// what is held no more.
    fn follow_checks(
        &mut self,
        before: Option<&Arc<NativeInstance>>,
        after: Option<&Arc<NativeInstance>>,
    ) -> Vec<InstanceKey> {
        let mut freed = Vec::new();
        let had: Vec<_> = before.into_iter().flat_map(|it| it.check_leases()).collect();
        let has: Vec<_> = after.into_iter().flat_map(|it| it.check_leases()).collect();
        if let Some(instance) = before.or(after) {
            self.shared.leases.tally(&instance.tenant, !had.is_empty(), !has.is_empty());
        }
        for (key, check, seconds) in &has {
            let Some(instance) = after else { break };
            let one = (*key, check.as_str(), *seconds);
            if let Some(lease) = self.shared.leases.follow_check(instance, one) {
                self.queue(lease);
            }
            freed.extend(self.heard_or_gone(&instance.tenant, *key, true));
        }
        for (key, ..) in had.iter().filter(|(key, ..)| !has.iter().any(|(has, ..)| has == key)) {
            let Some(instance) = before else { break };
            self.shared.leases.close(*key);
            freed.extend(self.heard_or_gone(&instance.tenant, *key, false));
        }
        freed
    }

    fn queue(&mut self, lease: Arc<Lease>) {
        let (_, at) = self.shared.leases.due(&lease, self.shared.leases.now());
        self.deadlines.push(at, lease);
    }

    /// Replaces the state; services that look different to readers are published, each once, with
    /// what is told of it.
    pub(super) fn swap(
        &self,
        before: &State,
        mut next: State,
        changed: BTreeSet<(TenantId, ServiceKey)>,
        facts: BTreeMap<TenantId, Facts>,
    ) {
        let with = |facts| Publication { facts, ..Publication::default() };
        let mut publications: BTreeMap<TenantId, Publication> =
            facts.into_iter().map(|(tenant, facts)| (tenant, with(facts))).collect();
        for (tenant, key) in changed {
            let (old, new) = (before.service(&tenant, &key), next.service(&tenant, &key));
            let settings = new.map(|entry| &entry.service);
            let described = old.map(|entry| &entry.service) != settings;
            let change = match (old, new) {
                (Some(old), Some(new)) if old.looks_like(new) => None,
                (_, Some(new)) => Some(Change::Put(new.to_core())),
                (Some(_), None) => Some(Change::Gone(key.clone())),
                (None, None) => None,
            };
            if !described && change.is_none() {
                continue;
            }
            let settings = settings.cloned();
            let publication = publications.entry(tenant).or_default();
            publication.changes.extend(change);
            if described {
                publication.described.push((key, settings));
            }
        }
        let visible = publications.values().any(|publication| !publication.changes.is_empty());
        next.revision = before.revision + u64::from(visible);
        let revision = next.revision;
        for (tenant, publication) in &mut publications {
            publication.print = next.print(tenant.as_str());
        }
        self.shared.state.store(Arc::new(next));
        for (tenant, publication) in publications {
            for (key, _) in &publication.described {
                self.shared.checks.described(&self.shared.state.load(), &tenant, key);
            }
            if self.shared.news.receiver_count() > 0 && !publication.changes.is_empty() {
                let changes = publication.changes.clone();
                let news = News { revision, tenant: tenant.clone(), changes };
                // Fails when the last watch has just left.
                drop(self.shared.news.send(Arc::new(news)));
            }
            self.publish.publish(&tenant, publication);
        }
    }
}
