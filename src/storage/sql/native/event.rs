//! Events. They are only added and removed here.

use crate::storage::native::EventRow;
use crate::storage::sql::batch::Values;
use crate::storage::sql::table::Table;
use crate::storage::sql::value::{Value, of};

/// Texts for people, which may come from anywhere, are cut at these lengths rather than fail all
/// that shares their transaction; in characters, as the tables count.
const MESSAGE: usize = 500;
const SOURCE: usize = 100;
const WHO: usize = 100;

pub(in super::super) static EVENT: Table = Table {
    name: "HUB_REGISTRY_SERVICE_EVENT",
    columns: &[
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
        "addTime",
        "addWho",
        "editTime",
        "editWho",
    ],
    key: &["serviceEventId"],
    other_key: None,
};

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
        time,
        who,
        time,
        who,
    ]
}

/// An event of the same type, address and time.
pub(super) const SAME: &str = " WHERE tenantId = ? AND eventTime = ? AND eventType = ? \
     AND serviceName = ? AND hostAddress = ? AND portNumber = ?";

pub(super) fn same(row: &EventRow) -> Values<'_> {
    vec![
        of::key(&row.tenant_id),
        Value::from(row.event_time),
        of::key(&row.event_type),
        of::text(&row.service_name),
        of::text(&row.host_address),
        of::int(&row.port_number),
    ]
}

fn cut(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(end, _)| &text[..end])
}
