//! What the hub wrote into registries.

use std::fmt;

use async_trait::async_trait;

use super::error::Result;

/// What names a copy: where it is, and what it is there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CopyKey {
    /// Whose.
    pub tenant_id: String,
    /// The configuration it is in, or `native`.
    pub to_source: String,
    /// Made of the group, service and address it has there.
    pub copy_id: String,
}

/// A row of `HUB_REGISTRY_SYNC_COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRow {
    /// Its key.
    pub key: CopyKey,
    /// The configuration it was copied from, or `native`.
    pub from_source: String,
    /// The original's group,
    pub from_group: String,
    /// and service.
    pub from_service: String,
    /// The copy's group,
    pub group_name: String,
    /// service,
    pub service_name: String,
    /// address
    pub host_address: String,
    /// and port.
    pub port_number: i64,
    /// That of the original as it was last written.
    pub content_print: String,
    /// What becomes of it when its rule ends: `EXPIRE` or `KEEP`.
    pub orphan_policy: String,
    /// What of the original found no room, a JSON list.
    pub lost_fields: Option<String>,
}

/// Keeps what was written.
#[async_trait]
pub trait LedgerStore: fmt::Debug + Send + Sync + 'static {
    /// Who the hub is to other hubs; `new` if it is nobody yet.
    async fn owner(&self, new: &str) -> Result<String>;

    /// Every copy.
    async fn copies(&self) -> Result<Vec<CopyRow>>;

    /// Writes what became of copies, in one transaction.
    async fn save_copies(&self, puts: &[CopyRow], removes: &[CopyKey]) -> Result<()>;
}
