//! The JSON of discovery.

use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use hub_registry_core::{HealthStatus, InstanceStatus, Protocol, RegistryKind};
use serde::{Serialize, Serializer};

use super::merge::{OriginRow, Row};
use super::snapshot::{Prepared, ServiceView};
use crate::clock;
use crate::http::gzip::GzipHead;
use crate::model::names::InstanceId;

/// A discovery answer: two byte strings made beforehand, sent one after the other.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The instances, the count, the revision.
    pub head: Bytes,
    /// The state of the sources.
    pub tail: Bytes,
    /// Changes with the content and with the sources' states, not with their age.
    pub etag: String,
    /// The service's revision.
    pub revision: i64,
    /// What a caller with a bound on staleness looks at.
    pub freshness: Freshness,
    pub(super) prepared: Option<PreparedOf>,
}

impl Answer {
    /// The compressed form, in two parts. For a prepared answer the head was compressed once for
    /// all readers of its revision.
    #[must_use]
    pub fn gzip(&self) -> (Bytes, Bytes) {
        let head = match &self.prepared {
            Some((view, which)) => which(view).gzip_head(),
            None => Arc::new(GzipHead::new(&self.head)),
        };
        (head.bytes(), head.finish(self.head.len(), &self.tail))
    }
}

/// Where a prepared head comes from: its service, and which of its heads.
pub(super) type PreparedOf = (Arc<ServiceView>, fn(&ServiceView) -> &Prepared);

/// How fresh an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// A contributing source is not current.
    pub stale: bool,
    /// An enabled source of the tenant was never loaded.
    pub partial: bool,
    /// The age of the oldest contributing source, in milliseconds. A quiet registry is not old:
    /// each look that finds nothing new renews its age.
    pub max_age_ms: i64,
}

/// An instance as the API writes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RowJson<'a> {
    instance_id: InstanceId,
    service_name: &'a str,
    group_name: &'a str,
    host_address: &'a str,
    port_number: u16,
    protocol_type: Protocol,
    context_path: Option<&'a str>,
    instance_status: InstanceStatus,
    health_status: HealthStatus,
    weight_value: u32,
    metadata: &'a hub_registry_core::Pairs,
    tags: &'a [String],
    #[serde(serialize_with = "optional_time")]
    register_time: Option<i64>,
    registry_type: RegistryKind,
    held: bool,
    sources: Vec<OriginJson<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct OriginJson<'a> {
    source: &'a str,
    registry_type: RegistryKind,
    native_id: Option<&'a str>,
    #[serde(serialize_with = "time")]
    observed_at: i64,
    instance_status: InstanceStatus,
    health_status: HealthStatus,
    weight_value: u32,
}

fn time<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&clock::rfc3339(clock::at(*millis)))
}

fn optional_time<S: Serializer>(millis: &Option<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    match millis {
        Some(millis) => time(millis, serializer),
        None => serializer.serialize_none(),
    }
}

impl<'a> From<&'a Row> for RowJson<'a> {
    fn from(row: &'a Row) -> Self {
        let instance = &*row.instance;
        Self {
            instance_id: row.id,
            service_name: instance.key.service.name.as_str(),
            group_name: instance.key.service.group.as_str(),
            host_address: instance.key.host.as_str(),
            port_number: instance.key.port,
            protocol_type: instance.protocol,
            context_path: instance.context_path.as_deref(),
            instance_status: instance.status,
            health_status: instance.health,
            weight_value: instance.weight.get(),
            metadata: &instance.metadata,
            tags: &instance.tags,
            register_time: instance.registered_at,
            registry_type: row.origins[0].kind,
            held: row.held,
            sources: row.origins.iter().map(OriginJson::from).collect(),
        }
    }
}

impl<'a> From<&'a OriginRow> for OriginJson<'a> {
    fn from(origin: &'a OriginRow) -> Self {
        Self {
            source: &origin.source,
            registry_type: origin.kind,
            native_id: origin.instance.native_id.as_deref(),
            observed_at: origin.observed_at,
            instance_status: origin.instance.status,
            health_status: origin.instance.health,
            weight_value: origin.instance.weight.get(),
        }
    }
}

/// Appends the row's JSON.
///
/// # Panics
/// Never: the type holds nothing JSON cannot hold, and memory is the only writer.
pub(super) fn write_row(row: &Row, out: &mut BytesMut) {
    #[expect(
        clippy::expect_used,
        reason = "strings, numbers and maps of strings always serialise"
    )]
    serde_json::to_writer(out.writer(), &RowJson::from(row)).expect("a row is JSON");
}

/// The row as a JSON value, for answers that hold a single one.
#[must_use]
pub fn row_value(row: &Row) -> serde_json::Value {
    serde_json::to_value(RowJson::from(row)).unwrap_or_default()
}

/// `{"instances":[` ... `],"count":N,"revision":R,"protected":B`: what a tail completes.
#[must_use]
pub(super) fn head<'a>(
    rows: impl Iterator<Item = &'a [u8]>,
    revision: i64,
    protected: bool,
) -> Bytes {
    let mut head = HeadWriter::new(1024);
    for row in rows {
        head.row(|out| out.put_slice(row));
    }
    head.finish(revision, protected)
}

/// A head being written, row by row.
pub(super) struct HeadWriter {
    out: BytesMut,
    count: usize,
}

impl HeadWriter {
    /// About so many bytes will be written.
    pub(super) fn new(about: usize) -> Self {
        let mut out = BytesMut::with_capacity(about);
        out.put_slice(b"{\"instances\":[");
        Self { out, count: 0 }
    }

    /// Appends the JSON of a row; where it stands.
    pub(super) fn row(&mut self, write: impl FnOnce(&mut BytesMut)) -> Range<usize> {
        if self.count > 0 {
            self.out.put_u8(b',');
        }
        self.count += 1;
        let start = self.out.len();
        write(&mut self.out);
        start..self.out.len()
    }

    pub(super) fn finish(mut self, revision: i64, protected: bool) -> Bytes {
        let count = self.count;
        let end = format!("],\"count\":{count},\"revision\":{revision},\"protected\":{protected}");
        self.out.put_slice(end.as_bytes());
        let unused = self.out.capacity() - self.out.len();
        // It is kept for as long as the service does not change, and frozen with all its room.
        match unused > self.out.len() / 16 {
            true => Bytes::copy_from_slice(&self.out),
            false => self.out.freeze(),
        }
    }
}
