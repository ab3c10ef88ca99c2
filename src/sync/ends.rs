//! The registries, as far as copying needs them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hub_registry_core::{ConfigId, Error, Registry, TenantId};

use super::route::{End, bare_end, end};
use crate::catalog::SourceId;
use crate::model::external::ExternalConfig;

/// The configurations.
#[derive(Clone, Debug, Default)]
pub struct Configs {
    /// Those that run, in the order of tenant and id.
    pub running: Vec<Arc<ExternalConfig>>,
    /// Every one there is, those that are switched off or break a rule too.
    pub rows: BTreeSet<(TenantId, ConfigId)>,
}

impl Configs {
    /// The configuration of a registry, if it runs.
    pub(super) fn find(&self, tenant: &TenantId, id: &SourceId) -> Option<&Arc<ExternalConfig>> {
        let SourceId::External(id) = id else { return None };
        self.running.iter().find(|config| config.tenant == *tenant && config.id == *id)
    }

    /// A registry as an end of a route, if it is connected; the native one always is.
    pub(super) fn end(&self, tenant: &TenantId, id: &SourceId) -> Option<End> {
        match id {
            SourceId::Native => Some(bare_end(id)),
            SourceId::External(_) => self.find(tenant, id).map(|config| end(config)),
        }
    }

    /// The same, with no more than its id where it is not connected.
    pub(super) fn end_anyway(&self, tenant: &TenantId, id: &SourceId) -> End {
        self.end(tenant, id).unwrap_or_else(|| bare_end(id))
    }
}

/// How a rule fares, in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleFigures {
    /// Writes that wait.
    pub pending: usize,
    /// The last write of some way failed.
    pub failing: bool,
    /// Copies written, updated and removed.
    pub written: u64,
    /// Writes that failed.
    pub failed: u64,
    /// When something was last written.
    pub wrote_at: Option<DateTime<Utc>>,
}

/// The running configurations, and connections to write to their registries.
#[async_trait]
pub trait Ends: fmt::Debug + Send + Sync + 'static {
    /// Every configuration.
    async fn configs(&self) -> Configs;

    /// A connection to write through.
    ///
    /// # Errors
    /// No such configuration runs; whatever its adapter says.
    async fn connect(&self, tenant: &TenantId, id: &SourceId) -> Result<Arc<dyn Registry>, Error>;

    /// How what the rule of this configuration copies fares, all its ways together.
    fn tell(&self, tenant: &TenantId, id: &ConfigId, figures: RuleFigures);
}
