//! The constants of the rules.

use std::time::Duration;

/// Whether and how a source's removals are guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardPolicy {
    /// What is missing leaves at once: the native registry knows itself what is gone.
    Off,
    /// By these rules.
    On(GuardRules),
}

impl Default for GuardPolicy {
    fn default() -> Self {
        Self::On(GuardRules::default())
    }
}

/// The constants, from `specificConfig.removalGuard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardRules {
    /// The share of a source that may leave within a minute without being held, in percent.
    pub percent: u32,
    /// Fewer than this many may leave within a minute, whatever their share.
    pub min_instances: u32,
    /// Good reads that must lack an instance before it leaves.
    pub confirmations: u32,
    /// Over how long they must lack it.
    pub hold: Duration,
    /// How long what the first full read after an outage lacks is waited for; `None`: as long as
    /// is usual for the registry.
    pub settle: Option<Duration>,
    /// How long a source of ten or more is waited for that lists nothing any more.
    pub empty_hold: Duration,
}

impl Default for GuardRules {
    fn default() -> Self {
        Self {
            percent: 20,
            min_instances: 10,
            confirmations: 3,
            hold: Duration::from_secs(15),
            settle: None,
            empty_hold: Duration::from_secs(600),
        }
    }
}
