//! The migrations, in memory as on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hub_registry_core::{GroupName, ServiceKey, ServiceName, TenantId};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan;
use crate::catalog::SourceId;
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::migration::{MigrationId, MigrationPlan, MigrationState};
use crate::model::row::CommonColumns;
use crate::model::words::Flag;
use crate::storage::{self, MigrationRow, MigrationStore, ParityRow};
use crate::sync::ends::Configs;
use crate::sync::route::Route;

/// Services on their way from one registry to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Migration {
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub id: MigrationId,
    /// What is moved where.
    pub plan: MigrationPlan,
    /// The registry it moves from, and no other one of its name,
    pub from: SourceId,
    /// and where to.
    pub to: SourceId,
    /// How far it has come.
    pub state: MigrationState,
    /// Its copies stay as they are.
    pub paused: bool,
    /// Services of the source that are not where it is.
    pub services: BTreeMap<ServiceKey, MigrationState>,
    /// Who made and changed it.
    pub audit: Audit,
}

/// A service that is not where its migration is, on disk.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Apart {
    group_name: GroupName,
    service_name: ServiceName,
    state: String,
}

impl Migration {
    /// How far a service of the source has come.
    #[must_use]
    pub fn state_of(&self, service: &ServiceKey) -> MigrationState {
        self.services.get(service).copied().unwrap_or(self.state)
    }

    /// Whether any of its services is in such a state.
    #[must_use]
    pub fn any(&self, such: fn(MigrationState) -> bool) -> bool {
        such(self.state) || self.services.values().any(|state| such(*state))
    }

    fn row(&self) -> MigrationRow {
        let apart = self.services.iter().map(|(key, state)| Apart {
            group_name: key.group.clone(),
            service_name: key.name.clone(),
            state: state.to_string(),
        });
        let apart: Vec<_> = apart.collect();
        let (audit, notes) = (&self.audit, self.audit.notes());
        MigrationRow {
            tenant_id: self.tenant.to_string(),
            migration_id: self.id.as_str().to_owned(),
            migration_name: self.plan.name.clone(),
            from_name: self.plan.from.clone(),
            to_name: self.plan.to.clone(),
            from_config_id: self.from.as_str().to_owned(),
            to_config_id: self.to.as_str().to_owned(),
            plan_json: Some(serde_json::json!(self.plan).to_string()),
            services_json: Some(serde_json::json!(apart).to_string()),
            migration_state: self.state.to_string(),
            paused_flag: Flag::from(self.paused).to_string(),
            common: CommonColumns {
                add_time: Some(audit.add_time),
                add_who: Some(audit.add_who.to_string()),
                edit_time: Some(audit.edit_time),
                edit_who: Some(audit.edit_who.to_string()),
                opr_seq_flag: notes.opr_seq_flag.clone(),
                current_version: Some(audit.version),
                active_flag: Some(Flag::Yes.to_string()),
                note_text: notes.note_text.clone(),
                ext_property: notes.ext_property.clone(),
            },
            unreadable: Vec::new(),
        }
    }

    fn of_row(row: MigrationRow) -> Option<Self> {
        let Ok(Value::Object(plan)) = serde_json::from_str(row.plan_json.as_deref()?) else {
            return None;
        };
        let mut plan = MigrationPlan::from_body(plan).ok()?;
        // The columns count: a row is also what people read and write.
        (plan.name, plan.from, plan.to) = (row.migration_name, row.from_name, row.to_name);
        let apart: Vec<Apart> =
            serde_json::from_str(row.services_json.as_deref().unwrap_or("[]")).ok()?;
        let services = apart.into_iter().map(|one| {
            let key = ServiceKey::new(one.group_name, one.service_name);
            Some((key, one.state.parse().ok()?))
        });
        let common = row.common;
        let add_time = common.add_time.unwrap_or_default();
        let mut audit = Audit::new(add_time, common.add_who.as_deref().unwrap_or_default());
        audit.edit_time = common.edit_time.unwrap_or(add_time);
        audit.set_editor(common.edit_who.as_deref().unwrap_or_default());
        audit.version = common.current_version.unwrap_or(1);
        audit.note(|notes| {
            (notes.opr_seq_flag, notes.note_text) = (common.opr_seq_flag, common.note_text);
            notes.ext_property = common.ext_property;
        });
        Some(Self {
            tenant: TenantId::parse(&row.tenant_id).ok()?,
            id: MigrationId::parse(&row.migration_id)?,
            plan,
            from: SourceId::parse(&row.from_config_id)?,
            to: SourceId::parse(&row.to_config_id)?,
            state: row.migration_state.parse().ok()?,
            paused: row.paused_flag.parse().is_ok_and(Flag::is_yes),
            services: services.collect::<Option<_>>()?,
            audit,
        })
    }
}

type All = BTreeMap<(TenantId, MigrationId), Arc<Migration>>;

/// All migrations.
#[derive(Debug)]
pub struct Book {
    store: Arc<dyn MigrationStore>,
    all: RwLock<All>,
    /// Tenants with a row that cannot be understood.
    unreadable: BTreeSet<String>,
}

impl Book {
    /// What is on disk.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn load(store: Arc<dyn MigrationStore>) -> storage::Result<Self> {
        let (mut all, mut unreadable) = (All::new(), BTreeSet::new());
        for row in store.migrations().await?.into_iter().filter(|row| row.common.is_active()) {
            let (id, tenant) = (row.migration_id.clone(), row.tenant_id.clone());
            let Some(migration) = Migration::of_row(row) else {
                tracing::error!(
                    migration.id = id,
                    tenant.id = tenant,
                    "the row of a migration cannot be understood: no copies are removed"
                );
                unreadable.insert(tenant);
                continue;
            };
            let key = (migration.tenant.clone(), migration.id.clone());
            all.insert(key, Arc::new(migration));
        }
        Ok(Self { store, all: RwLock::new(all), unreadable })
    }

    /// Whether copies that no rule is about may be those of a migration that cannot be acted on: its
    /// row, or one of the registries it names, is not understood.
    pub(in crate::sync) fn is_in_doubt(&self, tenant: &TenantId, configs: &Configs) -> bool {
        let lost = |migration: &Arc<Migration>| {
            migration.any(MigrationState::copies_forth) && plan::ends(migration, configs).is_err()
        };
        self.unreadable.contains(tenant.as_str()) || self.of_tenant(tenant).iter().any(lost)
    }

    /// Those of a tenant, by name.
    #[must_use]
    pub fn of_tenant(&self, tenant: &TenantId) -> Vec<Arc<Migration>> {
        let all = self.all.read();
        let mut own: Vec<_> = all.values().filter(|one| one.tenant == *tenant).cloned().collect();
        own.sort_by(|a, b| a.plan.name.cmp(&b.plan.name));
        own
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Migration>> {
        self.all.read().values().cloned().collect()
    }

    /// One.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, tenant: &TenantId, id: &MigrationId) -> Result<Arc<Migration>> {
        let found = self.all.read().get(&(tenant.clone(), id.clone())).cloned();
        found.ok_or_else(|| Error::not_found(format!("no migration {}", id.as_str())))
    }

    /// What they ask of the engine.
    pub(in crate::sync) fn routes(&self, configs: &Configs) -> Vec<Route> {
        self.all().iter().flat_map(|migration| plan::routes(migration, configs)).collect()
    }

    /// What is known of the parity of one, the oldest first.
    pub(super) async fn parity(
        &self,
        tenant: &TenantId,
        id: &MigrationId,
    ) -> Result<Vec<ParityRow>> {
        Ok(self.store.parity(tenant.as_str(), id.as_str()).await?)
    }

    /// Keeps a sample, and forgets those before `oldest`.
    pub(super) async fn add_parity(&self, row: &ParityRow, oldest: i64) -> Result<()> {
        Ok(self.store.add_parity(row, oldest).await?)
    }

    /// Writes one down, on disk first.
    pub(super) async fn save(&self, migration: Migration) -> Result<Arc<Migration>> {
        self.store.save_migration(&migration.row()).await?;
        let migration = Arc::new(migration);
        let key = (migration.tenant.clone(), migration.id.clone());
        self.all.write().insert(key, Arc::clone(&migration));
        Ok(migration)
    }

    /// Removes one, on disk first.
    pub(super) async fn remove(&self, migration: &Migration) -> Result<()> {
        let Migration { tenant, id, .. } = migration;
        self.store.remove_migration(tenant.as_str(), id.as_str()).await?;
        self.all.write().remove(&(tenant.clone(), id.clone()));
        Ok(())
    }
}
