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
    /// It has groups of its own; otherwise every service is in the configured default group.
    pub groups: bool,
    /// It keeps a weight per instance.
    pub weight: bool,
    /// It keeps tags; otherwise they travel in the metadata.
    pub tags: bool,
    /// A service can exist without instances.
    pub empty_services: bool,
    /// Names keep their case.
    pub case_sensitive: bool,
    /// After it came back empty, its clients have registered again within this time, in seconds.
    #[serde(rename = "settleSeconds", serialize_with = "as_seconds")]
    pub settle: Duration,
}

fn as_seconds<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(value.as_secs())
}
