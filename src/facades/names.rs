//! Names of services where a protocol knows no groups: the name itself for one of the default group,
//! else `GROUP--NAME`. Always, so that no name changes when somebody else registers one that is the
//! same; and whatever has `--` in it says its group, so that no two services have one name.

use hub_registry_core::{GroupName, ServiceKey, ServiceName};

const GROUP_END: &str = "--";

/// The name of a service.
pub(super) fn qualified(key: &ServiceKey) -> String {
    let is_default = key.group == GroupName::default_group();
    match is_default && split(key.name.as_str()).is_none() {
        true => key.name.to_string(),
        false => format!("{}{GROUP_END}{}", key.group, key.name),
    }
}

/// The group and the name in such a name, if it says its group.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(GROUP_END).filter(|(group, name)| !group.is_empty() && !name.is_empty())
}

/// The service of such a name; `None`: none can have it.
pub(super) fn key_of(name: &str) -> Option<ServiceKey> {
    let (group, name) = match split(name) {
        Some((group, name)) => (GroupName::parse(group).ok()?, name),
        None => (GroupName::default_group(), name),
    };
    Some(ServiceKey::new(group, ServiceName::parse(name).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_a_name_of_its_own_and_is_found_by_it() {
        for (group, name, written) in [
            ("DEFAULT_GROUP", "web", "web"),
            ("team", "web", "team--web"),
            ("DEFAULT_GROUP", "team--web", "DEFAULT_GROUP--team--web"),
            ("team", "a--b", "team--a--b"),
            ("DEFAULT_GROUP", "--web", "--web"),
            ("DEFAULT_GROUP", "web--", "web--"),
        ] {
            let group = GroupName::parse(group).unwrap();
            let key = ServiceKey::new(group, ServiceName::parse(name).unwrap());
            assert_eq!(qualified(&key), written);
            assert_eq!(key_of(written), Some(key));
        }
    }
}
