//! What is too old leaves, a bounded number of rows at a time.

use hub_registry::storage::{
    ConfigStore, Dead, Events, NativeStore, NativeWrite, RetentionStore, SnapshotStore, StatusStore,
};

use crate::database::Database;
use crate::sample::{batch, config, event, later, state, status};

async fn revisions(database: &Database) -> Vec<String> {
    // As text in every database.
    database
        .column("SELECT concat('', revision) FROM HUB_REGISTRY_SERVICE_EVENT ORDER BY revision")
        .await
}

async fn fill(database: &Database, events: i64) {
    let writes: Vec<_> = (1..=events).map(|n| NativeWrite::AddEvent(event(n))).collect();
    database.store.commit(&writes).await.unwrap();
}

pub(crate) async fn old_events_leave(database: &Database) {
    let store = &database.store;
    assert_eq!(store.delete_events(Events::Before(later(9)), 3).await.unwrap(), 0);
    fill(database, 20).await;
    let old = Events::Before(later(8));
    assert_eq!(store.delete_events(old, 5).await.unwrap(), 5);
    assert_eq!(store.delete_events(old, 5).await.unwrap(), 2);
    assert_eq!(store.delete_events(old, 5).await.unwrap(), 0);
    assert_eq!(revisions(database).await.len(), 13);
    assert!(!revisions(database).await.contains(&"7".to_owned()));
    database.sql("UPDATE HUB_REGISTRY_SERVICE_EVENT SET eventTime = NULL WHERE revision = 8").await;
    assert_eq!(store.delete_events(old, 5).await.unwrap(), 1, "no time is as old as can be");
}

pub(crate) async fn too_many_events_leave(database: &Database) {
    let store = &database.store;
    assert_eq!(store.surplus_events(0).await.unwrap(), None);
    fill(database, 20).await;
    assert_eq!(store.surplus_events(20).await.unwrap(), None);
    let last = store.surplus_events(15).await.unwrap().unwrap();
    assert_eq!(store.delete_events(Events::UpTo(last), 4).await.unwrap(), 4);
    assert_eq!(store.delete_events(Events::UpTo(last), 4).await.unwrap(), 1);
    assert_eq!(store.delete_events(Events::UpTo(last), 4).await.unwrap(), 0);
    let kept: Vec<_> = (6..=20).map(|n| n.to_string()).collect();
    let mut found = revisions(database).await;
    found.sort_by_key(|revision| revision.parse::<i64>().unwrap());
    assert_eq!(found, kept, "the newest stay");
}

pub(crate) async fn dead_rows_leave(database: &Database) {
    let store = &database.store;
    database
        .sql(
            "INSERT INTO HUB_REGISTRY_SERVICE_GROUP (tenantId, groupName, activeFlag, editTime) VALUES \
             ('t', 'dead', 'N', '2020-01-01 00:00:00'), ('t', 'fresh', 'N', '2030-01-01 00:00:00'), \
             ('t', 'alive', 'Y', '2020-01-01 00:00:00'), ('t', 'full', 'N', '2020-01-01 00:00:00');\
             INSERT INTO HUB_REGISTRY_SERVICE (tenantId, groupName, serviceName, activeFlag, editTime) VALUES \
             ('t', 'dead', 'dead', 'n', '2020-01-01 00:00:00'), ('t', 'full', 'hidden', 'N', '2020-01-01 00:00:00');\
             INSERT INTO HUB_REGISTRY_SERVICE_INSTANCE \
             (tenantId, groupName, serviceName, hostAddress, portNumber, activeFlag, editTime) VALUES \
             ('t', 'full', 'hidden', 'h', 1, 'Y', '2020-01-01 00:00:00'), \
             ('t', 'dead', 'dead', 'h', 1, 'N', '2020-01-01 00:00:00'), \
             ('t', 'dead', 'dead', 'h', 2, 'N', '2020-01-01 00:00:00'), \
             ('t', 'x', 'y', 'h', 3, 'N', '2030-01-01 00:00:00');",
        )
        .await;
    let before = later(0);
    assert_eq!(store.delete_dead(Dead::Services, before, 10).await.unwrap(), 0, "rows are in it");
    assert_eq!(store.delete_dead(Dead::Instances, before, 1).await.unwrap(), 1);
    assert_eq!(store.delete_dead(Dead::Instances, before, 10).await.unwrap(), 1);
    assert_eq!(store.delete_dead(Dead::Services, before, 10).await.unwrap(), 1);
    assert_eq!(store.delete_dead(Dead::Groups, before, 10).await.unwrap(), 1);
    let rows = store.load().await.unwrap();
    let groups: Vec<_> = rows.groups.iter().map(|row| row.group_name.as_str()).collect();
    assert_eq!(groups, ["alive", "fresh", "full"]);
    assert_eq!(rows.services[0].service_name, "hidden", "it hides what is in it");
    assert_eq!(rows.instances.len(), 2);

    store.insert(&config("b", "b")).await.unwrap();
    store.upsert(&[status("s", "a"), status("s2", "b")]).await.unwrap();
    store.save(batch(&[state("x", 1), state("y", 1), state("z", 1)], true)).await.unwrap();
    assert_eq!(store.delete_dead(Dead::Statuses, before, 10).await.unwrap(), 1);
    assert_eq!(StatusStore::list_all(store).await.unwrap(), [status("s2", "b")]);
    assert_eq!(store.delete_dead(Dead::Snapshots, before, 2).await.unwrap(), 3);
    assert_eq!(store.delete_dead(Dead::Snapshots, before, 2).await.unwrap(), 1);
    assert_eq!(store.load_all().await.unwrap(), []);
    assert_eq!(database.count("HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE").await, 0);
}
