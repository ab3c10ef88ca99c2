//! The vault that the configuration wants.

use std::io;
use std::path::{Path, PathBuf};

use super::keeper::Vault;
use crate::config::{DatabaseConfig, Dsn, SecurityConfig};

/// The file of keys when none is named.
const FILE: &str = "secrets.key";
/// Where it is when the database is no file of ours.
const FOLDER: &str = "./data";

/// Opens the keys: those of the configuration, those of the file it names, else those of a file
/// beside the database, which [`begin`] makes.
///
/// # Errors
/// A file that is named and not there, cannot be read, or holds what is no key.
pub fn open(config: &SecurityConfig, database: &DatabaseConfig) -> io::Result<Vault> {
    if let Some(keys) = &config.secrets_key {
        return Ok(Vault::fixed(keys));
    }
    if let Some(path) = &config.secrets_key_file {
        std::fs::metadata(path).map_err(|error| {
            let message = format!("security.secretsKeyFile {}: {error}", path.display());
            io::Error::new(error.kind(), message)
        })?;
        return Vault::of_file(path);
    }
    match usual(database) {
        Some(path) => Vault::of_file(&path),
        None => Vault::for_now(),
    }
}

/// Makes the key of a first start. When something is sealed already, its key is lost or elsewhere:
/// then none is made, since it would hide that.
pub fn begin(vault: &Vault, database: &DatabaseConfig, something_is_sealed: bool) {
    let Some(path) = vault.file().filter(|_| vault.ring().ids().next().is_none()) else { return };
    let file = path.display();
    if something_is_sealed {
        tracing::error!(%file, "THE KEY OF THE SECRETS IS NOT HERE: external registries whose secrets are \
            sealed cannot be connected. Put the file of keys back (from another hub on this database, or \
            a backup); if it is lost, `registry-server secrets rotate` makes a new key, and the secrets \
            have to be given again");
        return;
    }
    if let Err(error) = vault.create() {
        tracing::error!(%file, %error, "the key of the secrets cannot be made: secrets of external \
            registries cannot be kept. Name a file or a key: security.secretsKeyFile, \
            REGISTRY__SECURITY__SECRETSKEY");
        return;
    }
    tracing::info!(%file, "made the key that secrets of external registries are sealed with; without it \
        they are lost: keep a copy, apart from those of the database");
    if let Dsn::Server(_) = database.dsn {
        tracing::warn!(%file, "EVERY HUB ON THIS DATABASE NEEDS THIS FILE OF KEYS, and so does this one \
            after it was moved or made anew: copy it, or name one by security.secretsKeyFile");
    }
}

/// Beside the file of the database; `None` for a database that goes with the process.
fn usual(database: &DatabaseConfig) -> Option<PathBuf> {
    match &database.dsn {
        Dsn::Sqlite(sqlite) => Some(sqlite.path.as_ref()?.with_file_name(FILE)),
        Dsn::Server(_) => Some(Path::new(FOLDER).join(FILE)),
    }
}
