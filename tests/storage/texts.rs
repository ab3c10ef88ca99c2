//! What stands in columns comes back as it was.

use hub_registry::clock;
use hub_registry::storage::{
    ConfigStore, InstanceRow, NativeStore, NativeWrite, ServiceRow, StatusStore,
};

use crate::database::{Database, Kind};
use crate::sample::{config, instance, service, some, status};

pub(crate) async fn unicode_and_big_texts_come_back(database: &Database) {
    let big = format!("{{\"k\":\"{}\"}}", "\u{1f980}é".repeat(64 * 1024 / 6));
    assert!(big.len() > 60_000);
    let row = InstanceRow {
        metadata_json: Some(big.clone()),
        tags_json: some("[\"日本語\", \"\u{1f980}\", \"\\u0000\"]"),
        client_id: some("\u{1f980}\u{10ffff} \t\n\r\\'\"`%_"),
        ..instance("1", 1)
    };
    // Together more than a MySQL server takes in one statement by its default.
    let rows: Vec<_> = (1..=100)
        .map(|port| InstanceRow {
            service_instance_id: format!("{port:03}"),
            port_number: Some(port),
            ..row.clone()
        })
        .collect();
    let writes: Vec<_> = rows.iter().cloned().map(NativeWrite::PutInstance).collect();
    database.store.commit(&writes).await.unwrap();
    assert_eq!(database.store.load().await.unwrap().instances, rows);

    let mut status = status("s", "a");
    status.last_error_message = Some("x".repeat(100_000) + "\0y");
    database.store.upsert(&[status.clone()]).await.unwrap();
    if database.kind == Kind::Postgres {
        // The one character that PostgreSQL has no room for.
        status.last_error_message = Some("x".repeat(100_000) + "\u{fffd}y");
    }
    assert_eq!(StatusStore::list_all(&database.store).await.unwrap(), [status]);
}

pub(crate) async fn names_that_differ_in_case_differ(database: &Database) {
    let names = ["Web", "WEB", "web", "web ", "wéb", "wèb"];
    let writes = names.map(|name| NativeWrite::PutService(service(name)));
    database.store.commit(&writes).await.unwrap();
    let rows = database.store.load().await.unwrap().services;
    let found: Vec<_> = rows.iter().map(|row| row.service_name.as_str()).collect();
    // In the order of their bytes.
    assert_eq!(found, ["WEB", "Web", "web", "web ", "wèb", "wéb"]);
    let remove = NativeWrite::DeleteService {
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: "web".to_owned(),
    };
    database.store.commit(&[remove]).await.unwrap();
    assert_eq!(database.store.load().await.unwrap().services.len(), 5);
    for (id, name) in [("a", "one"), ("A", "ONE"), ("b", "One")] {
        ConfigStore::insert(&database.store, &config(id, name)).await.unwrap();
    }
    let tenants = ["t", "T"].map(|tenant| {
        let row = ServiceRow { tenant_id: tenant.to_owned(), ..service("case") };
        NativeWrite::PutService(row)
    });
    database.store.commit(&tenants).await.unwrap();
    assert_eq!(database.store.load().await.unwrap().services.len(), 7);
}

pub(crate) async fn sql_in_a_text_is_text(database: &Database) {
    let evil = "'); DROP TABLE HUB_REGISTRY_SERVICE; -- \" \\ $1 ? :a @b {} %s /* ` */";
    let row = InstanceRow {
        service_instance_id: "'; --".to_owned(),
        group_name: evil.to_owned(),
        service_name: evil.to_owned(),
        host_address: evil.to_owned(),
        client_id: some(evil),
        metadata_json: some(evil),
        ..instance("x", 1)
    };
    let mut group = crate::sample::group("g");
    group.group_name = evil.to_owned();
    group.group_description = some(evil);
    let mut service = service("s");
    service.service_name = evil.to_owned();
    service.context_path = some(evil);
    let writes = [
        NativeWrite::PutInstance(row.clone()),
        NativeWrite::PutGroup(group.clone()),
        NativeWrite::PutService(service.clone()),
    ];
    database.store.commit(&writes).await.unwrap();
    let rows = database.store.load().await.unwrap();
    assert_eq!(
        (rows.groups, rows.services, rows.instances),
        (vec![group], vec![service], vec![row])
    );
    let mut row = config("a", evil);
    row.username = some(evil);
    row.specific_config = some(evil);
    ConfigStore::insert(&database.store, &row).await.unwrap();
    let tenant = crate::sample::tenant();
    let found = ConfigStore::list(&database.store, &tenant, Some(evil), Some(evil)).await.unwrap();
    assert_eq!(found, []);
    assert_eq!(ConfigStore::list_all(&database.store).await.unwrap(), [row]);
}

pub(crate) async fn times_keep_their_milliseconds(database: &Database) {
    // The ends of what clocks say, and past the end of 32 bits.
    let times = [0, 1, 999, 1_700_000_000_001, 2_147_483_648_500, 4_102_444_800_999];
    let rows: Vec<_> = (1..)
        .zip(times)
        .map(|(port, millis)| InstanceRow {
            last_heartbeat_time: Some(clock::at(millis)),
            ..instance(&port.to_string(), port)
        })
        .collect();
    let writes: Vec<_> = rows.iter().cloned().map(NativeWrite::PutInstance).collect();
    database.store.commit(&writes).await.unwrap();
    assert_eq!(database.store.load().await.unwrap().instances, rows);
}
