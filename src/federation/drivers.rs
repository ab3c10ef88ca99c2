//! The kinds of registry this build can connect to.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::{ConnectSpec, Driver, RegistryKind};
use serde_json::json;

use crate::error::{Error, ErrorCode, Result};

/// The drivers, by kind.
#[derive(Clone, Debug, Default)]
pub struct Drivers(Arc<BTreeMap<RegistryKind, Arc<dyn Driver>>>);

impl Drivers {
    /// These drivers; of two of one kind the later stays.
    #[must_use]
    pub fn new(drivers: Vec<Arc<dyn Driver>>) -> Self {
        Self(Arc::new(drivers.into_iter().map(|driver| (driver.kind(), driver)).collect()))
    }

    /// The driver of a kind.
    ///
    /// # Errors
    /// `Unprocessable` (422), naming the kinds built in.
    pub fn get(&self, kind: RegistryKind) -> Result<&Arc<dyn Driver>> {
        self.0.get(&kind).ok_or_else(|| {
            let built_in: Vec<_> = self.0.keys().map(|kind| kind.as_str()).collect();
            let message = format!("no adapter for {kind}; built in: {}", built_in.join(", "));
            Error::new(ErrorCode::Unprocessable, message).with_details(
                json!({ "field": "registryType", "value": kind.as_str(), "builtIn": built_in }),
            )
        })
    }

    /// Checks the settings with their driver, without touching the network.
    ///
    /// # Errors
    /// No such driver, or the field that breaks one of its rules.
    pub fn check(&self, spec: &ConnectSpec) -> Result<()> {
        self.get(spec.kind)?.check(spec).map_err(|error| {
            let value =
                error.field.strip_prefix("specificConfig.").and_then(|key| spec.specific.get(key));
            Error::invalid(&error.field, value.cloned().unwrap_or_default(), &error.message)
        })
    }
}
