//! How migrations stand.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_registry_core::{GroupName, InstanceKey, ServiceKey, ServiceName, TenantId};
use serde_json::json;
use tokio::time::Instant;

use super::Bridge;
use crate::catalog::{Entry, SourceId, SourceState};
use crate::clock;
use crate::error::{Error, Result};
use crate::model::migration::{MigrationId, MigrationState};
use crate::storage::ParityRow;
use crate::sync::ends::Configs;
use crate::sync::look::{is_copy, state};
use crate::sync::migration::book::Migration;
use crate::sync::migration::gate::{Facts, Gate, Standing, gates};
use crate::sync::migration::parity::{Parity, ServiceParity, Totals, compare, listed};
use crate::sync::migration::plan;
use crate::sync::migration::watch::{Sample, Watch};
use crate::sync::report::RouteReport;
use crate::sync::route::End;

/// An instance that lives at the source alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Leftover {
    /// Which.
    pub key: InstanceKey,
    /// Where: at the source, or in the native registry.
    pub at: SourceId,
}

/// How a migration stands.
#[derive(Clone, Debug)]
pub struct Report {
    /// Which.
    pub migration: Arc<Migration>,
    /// How equal source and target are.
    pub parity: Parity,
    /// All services together.
    pub totals: Totals,
    /// Conditions of the next step.
    pub gates: Vec<Gate>,
    /// Writes of copies that wait.
    pub pending: usize,
    /// Copies that the hub owns.
    pub copies: usize,
    /// Writes in a second, of late.
    pub rate: f64,
    /// What lives at the source alone, where that is waited for.
    pub left: Vec<Leftover>,
}

impl Bridge {
    /// How equal source and target are now.
    pub(super) fn compare(&self, migration: &Migration, configs: &Configs) -> (Parity, Totals) {
        let (mut parity, mut totals) = (Parity::new(), Totals::default());
        let Ok((from, to)) = plan::ends(migration, configs) else { return (parity, totals) };
        for service in self.services(migration, &from, &to) {
            let target = plan::target(migration, &to, &service);
            let found = self.compare_service(migration, (&from, &service), (&to, &target));
            totals.add(found.totals());
            parity.insert(service, found);
        }
        let figures = self.engine.figures(&plan::routes(migration, configs));
        let written = figures.iter().map(|figures| figures.written).sum();
        let current = [&from, &to].iter().all(|end| {
            state(&self.catalog, &migration.tenant, &end.id).is_some_and(SourceState::is_current)
        });
        let whole = |service: &ServiceKey, totals: Totals| {
            current && totals.is_whole(migration.state_of(service).copies_back())
        };
        let mut watches = self.watches.lock();
        let watch = watches.entry(migration.id.clone()).or_default();
        watch.look(&parity, whole, written, Instant::now());
        (parity, totals)
    }

    /// The services of a migration, by their names at the source, wherever they are.
    fn services(&self, migration: &Migration, from: &End, to: &End) -> BTreeSet<ServiceKey> {
        let Migration { tenant, plan, .. } = migration;
        let scope = plan.scope();
        let mut all: BTreeSet<_> = self.catalog.keys(tenant, &from.id).into_iter().collect();
        // What a client registered at the target alone is to be found at the source as well.
        let back: BTreeMap<_, _> = plan.group_map.iter().map(|(a, b)| (b, a)).collect();
        for key in self.catalog.keys(tenant, &to.id) {
            let group = back.get(&key.group).copied().unwrap_or(&key.group).clone();
            let here = at_source(from, ServiceKey::new(group, key.name.clone()));
            let leads_here = plan::target(migration, to, &here) == key;
            if leads_here && migration.state_of(&here).copies_back() {
                all.insert(here);
            }
        }
        all.retain(|key| scope.contains(key));
        all
    }

    /// The service of this name that a migration is about; its group need not be said where there
    /// is one only.
    pub(super) fn service(
        &self,
        migration: &Migration,
        configs: &Configs,
        name: &ServiceName,
        group: Option<&GroupName>,
    ) -> Result<ServiceKey> {
        let (from, to) = plan::ends(migration, configs).map_err(Error::conflict)?;
        let known = self.services(migration, &from, &to).into_iter();
        let apart = migration.services.keys().cloned();
        let all: BTreeSet<_> = known
            .chain(apart)
            .filter(|key| key.name == *name && group.is_none_or(|group| key.group == *group))
            .collect();
        let mut found = all.iter();
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one.clone()),
            (None, _) => Err(Error::not_found(format!("the migration has no service {name}"))),
            (Some(_), Some(_)) => {
                let groups: Vec<_> = all.iter().map(|key| &key.group).collect();
                let message = format!("{name} is in several groups: groupName must be said");
                Err(Error::conflict(message).with_details(json!({ "groups": groups })))
            }
        }
    }

    fn entries(&self, tenant: &TenantId, id: &SourceId, service: &ServiceKey) -> Vec<Entry> {
        self.catalog.shelf(tenant, id, service).map_or_else(Vec::new, |shelf| shelf.entries)
    }

    fn compare_service(
        &self,
        migration: &Migration,
        (from, service): (&End, &ServiceKey),
        (to, target): (&End, &ServiceKey),
    ) -> ServiceParity {
        let source = self.entries(&migration.tenant, &from.id, service);
        let there = self.entries(&migration.tenant, &to.id, target);
        // What the guard of the source holds is still wanted; what the target does not list is not
        // there.
        let source = listed(source.iter().map(|entry| &entry.instance));
        let there = there.iter().filter(|entry| !entry.is_missing());
        let there = listed(there.map(|entry| &entry.instance));
        compare(service, (&from.id, &source), (&to.id, &there))
    }

    /// What lives at the source alone, or came through the hub, of services that are not done.
    pub(super) fn left(
        &self,
        migration: &Migration,
        configs: &Configs,
        one: Option<&ServiceKey>,
    ) -> Vec<Leftover> {
        let Ok((from, to)) = plan::ends(migration, configs) else { return Vec::new() };
        let services = plan::at_source(migration, plan::takes_the_hubs_own);
        let mut places = vec![from.id.clone()];
        if from.id != SourceId::Native && to.id != SourceId::Native {
            places.push(SourceId::Native);
        }
        let mut left = Vec::new();
        for id in places {
            let keys = self.catalog.keys(&migration.tenant, &id);
            let keys = keys.into_iter().filter(|key| services.contains(key));
            for key in keys.filter(|key| one.is_none_or(|one| one == key)) {
                let entries = self.entries(&migration.tenant, &id, &key);
                let target = plan::target(migration, &to, &key);
                let there: BTreeSet<_> = self
                    .entries(&migration.tenant, &to.id, &target)
                    .into_iter()
                    .filter(|entry| !entry.is_missing() && !is_copy(&entry.instance))
                    .map(|entry| (entry.instance.key.host.clone(), entry.instance.key.port))
                    .collect();
                let own = entries.into_iter().filter(|entry| {
                    let InstanceKey { host, port, .. } = &entry.instance.key;
                    !is_copy(&entry.instance) && !there.contains(&(host.clone(), *port))
                });
                left.extend(
                    own.map(|entry| Leftover { key: entry.instance.key.clone(), at: id.clone() }),
                );
            }
        }
        left
    }

    pub(super) fn facts(
        &self,
        migration: &Migration,
        configs: &Configs,
        one: Option<&ServiceKey>,
        (parity, totals): (&Parity, Totals),
        left: &[Leftover],
    ) -> Facts {
        let tenant = &migration.tenant;
        let standing = |id: &SourceId, name: &str| Standing {
            name: name.to_owned(),
            state: state(&self.catalog, tenant, id),
            held: self.catalog.counts(tenant, id).held,
        };
        let figures = self.engine.figures(&plan::routes(migration, configs));
        let reached = one.map_or(migration.state, |one| migration.state_of(one));
        let behind = migration.services.iter().filter(|(key, s)| {
            s.is_before(reached) && one.is_none() && migration.plan.scope().contains(key)
        });
        let behind = behind.take(5).map(|(key, _)| key.to_string()).collect();
        let shared = self.shared(migration, configs, one);
        let at_source = left.iter().filter(|one| one.at == migration.from).count();
        let watches = self.watches.lock();
        let watch = watches.get(&migration.id);
        let totals = match one {
            Some(one) => parity.get(one).map(ServiceParity::totals).unwrap_or_default(),
            None => totals,
        };
        Facts {
            enabled: self.engine.is_enabled(),
            paused: migration.paused,
            lost: plan::ends(migration, configs).err(),
            from: standing(&migration.from, &migration.plan.from),
            to: standing(&migration.to, &migration.plan.to),
            totals,
            equal_for: watch.and_then(|watch| watch.equal_for(one, Instant::now())),
            pending: figures.iter().map(|figures| figures.pending).sum(),
            lag: figures.iter().filter_map(RouteReport::lag_of_late).max(),
            refused: figures.iter().map(RouteReport::not_ours).sum(),
            behind,
            shared,
            left: (at_source, left.len() - at_source),
        }
    }

    /// Services that another migration moves now.
    fn shared(
        &self,
        migration: &Migration,
        configs: &Configs,
        one: Option<&ServiceKey>,
    ) -> Vec<String> {
        let Ok((from, to)) = plan::ends(migration, configs) else { return Vec::new() };
        let all = self.book.of_tenant(&migration.tenant);
        let others = all
            .iter()
            .filter(|other| other.id != migration.id && other.any(MigrationState::copies_forth));
        let others: Vec<_> = others.map(|it| (&it.plan.name, plan::claims(it, configs))).collect();
        if others.is_empty() {
            return Vec::new();
        }
        let mut services = self.services(migration, &from, &to);
        services.retain(|service| one.is_none_or(|one| one == service));
        let shared = services.iter().filter_map(|service| {
            let target = plan::target(migration, &to, service);
            let (name, _) = others.iter().find(|(_, claims)| {
                claims.concern(&migration.from, service) || claims.concern(&migration.to, &target)
            })?;
            Some(format!("{service} by {name}"))
        });
        shared.take(5).collect()
    }

    /// How a migration stands now.
    ///
    /// # Errors
    /// There is none.
    pub async fn report(&self, tenant: &TenantId, id: &MigrationId) -> Result<Report> {
        let migration = self.book.get(tenant, id)?;
        let configs = self.ends.configs().await;
        Ok(self.report_of(migration, &configs))
    }

    fn report_of(&self, migration: Arc<Migration>, configs: &Configs) -> Report {
        let (parity, totals) = self.compare(&migration, configs);
        let mut left = self.left(&migration, configs, None);
        let facts = self.facts(&migration, configs, None, (&parity, totals), &left);
        let next = migration.state.next();
        let gates = next.map(|next| gates(&facts, migration.plan.gates, next));
        if !migration.any(|state| state == MigrationState::Drain) {
            // Nobody waits for it yet.
            left.clear();
        }
        let rate = self.watches.lock().get(&migration.id).map_or(0.0, Watch::rate);
        let copies = self.engine.owned(&plan::routes(&migration, configs));
        Report {
            gates: gates.unwrap_or_default(),
            pending: facts.pending,
            copies,
            rate,
            left,
            migration,
            parity,
            totals,
        }
    }

    /// Those of a tenant, by name.
    #[must_use]
    pub fn of_tenant(&self, tenant: &TenantId) -> Vec<Arc<Migration>> {
        self.book.of_tenant(tenant)
    }

    /// How these stand. Each may take long, so others have their turn in between.
    pub async fn reports(&self, some: Vec<Arc<Migration>>) -> Vec<Report> {
        let configs = self.ends.configs().await;
        let mut reports = Vec::with_capacity(some.len());
        for migration in some {
            reports.push(self.report_of(migration, &configs));
            tokio::task::yield_now().await;
        }
        reports
    }

    /// How equal source and target were, the oldest first.
    ///
    /// # Errors
    /// When that cannot be read.
    pub async fn history(&self, tenant: &TenantId, id: &MigrationId) -> Result<Vec<Sample>> {
        let rows = self.book.parity(tenant, id).await?;
        let count = |count: i64| usize::try_from(count).unwrap_or(0);
        let sample = |row: ParityRow| Sample {
            time: clock::at(row.sample_millis),
            totals: Totals {
                equal: count(row.equal),
                missing: count(row.missing),
                extra: count(row.extra),
                different: count(row.different),
            },
        };
        Ok(rows.into_iter().map(sample).collect())
    }
}

/// The name a service of the target has at the source.
fn at_source(from: &End, service: ServiceKey) -> ServiceKey {
    let group = if plan::has_groups(from) { service.group } else { from.default_group.clone() };
    ServiceKey::new(group, service.name)
}
