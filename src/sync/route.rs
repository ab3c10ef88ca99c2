//! Which registries copy to which: the rules of the configurations, resolved.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::{ConfigId, ConnectSpec, GroupName, Scope, ServiceKey, TenantId};

use crate::catalog::SourceId;
use crate::model::external::{Direction, ExternalConfig, Orphan, SyncRule};

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

/// From one registry to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Whose.
    pub tenant: TenantId,
    /// What it does.
    pub mode: Mode,
    /// The configuration that has the rule; none: it is no more.
    pub rule_of: Option<ConfigId>,
    /// Where from,
    pub from: End,
    /// and where to.
    pub to: End,
    /// Which services.
    pub scope: Scope,
    /// From a group there to the group of the copies.
    pub groups: BTreeMap<GroupName, GroupName>,
    /// What becomes of the copies in the end.
    pub orphan: Orphan,
    /// Copies written in a second, at most.
    pub rate: u32,
    /// How often everything is compared.
    pub interval: Duration,
}

/// What names a route: its tenant and its ends.
pub type RouteKey = (TenantId, SourceId, SourceId);

impl Route {
    /// What names it.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        (self.tenant.clone(), self.from.id.clone(), self.to.id.clone())
    }

    /// Where the copies of a service are, in a target that has groups or has none.
    pub(super) fn target(&self, source: &ServiceKey, has_groups: bool) -> ServiceKey {
        let group = match self.groups.get(&source.group) {
            Some(group) => group.clone(),
            None if has_groups => source.group.clone(),
            None => self.to.default_group.clone(),
        };
        let group = if has_groups { group } else { self.to.default_group.clone() };
        ServiceKey::new(group, source.name.clone())
    }
}

/// The routes of all rules, and what is wrong with the others: the configuration whose rule it is,
/// and why it does nothing.
#[must_use]
pub fn routes(
    configs: &[Arc<ExternalConfig>],
) -> (BTreeMap<RouteKey, Route>, Vec<(ConfigId, String)>) {
    let (mut routes, mut problems) = (BTreeMap::new(), Vec::new());
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
                let route = route(config, &sync.rule, sync.interval, (from, to), back);
                // Two rules for one way: that of the smaller configuration id counts, whatever came
                // first.
                routes.entry(route.key()).or_insert(route);
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
    // A way back undoes the mapping of the way there.
    let groups = match back {
        false => rule.group_map.clone(),
        true => rule.group_map.iter().map(|(a, b)| (b.clone(), a.clone())).collect(),
    };
    Route {
        tenant: config.tenant.clone(),
        mode: Mode::Copying,
        rule_of: Some(config.id.clone()),
        from: from.clone(),
        to: to.clone(),
        scope: rule.scope(),
        groups,
        orphan: rule.orphan,
        rate: rule.rate,
        interval,
    }
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
