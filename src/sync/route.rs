//! Which registries copy to which: the rules of the configurations, resolved.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{ConfigId, ConnectSpec, GroupName, Scope, ServiceKey, TenantId};

use crate::catalog::SourceId;
use crate::model::external::{Direction, ExternalConfig, INTERVAL, Orphan, RATE, SyncRule};
use crate::model::migration::{MigrationId, Services};

/// A registry that copies are taken from or written to.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// Which.
    pub id: SourceId,
    /// What it is called.
    pub name: String,
    /// The group of what has none there.
    pub default_group: GroupName,
    /// What of it the view shows: elsewhere nothing can be seen to be there.
    pub scope: Scope,
    /// How it is connected to; nothing: it is the native one, or not known.
    pub spec: Option<ConnectSpec>,
}

/// What a route does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It copies.
    Copying,
    /// Its rule cannot be acted on: what was copied is renewed, and left as it is.
    Frozen,
    /// Its rule is no more: what was copied is removed.
    Ended,
}

impl Mode {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copying => "COPYING",
            Self::Frozen => "FROZEN",
            Self::Ended => "ENDED",
        }
    }
}

/// Whose rule it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleOf {
    /// A migration's.
    Migration(MigrationId),
    /// A configuration's.
    Config(ConfigId),
}

/// What one rule has copied on a route.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Whose rule it is.
    pub rule_of: RuleOf,
    /// Copying or frozen.
    pub mode: Mode,
    /// Which services.
    pub services: Services,
    /// From a group there to the group of the copies.
    pub groups: BTreeMap<GroupName, GroupName>,
    /// What becomes of the copies in the end.
    pub orphan: Orphan,
}

/// From one registry to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Whose.
    pub tenant: TenantId,
    /// Where from,
    pub from: End,
    /// and where to.
    pub to: End,
    /// What is copied: the first part that has a service decides on it. None: no rule is left.
    pub parts: Vec<Part>,
    /// What becomes of copies of services that no part has.
    pub rest: Mode,
    /// Copies written in a second, at most.
    pub rate: u32,
    /// How often everything is compared.
    pub interval: Duration,
}

/// What names a route: its tenant and its ends.
pub type RouteKey = (TenantId, SourceId, SourceId);

impl Route {
    /// One without rules.
    pub(super) fn bare(tenant: TenantId, from: End, to: End, rest: Mode) -> Self {
        let (parts, interval) = (Vec::new(), Duration::from_secs(INTERVAL.into()));
        Self { tenant, from, to, parts, rest, rate: RATE, interval }
    }

    /// What names it.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        (self.tenant.clone(), self.from.id.clone(), self.to.id.clone())
    }

    /// What it does, as a whole.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let copies = self.parts.iter().any(|part| part.mode == Mode::Copying);
        match (copies, self.parts.is_empty()) {
            (true, _) => Mode::Copying,
            (false, true) => self.rest,
            (false, false) => Mode::Frozen,
        }
    }

    /// What becomes of its copies in the end.
    #[must_use]
    pub fn orphan(&self) -> Orphan {
        self.parts.first().map_or(Orphan::Expire, |part| part.orphan)
    }

    /// The rule that decides on a service.
    pub(super) fn part(&self, service: &ServiceKey) -> Option<&Part> {
        self.parts.iter().find(|part| part.services.contains(service))
    }

    /// What is done about a service.
    pub(super) fn mode_of(&self, service: &ServiceKey) -> Mode {
        self.part(service).map_or(self.rest, |part| part.mode)
    }

    /// Where the copies of a service are, in a target that has groups or has none.
    pub(super) fn target(&self, source: &ServiceKey, has_groups: bool) -> ServiceKey {
        let groups = self.part(source).map(|part| &part.groups);
        mapped(source, groups, has_groups, &self.to.default_group)
    }
}

/// Where a service's copies are.
pub(super) fn mapped(
    source: &ServiceKey,
    groups: Option<&BTreeMap<GroupName, GroupName>>,
    has_groups: bool,
    default: &GroupName,
) -> ServiceKey {
    let group = groups.and_then(|groups| groups.get(&source.group)).unwrap_or(&source.group);
    let group = if has_groups { group } else { default };
    ServiceKey::new(group.clone(), source.name.clone())
}

/// The routes of all rules, and what is wrong with the others: the configuration whose rule it is,
/// and why it does nothing. Of two rules about one service the first of `wanted` decides, then that
/// of the configuration with the smaller id.
#[must_use]
pub fn routes(
    configs: &[Arc<ExternalConfig>],
    mut wanted: Vec<Route>,
) -> (BTreeMap<RouteKey, Route>, Vec<(ConfigId, String)>) {
    let mut problems = Vec::new();
    for config in configs {
        let Some(sync) = &config.sync else { continue };
        for name in &sync.rule.targets {
            let Some(other) = end_named(configs, &config.tenant, name) else {
                problems
                    .push((config.id.clone(), format!("no active configuration named {name:?}")));
                continue;
            };
            let own = end(config);
            let ways: &[(&End, &End)] = match sync.rule.direction {
                Direction::In => &[(&own, &other)],
                Direction::Out => &[(&other, &own)],
                Direction::Both => &[(&own, &other), (&other, &own)],
            };
            for (number, (from, to)) in ways.iter().enumerate() {
                let back = number > 0;
                wanted.push(route(config, &sync.rule, sync.interval, (from, to), back));
            }
        }
    }
    let mut routes: BTreeMap<RouteKey, Route> = BTreeMap::new();
    for route in wanted {
        match routes.entry(route.key()) {
            Entry::Vacant(entry) => {
                entry.insert(route);
            }
            Entry::Occupied(mut entry) => {
                let known = entry.get_mut();
                known.parts.extend(route.parts);
                known.rate = known.rate.max(route.rate);
                known.interval = known.interval.min(route.interval);
            }
        }
    }
    (routes, problems)
}

fn route(
    config: &ExternalConfig,
    rule: &SyncRule,
    interval: Duration,
    (from, to): (&End, &End),
    back: bool,
) -> Route {
    let groups = if back { reversed(&rule.group_map) } else { rule.group_map.clone() };
    let part = Part {
        rule_of: RuleOf::Config(config.id.clone()),
        mode: Mode::Copying,
        services: Services::of(rule.scope()),
        groups,
        orphan: rule.orphan,
    };
    Route {
        parts: vec![part],
        rate: rule.rate,
        interval,
        ..Route::bare(config.tenant.clone(), from.clone(), to.clone(), Mode::Ended)
    }
}

/// A way back undoes the mapping of the way there.
pub(super) fn reversed(groups: &BTreeMap<GroupName, GroupName>) -> BTreeMap<GroupName, GroupName> {
    groups.iter().map(|(a, b)| (b.clone(), a.clone())).collect()
}

/// The end that is this configuration's registry.
pub(super) fn end(config: &ExternalConfig) -> End {
    End {
        id: SourceId::External(config.id.clone()),
        name: config.name.clone(),
        default_group: config.spec.default_group.clone(),
        scope: config.scope(),
        spec: Some(config.spec.clone()),
    }
}

/// The end of this id and name of which nothing more is known, or which is the native one.
pub(super) fn bare_end(id: &SourceId) -> End {
    End {
        id: id.clone(),
        name: id.as_str().to_owned(),
        default_group: GroupName::default_group(),
        scope: Scope::all(),
        spec: None,
    }
}

fn end_named(configs: &[Arc<ExternalConfig>], tenant: &TenantId, name: &str) -> Option<End> {
    if name == SourceId::Native.as_str() {
        return Some(bare_end(&SourceId::Native));
    }
    let mut named = configs.iter().filter(|config| config.tenant == *tenant && config.name == name);
    named.next().map(|config| end(config))
}
