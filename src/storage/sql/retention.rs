//! [`RetentionStore`] over SQL.
//!
//! No database is told to delete with a limit, since each has its own way or none: the keys are
//! read first, and what they name is removed in the same transaction.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::batch;
use super::error::again;
use super::event::{EVENT, raise_floor};
use super::native::{GROUP, INSTANCE, SERVICE};
use super::row::{Columns, Row};
use super::snapshot::{SOURCE, SOURCE_SERVICE};
use super::status::STATUS;
use super::store::SqlStore;
use super::table::Table;
use super::text::Form;
use super::value::Value;
use crate::storage::error::Result;
use crate::storage::retention::{Dead, Events, RetentionStore};

const EVENT_ID: &[&str] = &["serviceEventId"];
const EVENT_PLACE: &[&str] = &["serviceEventId", "eventTime", "tenantId", "revision"];
const SURPLUS: Form = Form::Plain(
    "SELECT serviceEventId FROM HUB_REGISTRY_SERVICE_EVENT \
     ORDER BY serviceEventId DESC LIMIT 1 OFFSET ?",
);
const OLDEST: Form = Form::Plain(
    "SELECT serviceEventId, eventTime, tenantId, revision FROM HUB_REGISTRY_SERVICE_EVENT \
     ORDER BY serviceEventId LIMIT ?",
);
const UP_TO: Form = Form::Plain(
    "SELECT serviceEventId, eventTime, tenantId, revision FROM HUB_REGISTRY_SERVICE_EVENT \
     WHERE serviceEventId <= ? ORDER BY serviceEventId LIMIT ?",
);

/// How the dead rows of a table are found, and under which condition each is still removed.
struct Search {
    table: &'static Table,
    select: Form,
    by_age: bool,
    condition: &'static str,
}

const INACTIVE: &str = " AND activeFlag IN ('N', 'n')";

const INSTANCES: Search = Search {
    table: &INSTANCE,
    select: Form::Plain(
        "SELECT tenantId, serviceInstanceId FROM HUB_REGISTRY_SERVICE_INSTANCE \
         WHERE activeFlag IN ('N', 'n') AND editTime < ? LIMIT ?",
    ),
    by_age: true,
    condition: INACTIVE,
};
const SERVICES: Search = Search {
    table: &SERVICE,
    select: Form::Plain(
        "SELECT s.tenantId, s.groupName, s.serviceName FROM HUB_REGISTRY_SERVICE s \
         WHERE s.activeFlag IN ('N', 'n') AND s.editTime < ? AND NOT EXISTS \
         (SELECT 1 FROM HUB_REGISTRY_SERVICE_INSTANCE i WHERE i.tenantId = s.tenantId \
          AND i.groupName = s.groupName AND i.serviceName = s.serviceName) LIMIT ?",
    ),
    by_age: true,
    condition: INACTIVE,
};
const GROUPS: Search = Search {
    table: &GROUP,
    select: Form::Plain(
        "SELECT g.tenantId, g.serviceGroupId FROM HUB_REGISTRY_SERVICE_GROUP g \
         WHERE g.activeFlag IN ('N', 'n') AND g.editTime < ? AND NOT EXISTS \
         (SELECT 1 FROM HUB_REGISTRY_SERVICE s WHERE s.tenantId = g.tenantId \
          AND s.groupName = g.groupName) AND NOT EXISTS \
         (SELECT 1 FROM HUB_REGISTRY_SERVICE_INSTANCE i WHERE i.tenantId = g.tenantId \
          AND i.groupName = g.groupName) LIMIT ?",
    ),
    by_age: true,
    condition: INACTIVE,
};
const STATUSES: Search = Search {
    table: &STATUS,
    select: Form::Plain(
        "SELECT s.tenantId, s.externalStatusId FROM HUB_REGISTRY_EXTERNAL_STATUS s \
         WHERE NOT EXISTS (SELECT 1 FROM HUB_REGISTRY_EXTERNAL_CONFIG c \
         WHERE c.tenantId = s.tenantId AND c.externalConfigId = s.externalConfigId) LIMIT ?",
    ),
    by_age: false,
    condition: "",
};
const SNAPSHOT_SERVICES: Search = Search {
    table: &SOURCE_SERVICE,
    select: Form::Plain(
        "SELECT s.tenantId, s.externalConfigId, s.serviceHash \
         FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT_SERVICE s \
         WHERE NOT EXISTS (SELECT 1 FROM HUB_REGISTRY_EXTERNAL_CONFIG c \
         WHERE c.tenantId = s.tenantId AND c.externalConfigId = s.externalConfigId) LIMIT ?",
    ),
    by_age: false,
    condition: "",
};
const SNAPSHOTS: Search = Search {
    table: &SOURCE,
    select: Form::Plain(
        "SELECT s.tenantId, s.externalConfigId FROM HUB_REGISTRY_EXTERNAL_SNAPSHOT s \
         WHERE NOT EXISTS (SELECT 1 FROM HUB_REGISTRY_EXTERNAL_CONFIG c \
         WHERE c.tenantId = s.tenantId AND c.externalConfigId = s.externalConfigId) LIMIT ?",
    ),
    by_age: false,
    condition: "",
};

#[async_trait]
impl RetentionStore for SqlStore {
    async fn surplus_events(&self, keep: u64) -> Result<Option<i64>> {
        let keep = Value::from(i64::try_from(keep).unwrap_or(i64::MAX));
        let rows = self.engine.fetch("count events", SURPLUS, &[keep]).await?;
        Ok(rows.first().and_then(|row| Columns::new(row, EVENT_ID).int("serviceEventId")))
    }

    async fn delete_events(&self, which: Events, limit: u32) -> Result<u64> {
        again(|| self.remove_events(which, limit)).await
    }

    async fn delete_dead(&self, what: Dead, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let searches: &[Search] = match what {
            Dead::Instances => &[INSTANCES],
            Dead::Services => &[SERVICES],
            Dead::Groups => &[GROUPS],
            Dead::Statuses => &[STATUSES],
            Dead::Snapshots => &[SNAPSHOT_SERVICES, SNAPSHOTS],
        };
        let mut gone = 0;
        for search in searches {
            gone += again(|| self.remove_dead(search, before, limit)).await?;
        }
        Ok(gone)
    }
}

impl SqlStore {
    async fn remove_events(&self, which: Events, limit: u32) -> Result<u64> {
        let mut tx = self.engine.write("remove old events").await?;
        let limit = Value::from(i64::from(limit));
        let (rows, before) = match which {
            Events::Before(time) => (tx.fetch(OLDEST, &[limit]).await?, Some(time)),
            Events::UpTo(id) => (tx.fetch(UP_TO, &[Value::from(id), limit]).await?, None),
        };
        // Ids follow time but for the jitter of clocks. One without a time is as old as can be.
        let is_old = |time: Option<DateTime<Utc>>| before.is_none_or(|before| time < Some(before));
        let mut floors: BTreeMap<String, i64> = BTreeMap::new();
        let mut keys = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut columns = Columns::new(row, EVENT_PLACE);
            let id = Value::Int(columns.int("serviceEventId"));
            if is_old(columns.time("eventTime")) {
                keys.push(vec![id]);
                let floor = floors.entry(columns.key("tenantId")).or_default();
                *floor = columns.int("revision").unwrap_or(0).max(*floor);
            }
        }
        let gone = batch::delete(&mut tx, &EVENT, EVENT_ID, "", &keys).await?;
        for (tenant, floor) in &floors {
            raise_floor(&mut tx, tenant, *floor).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    async fn remove_dead(&self, search: &Search, before: DateTime<Utc>, limit: u32) -> Result<u64> {
        let mut tx = self.engine.write("remove dead rows").await?;
        let mut values = if search.by_age { vec![Value::from(before)] } else { Vec::new() };
        values.push(Value::from(i64::from(limit)));
        let rows = tx.fetch(search.select, &values).await?;
        let key = search.table.key;
        let texts = |row: &Row| -> Vec<String> {
            let mut columns = Columns::new(row, key);
            key.iter().map(|name| columns.key(name)).collect()
        };
        let found: Vec<_> = rows.iter().map(texts).collect();
        let keys: Vec<batch::Values<'_>> =
            found.iter().map(|key| key.iter().map(|part| Value::from(&**part)).collect()).collect();
        let gone = batch::delete(&mut tx, search.table, key, search.condition, &keys).await?;
        tx.commit().await?;
        Ok(gone)
    }
}
