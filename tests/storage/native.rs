//! The native registry's rows.

use hub_registry::storage::{
    EventRow, GroupRow, HeartbeatRow, InstanceRow, NativeRows, NativeStore, NativeWrite, ServiceRow,
};

use crate::database::Database;
use crate::sample::{delete, event, group, instance, later, put, service, some};

async fn instances(database: &Database) -> Vec<InstanceRow> {
    database.store.load().await.unwrap().instances
}

async fn ids(database: &Database) -> Vec<String> {
    instances(database).await.into_iter().map(|row| row.service_instance_id).collect()
}

pub(crate) async fn every_column_of_the_native_tables_comes_back(database: &Database) {
    let store = &database.store;
    let bare_group = GroupRow {
        service_group_id: "2".to_owned(),
        tenant_id: "t".to_owned(),
        group_name: "bare".to_owned(),
        ..GroupRow::default()
    };
    let bare_service = ServiceRow {
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: "bare".to_owned(),
        ..ServiceRow::default()
    };
    let bare_instance = InstanceRow {
        service_instance_id: "2".to_owned(),
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: "s".to_owned(),
        host_address: "10.0.0.0".to_owned(),
        port_number: Some(65_535),
        ..InstanceRow::default()
    };
    let writes = [
        NativeWrite::PutGroup(group("G")),
        NativeWrite::PutGroup(bare_group.clone()),
        NativeWrite::PutService(service("s")),
        NativeWrite::PutService(bare_service.clone()),
        put("1", 80),
        NativeWrite::PutInstance(bare_instance.clone()),
    ];
    // Twice is the same as once.
    store.commit(&writes).await.unwrap();
    store.commit(&writes).await.unwrap();
    store.commit(&[]).await.unwrap();
    let rows = store.load().await.unwrap();
    assert_eq!(rows.groups, [group("G"), bare_group]);
    assert_eq!(rows.services, [bare_service, service("s")]);
    assert_eq!(rows.instances, [bare_instance, instance("1", 80)]);
}

pub(crate) async fn removed_rows_are_gone(database: &Database) {
    let store = &database.store;
    let writes =
        [NativeWrite::PutGroup(group("G")), NativeWrite::PutService(service("s")), put("1", 80)];
    store.commit(&writes).await.unwrap();
    let (tenant_id, group_name) = ("t".to_owned(), "G".to_owned());
    let removes = [
        delete("1"),
        delete("never was"),
        NativeWrite::DeleteGroup { tenant_id: tenant_id.clone(), group_name: group_name.clone() },
        NativeWrite::DeleteService { tenant_id, group_name, service_name: "s".to_owned() },
    ];
    store.commit(&removes).await.unwrap();
    assert_eq!(store.load().await.unwrap(), NativeRows::default());
}

pub(crate) async fn a_big_batch_is_written_whole(database: &Database) {
    // No power of two, and more than any statement takes.
    let all = 1..=1237_i64;
    let writes: Vec<_> = all
        .clone()
        .flat_map(|port| [put(&format!("{port:05}"), port), NativeWrite::AddEvent(event(port))])
        .collect();
    database.store.commit(&writes).await.unwrap();
    let rows = instances(database).await;
    assert_eq!(rows.len(), 1237);
    for port in all.clone().step_by(100) {
        let id = format!("{port:05}");
        let row = rows.iter().find(|row| row.service_instance_id == id).unwrap();
        assert_eq!(*row, instance(&id, port));
    }
    assert_eq!(database.count("HUB_REGISTRY_SERVICE_EVENT").await, 1237);
    let gone: Vec<_> = all.skip(100).map(|port| delete(&format!("{port:05}"))).collect();
    database.store.commit(&gone).await.unwrap();
    assert_eq!(instances(database).await.len(), 100);
}

pub(crate) async fn the_last_of_several_writes_wins(database: &Database) {
    let heavy = |weight| {
        NativeWrite::PutInstance(InstanceRow { weight_value: Some(weight), ..instance("1", 80) })
    };
    database.store.commit(&[heavy(1), put("2", 81), heavy(2), heavy(3)]).await.unwrap();
    let weights: Vec<_> = instances(database).await.iter().map(|row| row.weight_value).collect();
    assert_eq!(weights, [Some(3), Some(7)]);
}

pub(crate) async fn the_order_of_writes_counts(database: &Database) {
    let store = &database.store;
    store.commit(&[put("1", 80), delete("1")]).await.unwrap();
    assert_eq!(ids(database).await, [""; 0]);
    store.commit(&[put("1", 80), delete("1"), put("1", 80)]).await.unwrap();
    assert_eq!(ids(database).await, ["1"]);
    store.commit(&[delete("1"), put("1", 81), put("2", 80), delete("2")]).await.unwrap();
    assert_eq!(ids(database).await, ["1"]);
    // One key is another row's now: what was there before gives way, whichever key it shares.
    store.commit(&[put("1", 90), put("2", 90)]).await.unwrap();
    assert_eq!(ids(database).await, ["2"]);
    store.commit(&[put("a", 1), put("a", 2), put("b", 2), put("b", 3), put("c", 1)]).await.unwrap();
    assert_eq!(ids(database).await, ["c", "b", "2"]);
    let rename = [
        NativeWrite::PutGroup(group("one")),
        NativeWrite::PutGroup(GroupRow { group_name: "two".to_owned(), ..group("one") }),
        NativeWrite::DeleteGroup { tenant_id: "t".to_owned(), group_name: "one".to_owned() },
    ];
    store.commit(&rename).await.unwrap();
    let groups = store.load().await.unwrap().groups;
    assert_eq!((groups.len(), groups[0].group_name.as_str()), (1, "two"));
}

pub(crate) async fn a_batch_that_fails_leaves_nothing(database: &Database) {
    let broken = NativeWrite::PutInstance(InstanceRow { port_number: None, ..instance("2", 1) });
    let writes = [put("1", 80), NativeWrite::AddEvent(event(1)), broken];
    let error = database.store.commit(&writes).await.unwrap_err();
    assert_eq!(error.operation(), "write native rows");
    assert_eq!(database.store.load().await.unwrap(), NativeRows::default());
    assert_eq!(database.count("HUB_REGISTRY_SERVICE_EVENT").await, 0);
    database.store.commit(&[put("1", 80)]).await.unwrap();
    assert_eq!(ids(database).await, ["1"]);
}

pub(crate) async fn heartbeats_move_what_they_move(database: &Database) {
    let store = &database.store;
    let all: Vec<_> = (1..=300).map(|port| put(&format!("{port:03}"), port)).collect();
    // Longer than what a column of a derived table may be cast to, in bytes or in characters.
    let moved = |port: i64| match port {
        10 => "\u{1f980}".repeat(16_384),
        20 => "x".repeat(70_000),
        30 => "\u{e9}".repeat(200_000),
        port => format!("{{\"moved\":{port}}}"),
    };
    store.commit(&all).await.unwrap();
    let beat = |port: i64| HeartbeatRow {
        tenant_id: "t".to_owned(),
        service_instance_id: format!("{port:03}"),
        last_heartbeat_time: Some(later(1000 + port)),
        last_health_check_time: (port % 2 == 0).then(|| later(2000)),
        health_status: "HEALTHY".to_owned(),
        ext_property: (port % 5 == 0).then(|| moved(port)),
    };
    // The last ones are not there.
    let mut beats: Vec<_> = (1..=310).map(beat).collect();
    beats.insert(0, HeartbeatRow { health_status: "UNHEALTHY".to_owned(), ..beat(1) });
    store.flush(&beats).await.unwrap();
    store.flush(&[]).await.unwrap();
    let rows = instances(database).await;
    assert_eq!(rows.len(), 300);
    for row in rows {
        let port = row.port_number.unwrap();
        let mut before = instance(&format!("{port:03}"), port);
        // What says nothing of it leaves it as it was.
        before.common.ext_property = beat(port).ext_property.or(before.common.ext_property);
        let moved = InstanceRow {
            last_heartbeat_time: beat(port).last_heartbeat_time,
            last_health_check_time: beat(port).last_health_check_time,
            health_status: some("HEALTHY"),
            ..before
        };
        assert_eq!(row, moved);
    }
}

pub(crate) async fn events_are_rows(database: &Database) {
    let store = &database.store;
    let bare = EventRow {
        tenant_id: "t".to_owned(),
        event_type: "GROUP_CREATE".to_owned(),
        event_time: later(5),
        revision: 1 << 52,
        ..EventRow::default()
    };
    let chatty = EventRow {
        event_message: Some("\u{1f980}".repeat(900)),
        event_source: "s".repeat(900),
        who: "w".repeat(900),
        ..event(3)
    };
    let all = [event(1), event(1), bare, chatty].map(NativeWrite::AddEvent);
    store.commit(&all).await.unwrap();
    let of = |column: &str| {
        format!("SELECT {column} FROM HUB_REGISTRY_SERVICE_EVENT ORDER BY serviceEventId")
    };
    let types = database.column(&of("eventType")).await;
    assert_eq!(
        types,
        ["INSTANCE_REGISTER", "INSTANCE_REGISTER", "GROUP_CREATE", "INSTANCE_REGISTER"]
    );
    let messages = database.column(&of("coalesce(eventMessage, '-')")).await;
    assert_eq!(messages[..3], ["hello", "hello", "-"]);
    assert_eq!(messages[3], "\u{1f980}".repeat(500), "cut, not refused");
    let who = database.column(&of("concat(addWho, editWho)")).await;
    assert_eq!((who[0].as_str(), who[3].len()), ("meme", 200));
    assert_eq!(store.load().await.unwrap(), NativeRows::default());
}
