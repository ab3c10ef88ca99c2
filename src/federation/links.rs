//! Which configurations name which as their standby, and what is wrong with it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use hub_registry_core::ConfigId;

use super::SourceKey;
use super::plan::Wanted;
use crate::error::Error;
use crate::model::external::ExternalConfigRow;

/// The standby that each configuration names, if it names one.
pub(super) type Links = BTreeMap<SourceKey, Option<ConfigId>>;

/// What is wrong with the standby of a configuration, if anything is.
pub(super) fn check(links: &Links, key: &SourceKey) -> Result<(), Error> {
    let Some(Some(standby)) = links.get(key) else { return Ok(()) };
    let broken = |rule: &str| Err(Error::invalid("failoverConfigId", standby.as_str(), rule));
    if !links.contains_key(&(key.0.clone(), standby.clone())) {
        return broken("names no configuration of this tenant");
    }
    let (mut seen, mut next) = (BTreeSet::new(), Some(standby));
    while let Some(id) = next {
        if *id == key.1 {
            return broken("makes a circle: that configuration leads back to this one");
        }
        if !seen.insert(id) {
            return Ok(());
        }
        next = links.get(&(key.0.clone(), id.clone())).and_then(Option::as_ref);
    }
    Ok(())
}

/// The standby that a row names, whatever else is wrong with it.
pub(super) fn of_row(row: &ExternalConfigRow) -> Option<(SourceKey, Option<ConfigId>)> {
    let key = (row.tenant_id.parse().ok()?, row.external_config_id.parse().ok()?);
    let enabled = row.failover_enabled.as_deref() == Some("Y");
    let standby = row.failover_config_id.as_deref().filter(|_| enabled);
    Some((key, standby.and_then(|id| id.parse().ok())))
}

/// Takes a standby that is none for a row that breaks a rule.
pub(super) fn refuse(wanted: &mut BTreeMap<SourceKey, Wanted>) {
    let standby = |wanted: &Wanted| match wanted {
        Wanted::Run(config) => config.failover.as_ref().map(|failover| failover.standby.clone()),
        Wanted::Invalid { .. } | Wanted::Off => None,
    };
    let links: Links = wanted.iter().map(|(key, wanted)| (key.clone(), standby(wanted))).collect();
    for (key, wanted) in wanted {
        if let (Wanted::Run(config), Err(error)) = (&*wanted, check(&links, key)) {
            let (name, kind) = (config.name.clone(), Some(config.spec.kind));
            *wanted = Wanted::Invalid { name, kind, error };
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::TenantId;

    use super::*;

    fn key(tenant: &str, id: &str) -> SourceKey {
        (TenantId::parse(tenant).unwrap(), ConfigId::parse(id).unwrap())
    }

    fn links(all: &[(&str, &str, &str)]) -> Links {
        let one = |(tenant, id, standby): &(&str, &str, &str)| {
            (key(tenant, id), (!standby.is_empty()).then(|| ConfigId::parse(standby).unwrap()))
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn a_standby_is_another_of_the_tenant_and_leads_not_back() {
        let all = links(&[
            ("t", "a", "b"),
            ("t", "b", "c"),
            ("t", "c", ""),
            ("t", "x", "y"),
            ("t", "y", "z"),
            ("t", "z", "x"),
            ("t", "into", "x"),
            ("t", "lost", "nobody"),
            ("u", "mine", "a"),
        ]);
        for (id, rule) in
            [("x", "circle"), ("y", "circle"), ("z", "circle"), ("lost", "no configuration")]
        {
            let error = check(&all, &key("t", id)).unwrap_err();
            assert!(error.message.contains(rule), "{id}: {}", error.message);
            assert_eq!(error.details["field"], "failoverConfigId");
        }
        assert!(check(&all, &key("u", "mine")).is_err(), "that is another tenant's");
        for id in ["a", "b", "c", "into"] {
            assert_eq!(check(&all, &key("t", id)), Ok(()), "{id}");
        }
    }
}
