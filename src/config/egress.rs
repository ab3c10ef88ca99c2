//! `egress`, in the sections whose targets others name.

use hub_registry_core::egress::{EgressPolicy, Network};
use serde::{Deserialize, Serialize};

/// Which addresses may be connected to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EgressConfig {
    /// Only those in one of these.
    pub allow: Vec<Network>,
    /// And in none of these.
    pub deny: Vec<Network>,
}

impl Default for EgressConfig {
    fn default() -> Self {
        Self { allow: EgressPolicy::everything(), deny: Vec::new() }
    }
}

impl EgressConfig {
    /// The rules these lists make.
    #[must_use]
    pub fn policy(&self) -> EgressPolicy {
        EgressPolicy::new(self.allow.clone(), self.deny.clone())
    }
}
