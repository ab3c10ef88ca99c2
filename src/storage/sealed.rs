//! Configurations whose secrets are sealed in the database, and open to who asks for a row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use hub_registry_core::{ConfigId, Secret, TenantId};

use super::error::{Result, StorageError, StorageErrorKind};
use super::external::{ChangeRow, ConfigStore};
use crate::model::external::ExternalConfigRow;
use crate::vault::{self, KeyId, Sealing, Seat, Unopened, Vault};

/// A [`ConfigStore`] that seals what it writes and opens what it reads. A row that was written by
/// plain SQL with its secrets as they are is sealed when it is first listed.
#[derive(Debug)]
pub struct SealedConfigs {
    inner: Arc<dyn ConfigStore>,
    vault: Arc<Vault>,
    // Something was sealed, and the file may still hold it as it was.
    traces: AtomicBool,
    // What is wrong is said once, not every few seconds.
    complained: AtomicBool,
}

impl SealedConfigs {
    /// Over these rows, with these keys.
    #[must_use]
    pub fn new(inner: Arc<dyn ConfigStore>, vault: Arc<Vault>) -> Self {
        let (traces, complained) = (AtomicBool::default(), AtomicBool::default());
        Self { inner, vault, traces, complained }
    }

    fn open(&self, rows: &mut [ExternalConfigRow]) {
        let mut lacking = false;
        for row in rows.iter_mut() {
            lacking |= open_row(&self.vault, row);
        }
        if lacking {
            // Another process may have changed the keys.
            match self.vault.refresh() {
                Ok(()) => rows.iter_mut().filter(|row| !row.unopened.is_empty()).for_each(|row| {
                    row.unopened.clear();
                    open_row(&self.vault, row);
                }),
                Err(error) => tracing::warn!(%error, "cannot read the keys of secrets"),
            }
        }
    }

    async fn sealing(&self) -> Result<Sealing> {
        self.vault.sealing().await.map_err(|error| {
            StorageError::new(StorageErrorKind::NoKey, "seal secrets").with_source(error)
        })
    }

    /// Seals what stands in the table as it is. The rows that were read keep what they say.
    async fn seal_plain(&self, plain: &[(TenantId, ConfigId)]) -> Result<()> {
        if plain.is_empty() {
            return Ok(());
        }
        let sealing = self.sealing().await?;
        let mut sealed = 0_usize;
        for (tenant, id) in plain {
            let seal = |row: &mut ExternalConfigRow| seal_row(&sealing, row);
            sealed += usize::from(self.inner.change_secrets(tenant, id, &seal).await?);
        }
        if sealed > 0 {
            tracing::info!(configurations = sealed, "secrets that stood in the table are sealed");
            self.traces.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn wipe_traces(&self) {
        if !self.traces.swap(false, Ordering::Relaxed) {
            return;
        }
        match self.inner.wipe_traces().await {
            Ok(true) => {}
            Ok(false) => self.traces.store(true, Ordering::Relaxed),
            Err(error) => {
                self.traces.store(true, Ordering::Relaxed);
                tracing::warn!(%error, "cannot wipe what is left of secrets, will try again");
            }
        }
    }

    /// Seals everything with the first key; how many rows that changed. What cannot be opened stays.
    ///
    /// # Errors
    /// No key; rows that cannot be read or written. What was done by then is done.
    pub async fn rewrap(&self) -> Result<usize> {
        let mut changed = 0;
        loop {
            let sealing = self.sealing().await?;
            let rows = self.inner.list_all().await?;
            let todo: Vec<_> = rows.iter().filter(|row| can_rewrap(&sealing, row)).collect();
            let before = changed;
            for row in todo {
                let Some((tenant, id)) = key(row) else { continue };
                let seal = |row: &mut ExternalConfigRow| rewrap_row(&sealing, row);
                let done = self.inner.change_secrets(&tenant, &id, &seal).await?;
                changed += usize::from(done);
            }
            // Once more: others may have written meanwhile.
            if changed == before {
                self.traces.store(true, Ordering::Relaxed);
                self.wipe_traces().await;
                return Ok(changed);
            }
        }
    }
}

#[async_trait]
impl ConfigStore for SealedConfigs {
    async fn list_all(&self) -> Result<Vec<ExternalConfigRow>> {
        let mut rows = self.inner.list_all().await?;
        let plain: Vec<_> = rows.iter().filter(|row| has_plain(row)).filter_map(key).collect();
        self.open(&mut rows);
        match self.seal_plain(&plain).await {
            Ok(()) => self.complained.store(false, Ordering::Relaxed),
            // The rows count all the same.
            Err(error) if !self.complained.swap(true, Ordering::Relaxed) => {
                tracing::error!(%error, configurations = plain.len(),
                    "secrets stand in the table as they are, and cannot be sealed");
            }
            Err(_) => {}
        }
        self.wipe_traces().await;
        Ok(rows)
    }

    async fn list(
        &self,
        tenant: &TenantId,
        environment: Option<&str>,
        registry_type: Option<&str>,
    ) -> Result<Vec<ExternalConfigRow>> {
        let mut rows = self.inner.list(tenant, environment, registry_type).await?;
        self.open(&mut rows);
        Ok(rows)
    }

    async fn get(&self, tenant: &TenantId, id: &ConfigId) -> Result<Option<ExternalConfigRow>> {
        let mut row = self.inner.get(tenant, id).await?;
        self.open(row.as_mut_slice());
        Ok(row)
    }

    async fn insert(&self, row: &ExternalConfigRow) -> Result<()> {
        if !has_plain(row) {
            return self.inner.insert(row).await;
        }
        let sealing = self.sealing().await?;
        let mut row = row.clone();
        seal_row(&sealing, &mut row);
        self.inner.insert(&row).await
    }

    async fn update(&self, row: &ExternalConfigRow, expected_version: Option<i64>) -> Result<bool> {
        if !has_plain(row) {
            return self.inner.update(row, expected_version).await;
        }
        let sealing = self.sealing().await?;
        let mut row = row.clone();
        seal_row(&sealing, &mut row);
        self.inner.update(&row, expected_version).await
    }

    async fn delete(&self, tenant: &TenantId, id: &ConfigId) -> Result<bool> {
        self.inner.delete(tenant, id).await
    }

    async fn set_active(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        active: bool,
        who: &str,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        self.inner.set_active(tenant, id, active, who, now).await
    }

    async fn change_secrets(
        &self,
        tenant: &TenantId,
        id: &ConfigId,
        change: &ChangeRow<'_>,
    ) -> Result<bool> {
        self.inner.change_secrets(tenant, id, change).await
    }

    async fn wipe_traces(&self) -> Result<bool> {
        self.inner.wipe_traces().await
    }
}

fn key(row: &ExternalConfigRow) -> Option<(TenantId, ConfigId)> {
    Some((row.tenant_id.parse().ok()?, row.external_config_id.parse().ok()?))
}

fn has_plain(row: &ExternalConfigRow) -> bool {
    row.secrets().any(|(_, secret)| !vault::is_sealed(secret.expose()))
}

/// Runs over a row's secrets, each with its seat.
fn each(row: &mut ExternalConfigRow, mut change: impl FnMut(&mut Secret, &Seat<'_>)) {
    let (tenant, config) = (row.tenant_id.clone(), row.external_config_id.clone());
    let server = row.server();
    for (column, secret) in row.secrets_mut() {
        let seat = Seat { tenant: &tenant, config: &config, column, server: &server };
        if let Some(secret) = secret.as_mut().filter(|secret| !secret.is_empty()) {
            change(secret, &seat);
        }
    }
}

/// Opens what is sealed; whether a key was missing.
fn open_row(vault: &Vault, row: &mut ExternalConfigRow) -> bool {
    if !row.secrets().any(|(_, secret)| vault::is_sealed(secret.expose())) {
        return false;
    }
    let (mut unopened, mut lacking) = (Vec::new(), false);
    each(row, |secret, seat| {
        if vault::is_sealed(secret.expose()) {
            match vault.open(secret.expose(), seat) {
                Ok(open) => *secret = open,
                Err(error) => {
                    lacking |= matches!(error, Unopened::NoSuchKey(_));
                    unopened.push((seat.column, error.to_string()));
                }
            }
        }
    });
    row.unopened = unopened;
    lacking
}

fn seal_row(sealing: &Sealing, row: &mut ExternalConfigRow) {
    each(row, |secret, seat| match sealing.seal(secret, seat) {
        Ok(sealed) => *secret = sealed,
        // Never with a key at hand; the text stays as it is and is found again.
        Err(error) => tracing::error!(%error, column = seat.column, "cannot seal a secret"),
    });
}

fn rewrap_row(sealing: &Sealing, row: &mut ExternalConfigRow) {
    each(row, |secret, seat| {
        if !sealing.is_current(secret.expose())
            && let Ok(open) = sealing.open(secret.expose(), seat)
        {
            *secret = open;
        }
    });
    seal_row(sealing, row);
}

fn can_rewrap(sealing: &Sealing, row: &ExternalConfigRow) -> bool {
    let mut after = row.clone();
    rewrap_row(sealing, &mut after);
    after != *row
}

/// Which keys the secrets of a table are sealed with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// How many secrets each key opens.
    pub by_key: BTreeMap<KeyId, usize>,
    /// Secrets that stand there as they are.
    pub plain: usize,
    /// Those that nothing opens: tenant, configuration, column and why.
    pub unopened: Vec<(String, String, &'static str, String)>,
}

impl KeyUse {
    /// The keys that something is sealed with.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<KeyId> {
        self.by_key.keys().cloned().collect()
    }
}

/// Looks through the rows as the database has them. `open`: what opens a text, if anything does.
#[must_use]
pub fn key_use(
    rows: &[ExternalConfigRow],
    open: impl Fn(&str, &Seat<'_>) -> Result<Secret, Unopened>,
) -> KeyUse {
    let mut found = KeyUse::default();
    for row in rows {
        let mut row = row.clone();
        let mut unopened = Vec::new();
        each(&mut row, |secret, seat| {
            let text = secret.expose();
            if !vault::is_sealed(text) {
                found.plain += 1;
                return;
            }
            if let Some(key) = vault::key_of(text) {
                *found.by_key.entry(key).or_default() += 1;
            }
            if let Err(why) = open(text, seat) {
                unopened.push((seat.column, why.to_string()));
            }
        });
        let (tenant, config) = (&row.tenant_id, &row.external_config_id);
        let named = unopened.into_iter();
        let named = named.map(|(column, why)| (tenant.clone(), config.clone(), column, why));
        found.unopened.extend(named);
    }
    found
}
