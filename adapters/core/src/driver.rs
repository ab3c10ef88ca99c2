//! From a configuration row to a connected registry.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Result;
use crate::registry::{Registry, RegistryKind};
use crate::spec::{ConnectSpec, SpecError};

/// One kind of registry: knows its settings and how to connect.
#[async_trait]
pub trait Driver: fmt::Debug + Send + Sync + 'static {
    /// The kind it drives.
    fn kind(&self) -> RegistryKind;

    /// Checks the settings without touching the network.
    ///
    /// # Errors
    /// The first field that breaks a rule; an unknown key in
    /// [`ConnectSpec::specific`] is one.
    fn check(&self, spec: &ConnectSpec) -> Result<(), SpecError>;

    /// A registry for these settings. It may log in, but need not reach the registry: the first
    /// read does.
    ///
    /// # Errors
    /// `Invalid` when [`check`](Self::check) fails, or whatever the login met.
    async fn connect(&self, spec: &ConnectSpec) -> Result<Arc<dyn Registry>>;
}
