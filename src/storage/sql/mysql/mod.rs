//! MySQL from version 5.7 on, and MariaDB.

mod pool;

pub(super) use pool::{open, options};

use sqlx::Arguments as _;
use sqlx::mysql::MySqlArguments;

use super::dialect::Dialect;
use super::table::Table;
use super::value::Value;
use crate::config::DatabaseType;
use crate::storage::error::StorageErrorKind;

/// Begins several reads of one moment.
pub(super) const READ: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

#[derive(Debug)]
pub(super) struct MySql;

pub(super) static DIALECT: MySql = MySql;

impl Dialect for MySql {
    fn kind(&self) -> DatabaseType {
        DatabaseType::Mysql
    }

    // It removes what has either key and inserts; every column is written, so nothing is lost.
    fn put(&self, _: &Table) -> (&'static str, String) {
        ("REPLACE", String::new())
    }

    // Version 5.7 has no VALUES to select from.
    fn beats(&self, rows: usize) -> String {
        let first = "SELECT ? AS column1, ? AS column2, CAST(? AS DATETIME(6)) AS column3, \
                     CAST(? AS DATETIME(6)) AS column4, ? AS column5, \
                     CAST(? AS CHAR) AS column6";
        let next = " UNION ALL SELECT ?, ?, CAST(? AS DATETIME(6)), CAST(? AS DATETIME(6)), ?, \
                    CAST(? AS CHAR)";
        let rows = first.to_owned() + &next.repeat(rows.saturating_sub(1));
        format!(
            "UPDATE HUB_REGISTRY_SERVICE_INSTANCE JOIN ({rows}) AS beat \
             ON tenantId = beat.column1 AND serviceInstanceId = beat.column2 \
             SET lastHeartbeatTime = beat.column3, lastHealthCheckTime = beat.column4, \
             healthStatus = beat.column5, \
             extProperty = COALESCE(beat.column6, extProperty)"
        )
    }

    // Of a NULL nothing would be left, not even between which columns it stood.
    fn sum_of_prints(&self, columns: &[&str]) -> String {
        let texts: Vec<_> = columns.iter().map(|name| format!("IFNULL({name}, CHAR(0))")).collect();
        format!("CAST(SUM(CRC32(CONCAT_WS(CHAR(31), {}))) AS SIGNED)", texts.join(", "))
    }

    fn rows_at_most(&self) -> usize {
        256
    }
}

/// The values as MySQL takes them.
pub(super) fn arguments(values: &[Value<'_>]) -> sqlx::Result<MySqlArguments> {
    let mut arguments = MySqlArguments::default();
    let bytes = values.iter().map(Value::size).sum();
    arguments.reserve(values.len(), bytes);
    for value in values {
        match value {
            Value::Text(text) => arguments.add(*text),
            Value::Int(number) => arguments.add(*number),
            // With a zone it would travel as a TIMESTAMP, of which one after 2038 becomes NULL.
            Value::Time(time) => arguments.add(time.map(|time| time.naive_utc())),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>
pub(super) fn error_kind(number: u16) -> StorageErrorKind {
    match number {
        1022 | 1062 | 1169 | 1586 => StorageErrorKind::Conflict,
        // A broken table or index.
        126 | 127 | 145 | 1034 | 1035 | 1194 | 1195 => StorageErrorKind::Corrupt,
        // Memory, disk, files: 1021 disk full, 1026 write error, 1037/1038/1041 memory, 1114 table full.
        1021 | 1026 | 1028 | 1037 | 1038 | 1041 | 1114
        // Connections: 1040 too many, 1129 host blocked, 1203/1226 too many of this user.
        | 1040 | 1042 | 1043 | 1080 | 1129 | 1158..=1161 | 1203 | 1226
        // 1053 shutdown, 1077/1079 going down, 1317 interrupted, 1927 killed, 3024/1969 took too long.
        | 1053 | 1077 | 1079 | 1317 | 1927 | 1969 | 3024 | 3168 | 3169
        // 1099/1100/1205/1206/1213/1614 locks and deadlocks; 3572 no wait.
        | 1205 | 1206 | 1213 | 1614 | 3572
        // 1223 read lock, 1290 --read-only, 1792 read-only transaction, 1836 read-only, 3100..3101 group replication.
        | 1223 | 1290 | 1792 | 1836 | 3100 | 3101
        // 1047 a Galera node that is not part of a whole, 1030 the engine says no (file system full).
        | 1030 | 1047 => StorageErrorKind::Unavailable,
        _ => StorageErrorKind::Internal,
    }
}

/// A deadlock, or a lock not had in time.
pub(super) fn is_in_the_way(number: u16) -> bool {
    // Not 1205: the wait has taken its time already.
    number == 1213
}
