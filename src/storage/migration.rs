//! Services on their way from one registry to another.

use std::fmt;

use async_trait::async_trait;

use super::error::Result;
use crate::model::row::CommonColumns;

/// A row of `HUB_REGISTRY_MIGRATION`, columns as the database has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MigrationRow {
    /// Whose.
    pub tenant_id: String,
    /// 32 hexadecimal digits.
    pub migration_id: String,
    /// What people call it.
    pub migration_name: String,
    /// The configuration it moves from, or `native`.
    pub from_name: String,
    /// Where to.
    pub to_name: String,
    /// The id of the one, or `native`,
    pub from_config_id: String,
    /// and of the other.
    pub to_config_id: String,
    /// Services, groups, gates and what becomes of the copies: a JSON object.
    pub plan_json: Option<String>,
    /// Services that are not where the migration is: a JSON list.
    pub services_json: Option<String>,
    /// How far it has come.
    pub migration_state: String,
    /// `Y`: its copies stay as they are.
    pub paused_flag: String,
    /// The columns every table has.
    pub common: CommonColumns,
    /// Columns whose value is not of the column's type; they read as `None`.
    pub unreadable: Vec<&'static str>,
}

/// A row of `HUB_REGISTRY_MIGRATION_PARITY`: how equal source and target were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParityRow {
    /// Whose.
    pub tenant_id: String,
    /// Of which migration.
    pub migration_id: String,
    /// When, in milliseconds since 1970.
    pub sample_millis: i64,
    /// Instances that are the same on both sides.
    pub equal: i64,
    /// Those the target lacks.
    pub missing: i64,
    /// Those the source lacks.
    pub extra: i64,
    /// Those that are on both sides, and not the same.
    pub different: i64,
}

/// Keeps the migrations.
#[async_trait]
pub trait MigrationStore: fmt::Debug + Send + Sync + 'static {
    /// All of all tenants.
    async fn migrations(&self) -> Result<Vec<MigrationRow>>;

    /// Puts one in the place of what has its key.
    async fn save_migration(&self, row: &MigrationRow) -> Result<()>;

    /// Removes one, and what is known of its parity; `false` when it is not there.
    async fn remove_migration(&self, tenant: &str, id: &str) -> Result<bool>;

    /// What is known of the parity of one, the oldest first.
    async fn parity(&self, tenant: &str, id: &str) -> Result<Vec<ParityRow>>;

    /// Adds a sample, and removes those of that migration that are older than `oldest`, in
    /// milliseconds since 1970.
    async fn add_parity(&self, row: &ParityRow, oldest: i64) -> Result<()>;
}
