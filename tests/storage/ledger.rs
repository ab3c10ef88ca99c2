//! What the hub copied.

use hub_registry::storage::{CopyKey, CopyRow, LedgerStore};

use crate::database::Database;

fn copy(number: u16) -> CopyRow {
    CopyRow {
        key: CopyKey {
            tenant_id: "default".to_owned(),
            to_source: "0123456789abcdef0123456789abcdef".to_owned(),
            copy_id: format!("fed-{number:032}"),
        },
        from_source: "native".to_owned(),
        from_group: "DEFAULT_GROUP".to_owned(),
        from_service: format!("Web-{number}-\u{540d}"),
        group_name: "prod".to_owned(),
        service_name: format!("Web-{number}-\u{540d}"),
        host_address: "fe80::1".to_owned(),
        port_number: i64::from(number),
        content_print: "0123456789abcdef0123456789abcdef".to_owned(),
        orphan_policy: "KEEP".to_owned(),
        lost_fields: number.is_multiple_of(2).then(|| r#"["metadata.k"]"#.to_owned()),
    }
}

pub(crate) async fn copies_are_put_replaced_and_removed(database: &Database) {
    let store = &database.store;
    let rows = [copy(1), copy(2), copy(3)];
    store.save_copies(&rows, &[]).await.unwrap();
    assert_eq!(store.copies().await.unwrap(), rows);
    let changed = CopyRow { content_print: String::new(), ..copy(2) };
    let (puts, gone) = ([changed.clone(), copy(4)], [copy(1).key, copy(9).key]);
    store.save_copies(&puts, &gone).await.unwrap();
    assert_eq!(store.copies().await.unwrap(), [changed, copy(3), copy(4)]);
}

pub(crate) async fn the_hub_is_one_owner_for_ever(database: &Database) {
    let store = &database.store;
    assert_eq!(store.owner("first").await.unwrap(), "first");
    assert_eq!(store.owner("second").await.unwrap(), "first");
}
