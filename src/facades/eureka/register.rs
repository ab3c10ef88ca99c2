//! From an instance that registers to a registration with the hub.
//!
//! | ours | Eureka's |
//! |---|---|
//! | group, service | of the application that is there; else by [`name_of`] |
//! | host | `ipAddr`, or `hostName` where that is no address the hub takes |
//! | port | the plain one, or the secure one if that alone is open |
//! | status | `status`; an override stands above it |
//! | health | the lease's |
//! | lease | two thirds of `durationInSecs`, and more than `renewalIntervalInSecs`: an instance is removed after three, and a Eureka removes a silent one after twice its duration (`Lease.renew`) |
//! | metadata | whole |

use hub_registry_core::{Host, InstanceKey, InstanceStatus, Pairs, Protocol, ServiceKey};
use hub_registry_eureka::wire::{DATA_CENTERS, InstanceInfo, context_path, terms, write_ports};
use serde_json::json;

use super::render::{UNKNOWN, term};
use crate::error::{Error, ErrorCode, Result};
use crate::facades::names::qualified;
use crate::model::names::reachable_host;
use crate::model::registration::{MAX_LEASE_SECONDS, Registration, is_context_path};
use crate::model::words::{ClientType, Flag, HealthCheckType};

/// The classes that a data centre may have besides the usual one.
const OTHER_CLASSES: [&str; 2] =
    ["com.netflix.appinfo.MyDataCenterInfo", "com.netflix.appinfo.AmazonInfo"];

/// What the real server asks of a registration, in its order and its words
/// (`ApplicationResource.addInstance`).
///
/// # Errors
/// `Invalid`, with the first thing that is missing.
pub(super) fn check(app: &str, info: &InstanceInfo) -> Result<()> {
    let missing = |what: &str| Err(Error::new(ErrorCode::Invalid, format!("Missing {what}")));
    let is_blank = |text: &str| text.trim().is_empty();
    if is_blank(info.id()) {
        return missing("instanceId");
    }
    if is_blank(&info.host_name) {
        return missing("hostname");
    }
    if is_blank(&info.ip_addr) {
        return missing("ip address");
    }
    if is_blank(&info.app) {
        return missing("appName");
    }
    if info.app.to_uppercase() != app.to_uppercase() {
        let shown = |text: &str| text.chars().take(100).collect::<String>().to_uppercase();
        let message =
            format!("Mismatched appName, expecting {} but was {}", shown(app), shown(&info.app));
        return Err(Error::new(ErrorCode::Invalid, message));
    }
    match &info.data_center_info {
        None => return missing("dataCenterInfo"),
        Some(center) if is_blank(&center.name) => return missing("dataCenterInfo Name"),
        // A client in Java that reads another name reads nothing of the whole list.
        Some(center) if !DATA_CENTERS.contains(&center.name.as_str()) => {
            let rule = "must be one of MyOwn, Netflix, Amazon";
            return Err(Error::invalid("dataCenterInfo.name", center.name.as_str(), rule));
        }
        Some(_) => {}
    }
    for (field, port) in [("port", info.port), ("securePort", info.secure_port)] {
        let number = port.and_then(|port| port.number).unwrap_or_default();
        if i32::try_from(number).is_err() {
            return Err(Error::invalid(field, number, "must be a whole number of 32 bits"));
        }
    }
    Ok(())
}

/// The status of a word, and whether that says all of it.
///
/// # Errors
/// `Invalid`: it is none of Eureka's words.
pub(super) fn status(word: &str) -> Result<(InstanceStatus, bool)> {
    Ok(match word {
        "UP" => (InstanceStatus::Up, true),
        "DOWN" => (InstanceStatus::Down, true),
        "STARTING" => (InstanceStatus::Starting, true),
        "OUT_OF_SERVICE" => (InstanceStatus::OutOfService, true),
        UNKNOWN => (InstanceStatus::Down, false),
        other => {
            let rule = "must be one of UP, DOWN, STARTING, OUT_OF_SERVICE, UNKNOWN";
            return Err(Error::invalid("status", other, rule));
        }
    })
}

/// The name a service gets that is not there yet: the smallest vip that is the application's name
/// but for its case, which clients look it up by; else that name in lower case. The same rule by
/// which the hub names what a Eureka lists.
pub(super) fn name_of(app: &str, info: &InstanceInfo) -> String {
    let vips = info.vip_address.as_deref().unwrap_or_default().split(',').map(str::trim);
    let same = vips.filter(|vip| vip.to_uppercase() == app.to_uppercase()).min();
    same.map_or_else(|| app.to_lowercase(), str::to_owned)
}

/// The registration. `overridden`: the status an operator set for it.
///
/// # Errors
/// `Invalid`: the field, the value, the rule.
pub(super) fn registration(
    service: ServiceKey,
    info: InstanceInfo,
    overridden: Option<&str>,
) -> Result<Registration> {
    let host = host(&info)?;
    let (port, secure) = port(&info)?;
    let said = if info.status.trim().is_empty() { "UP" } else { &info.status };
    // One that it brings counts where there is none (`AbstractInstanceRegistry.register`): so a peer
    // tells of it.
    let both = [&info.overridden_status, &info.overridden_status_lower];
    let brought = both.into_iter().flatten().map(String::as_str);
    let mut brought = brought.filter(|word| *word != UNKNOWN && status(word).is_ok());
    let overridden = overridden.or_else(|| brought.next());
    // `DownOrStartingRule`, `OverrideExistsRule`: the client's own bad news first.
    let word = match (said, overridden) {
        ("DOWN" | "STARTING", _) | (_, None) => said,
        (_, Some(overridden)) => overridden,
    };
    let (status, is_whole) = status(word)?;
    let mut native = said_besides(&info, host.as_str(), &qualified(&service));
    native.remove(term::OVERRIDDEN);
    if let Some(overridden) = overridden {
        native.insert(term::OVERRIDDEN.to_owned(), overridden.to_owned());
    }
    if !is_whole {
        native.insert(term::STATUS.to_owned(), word.to_owned());
    }
    let key = InstanceKey { service, host, port };
    let protocol = if secure { Protocol::Https } else { Protocol::Http };
    let registration = Registration {
        // It says it itself: of its service nothing is said by that.
        protocol: None,
        // One that the hub has no room for is in the page all the same.
        context_path: context_path(&info).filter(|path| is_context_path(path)),
        status: Some(status),
        client_type: Some(ClientType::Service),
        lease_seconds: Some(lease(&info)),
        // Whatever it was to whom it registered with before.
        check: Some(HealthCheckType::Heartbeat),
        ephemeral: Some(Flag::Yes),
        metadata: Some(info.metadata.into()),
        native: Some(native),
        ..Registration::new(key)
    };
    Ok(registration.speaking(protocol))
}

fn host(info: &InstanceInfo) -> Result<Host> {
    let address = reachable_host("ipAddr", info.ip_addr.trim());
    address.or_else(|error| reachable_host("hostName", info.host_name.trim()).map_err(|_| error))
}

fn port(info: &InstanceInfo) -> Result<(u16, bool)> {
    let plain = info.port.unwrap_or_default();
    let secure = info.secure_port.unwrap_or_default();
    if let Some(port) = plain.open() {
        return Ok((port, false));
    }
    if let Some(port) = secure.open() {
        return Ok((port, true));
    }
    let number = plain.number.unwrap_or_default();
    let usable = plain.usable().map(|port| (port, false));
    usable.ok_or_else(|| Error::invalid("port", number, "must be a whole number from 1 to 65535"))
}

fn lease(info: &InstanceInfo) -> u32 {
    let said = info.lease_info.unwrap_or_default();
    let bounded = |value: Option<i64>, usual: i64| {
        value.filter(|seconds| *seconds > 0).unwrap_or(usual).min(i64::from(MAX_LEASE_SECONDS))
    };
    let duration = bounded(said.duration_in_secs, 90);
    let renewal = bounded(said.renewal_interval_in_secs, 30);
    let lease = (duration * 2 + 2) / 3;
    u32::try_from(lease.max(renewal + 1)).unwrap_or(MAX_LEASE_SECONDS).min(MAX_LEASE_SECONDS)
}

/// Everything the hub has no word for.
fn said_besides(info: &InstanceInfo, host: &str, name: &str) -> Pairs {
    let mut said = terms(info, host, Some(name));
    let mut add = |key: &str, value: String| said.insert(key.to_owned(), value);
    add(term::ID, info.id().to_owned());
    if let Some(dirty) = info.last_dirty_timestamp {
        add(term::DIRTY, dirty.to_string());
    }
    // A page of the port that is not the instance's is not what would be made of it.
    let home = info.home_page_url.as_ref().filter(|home| !home.is_empty());
    if let (Some(home), Ok((_, true))) = (home, port(info)) {
        add("homePageUrl", home.clone());
    }
    // Always: the other port is not said by anything else, nor is which of both was open.
    let ports = (info.port.unwrap_or_default(), info.secure_port.unwrap_or_default());
    add(term::PORTS, write_ports(ports));
    let center = info.data_center_info.clone().unwrap_or_default();
    if !center.metadata.is_empty() {
        add(term::MACHINE, json!(center.metadata).to_string());
    }
    // What no client has is no class to it (`DataCenterTypeInfoResolver`).
    if let Some(class) = center.class.filter(|class| OTHER_CLASSES.contains(&class.as_str())) {
        add(term::CLASS, class);
    }
    said
}
