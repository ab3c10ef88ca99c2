//! What Eureka's words look like on the wire: JSON or XML, as the request asks for it.

use axum::http::{HeaderMap, HeaderName, header};
use bytes::Bytes;
use hub_registry_eureka::wire::{DataCenterInfo, InstanceBody, InstanceInfo, PortWrapper};
use serde::Serialize;

use super::xml;
use crate::error::{Error, ErrorCode, Result};

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
    /// Of each instance in a list what it takes to call it (`X-Eureka-Accept: compact`).
    MiniJson,
    MiniXml,
}

/// An instance as it stands in short lists (`MiniInstanceInfoMixIn`).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Mini<'i> {
    instance_id: &'i str,
    app: &'i str,
    ip_addr: &'i str,
    #[serde(skip_serializing_if = "Option::is_none")]
    vip_address: Option<&'i str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secure_vip_address: Option<&'i str>,
    data_center_info: &'i Option<DataCenterInfo>,
    host_name: &'i str,
    status: &'i str,
    last_updated_timestamp: Option<i64>,
    action_type: Option<&'i str>,
    port: &'i Option<PortWrapper>,
    secure_port: &'i Option<PortWrapper>,
}

impl<'i> Mini<'i> {
    fn of(info: &'i InstanceInfo) -> Self {
        Self {
            instance_id: &info.instance_id,
            app: &info.app,
            ip_addr: &info.ip_addr,
            vip_address: info.vip_address.as_deref(),
            secure_vip_address: info.secure_vip_address.as_deref(),
            data_center_info: &info.data_center_info,
            host_name: &info.host_name,
            status: &info.status,
            last_updated_timestamp: info.last_updated_timestamp,
            action_type: info.action_type.as_deref(),
            port: &info.port,
            secure_port: &info.secure_port,
        }
    }
}

impl Form {
    /// The form of an answer: JSON for those who say so, XML for all others, also for those who
    /// take anything (eureka-core `ApplicationsResource.getContainers`).
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        const SIZE: HeaderName = HeaderName::from_static("x-eureka-accept");
        match (says(headers, header::ACCEPT, "json"), says(headers, SIZE, "compact")) {
            (true, false) => Self::Json,
            (false, false) => Self::Xml,
            (true, true) => Self::MiniJson,
            (false, true) => Self::MiniXml,
        }
    }

    /// The same for what is no list: it has all of an instance.
    pub(super) const fn full(self) -> Self {
        match self {
            Self::Json | Self::MiniJson => Self::Json,
            Self::Xml | Self::MiniXml => Self::Xml,
        }
    }

    /// How many there are.
    pub(super) const COUNT: usize = 4;

    /// The form of a request's body.
    ///
    /// # Errors
    /// `UnsupportedMediaType`, with the type that was given.
    pub(super) fn given(headers: &HeaderMap) -> Result<Self> {
        if says(headers, header::CONTENT_TYPE, "json") {
            return Ok(Self::Json);
        }
        if says(headers, header::CONTENT_TYPE, "xml") {
            return Ok(Self::Xml);
        }
        let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let given: String = given.unwrap_or("none").chars().take(120).collect();
        let message =
            format!("Content-Type must be application/json or application/xml, not {given}");
        Err(Error::new(ErrorCode::UnsupportedMediaType, message))
    }

    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Json | Self::MiniJson => "application/json",
            Self::Xml | Self::MiniXml => "application/xml",
        }
    }

    /// An instance as it stands in lists.
    pub(super) fn instance(self, info: &InstanceInfo, out: &mut Vec<u8>) {
        match self {
            Self::Json => {
                // Maps of text to text and plain fields: there is nothing in it that could fail.
                serde_json::to_writer(out, info).unwrap_or_default();
            }
            Self::Xml => xml::instance(info, out),
            Self::MiniJson => serde_json::to_writer(out, &Mini::of(info)).unwrap_or_default(),
            Self::MiniXml => xml::mini(info, out),
        }
    }

    /// The instance that registers.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub(super) fn read(self, body: &Bytes) -> Result<InstanceInfo> {
        let read = match self.full() {
            Self::Json | Self::MiniJson => serde_json::from_slice::<InstanceBody>(body)
                .map(|body| body.instance)
                .map_err(|error| error.to_string()),
            Self::Xml | Self::MiniXml => xml::read(body),
        };
        read.map_err(|error| {
            let shown: String = error.chars().take(300).collect();
            Error::new(ErrorCode::Invalid, format!("body is not an instance: {shown}"))
        })
    }
}

fn says(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.any(|value| value.to_ascii_lowercase().contains(word))
}

/// Whether the answer may be compressed.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let given = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut parts = given.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    parts.any(|part| {
        let (coding, q) = part.split_once(';').unwrap_or((part, ""));
        let refused = q.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        matches!(coding.trim(), "gzip" | "*") && !refused
    })
}
