//! What reads definitions and filters, for fuzzing.

use std::net::{IpAddr, Ipv4Addr};

use chrono::DateTime;
use serde_json::json;

use super::check_definition::CheckDefinition;
use super::filter::{Filter, fields};
use super::register::{self, Defined};
use crate::facades::names::key_of;

/// A definition of a service.
pub(in crate::facades) fn definition(bytes: &[u8]) {
    let Ok(definition) = register::read(bytes) else { return };
    let Some(key) = key_of(&definition.name) else { return };
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let defined = Defined::of(key, definition, here, DateTime::UNIX_EPOCH).ok();
    if let Some(Ok(registration)) = defined.map(|defined| defined.over(None, None, false)) {
        registration.check().ok();
    }
}

/// A check of a service that is there.
pub(in crate::facades) fn check(bytes: &[u8]) {
    let Ok(new) = register::decode::<CheckDefinition>(bytes) else { return };
    let name = new.name.clone();
    let new = new.with(name.clone(), || name);
    new.check(DateTime::UNIX_EPOCH, IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))).ok();
}

/// A filter.
pub(in crate::facades) fn expression(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let entry = json!({
        "Service": { "ID": "a", "Tags": ["x", "y"], "Meta": { "k": "v" }, "Port": 80, "Enabled": true },
        "Checks": [{ "Status": "passing" }, { "Status": "critical" }], "Node": null,
    });
    for (row, value) in [(&fields::ENTRY, &entry), (&fields::SERVICE, &entry["Service"])] {
        if let Ok(filter) = Filter::read(text, row) {
            filter.passes(value);
        }
    }
}
