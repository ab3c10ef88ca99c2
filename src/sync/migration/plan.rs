//! What a migration asks of the engine and of the view. Pure.

use std::collections::BTreeSet;

use hub_registry_core::{Scope, ServiceKey};

use super::book::Migration;
use crate::catalog::{Lead, Moved, SourceId};
use crate::model::external::Orphan;
use crate::model::migration::{MigrationState, Services};
use crate::sync::ends::Configs;
use crate::sync::route::{End, Mode, Part, Route, RuleOf, bare_end, mapped, reversed};

/// The two registries, while both are there.
pub(super) fn ends(migration: &Migration, configs: &Configs) -> Result<(End, End), String> {
    let Migration { tenant, plan, from, to, .. } = migration;
    let find = |id: &SourceId, name: &str| {
        let lost = || format!("{name} is not connected, or not the registry it was");
        configs.end(tenant, id).ok_or_else(lost)
    };
    Ok((find(from, &plan.from)?, find(to, &plan.to)?))
}

/// Whether a registry has groups.
pub(super) fn has_groups(end: &End) -> bool {
    end.spec.as_ref().is_none_or(|spec| spec.kind.has_groups())
}

/// Where the copies of a service of the source are.
pub(super) fn target(migration: &Migration, to: &End, service: &ServiceKey) -> ServiceKey {
    mapped(service, Some(&migration.plan.group_map), has_groups(to), &to.default_group)
}

/// The services of the source that are in such a state.
pub(super) fn at_source(migration: &Migration, such: fn(MigrationState) -> bool) -> Services {
    let all = such(migration.state);
    let but = migration.services.iter().filter(|(_, state)| such(**state) != all);
    let but: BTreeSet<_> = but.map(|(key, _)| key.clone()).collect();
    Services { all, but, ..Services::of(migration.plan.scope()) }
}

/// The same by their names at the target.
fn at_target(migration: &Migration, to: &End, such: fn(MigrationState) -> bool) -> Services {
    let mut services = at_source(migration, such);
    services.but = services.but.iter().map(|key| target(migration, to, key)).collect();
    services
}

/// The same, only in groups that the way there leads to: what others have in other groups of the
/// target is not its own, and copied back it would all come into one group of the source.
fn within_reach(
    migration: &Migration,
    from: &End,
    to: &End,
    such: fn(MigrationState) -> bool,
) -> Services {
    let mut services = at_target(migration, to, such);
    let map = &migration.plan.group_map;
    match (has_groups(from), has_groups(to)) {
        (_, false) => {}
        (false, true) => {
            let only = map.get(&from.default_group).unwrap_or(&from.default_group);
            let names = &migration.plan.services;
            services.scope = Scope::new(&names.include, &names.exclude, vec![only.clone()]);
        }
        (true, true) => {
            let targets: BTreeSet<_> = map.values().collect();
            let left = map.keys().filter(|group| !targets.contains(group));
            services.not_in = left.cloned().collect();
        }
    }
    services
}

/// What is copied.
pub(super) fn routes(migration: &Migration, configs: &Configs) -> Vec<Route> {
    match ends(migration, configs) {
        Ok((from, to)) => routes_between(migration, &from, &to),
        Err(_) => Vec::new(),
    }
}

/// The same, whether or not its registries are connected.
pub(super) fn routes_anyway(migration: &Migration, configs: &Configs) -> Vec<Route> {
    let Migration { tenant, from, to, .. } = migration;
    let (from, to) = (configs.end_anyway(tenant, from), configs.end_anyway(tenant, to));
    routes_between(migration, &from, &to)
}

fn routes_between(migration: &Migration, from: &End, to: &End) -> Vec<Route> {
    let mode = if migration.paused { Mode::Frozen } else { Mode::Copying };
    let forth = migration.plan.group_map.clone();
    let back = reversed(&forth);
    let route = |from: &End, to: &End, services, groups| {
        let rule_of = RuleOf::Migration(migration.id.clone());
        // Those that are to stay in the end stay when it is DONE, or no more: not when a step is
        // taken back.
        let orphan = Orphan::Expire;
        let part = Part { rule_of, mode, services, groups, orphan };
        let bare = Route::bare(migration.tenant.clone(), from.clone(), to.clone(), Mode::Ended);
        Route { parts: vec![part], ..bare }
    };
    let mut routes = Vec::new();
    if migration.any(MigrationState::copies_forth) {
        let services = at_source(migration, MigrationState::copies_forth);
        routes.push(route(from, to, services, forth.clone()));
    }
    if migration.any(MigrationState::copies_back) {
        let services = within_reach(migration, from, to, MigrationState::copies_back);
        routes.push(route(to, from, services, back));
    }
    let is_native = |end: &End| end.id == SourceId::Native;
    if migration.any(takes_the_hubs_own) && !is_native(from) && !is_native(to) {
        let services = at_source(migration, takes_the_hubs_own);
        routes.push(route(&bare_end(&SourceId::Native), to, services, forth));
    }
    routes
}

/// What registers through the hub goes to the target.
pub(super) fn takes_the_hubs_own(state: MigrationState) -> bool {
    state.is_led_by_target() && state.copies_forth()
}

/// Whose word counts first for readers, if the migration has a say in it.
pub(super) fn lead(migration: &Migration, configs: &Configs) -> Option<Lead> {
    if !migration.any(MigrationState::is_led_by_target) {
        return None;
    }
    let (from, to) = ends(migration, configs).ok()?;
    let moved = |such| Moved {
        at_source: at_source(migration, such),
        at_target: at_target(migration, &to, such),
    };
    Some(Lead {
        services: moved(MigrationState::is_led_by_target),
        over: moved(|state| state == MigrationState::Done),
        from: from.id,
        to: to.id.clone(),
        since: migration.audit.edit_time.timestamp_millis(),
    })
}

/// What a migration that goes on has to do with, whether or not its registries are connected.
#[derive(Debug)]
pub(super) struct Claims {
    from: SourceId,
    to: SourceId,
    services: Moved,
}

pub(super) fn claims(migration: &Migration, configs: &Configs) -> Claims {
    let Migration { tenant, from, to, .. } = migration;
    let there = configs.end_anyway(tenant, to);
    let here = configs.end_anyway(tenant, from);
    let such = MigrationState::copies_forth;
    let services = Moved {
        at_source: at_source(migration, such),
        at_target: within_reach(migration, &here, &there, such),
    };
    Claims { from: from.clone(), to: to.clone(), services }
}

impl Claims {
    /// Whether it has to do with this service of this registry: what two migrations would have it
    /// be cannot be told.
    pub(super) fn concern(&self, registry: &SourceId, service: &ServiceKey) -> bool {
        let Moved { at_source, at_target } = &self.services;
        let is_source = *registry == self.from && at_source.contains(service);
        is_source || (*registry == self.to && at_target.contains(service))
    }
}

/// What a step would have done: the routes after it, and of those before it what it ends.
pub(super) fn step(before: &Migration, after: &Migration, configs: &Configs) -> Vec<Route> {
    let (mut routes, old) = (routes(after, configs), routes(before, configs));
    for gone in old {
        let key = gone.key();
        let ended = gone.parts.into_iter().map(|part| Part { mode: Mode::Ended, ..part });
        match routes.iter_mut().find(|route| route.key() == key) {
            Some(route) => route.parts.extend(ended),
            None => routes.push(Route {
                parts: ended.collect(),
                ..Route::bare(gone.tenant, gone.from, gone.to, Mode::Frozen)
            }),
        }
    }
    for route in &mut routes {
        // Copies of other rules are not its business.
        route.rest = Mode::Frozen;
    }
    routes
}

#[cfg(test)]
mod tests;
