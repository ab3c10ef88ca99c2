//! Names of services where a protocol knows no groups.

use hub_registry_core::{GroupName, ServiceKey};

const GROUP_END: &str = "--";

/// The name of a service: as it is written for one of the default group, else `GROUP--NAME`. Always,
/// so that no name changes when somebody else registers one that is the same.
pub(super) fn qualified(key: &ServiceKey) -> String {
    match key.group == GroupName::default_group() {
        true => key.name.to_string(),
        false => format!("{}{GROUP_END}{}", key.group, key.name),
    }
}

/// The group and the name in such a name, if it has a group.
pub(super) fn split(name: &str) -> Option<(&str, &str)> {
    name.split_once(GROUP_END).filter(|(group, name)| !group.is_empty() && !name.is_empty())
}
