//! An event as subscribers get it: written to bytes once for all of them.

use bytes::{BufMut, Bytes, BytesMut};
use hub_registry_core::GroupName;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::id::EventId;
use crate::access::Visible;
use crate::clock::rfc3339;
use crate::model::words::EventType;
use crate::storage::{Cursor, EventFilter, EventRow};

/// An event, ready to be sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// After it; `None`: it is not part of the log and cannot be resumed from.
    pub cursor: Option<Cursor>,
    /// What it tells; `None`: a word of a later version.
    pub kind: Option<EventType>,
    /// Its group.
    group: Option<GroupName>,
    /// Its service.
    pub service: Option<Box<str>>,
    source: Box<str>,
    /// Those who alone may read it, where the group had such a rule when it happened.
    readers: Option<Box<str>>,
    /// The lines of a stream of server-sent events.
    lines: Bytes,
    /// Where in the lines the JSON is.
    json: std::ops::Range<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FrameJson<'a> {
    id: Option<&'a str>,
    revision: i64,
    event_type: &'a str,
    tenant_id: &'a str,
    group_name: Option<&'a str>,
    service_name: Option<&'a str>,
    host_address: Option<&'a str>,
    port_number: Option<i64>,
    source: &'a str,
    event_time: String,
    user: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    data: &'a RawValue,
}

impl Frame {
    /// Of a row of the log.
    #[must_use]
    pub fn of(row: &EventRow) -> Self {
        let cursor = Cursor { revision: row.revision, place: row.place };
        Self::new(row, Some(cursor))
    }

    /// Of what is told and not kept.
    #[must_use]
    pub fn passing(row: &EventRow) -> Self {
        Self::new(row, None)
    }

    fn new(row: &EventRow, cursor: Option<Cursor>) -> Self {
        let id = cursor.map(|at| EventId { revision: at.revision, place: Some(at.place) });
        let id = id.map(|id| id.to_string());
        let (lines, json) = write(row, id.as_deref());
        let group = row.group_name.as_deref().and_then(|name| GroupName::parse(name).ok());
        Self {
            cursor,
            kind: row.event_type.parse().ok(),
            group,
            service: row.service_name.as_deref().map(Box::from),
            source: row.event_source.as_str().into(),
            readers: row.readers.as_deref().map(Box::from),
            lines,
            json,
        }
    }

    /// As a message.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.lines.slice(self.json.clone())
    }

    /// As lines of a stream of server-sent events.
    #[must_use]
    pub fn lines(&self) -> Bytes {
        self.lines.clone()
    }

    /// Whether it passes the filter.
    #[must_use]
    pub fn passes(&self, filter: &EventFilter) -> bool {
        let is = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        };
        // Heartbeats are for those who name them.
        let usual = self.kind != Some(EventType::InstanceHeartbeat);
        let wanted = |kind: EventType| filter.types.contains(&kind);
        let of_type = if filter.types.is_empty() { usual } else { self.kind.is_some_and(wanted) };
        of_type
            && is(&filter.service, self.service.as_deref())
            && is(&filter.group, self.group.as_ref().map(GroupName::as_str))
            && is(&filter.source, Some(&self.source))
    }

    /// Whether somebody who sees these groups may see it.
    #[must_use]
    pub fn is_for(&self, visible: &Visible) -> bool {
        let Some(group) = &self.group else { return true };
        visible.sees(group)
            && self.readers.as_deref().is_none_or(|readers| visible.saw(group, readers))
    }
}

fn write(row: &EventRow, id: Option<&str>) -> (Bytes, std::ops::Range<usize>) {
    let nothing = RawValue::NULL;
    // Plain SQL may have left anything there.
    let data = row.event_data_json.as_deref();
    let data = data.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let frame = FrameJson {
        id,
        revision: row.revision,
        event_type: &row.event_type,
        tenant_id: &row.tenant_id,
        group_name: row.group_name.as_deref(),
        service_name: row.service_name.as_deref(),
        host_address: row.host_address.as_deref(),
        port_number: row.port_number,
        source: &row.event_source,
        event_time: rfc3339(row.event_time),
        user: &row.who,
        message: row.event_message.as_deref(),
        data: data.unwrap_or(nothing),
    };
    let mut lines = BytesMut::with_capacity(512);
    if let Some(id) = id {
        lines.put_slice(b"id: ");
        lines.put_slice(id.as_bytes());
        lines.put_u8(b'\n');
    }
    lines.put_slice(b"data: ");
    let start = lines.len();
    // Memory takes every byte, and JSON has a form for each of these fields. A raw value is written
    // as it was: one of plain SQL may have line breaks, which would end the line.
    serde_json::to_writer((&mut lines).writer(), &frame).ok();
    if lines[start..].contains(&b'\n') {
        let flat: serde_json::Value =
            serde_json::from_slice(&lines[start..]).unwrap_or(serde_json::Value::Null);
        lines.truncate(start);
        serde_json::to_writer((&mut lines).writer(), &flat).ok();
    }
    let json = start..lines.len();
    lines.put_slice(b"\n\n");
    (lines.freeze(), json)
}

/// A word that is about the stream itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Events are missing: what is known must be read anew. Events above this revision follow.
    Resync(i64),
    /// Everything up to this revision was sent.
    Bookmark(i64),
}

impl Notice {
    /// As a message.
    #[must_use]
    pub fn json(self) -> Bytes {
        let (kind, revision) = match self {
            Self::Resync(revision) => ("RESYNC", revision),
            Self::Bookmark(revision) => ("BOOKMARK", revision),
        };
        json!({ "eventType": kind, "revision": revision }).to_string().into()
    }

    /// As lines of a stream of server-sent events.
    #[must_use]
    pub fn lines(self) -> Bytes {
        let (Self::Resync(revision) | Self::Bookmark(revision)) = self;
        let mut lines = BytesMut::from(format!("id: {revision}\ndata: ").as_bytes());
        lines.put_slice(&self.json());
        lines.put_slice(b"\n\n");
        lines.freeze()
    }
}
