use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use hub_registry_core::Secret;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::*;
use crate::config::SecretsKeys;

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn seat(server: &str) -> Seat<'_> {
    Seat { tenant: "default", config: "c1", column: "password", server }
}

async fn sealed(vault: &Vault, text: &str) -> Secret {
    vault.sealing().await.unwrap().seal(&Secret::new(text), &seat("a")).unwrap()
}

fn fixed() -> Vault {
    Vault::fixed(&SecretsKeys::parse(KEY).unwrap())
}

#[tokio::test]
async fn what_is_sealed_opens_in_its_seat_and_nowhere_else() {
    let vault = fixed();
    let text = sealed(&vault, "hunter2").await;
    assert!(!text.expose().contains("hunter2") && is_sealed(text.expose()));
    assert_eq!(vault.open(text.expose(), &seat("a")).unwrap().expose(), "hunter2");
    let home = seat("a");
    for other in [
        seat("b"),
        Seat { tenant: "other", ..home },
        Seat { config: "c2", ..home },
        Seat { column: "secretKey", ..home },
        // The parts are not run together.
        Seat { tenant: "defaultc", config: "1", ..home },
    ] {
        assert_eq!(vault.open(text.expose(), &other), Err(Unopened::NotForHere), "{other:?}");
    }
    let again = sealed(&vault, "hunter2").await;
    assert_ne!(again, text, "a nonce of its own each time");
    let twice = vault.sealing().await.unwrap().seal(&text, &seat("a")).unwrap();
    assert_eq!(twice, text, "not sealed twice");
}

#[tokio::test]
async fn any_changed_byte_is_noticed() {
    let vault = fixed();
    let text = sealed(&vault, "").await;
    assert_eq!(vault.open(text.expose(), &seat("a")).unwrap().expose(), "");
    let text = sealed(&vault, "\u{1f980} with spaces").await;
    for at in 0..text.expose().len() {
        let mut bytes = text.expose().as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(vault.open(&changed, &seat("a")).is_err(), "byte {at}");
    }
    for end in 0..text.expose().len() {
        assert!(vault.open(&text.expose()[..end], &seat("a")).is_err(), "cut at {end}");
    }
}

/// What an earlier version wrote must open for ever.
#[test]
fn a_text_of_the_first_version_opens() {
    const OLD: &str = "sealed:v1:3d400cba:qZx1USb1SsIs1lmbCLqmcNtvq68lh6mTCnqo8v7TsM2+/3M";
    assert_eq!(fixed().open(OLD, &seat("a")).unwrap().expose(), "hunter2");
}

#[tokio::test]
async fn the_file_is_made_once_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/secrets.key");
    let vault = Vault::of_file(&path).unwrap();
    assert!(vault.sealing().await.unwrap_err().to_string().contains("secrets.key"));
    vault.create().unwrap();
    let text = sealed(&vault, "x").await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // A second hub on the same folder takes the same key.
    let other = Vault::of_file(&path).unwrap();
    other.create().unwrap();
    assert_eq!(other.open(text.expose(), &seat("a")).unwrap().expose(), "x");
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing beside it");
}

#[tokio::test]
async fn a_new_key_seals_and_the_old_one_opens_until_it_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.key");
    let vault = Vault::of_file(&path).unwrap();
    vault.create().unwrap();
    let running = Vault::of_file(&path).unwrap();
    let old = sealed(&vault, "x").await;
    let first = vault.add_key().await.unwrap();
    assert_eq!(vault.ring().ids().count(), 2);
    let new = sealed(&running, "y").await;
    assert_eq!(key_of(new.expose()), Some(first.clone()), "a running hub seals with the new one");
    assert_eq!(running.open(old.expose(), &seat("a")).unwrap().expose(), "x");
    let old_key = key_of(old.expose()).unwrap();
    let kept = vault.drop_keys(async |_| Ok::<_, ()>(vec![old_key.clone()])).await.unwrap();
    assert_eq!(kept, Ok(Vec::new()));
    let failed = vault.drop_keys(async |_| Err("no")).await.unwrap();
    assert_eq!(failed, Err("no"));
    assert_eq!(vault.ring().ids().count(), 2);
    let dropped = vault.drop_keys(async |_| Ok::<_, ()>(Vec::new())).await.unwrap();
    assert_eq!(dropped, Ok(vec![old_key.clone()]));
    running.refresh().unwrap();
    assert_eq!(running.open(old.expose(), &seat("a")), Err(Unopened::NoSuchKey(old_key)));
    assert_eq!(running.open(new.expose(), &seat("a")).unwrap().expose(), "y");
}

#[tokio::test]
async fn nobody_seals_while_a_key_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.key");
    let vault = Vault::of_file(&path).unwrap();
    vault.create().unwrap();
    vault.add_key().await.unwrap();
    let other = Vault::of_file(&path).unwrap();
    let (order, inside) = (Mutex::new(Vec::new()), Notify::new());
    let dropping = vault.drop_keys(async |_| {
        inside.notify_one();
        // Long enough for the other to get in, if it could.
        tokio::time::sleep(Duration::from_millis(150)).await;
        order.lock().push("looked");
        Ok::<_, ()>(Vec::new())
    });
    let sealing = async {
        inside.notified().await;
        let sealing = other.sealing().await.unwrap();
        order.lock().push("sealed");
        sealing.seal(&Secret::new("x"), &seat("a")).unwrap()
    };
    let (dropped, text) = tokio::join!(dropping, sealing);
    assert_eq!(dropped.unwrap().unwrap().len(), 1);
    assert_eq!(*order.lock(), ["looked", "sealed"]);
    assert_eq!(vault.open(text.expose(), &seat("a")).unwrap().expose(), "x");
}

#[tokio::test]
async fn a_broken_file_is_an_error_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.key");
    std::fs::write(&path, KEY).unwrap();
    let vault = Vault::of_file(&path).unwrap();
    let text = sealed(&vault, "x").await;
    std::fs::write(&path, "no key").unwrap();
    let message = vault.refresh().unwrap_err().to_string();
    assert!(message.contains("key 1 is not 32 bytes") && !message.contains(KEY), "{message}");
    assert_eq!(vault.open(text.expose(), &seat("a")).unwrap().expose(), "x");
    assert!(Vault::of_file(&path).is_err());
    // One that is gone is no reason to forget what it held, and none to seal.
    std::fs::remove_file(&path).unwrap();
    vault.refresh().unwrap();
    assert!(vault.sealing().await.is_err());
    assert_eq!(vault.open(text.expose(), &seat("a")).unwrap().expose(), "x");
}

#[tokio::test]
async fn keys_of_the_configuration_are_not_changed_here() {
    let vault = fixed();
    assert!(vault.add_key().await.unwrap_err().to_string().contains("security.secretsKey"));
    assert!(!format!("{vault:?}").contains("AAECAw"));
}
