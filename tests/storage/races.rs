//! Many writers at once, as several nodes on one database are.

use hub_registry::storage::{ConfigStore, NativeStore, NativeWrite, RevisionStore, SqlStore};

use crate::database::Database;
use crate::sample::{config, delete, event, id, put, tenant};

pub(crate) async fn writers_at_once_lose_nothing(database: &Database) {
    let other = SqlStore::open(&database.config).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..8_i64 {
        let store = if writer % 2 == 0 { database.store.clone() } else { other.clone() };
        writers.push(tokio::spawn(async move {
            for round in 0..20_i64 {
                let mut writes: Vec<_> = (0..16)
                    .flat_map(|number| {
                        let port = writer * 1000 + round * 16 + number + 1;
                        [put(&format!("{port:05}"), port), NativeWrite::AddEvent(event(port))]
                    })
                    .collect();
                // And rows that all of them write.
                let shared = 20_000 + (round + writer) % 7;
                writes.push(put(&format!("{shared}"), shared));
                writes.push(put("30000", 30_000));
                writes.push(delete(&format!("{}", 40_000 + round)));
                store.commit(&writes).await.unwrap();
                store.raise("view", writer * 20 + round).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let rows = database.store.load().await.unwrap().instances;
    assert_eq!(rows.len(), 8 * 20 * 16 + 7 + 1);
    assert_eq!(database.count("HUB_REGISTRY_SERVICE_EVENT").await, 8 * 20 * 16);
    assert_eq!(database.store.ceiling("view").await.unwrap(), 7 * 20 + 19);
    other.close().await;
}

pub(crate) async fn one_of_two_versions_wins(database: &Database) {
    let store = &database.store;
    store.insert(&config("a", "a")).await.unwrap();
    for version in 1..=10 {
        let change = |name: &str| {
            let mut row = config("a", "a");
            row.server_address = name.to_owned();
            row
        };
        let (one, two) = (change("one"), change("two"));
        let both =
            tokio::join!(store.update(&one, Some(version)), store.update(&two, Some(version)));
        let won = [&both.0, &both.1].iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{both:?}");
        let read = store.get(&tenant(), &id("a")).await.unwrap().unwrap();
        assert_eq!(read.common.current_version, Some(version + 1));
        let name = if both.0.is_ok() { "one" } else { "two" };
        assert_eq!(read.server_address, name);
    }
}
