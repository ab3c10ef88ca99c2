//! What the hub calls things it accepts itself, and their ids.
//!
//! Stricter than the rules of [`hub_registry_core::id`], which are for names that arrive from
//! foreign registries.

use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;

use hub_registry_core::{GroupName, Host, InstanceKey, ServiceName, TenantId};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The longest group name, service name or host the hub accepts itself, in bytes.
pub const MAX_NATIVE_NAME: usize = 100;

const NAME_RULE: &str = "must match [A-Za-z0-9._:-]{1,100}";

/// A group name by the native rule.
///
/// # Errors
/// The field, the value and the rule.
pub fn native_group(field: &str, value: &str) -> Result<GroupName> {
    check(field, value)?;
    GroupName::parse(value).map_err(|error| Error::invalid(field, value, &error.rule))
}

/// A service name by the native rule.
///
/// # Errors
/// The field, the value and the rule.
pub fn native_service(field: &str, value: &str) -> Result<ServiceName> {
    check(field, value)?;
    ServiceName::parse(value).map_err(|error| Error::invalid(field, value, &error.rule))
}

/// The address of a native instance: an IP address or a host name of at most 100 bytes.
///
/// # Errors
/// The field, the value and the rule.
pub fn native_host(field: &str, value: &str) -> Result<Host> {
    if value.len() > MAX_NATIVE_NAME {
        return Err(Error::invalid(field, value, "must be at most 100 bytes long"));
    }
    let host = Host::parse(value).map_err(|error| Error::invalid(field, value, &error.rule))?;
    if host.as_str().parse::<IpAddr>().is_ok() || is_host_name(host.as_str()) {
        return Ok(host);
    }
    Err(Error::invalid(field, value, "must be an IP address or a host name, without a port"))
}

/// The same of one that registers: `0.0.0.0` and `::` are nowhere.
///
/// # Errors
/// The field, the value and the rule.
pub fn reachable_host(field: &str, value: &str) -> Result<Host> {
    let host = native_host(field, value)?;
    if host.as_str().parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Err(Error::invalid(field, value, "must be where somebody is, and not any address"));
    }
    Ok(host)
}

/// RFC 1123 2.1, with the underscore that container names have: labels of letters, digits and
/// inner hyphens. One whose last label is a number is a mistyped IPv4 address, not a name.
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    host.split('.').all(label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn check(field: &str, value: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    if value.is_empty() || value.len() > MAX_NATIVE_NAME || !value.bytes().all(allowed) {
        return Err(Error::invalid(field, value, NAME_RULE));
    }
    Ok(())
}

/// The id of an instance: the same in every source, node and restart, and different in every
/// tenant. Written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId([u8; 16]);

impl InstanceId {
    /// The id of this instance of this tenant.
    #[must_use]
    pub fn of(tenant: &TenantId, key: &InstanceKey) -> Self {
        let service = &key.service;
        let parts =
            [tenant.as_str(), service.group.as_str(), service.name.as_str(), key.host.as_str()];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
            // No name has control characters, so no two keys give the same bytes.
            hash.update([0]);
        }
        hash.update(key.port.to_be_bytes());
        Self(half(&hash.finalize()))
    }

    /// Its text.
    #[must_use]
    pub fn text(self) -> IdText {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        IdText(text)
    }

    /// A number below `among` that is always the same for this id, evenly spread over all ids.
    #[must_use]
    pub fn spread(self, among: u64) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % among.max(1)
    }
}

/// One of the checks of an instance: its own, which says the health, or one of several that it
/// brought with it ([`Checks`](super::check::Checks)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckKey {
    /// Whose.
    pub instance: InstanceId,
    /// 0: its own; else made of the check's id.
    which: u64,
}

impl CheckKey {
    /// The instance's own check.
    #[must_use]
    pub const fn own(instance: InstanceId) -> Self {
        Self { instance, which: 0 }
    }

    /// The one of this id. Sixty-four bits are enough to tell a few checks apart.
    #[must_use]
    pub fn of(instance: InstanceId, check: &str) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = half(&Sha256::digest(check));
        Self { instance, which: u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1) }
    }

    /// Whatever check the instance may have.
    #[must_use]
    pub const fn all_of(instance: InstanceId) -> std::ops::RangeInclusive<Self> {
        Self::own(instance)..=Self { instance, which: u64::MAX }
    }
}

/// The text of an id, for as long as somebody looks at it: an id is kept in half the room.
#[derive(Clone, Copy, Debug)]
pub struct IdText([u8; 32]);

impl Deref for IdText {
    type Target = str;

    fn deref(&self) -> &str {
        // Digits are UTF-8.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The first half of a SHA-256: 128 bits are enough to name things.
fn half(hash: &[u8]) -> [u8; 16] {
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    id
}

/// The id of an instance as text: 32 hexadecimal digits.
#[must_use]
pub fn instance_id(tenant: &TenantId, key: &InstanceKey) -> String {
    InstanceId::of(tenant, key).to_string()
}

/// The id of a native group as text: 32 hexadecimal digits.
#[must_use]
pub fn group_id(tenant: &TenantId, group: &GroupName) -> String {
    let mut hash = Sha256::new();
    hash.update(tenant.as_str());
    hash.update([0]);
    hash.update(group.as_str());
    InstanceId(half(&hash.finalize())).to_string()
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not an instance id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an instance id has 32 lower-case hexadecimal digits")]
pub struct NoInstanceId;

impl FromStr for InstanceId {
    type Err = NoInstanceId;

    fn from_str(text: &str) -> Result<Self, NoInstanceId> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 32 || !text.bytes().all(digit) {
            return Err(NoInstanceId);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| NoInstanceId)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_registry_core::ServiceKey;

    fn key(group: &str, name: &str, host: &str, port: u16) -> InstanceKey {
        let group = GroupName::parse(group).unwrap();
        let service = ServiceKey::new(group, ServiceName::parse(name).unwrap());
        InstanceKey { service, host: Host::parse(host).unwrap(), port }
    }

    #[test]
    fn ids_are_stable_and_differ_where_the_parts_shift() {
        let tenant = TenantId::default_tenant();
        let id = InstanceId::of(&tenant, &key("DEFAULT_GROUP", "order", "10.0.0.1", 8080));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.to_string().len(), 32);
        let others = [
            InstanceId::of(&tenant, &key("DEFAULT_GROUPo", "rder", "10.0.0.1", 8080)),
            InstanceId::of(&tenant, &key("DEFAULT_GROUP", "order", "10.0.0.1", 8081)),
            InstanceId::of(
                &TenantId::parse("other").unwrap(),
                &key("DEFAULT_GROUP", "order", "10.0.0.1", 8080),
            ),
        ];
        assert!(!others.contains(&id));
        assert!("x".repeat(32).parse::<InstanceId>().is_err());
        assert!("A".repeat(32).parse::<InstanceId>().is_err());
    }

    #[test]
    fn native_names_are_strict() {
        assert!(native_group("groupName", "DEFAULT_GROUP").is_ok());
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(101)] {
            let error = native_service("serviceName", bad).unwrap_err();
            assert_eq!(error.details["field"], "serviceName");
            assert_eq!(error.details["rule"], NAME_RULE);
        }
        assert!(native_host("hostAddress", "[::1]").is_ok());
        for any in ["0.0.0.0", "::", "[0:0::0]"] {
            assert!(reachable_host("hostAddress", any).is_err(), "{any}");
            assert!(native_host("hostAddress", any).is_ok(), "{any}: it may be in the table");
        }
        assert!(native_host("hostAddress", &"h".repeat(101)).is_err());
    }
}
