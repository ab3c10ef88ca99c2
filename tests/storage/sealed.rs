//! Secrets at rest.

use std::path::Path;
use std::sync::Arc;

use hub_registry::model::external::ExternalConfigRow;
use hub_registry::storage::{ConfigStore, SealedConfigs, StorageErrorKind, key_use};
use hub_registry::vault::Vault;
use hub_registry_core::Secret;
use tempfile::TempDir;

use crate::database::{Database, Kind};
use crate::sample::{config, id, tenant};

const SECRETS: &str = "SELECT concat_ws(' ', password, accessToken, secretKey) \
    FROM HUB_REGISTRY_EXTERNAL_CONFIG ORDER BY externalConfigId";
const SECRETS_SQLITE: &str = "SELECT password || ' ' || accessToken || ' ' || secretKey \
    FROM HUB_REGISTRY_EXTERNAL_CONFIG ORDER BY externalConfigId";

/// What stands in the table.
async fn table(database: &Database) -> Vec<String> {
    let sql = if database.kind == Kind::Sqlite { SECRETS_SQLITE } else { SECRETS };
    database.column(sql).await
}

struct Keys {
    folder: TempDir,
}

impl Keys {
    fn new() -> Self {
        let keys = Self { folder: tempfile::tempdir().unwrap() };
        keys.vault().create().unwrap();
        keys
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("secrets.key")
    }

    fn vault(&self) -> Arc<Vault> {
        Arc::new(Vault::of_file(&self.path()).unwrap())
    }

    fn over(&self, database: &Database) -> SealedConfigs {
        SealedConfigs::new(Arc::new(database.store.clone()), self.vault())
    }
}

async fn only(store: &SealedConfigs) -> ExternalConfigRow {
    let mut rows = store.list_all().await.unwrap();
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

pub(crate) async fn secrets_are_sealed_in_the_table_and_open_to_who_asks(database: &Database) {
    let keys = Keys::new();
    let store = keys.over(database);
    let mut row = config("a", "a");
    store.insert(&row).await.unwrap();
    let check = async |row: &ExternalConfigRow| {
        let text = table(database).await.remove(0);
        assert_eq!(text.matches("sealed:v1:").count(), 3, "{text}");
        for secret in ["hunter2", "token", "key "] {
            assert!(!text.contains(secret), "{text}");
        }
        assert_eq!(only(&store).await, *row);
        assert_eq!(store.get(&tenant(), &id("a")).await.unwrap().unwrap(), *row);
        assert_eq!(store.list(&tenant(), None, None).await.unwrap(), std::slice::from_ref(row));
        // Another process with the same file.
        assert_eq!(only(&keys.over(database)).await, *row);
    };
    check(&row).await;
    row.server_address = "10.0.0.1".to_owned();
    row.password = Some(Secret::new("hunter2 again"));
    assert!(store.update(&row, Some(1)).await.unwrap());
    row.common.current_version = Some(2);
    check(&row).await;
    let bare = ExternalConfigRow { password: None, access_token: None, secret_key: None, ..row };
    assert!(store.update(&bare, None).await.unwrap());
    assert_eq!(only(&store).await.password, None);
}

pub(crate) async fn the_longest_secrets_fit(database: &Database) {
    let keys = Keys::new();
    let store = keys.over(database);
    let row = ExternalConfigRow {
        // The bound counts bytes.
        password: Some(Secret::new(&"\u{1f980}".repeat(125))),
        access_token: Some(Secret::new(&"t".repeat(2000))),
        secret_key: Some(Secret::new(&"k".repeat(500))),
        ..config("a", "a")
    };
    store.insert(&row).await.unwrap();
    assert_eq!(only(&store).await, row);
}

pub(crate) async fn what_plain_sql_wrote_is_sealed_when_it_is_listed(database: &Database) {
    let row = config("a", "a");
    database.store.insert(&row).await.unwrap();
    let keys = Keys::new();
    let store = keys.over(database);
    assert_eq!(only(&store).await, row, "nothing a reader sees is another");
    let text = table(database).await;
    assert_eq!(text[0].matches("sealed:v1:").count(), 3, "{text:?}");
    assert_eq!(only(&store).await, row);
    assert_eq!(table(database).await, text, "sealed once");
    database.sql("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET password = 'by hand'").await;
    assert_eq!(only(&store).await.password.unwrap().expose(), "by hand");
    assert_eq!(table(database).await[0].matches("sealed:v1:").count(), 3);
    // An empty one is none.
    database.sql("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET password = '', accessToken = NULL").await;
    let read = only(&store).await;
    assert_eq!((read.password.unwrap().expose(), read.access_token), ("", None));
}

pub(crate) async fn a_sealed_text_opens_in_its_own_row_only(database: &Database) {
    let keys = Keys::new();
    let store = keys.over(database);
    store.insert(&config("a", "a")).await.unwrap();
    // What does not say where the secret goes may change.
    let harmless = "UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET configName = 'b', noteText = 'x', \
         readTimeout = -1, username = 'other', specificConfig = '{\"priority\":1}'";
    database.sql(harmless).await;
    assert_eq!(only(&store).await.unopened, []);
    for change in [
        "serverAddress = 'evil:8500'",
        "serverAddress = '127.0.0.1:8500,evil:8500'",
        "serverPath = '/echo'",
        "serverScheme = 'http'",
        "registryType = 'NACOS'",
        "specificConfig = '{\"insecureSkipVerify\":true}'",
        "specificConfig = '{\"caPem\":\"x\"}'",
        "tenantId = 'other'",
        "externalConfigId = 'other'",
        "password = accessToken, accessToken = password",
    ] {
        let saved = database.store.get(&tenant(), &id("a")).await.unwrap().unwrap();
        database.sql(&format!("UPDATE HUB_REGISTRY_EXTERNAL_CONFIG SET {change}")).await;
        let read = only(&store).await;
        let (column, why) = &read.unopened[0];
        assert_eq!((*column, read.secrets().count()), ("password", 3), "{change}");
        assert!(why.contains("another server") && why.contains("give the secret again"), "{why}");
        for (_, secret) in read.secrets().take(read.unopened.len()) {
            assert!(secret.expose().starts_with("sealed:v1:"), "{change}: {secret:?}");
        }
        database.sql("DELETE FROM HUB_REGISTRY_EXTERNAL_CONFIG").await;
        database.store.insert(&saved).await.unwrap();
        assert_eq!(only(&store).await.unopened, []);
    }
}

pub(crate) async fn without_its_key_a_secret_stays_as_it_is(database: &Database) {
    let keys = Keys::new();
    keys.over(database).insert(&config("a", "a")).await.unwrap();
    let text = table(database).await;
    let none = Arc::new(Vault::of_file(Path::new("/nowhere/secrets.key")).unwrap());
    let without = SealedConfigs::new(Arc::new(database.store.clone()), none);
    let read = only(&without).await;
    assert_eq!(read.unopened.len(), 3);
    assert!(read.unopened[0].1.contains("which this hub does not have"), "{:?}", read.unopened);
    // Everything else can be changed, and the secret is not lost by it.
    let noted = ExternalConfigRow { config_description: Some("x".to_owned()), ..read };
    assert!(without.update(&noted, None).await.unwrap());
    assert_eq!(table(database).await, text);
    // New secrets cannot be kept, and are not written as they are.
    let error = without.insert(&config("b", "b")).await.unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NoKey, "{error}");
    assert_eq!(table(database).await.len(), 1);
    let other = Keys::new();
    let given = ExternalConfigRow {
        password: Some(Secret::new("again")),
        unopened: noted.unopened[1..].to_vec(),
        ..noted
    };
    assert!(other.over(database).update(&given, None).await.unwrap());
    let read = only(&other.over(database)).await;
    assert_eq!(read.password.as_ref().unwrap().expose(), "again");
    assert_eq!(read.unopened.len(), 2);
}

pub(crate) async fn everything_is_sealed_anew_while_others_write(database: &Database) {
    let keys = Keys::new();
    let store = keys.over(database);
    for number in 0..20 {
        store.insert(&config(&format!("c{number}"), &format!("n{number}"))).await.unwrap();
    }
    database.store.insert(&config("plain", "plain")).await.unwrap();
    let (running, rotating) = (keys.over(database), keys.vault());
    let writes = async {
        for round in 0..40 {
            let mut row = config(&format!("c{}", round % 20), &format!("n{}", round % 20));
            row.password = Some(Secret::new(&format!("new {round}")));
            assert!(running.update(&row, None).await.unwrap());
        }
    };
    let rewraps = async {
        let new = rotating.add_key().await.unwrap();
        let sealed = SealedConfigs::new(Arc::new(database.store.clone()), Arc::clone(&rotating));
        sealed.rewrap().await.unwrap();
        new
    };
    let ((), new) = tokio::join!(writes, rewraps);
    let raw = database.store.list_all().await.unwrap();
    let found = key_use(&raw, |text, seat| rotating.open(text, seat));
    assert_eq!((found.plain, found.unopened.len()), (0, 0));
    assert_eq!(found.by_key.into_iter().collect::<Vec<_>>(), [(new, 63)]);
    let passwords: Vec<_> = running.list_all().await.unwrap();
    let changed = passwords.iter().filter(|row| {
        row.password.as_ref().is_some_and(|secret| secret.expose().starts_with("new "))
    });
    assert_eq!(changed.count(), 20);
}

/// A file keeps what was written over, in pages nobody uses and in its log, unless told not to.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_secret_is_left_in_the_file() {
    const CANARY: &str = "canary-4f1d9b7e";
    let database = Database::fresh(Kind::Sqlite).await.unwrap();
    for number in 0..50 {
        let name = format!("n{number}");
        let row = ExternalConfigRow {
            password: Some(Secret::new(&format!("{CANARY}-{number}"))),
            // Long enough for pages of its own.
            access_token: Some(Secret::new(&format!("{CANARY}{}", "t".repeat(1900)))),
            specific_config: Some(format!("{{\"x\":\"{}\"}}", "y".repeat(number * 200))),
            ..config(&name, &name)
        };
        database.store.insert(&row).await.unwrap();
    }
    let file = format!("{}", database.config.dsn);
    let left = || {
        let holds = |path: &str| {
            let bytes = std::fs::read(path).unwrap_or_default();
            bytes.windows(CANARY.len()).filter(|part| *part == CANARY.as_bytes()).count()
        };
        holds(&file) + holds(&format!("{file}-wal"))
    };
    assert!(left() >= 100, "they stand there before");
    let keys = Keys::new();
    let store = keys.over(&database);
    assert_eq!(store.list_all().await.unwrap().len(), 50);
    assert_eq!(left(), 0);
    assert!(
        store.list_all().await.unwrap()[0].password.as_ref().unwrap().expose().contains(CANARY)
    );
    assert_eq!(left(), 0);
}
