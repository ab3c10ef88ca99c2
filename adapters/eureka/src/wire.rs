//! Eureka's JSON: read tolerantly, written in the strictest form clients expect.
//!
//! Servers and clients disagree about types: Netflix's codecs write booleans, ports and times as
//! strings or as themselves, a list of one as the one (`XStream`), and both spellings of
//! `overriddenStatus` (eureka-client, `converters/EurekaJacksonCodec.java`,
//! `converters/XmlXStream.java`). A scalar of an unexpected type is read if its text makes sense
//! and counts as absent otherwise; an object where a scalar belongs, or the reverse, is an error.

mod lenient;
mod ports;
mod terms;

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use lenient::{as_text, flag, list, metadata, number, some_list, text, word};

pub use ports::{Ports, read_ports, usual_ports, write_ports};
pub use terms::{PORTS, RAW_STATUS, SECURE_PORT, SECURE_VIP, STATUS, VIP, context_path, terms};

/// The class name Jackson and `XStream` expect of a data centre that is not Amazon's.
pub const DEFAULT_DATA_CENTER: &str = "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo";
/// The name of the usual data centre.
pub const MY_OWN: &str = "MyOwn";
/// The name of the one that describes the machine.
pub const AMAZON: &str = "Amazon";
/// Every name of a data centre (`DataCenterInfo.Name`).
pub const DATA_CENTERS: [&str; 3] = [MY_OWN, "Netflix", AMAZON];

/// `{"applications": ...}`, the answer of lists and deltas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplicationsBody {
    /// What it wraps.
    pub applications: Applications,
}

/// `{"application": ...}`, the answer of one application.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ApplicationBody {
    /// What it wraps.
    pub application: Application,
}

/// `{"instance": ...}`, the answer of one instance and the body of a registration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceBody {
    /// What it wraps.
    pub instance: InstanceInfo,
}

/// A list or a delta.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Applications {
    /// Changes with every change; `-1` and absence happen.
    #[serde(default, deserialize_with = "text", rename = "versions__delta")]
    pub version: Option<String>,
    /// `STATUS_count_` over the sorted statuses of the whole registry, `""` when it is empty.
    #[serde(default, deserialize_with = "text", rename = "apps__hashcode")]
    pub hash: Option<String>,
    /// The applications; `None` when the answer has no such key, as `XStream`'s for no applications.
    #[serde(default, deserialize_with = "some_list")]
    pub application: Option<Vec<Application>>,
}

/// An application: what Eureka calls a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// Its name, in upper case.
    #[serde(default, deserialize_with = "word")]
    pub name: String,
    /// Its instances.
    #[serde(default, deserialize_with = "list")]
    pub instance: Vec<InstanceInfo>,
}

/// One instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct InstanceInfo {
    /// Its id; old clients have none, see [`InstanceInfo::id`].
    #[serde(deserialize_with = "word")]
    pub instance_id: String,
    /// Its host name.
    #[serde(deserialize_with = "word")]
    pub host_name: String,
    /// Its application, in upper case.
    #[serde(deserialize_with = "word")]
    pub app: String,
    /// A group of applications, in upper case; nothing looks at it.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub app_group_name: Option<String>,
    /// Its address.
    #[serde(deserialize_with = "word")]
    pub ip_addr: String,
    /// `UP`, `DOWN`, `STARTING`, `OUT_OF_SERVICE` or `UNKNOWN`; an override is in it already.
    #[serde(deserialize_with = "word")]
    pub status: String,
    /// The status an operator set, else `UNKNOWN`.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub overridden_status: Option<String>,
    /// The same, as `XStream` and eureka-client 1.x spell it.
    #[serde(
        rename = "overriddenstatus",
        deserialize_with = "text",
        skip_serializing_if = "Option::is_none"
    )]
    pub overridden_status_lower: Option<String>,
    /// The plain port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<PortWrapper>,
    /// The TLS port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_port: Option<PortWrapper>,
    /// 1.
    #[serde(deserialize_with = "number", skip_serializing_if = "Option::is_none")]
    pub country_id: Option<i64>,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_center_info: Option<DataCenterInfo>,
    /// Its lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_info: Option<LeaseInfo>,
    /// Free pairs.
    #[serde(deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
    /// A page for people.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub home_page_url: Option<String>,
    /// A page about its state.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub status_page_url: Option<String>,
    /// The page a health check asks.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub health_check_url: Option<String>,
    /// The same over TLS.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub secure_health_check_url: Option<String>,
    /// The names clients look it up by, separated by commas.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub vip_address: Option<String>,
    /// The same for TLS.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub secure_vip_address: Option<String>,
    /// Whether it is this Eureka server itself.
    #[serde(
        deserialize_with = "flag",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub is_coordinating_discovery_server: Option<bool>,
    /// When the server last changed it, in milliseconds since 1970.
    #[serde(
        deserialize_with = "number",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_updated_timestamp: Option<i64>,
    /// When the client last changed it.
    #[serde(
        deserialize_with = "number",
        serialize_with = "as_text",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_dirty_timestamp: Option<i64>,
    /// In a delta: `ADDED`, `MODIFIED` or `DELETED`.
    #[serde(deserialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub action_type: Option<String>,
}

impl InstanceInfo {
    /// What identifies it within its application: `instanceId`, else Amazon's instance id, else
    /// the host name (`InstanceInfo.getId`). Empty: it has no identity.
    #[must_use]
    pub fn id(&self) -> &str {
        let amazon = self.data_center_info.as_ref();
        let amazon = amazon.and_then(|dc| dc.metadata.get("instance-id"));
        let candidates =
            [self.instance_id.as_str(), amazon.map_or("", String::as_str), self.host_name.as_str()];
        let mut filled = candidates.into_iter().filter(|id| !id.trim().is_empty());
        filled.next().unwrap_or("")
    }
}

/// A port and whether it is in use: `{"$": 8080, "@enabled": "true"}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortWrapper {
    /// The number.
    #[serde(rename = "$", deserialize_with = "number")]
    pub number: Option<i64>,
    /// Whether it is in use.
    #[serde(rename = "@enabled", deserialize_with = "flag", serialize_with = "as_text")]
    pub enabled: Option<bool>,
}

impl PortWrapper {
    /// This number, in use or not.
    #[must_use]
    pub fn of(number: i64, enabled: bool) -> Self {
        Self { number: Some(number), enabled: Some(enabled) }
    }

    /// The number, if it is one a TCP port can have.
    #[must_use]
    pub fn usable(self) -> Option<u16> {
        let number = u16::try_from(self.number?).ok()?;
        (number > 0).then_some(number)
    }

    /// Whether it is said to be in use and can be.
    #[must_use]
    pub fn open(self) -> Option<u16> {
        self.usable().filter(|_| self.enabled == Some(true))
    }
}

/// Where an instance runs: `MyOwn`, `Netflix` or `Amazon`, the last with metadata.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DataCenterInfo {
    /// The Java class; the real server wants it.
    #[serde(rename = "@class", deserialize_with = "text")]
    pub class: Option<String>,
    /// The name.
    #[serde(deserialize_with = "word")]
    pub name: String,
    /// Amazon's description of the machine.
    #[serde(deserialize_with = "metadata")]
    pub metadata: BTreeMap<String, String>,
}

impl DataCenterInfo {
    /// Whether its metadata are written: of Amazon's clients in Java expect them, also empty
    /// (`EurekaJacksonCodec`, `DataCenterInfoDeserializer`).
    #[must_use]
    pub fn has_metadata(&self) -> bool {
        !self.metadata.is_empty() || self.name == AMAZON
    }
}

impl Serialize for DataCenterInfo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("@class", &self.class)?;
        map.serialize_entry("name", &self.name)?;
        if self.has_metadata() {
            map.serialize_entry("metadata", &self.metadata)?;
        }
        map.end()
    }
}

/// A lease; times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LeaseInfo {
    /// Seconds between two heartbeats.
    #[serde(deserialize_with = "number")]
    pub renewal_interval_in_secs: Option<i64>,
    /// Seconds after which a silent instance is evicted.
    #[serde(deserialize_with = "number")]
    pub duration_in_secs: Option<i64>,
    /// When it registered; 0 before the server has seen it.
    #[serde(deserialize_with = "number")]
    pub registration_timestamp: Option<i64>,
    /// Its last heartbeat.
    #[serde(deserialize_with = "number")]
    pub last_renewal_timestamp: Option<i64>,
    /// When it was evicted, else 0.
    #[serde(deserialize_with = "number")]
    pub eviction_timestamp: Option<i64>,
    /// When it was first `UP`.
    #[serde(deserialize_with = "number")]
    pub service_up_timestamp: Option<i64>,
}

/// Reads a list or a delta.
///
/// # Errors
/// What is wrong, in words that name the application and instance at fault.
pub fn read_applications(body: &[u8]) -> Result<Applications, String> {
    let read = serde_json::from_slice::<ApplicationsBody>(body);
    read.map(|body| body.applications).map_err(|error| explain(body, "applications", &error))
}

/// Reads one application.
///
/// # Errors
/// As [`read_applications`].
pub fn read_application(body: &[u8]) -> Result<Application, String> {
    let read = serde_json::from_slice::<ApplicationBody>(body);
    read.map(|body| body.application).map_err(|error| explain(body, "application", &error))
}

/// Looks again, slowly, for the instance that could not be read.
fn explain(body: &[u8], root: &str, error: &serde_json::Error) -> String {
    let general = || format!("is not Eureka's JSON ({error})");
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return general();
    };
    let apps = match root {
        "applications" => each(&value[root]["application"]),
        _ => each(&value[root]),
    };
    for app in apps {
        for instance in each(&app["instance"]) {
            if let Err(error) = InstanceInfo::deserialize(instance) {
                let id = ["instanceId", "hostName"].map(|key| instance[key].as_str());
                let id = id[0].or(id[1]).unwrap_or("without id");
                let name = app["name"].as_str().unwrap_or("without name");
                return format!(
                    "has an instance that cannot be read: app {name:?}, instance {id:?} ({error})"
                );
            }
        }
    }
    general()
}

fn each(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}
