//! [`EventStore`] over SQL.

use std::sync::Arc;

use async_trait::async_trait;

use super::batch::{self, Values};
use super::engine::Transaction;
use super::error::again;
use super::row::{Columns, Row};
use super::store::SqlStore;
use super::table::Table;
use super::text::{EventsForm, Form};
use super::value::{Value, of};
use crate::storage::error::Result;
use crate::storage::event::{
    EventCount, EventMark, EventPage, EventQuery, EventRow, EventStore, LogBatch, LogPosition, Take,
};

/// Texts for people, which may come from anywhere, are cut at these lengths rather than fail all
/// that shares their transaction; in characters, as the tables count.
const MESSAGE: usize = 500;
const SOURCE: usize = 100;
const WHO: usize = 100;

pub(super) static EVENT: Table = Table {
    name: "HUB_REGISTRY_SERVICE_EVENT",
    columns: COLUMNS,
    key: &["serviceEventId"],
    other_key: None,
};

const COLUMNS: &[&str] = &[
    "tenantId",
    "groupName",
    "serviceName",
    "hostAddress",
    "portNumber",
    "eventType",
    "eventSource",
    "eventDataJson",
    "eventMessage",
    "eventTime",
    "revision",
    "revisionPlace",
    "oprSeqFlag",
    "extProperty",
    "addTime",
    "addWho",
    "editTime",
    "editWho",
];

/// Events that were never told, by the commit they came with.
const UNTOLD: &[&str] = &["tenantId", "oprSeqFlag"];
const AND_UNTOLD: &str = " AND revision = 0";

const POSITION_READ: &str = "read the log's position";
const POSITION: &[&str] = &["tenantId", "revision", "floorRevision", "viewPrint", "nativePrint"];
const POSITIONS: Form = Form::Plain(
    "SELECT tenantId, revision, floorRevision, viewPrint, nativePrint \
     FROM HUB_REGISTRY_EVENT_LOG ORDER BY tenantId",
);
const FLOOR: Form =
    Form::Plain("SELECT floorRevision FROM HUB_REGISTRY_EVENT_LOG WHERE tenantId = ?");
const MOVE: Form = Form::Plain(
    "UPDATE HUB_REGISTRY_EVENT_LOG SET revision = ?, viewPrint = ?, nativePrint = ?, \
     floorRevision = CASE WHEN floorRevision < ? THEN ? ELSE floorRevision END \
     WHERE tenantId = ?",
);
const FIRST: Form = Form::Plain(
    "INSERT INTO HUB_REGISTRY_EVENT_LOG (revision, viewPrint, nativePrint, floorRevision, tenantId) \
     VALUES (?, ?, ?, ?, ?)",
);
const RAISE: Form = Form::Plain(
    "UPDATE HUB_REGISTRY_EVENT_LOG SET floorRevision = ? WHERE floorRevision < ? AND tenantId = ?",
);
const PENDING: Form = Form::Plain(
    "SELECT tenantId, oprSeqFlag, MIN(serviceEventId) FROM HUB_REGISTRY_SERVICE_EVENT \
     WHERE revision = 0 GROUP BY tenantId, oprSeqFlag ORDER BY MIN(serviceEventId)",
);
const NUMBER: Form = Form::Plain(
    "UPDATE HUB_REGISTRY_SERVICE_EVENT SET revision = ? \
     WHERE tenantId = ? AND revision = 0 AND oprSeqFlag = ?",
);
const HAS: Form = Form::Plain(
    "SELECT revision FROM HUB_REGISTRY_SERVICE_EVENT \
     WHERE tenantId = ? AND revision = ? AND revision > 0 LIMIT 1",
);

#[async_trait]
impl EventStore for SqlStore {
    async fn positions(&self) -> Result<Vec<LogPosition>> {
        // Whoever gave up an append asks what became of it. Another commit may have it on board: with
        // the only writer in hand it is known that none has.
        let mut tx = match self.engine.dialect().has_one_writer() {
            true => self.engine.write_soon(POSITION_READ).await?,
            false => self.engine.read(POSITION_READ).await?,
        };
        let rows = tx.fetch(POSITIONS, &[]).await?;
        tx.commit().await?;
        Ok(rows.iter().map(position).collect())
    }

    async fn pending(&self) -> Result<Vec<EventMark>> {
        let rows = self.engine.fetch("look for events to number", PENDING, &[]).await?;
        let mark = |row: &Row| {
            let mut columns = Columns::new(row, UNTOLD);
            EventMark { tenant_id: columns.key("tenantId"), mark: columns.key("oprSeqFlag") }
        };
        Ok(rows.iter().map(mark).collect())
    }

    async fn append(&self, batch: Arc<LogBatch>) -> Result<()> {
        again(|| self.append_once(Arc::clone(&batch))).await
    }

    async fn events(&self, query: &EventQuery<'_>, take: Take) -> Result<EventPage> {
        let (limit, newest) = match take {
            Take::First(limit) => (limit, false),
            Take::Last(limit) => (limit, true),
        };
        let form = EventsForm { newest, ..form(query) };
        let mut values = values_of(query);
        values.push(Value::from(i64::from(limit)));
        // One transaction: what retention removes in between would look as if it never was.
        let mut tx = self.engine.read("read events").await?;
        let floor = tx.fetch(FLOOR, &[Value::from(query.tenant)]).await?;
        let rows = tx.fetch(Form::Events(form), &values).await?;
        tx.commit().await?;
        let floor =
            floor.first().and_then(|row| Columns::new(row, &POSITION[2..3]).int("floorRevision"));
        let mut rows: Vec<_> = rows.iter().map(read).collect();
        if newest {
            rows.reverse();
        }
        Ok(EventPage { floor: floor.unwrap_or(0), rows })
    }

    async fn count(&self, query: &EventQuery<'_>) -> Result<Vec<EventCount>> {
        let form = Form::Events(EventsForm { counts: true, ..form(query) });
        let rows = self.engine.fetch("count events", form, &values_of(query)).await?;
        let count = |row: &Row| {
            let mut columns = Columns::new(row, &["groupName", "extProperty", "events"]);
            EventCount {
                group_name: columns.text("groupName"),
                readers: columns.text("extProperty"),
                events: columns.int("events").unwrap_or(0).cast_unsigned(),
            }
        };
        Ok(rows.iter().map(count).collect())
    }

    async fn has_revision(&self, tenant: &str, revision: i64) -> Result<bool> {
        let values = [Value::from(tenant), Value::from(revision)];
        Ok(!self.engine.fetch("look for a revision", HAS, &values).await?.is_empty())
    }
}

impl SqlStore {
    /// With the commit that has the only writer, or in a transaction of its own.
    async fn append_once(&self, batch: Arc<LogBatch>) -> Result<()> {
        let begin = self.engine.write_soon("write events");
        if !self.engine.dialect().has_one_writer() {
            return append_alone(begin.await?, &batch).await;
        }
        let mut place = self.waiting.wait(Arc::clone(&batch));
        let tx = tokio::select! {
            biased;
            true = place.arrives() => return Ok(()),
            tx = begin => tx?,
        };
        // Whoever took it had the writer, and told how it ended before it gave the writer away.
        if !place.leave() && place.has_arrived() {
            return Ok(());
        }
        append_alone(tx, &batch).await
    }
}

async fn append_alone(mut tx: Transaction, batch: &LogBatch) -> Result<()> {
    append(&mut tx, batch).await?;
    tx.commit().await
}

/// Writes it as a part of a transaction.
pub(super) async fn append(tx: &mut Transaction, batch: &LogBatch) -> Result<()> {
    let gone: Vec<_> = batch.forget.iter().map(mark).collect();
    forget(tx, &gone).await?;
    for (event, revision) in &batch.number {
        let values = [Value::from(*revision), of::key(&event.tenant_id), of::key(&event.mark)];
        tx.execute(NUMBER, &values).await?;
    }
    let rows: Vec<_> = batch.rows.iter().map(values).collect();
    batch::insert(tx, &EVENT, &rows).await?;
    for position in &batch.positions {
        let (floor, tenant) = (Value::from(position.floor), of::key(&position.tenant_id));
        let [revision, view, native] =
            [position.revision, position.view_print, position.native_print].map(Value::from);
        let moved = tx.execute(MOVE, &[revision, view, native, floor, floor, tenant]).await?;
        if moved == 0 && tx.fetch(FLOOR, &[tenant]).await?.is_empty() {
            tx.execute(FIRST, &[revision, view, native, floor, tenant]).await?;
        }
    }
    Ok(())
}

/// Removes what commits wrote that are undone, unless it was told.
pub(super) async fn forget(tx: &mut Transaction, marks: &[Values<'_>]) -> Result<()> {
    batch::delete(tx, &EVENT, UNTOLD, AND_UNTOLD, marks).await?;
    Ok(())
}

/// Notes that events of this revision and lower ones are not all there any more.
pub(super) async fn raise_floor(tx: &mut Transaction, tenant: &str, floor: i64) -> Result<()> {
    let value = Value::from(floor);
    tx.execute(RAISE, &[value, value, Value::from(tenant)]).await?;
    Ok(())
}

pub(super) fn mark(mark: &EventMark) -> Values<'_> {
    vec![of::key(&mark.tenant_id), of::key(&mark.mark)]
}

pub(super) fn values(row: &EventRow) -> Values<'_> {
    let (time, who) = (Value::from(row.event_time), Value::from(cut(&row.who, WHO)));
    vec![
        of::key(&row.tenant_id),
        of::text(&row.group_name),
        of::text(&row.service_name),
        of::text(&row.host_address),
        of::int(&row.port_number),
        of::key(&row.event_type),
        Value::from(cut(&row.event_source, SOURCE)),
        of::text(&row.event_data_json),
        Value::from(row.event_message.as_deref().map(|text| cut(text, MESSAGE))),
        time,
        Value::from(row.revision),
        Value::from(row.place),
        of::key(&row.mark),
        of::text(&row.readers),
        time,
        who,
        time,
        who,
    ]
}

fn read(row: &Row) -> EventRow {
    let mut columns = Columns::new(row, COLUMNS);
    EventRow {
        tenant_id: columns.key("tenantId"),
        group_name: columns.text("groupName"),
        service_name: columns.text("serviceName"),
        host_address: columns.text("hostAddress"),
        port_number: columns.int("portNumber"),
        event_type: columns.key("eventType"),
        event_source: columns.key("eventSource"),
        event_data_json: columns.text("eventDataJson"),
        event_message: columns.text("eventMessage"),
        event_time: columns.time("eventTime").unwrap_or_default(),
        revision: columns.int("revision").unwrap_or(0),
        place: columns.int("revisionPlace").unwrap_or(0),
        mark: columns.key("oprSeqFlag"),
        readers: columns.text("extProperty"),
        who: columns.key("addWho"),
    }
}

fn position(row: &Row) -> LogPosition {
    let mut columns = Columns::new(row, POSITION);
    let tenant_id = columns.key("tenantId");
    let mut number = |name| columns.int(name).unwrap_or(0);
    LogPosition {
        tenant_id,
        revision: number("revision"),
        floor: number("floorRevision"),
        view_print: number("viewPrint"),
        native_print: number("nativePrint"),
    }
}

fn form(query: &EventQuery<'_>) -> EventsForm {
    let filter = query.filter;
    EventsForm {
        group: filter.group.is_some(),
        service: filter.service.is_some(),
        source: filter.source.is_some(),
        types: filter.types.len(),
        since: query.since.is_some(),
        until: query.until.is_some(),
        ..EventsForm::default()
    }
}

fn values_of<'v>(query: &'v EventQuery<'_>) -> Values<'v> {
    let (filter, after, before) = (query.filter, query.after, query.before);
    let mut values = vec![
        Value::from(query.tenant),
        Value::from(after.revision),
        Value::from(before.revision),
        Value::from(after.revision),
        Value::from(after.place),
        Value::from(before.revision),
        Value::from(before.place),
    ];
    let names = [&filter.group, &filter.service, &filter.source];
    values.extend(names.into_iter().flatten().map(|name| Value::from(name.as_str())));
    values.extend(filter.types.iter().map(|kind| Value::from(kind.as_str())));
    values.extend([query.since, query.until].into_iter().flatten().map(Value::from));
    values
}

fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}
