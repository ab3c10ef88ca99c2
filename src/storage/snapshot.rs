//! The last known good state of each external registry.

use std::fmt;

use async_trait::async_trait;
use hub_registry_core::{ConfigId, ServiceKey, ServiceState, TenantId};

use super::error::Result;

/// One source's last known good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSnapshot {
    /// Whose.
    pub tenant: TenantId,
    /// Which source.
    pub config_id: ConfigId,
    /// A hash of the registry's identity at that time.
    pub identity_hash: String,
    /// When it was last confirmed, in milliseconds since 1970.
    pub last_good_ms: i64,
    /// All its services.
    pub services: Vec<ServiceState>,
}

/// What changed in one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotBatch {
    /// Whose.
    pub tenant: TenantId,
    /// Which source.
    pub config_id: ConfigId,
    /// A hash of the registry's identity.
    pub identity_hash: String,
    /// When this was confirmed, in milliseconds since 1970.
    pub last_good_ms: i64,
    /// Services to write.
    pub puts: Vec<ServiceState>,
    /// Services to forget.
    pub removes: Vec<ServiceKey>,
    /// `puts` is everything: whatever else was kept of this source goes first.
    pub replace_all: bool,
}

/// Keeps the last known good.
#[async_trait]
pub trait SnapshotStore: fmt::Debug + Send + Sync + 'static {
    /// Every source's. One of which any row cannot be decoded is left out whole, with a warning:
    /// half a source would look like a mass removal.
    async fn load_all(&self) -> Result<Vec<SourceSnapshot>>;

    /// Writes what changed, in one transaction.
    async fn save(&self, batch: SnapshotBatch) -> Result<()>;

    /// Renews the age of what is kept, if anything is.
    async fn touch(&self, tenant: &TenantId, config: &ConfigId, last_good_ms: i64) -> Result<()>;

    /// Forgets a source.
    async fn remove(&self, tenant: &TenantId, config: &ConfigId) -> Result<()>;
}
