//! External registries: configurations, how they fare, last known good; and ceilings.

use hub_registry::model::external::{ExternalConfigRow, ExternalStatusRow};
use hub_registry::storage::{
    ConfigStore, RevisionStore, SnapshotStore, StatusStore, StorageErrorKind,
};

use crate::database::Database;
use crate::sample::{batch, config, id, later, now, state, status, tenant};

pub(crate) async fn every_column_of_a_config_comes_back(database: &Database) {
    let store = &database.store;
    store.insert(&config("a", "a")).await.unwrap();
    let bare = ExternalConfigRow {
        external_config_id: "b".to_owned(),
        tenant_id: "default".to_owned(),
        config_name: "b".to_owned(),
        registry_type: "NACOS".to_owned(),
        environment_name: "default".to_owned(),
        server_address: "x".to_owned(),
        ..ExternalConfigRow::default()
    };
    store.insert(&bare).await.unwrap();
    let rows = ConfigStore::list_all(store).await.unwrap();
    assert_eq!(rows[0], config("a", "a"));
    let mut written = bare;
    written.common.current_version = Some(1);
    assert_eq!(rows[1], written);
}

pub(crate) async fn configs_are_compared_and_set(database: &Database) {
    let store = &database.store;
    let mut row = config("a", "a");
    store.insert(&row).await.unwrap();
    for twice in [config("b", "a"), config("a", "b")] {
        let error = store.insert(&twice).await.unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::Conflict, "{error}");
    }
    row.server_address = "10.0.0.1".to_owned();
    row.server_path = None;
    assert!(store.update(&row, Some(1)).await.unwrap());
    let old = store.update(&row, Some(1)).await.unwrap_err();
    assert_eq!(old.kind(), StorageErrorKind::Conflict);
    row.common.current_version = Some(2);
    assert_eq!(store.get(&tenant(), &id("a")).await.unwrap().unwrap(), row);
    // Who made it and when stays, whatever the writer says.
    let forged = ExternalConfigRow { common: Default::default(), ..row.clone() };
    assert!(store.update(&forged, None).await.unwrap());
    let read = store.get(&tenant(), &id("a")).await.unwrap().unwrap();
    assert_eq!(
        (&read.common.add_time, &read.common.add_who),
        (&row.common.add_time, &row.common.add_who)
    );
    assert_eq!(read.common.current_version, Some(3));
    assert!(!store.update(&config("z", "z"), None).await.unwrap());

    store.insert(&config("b", "b")).await.unwrap();
    let taken = store.update(&config("b", "a"), None).await.unwrap_err();
    assert_eq!(taken.kind(), StorageErrorKind::Conflict);

    assert!(store.set_active(&tenant(), &id("b"), false, "op", later(9)).await.unwrap());
    assert!(store.set_active(&tenant(), &id("b"), false, "op", later(10)).await.unwrap());
    let read = store.get(&tenant(), &id("b")).await.unwrap().unwrap();
    assert_eq!((read.common.is_active(), read.common.current_version), (false, Some(2)));
    assert_eq!(read.common.edit_time, Some(later(9)), "what has the flag is not touched");
    assert!(!store.set_active(&tenant(), &id("z"), true, "op", now()).await.unwrap());

    let narrowed = store.list(&tenant(), Some("prod"), Some("NACOS")).await.unwrap();
    assert_eq!(narrowed, []);
    assert_eq!(store.list(&tenant(), None, Some("CONSUL")).await.unwrap().len(), 2);
    assert_eq!(store.list(&tenant(), Some("prod"), None).await.unwrap().len(), 2);
    assert_eq!(store.list(&tenant(), Some("default"), None).await.unwrap().len(), 0);
}

pub(crate) async fn every_column_of_a_status_comes_back(database: &Database) {
    let store = &database.store;
    let bare = ExternalStatusRow {
        external_status_id: "s2".to_owned(),
        tenant_id: "default".to_owned(),
        external_config_id: "b".to_owned(),
        ..ExternalStatusRow::default()
    };
    store.upsert(&[status("s", "a"), bare.clone()]).await.unwrap();
    assert_eq!(StatusStore::list_all(store).await.unwrap(), [status("s", "a"), bare.clone()]);
    let mut changed = status("s", "a");
    changed.error_count = Some(0);
    changed.last_error_message = None;
    store.upsert(&[status("s", "a"), changed.clone()]).await.unwrap();
    assert_eq!(StatusStore::list_all(store).await.unwrap(), [changed, bare.clone()]);
    store.forget(&tenant(), &id("a")).await.unwrap();
    store.forget(&tenant(), &id("a")).await.unwrap();
    assert_eq!(StatusStore::list_all(store).await.unwrap(), [bare]);
    store.upsert(&[]).await.unwrap();
}

pub(crate) async fn deleting_a_config_takes_status_and_snapshot_along(database: &Database) {
    let store = &database.store;
    for name in ["a", "b"] {
        store.insert(&config(name, name)).await.unwrap();
        store.upsert(&[status(&format!("s{name}"), name)]).await.unwrap();
    }
    store.save(batch(&[state("x", 2)], true)).await.unwrap();
    assert!(ConfigStore::delete(store, &tenant(), &id("a")).await.unwrap());
    assert!(!ConfigStore::delete(store, &tenant(), &id("a")).await.unwrap());
    assert_eq!(StatusStore::list_all(store).await.unwrap(), [status("sb", "b")]);
    assert_eq!(store.load_all().await.unwrap(), []);
    assert_eq!(database.count("HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE").await, 0);
}

pub(crate) async fn a_snapshot_is_whole_or_not_there(database: &Database) {
    let store = &database.store;
    store.save(batch(&[state("x", 2), state("y", 0)], true)).await.unwrap();
    let mut changed = batch(&[state("x", 3)], false);
    changed.removes = vec![state("y", 0).key];
    store.save(changed).await.unwrap();
    store.touch(&tenant(), &id("a"), 9).await.unwrap();
    let loaded = store.load_all().await.unwrap();
    assert_eq!(loaded[0].services, [state("x", 3)]);
    assert_eq!((loaded[0].last_good_ms, loaded[0].identity_hash.as_str()), (9, "h"));
    store.save(batch(&[state("z", 1)], true)).await.unwrap();
    assert_eq!(store.load_all().await.unwrap()[0].services, [state("z", 1)]);
    store.save(batch(&[state("w", 1)], false)).await.unwrap();
    let break_one = "UPDATE HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE SET stateJson = '{' \
         WHERE serviceName = 'z'";
    database.sql(break_one).await;
    assert_eq!(store.load_all().await.unwrap(), []);
    store.remove(&tenant(), &id("a")).await.unwrap();
    assert_eq!(database.count("HUB_REGISTRY_EXTERNAL_SNAPSHOT").await, 0);
}

pub(crate) async fn a_snapshot_keeps_long_and_odd_names(database: &Database) {
    let store = &database.store;
    let long = "n".repeat(512);
    let wide = "\u{1f980}".repeat(128);
    let names = [long.as_str(), wide.as_str(), "Web", "web", "web/a b", "o'clock\"; --"];
    let states: Vec<_> = names.iter().map(|name| state(name, 2)).collect();
    store.save(batch(&states, true)).await.unwrap();
    let mut loaded = store.load_all().await.unwrap().remove(0).services;
    let mut expected = states;
    let by_key = |a: &hub_registry_core::ServiceState, b: &hub_registry_core::ServiceState| {
        a.key.cmp(&b.key)
    };
    loaded.sort_by(by_key);
    expected.sort_by(by_key);
    assert_eq!(loaded, expected);
}

pub(crate) async fn a_ceiling_never_falls(database: &Database) {
    let store = &database.store;
    assert_eq!(store.ceiling("view").await.unwrap(), 0);
    store.raise("view", 100).await.unwrap();
    store.raise("view", 50).await.unwrap();
    assert_eq!(store.ceiling("view").await.unwrap(), 100);
    store.raise("view", 1 << 52).await.unwrap();
    assert_eq!(store.ceiling("view").await.unwrap(), 1 << 52);
    assert_eq!(store.ceiling("View").await.unwrap(), 0);
}
