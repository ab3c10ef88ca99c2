//! What a registry can do.

use std::time::Duration;

use serde::Serialize;

/// What a registry can do; what it cannot, it answers with
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// Changes are pushed, or wake a waiting request; otherwise they are polled.
    pub push: bool,
    /// [`register`](crate::Registry::register) and
    /// [`deregister`](crate::Registry::deregister) work.
    pub register: bool,
    /// Registrations expire unless [`heartbeat`](crate::Registry::heartbeat) renews them.
    pub heartbeat: bool,
    /// How often each registration is renewed, where they expire.
    #[serde(skip)]
    pub heartbeat_every: Duration,
    /// It has groups of its own; otherwise every service is in the configured default group.
    pub groups: bool,
    /// It keeps a weight per instance.
    pub weight: bool,
    /// It keeps tags; otherwise they travel in the metadata.
    pub tags: bool,
    /// Registrations have ids, and several of one address are there beside each other.
    #[serde(skip)]
    pub ids: bool,
    /// What its metadata takes.
    #[serde(skip)]
    pub metadata: MetadataRoom,
    /// A service can exist without instances.
    pub empty_services: bool,
    /// Names keep their case.
    pub case_sensitive: bool,
    /// After it came back empty, its clients have registered again within this time, in seconds.
    #[serde(rename = "settleSeconds", serialize_with = "as_seconds")]
    pub settle: Duration,
}

/// What the metadata of an instance may hold. The default has no bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataRoom {
    /// Which keys it takes.
    pub keys: KeyRule,
    /// Bytes of a key.
    pub key_bytes: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Pairs.
    pub pairs: usize,
    /// UTF-16 units of all keys and values together: what Java counts as characters.
    pub units: usize,
}

impl Default for MetadataRoom {
    fn default() -> Self {
        let most = usize::MAX;
        let keys = KeyRule::Any;
        Self { keys, key_bytes: most, value_bytes: most, pairs: most, units: most }
    }
}

/// Which keys a registry takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyRule {
    /// Any text.
    #[default]
    Any,
    /// ASCII letters, digits, `_` and `-`, not beginning with the reserved `consul-`: Consul
    /// refuses the whole registration for one other key (`agent/structs/structs.go`,
    /// `validateMetaPair`).
    Consul,
    /// A name an XML element can have, of ASCII: Eureka writes keys as elements, and one that is
    /// none breaks the list for every reader of XML.
    Xml,
}

impl KeyRule {
    /// Whether it takes this key.
    #[must_use]
    pub fn takes(self, key: &str) -> bool {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        match self {
            Self::Any => true,
            Self::Consul => !key.is_empty() && key.chars().all(word) && !key.starts_with("consul-"),
            Self::Xml => {
                key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                    && key.chars().all(|c| word(c) || c == '.')
            }
        }
    }
}

fn as_seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(value.as_secs())
}
