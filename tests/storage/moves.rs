//! Services on their way from one registry to another.

use hub_registry::storage::{MigrationRow, MigrationStore, ParityRow};

use crate::database::Database;
use crate::sample::common;

fn migration(number: u8) -> MigrationRow {
    MigrationRow {
        tenant_id: "default".to_owned(),
        migration_id: format!("{number:032x}"),
        migration_name: format!("Move {number} \u{540d}"),
        from_name: "eureka-a".to_owned(),
        to_name: "native".to_owned(),
        from_config_id: format!("{number:032x}"),
        to_config_id: "native".to_owned(),
        plan_json: Some("{}".to_owned()),
        services_json: Some("[]".repeat(40_000)),
        migration_state: "CUTOVER".to_owned(),
        paused_flag: "N".to_owned(),
        common: common(),
        unreadable: Vec::new(),
    }
}

fn sample(id: &str, sample_millis: i64) -> ParityRow {
    ParityRow {
        tenant_id: "default".to_owned(),
        migration_id: id.to_owned(),
        sample_millis,
        equal: 1 << 40,
        missing: 1,
        extra: 2,
        different: 3,
    }
}

pub(crate) async fn migrations_are_put_and_removed_with_their_parity(database: &Database) {
    let store = &database.store;
    let (one, two) = (migration(1), migration(2));
    store.save_migration(&one).await.unwrap();
    store.save_migration(&two).await.unwrap();
    let changed = MigrationRow { migration_state: "DRAIN".to_owned(), ..one.clone() };
    store.save_migration(&changed).await.unwrap();
    assert_eq!(store.migrations().await.unwrap(), [changed, two.clone()]);
    let id = &one.migration_id;
    for millis in [10, 20, 30] {
        store.add_parity(&sample(id, millis), 0).await.unwrap();
    }
    store.add_parity(&sample(&two.migration_id, 20), 0).await.unwrap();
    store.add_parity(&sample(id, 40), 25).await.unwrap();
    let kept = store.parity("default", id).await.unwrap();
    assert_eq!(kept, [sample(id, 30), sample(id, 40)]);
    assert!(store.remove_migration("default", id).await.unwrap());
    assert!(!store.remove_migration("default", id).await.unwrap());
    assert_eq!(store.migrations().await.unwrap(), std::slice::from_ref(&two));
    assert_eq!(store.parity("default", id).await.unwrap(), []);
    assert_eq!(store.parity("default", &two.migration_id).await.unwrap().len(), 1);
}
