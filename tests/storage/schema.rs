//! The three databases hold the same tables and columns, by what their own catalogs say.

use std::collections::BTreeMap;

use hub_registry::config::{DatabaseConfig, DatabaseType};

use crate::database::{Database, Kind, column};

/// Table and column names in lower case, as PostgreSQL folds them.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

pub(crate) async fn tables(config: &DatabaseConfig) -> Tables {
    let catalog = match config.kind {
        DatabaseType::Sqlite => {
            "SELECT t.name || '.' || c.name FROM sqlite_master t, pragma_table_info(t.name) c \
             WHERE t.type = 'table' ORDER BY t.name, c.cid"
        }
        DatabaseType::Postgres => {
            "SELECT table_name || '.' || column_name FROM information_schema.columns \
             WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position"
        }
        DatabaseType::Mysql => {
            "SELECT concat(table_name, '.', column_name) FROM information_schema.columns \
             WHERE table_schema = database() ORDER BY table_name, ordinal_position"
        }
    };
    let mut tables = Tables::new();
    for name in column(config, catalog).await {
        let name = name.to_lowercase();
        let (table, column) = name.split_once('.').unwrap();
        if table.starts_with("hub_registry_") {
            tables.entry(table.to_owned()).or_default().push(column.to_owned());
        }
    }
    tables
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_databases_have_the_same_tables_and_columns() {
    let sqlite = Database::fresh(Kind::Sqlite).await.unwrap();
    let expected = tables(&sqlite.config).await;
    assert_eq!(expected.len(), 15, "{:?}", expected.keys());
    let of = |table: &str, column: &str| expected[table].iter().any(|name| name == column);
    assert!(of("hub_registry_service_instance", "leaseseconds"));
    assert!(of("hub_registry_access_token", "tokenhash"));
    for kind in [Kind::Postgres, Kind::MariaDb] {
        if let Some(database) = Database::fresh(kind).await {
            assert_eq!(tables(&database.config).await, expected, "{kind:?}");
            database.store.close().await;
        }
    }
}
