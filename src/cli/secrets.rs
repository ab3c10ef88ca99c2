//! Keys of secrets on the command line.

use std::sync::Arc;

use crate::config::SecretsCommand;
use crate::error::{Error, Result};
use crate::storage::{ConfigStore, KeyUse, SealedConfigs, StorageError, key_use};
use crate::vault::{KeyId, Vault};

/// Does what was asked for; what it did is on the standard output.
///
/// # Errors
/// No key; a file of keys or a database that cannot be read or written. Whatever happens, every
/// secret opens with a key of the file afterwards, and the same command goes on where it ended.
pub async fn run(
    rows: Arc<dyn ConfigStore>,
    vault: Arc<Vault>,
    command: SecretsCommand,
) -> Result<()> {
    let sealed = SealedConfigs::new(Arc::clone(&rows), Arc::clone(&vault));
    match command {
        SecretsCommand::List => list(&vault, &looked_up(&rows, &vault).await?),
        SecretsCommand::Rewrap => rewrap(&sealed, &vault).await,
        SecretsCommand::Rotate => rotate(&rows, &sealed, &vault).await,
    }
}

async fn looked_up(rows: &Arc<dyn ConfigStore>, vault: &Vault) -> Result<KeyUse> {
    let rows = rows.list_all().await?;
    Ok(key_use(&rows, |text, seat| vault.open(text, seat)))
}

fn list(vault: &Vault, found: &KeyUse) -> Result<()> {
    let ring = vault.ring();
    for (index, id) in ring.ids().enumerate() {
        let does = if index == 0 { "seals and opens" } else { "opens" };
        println!("key {id}  {does}  {} secrets", found.by_key.get(id).unwrap_or(&0));
    }
    for (id, count) in found.by_key.iter().filter(|(id, _)| !ring.ids().any(|own| own == *id)) {
        println!("key {id}  NOT HERE  {count} secrets");
    }
    if found.plain > 0 {
        println!("not sealed  {} secrets", found.plain);
    }
    for (tenant, config, column, why) in &found.unopened {
        println!("tenant {tenant}, configuration {config}: {column} {why}");
    }
    Ok(())
}

async fn rewrap(sealed: &SealedConfigs, vault: &Vault) -> Result<()> {
    let changed = sealed.rewrap().await?;
    let ring = vault.ring();
    let first = ring.ids().next().map(KeyId::as_str).unwrap_or_default();
    println!("{changed} configurations sealed anew, all with the key {first}");
    Ok(())
}

/// A new key, everything sealed with it, and the keys nothing needs taken away. Where an earlier
/// rotation ended half-way, it is that one which goes on.
async fn rotate(rows: &Arc<dyn ConfigStore>, sealed: &SealedConfigs, vault: &Vault) -> Result<()> {
    let found = looked_up(rows, vault).await?;
    let ring = vault.ring();
    let first = ring.ids().next().cloned();
    let unfinished = first.filter(|_| ring.ids().skip(1).any(|id| found.by_key.contains_key(id)));
    match unfinished {
        Some(key) => println!("key {key}: an earlier rotation to it goes on"),
        None => println!("key {}: made", vault.add_key().await.map_err(of_file)?),
    }
    rewrap(sealed, vault).await?;
    let still_used = vault.drop_keys(async |sealing| {
        let all = rows.list_all().await?;
        Ok::<_, StorageError>(
            key_use(&all, |t, seat| sealing.open(t, seat)).keys().into_iter().collect(),
        )
    });
    for key in still_used.await.map_err(of_file)?? {
        println!("key {key}: nothing needs it any more, taken out of the file");
    }
    Ok(())
}

fn of_file(error: std::io::Error) -> Error {
    Error::unavailable(format!("the file of keys: {error}"))
}
