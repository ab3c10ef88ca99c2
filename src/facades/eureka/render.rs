//! From the rows of the view to Eureka's instances.
//!
//! | Eureka's | ours |
//! |---|---|
//! | `app` | the service's name in upper case; of another group than the default one, `GROUP--NAME` |
//! | `vipAddress`, `secureVipAddress` | as registered, else the service's name as it is written |
//! | `instanceId` | as registered, there or in the Eureka it comes from; else `host:service:port` |
//! | `ipAddr`, `hostName` | as registered, else the host |
//! | `port`, `securePort` | as registered, else the port, secure if the protocol is HTTPS |
//! | `status` | see [`word`] |
//! | pages | as registered, else the home page by host, port and context path |
//! | `leaseInfo` | as registered; its times are when it registered and when it last changed |
//!
//! What is "as registered" stands in [`Instance::native`](hub_registry_core::Instance::native).

use hub_registry_core::{
    GroupName, HealthStatus, Instance, InstanceStatus, Protocol, RegistryKind, ServiceKey, carry,
};
use hub_registry_eureka::wire::{
    DATA_CENTERS, DEFAULT_DATA_CENTER, DataCenterInfo, InstanceInfo, LeaseInfo, MY_OWN, Ports,
    RAW_STATUS, SECURE_PORT, SECURE_VIP, VIP, read_ports, usual_ports,
};

use crate::catalog::Row;
use crate::facades::names::qualified;

/// Terms of an instance that only this face writes, besides those of
/// [`wire::terms`](hub_registry_eureka::wire::terms).
pub(super) mod term {
    pub(in super::super) const DIRTY: &str = "lastDirtyTimestamp";
    pub(in super::super) use crate::model::terms::{EUREKA_ID as ID, OVERRIDDEN, STATUS};
    pub(in super::super) use hub_registry_eureka::wire::PORTS;
    /// The data centre's description of the machine, as JSON.
    pub(in super::super) const MACHINE: &str = "dataCenterMetadata";
    /// The Java class of the data centre, where it is not the usual.
    pub(in super::super) const CLASS: &str = "dataCenterClass";
}

/// Eureka's word for what the hub has none for.
pub(super) const UNKNOWN: &str = "UNKNOWN";
/// Eureka's own lease, in seconds.
const LEASE: (i64, i64) = (30, 90);

/// The application a service is.
pub(super) fn app_of(key: &ServiceKey) -> String {
    qualified(key).to_uppercase()
}

/// The id by which clients of Eureka know it.
pub(super) fn id_of(row: &Row) -> String {
    let instance = &row.instance;
    if let Some(id) = instance.native.get(term::ID) {
        return id.clone();
    }
    match &instance.native_id {
        Some(id) if is_from_eureka(row) => id.to_string(),
        _ => format!("{}:{}:{}", instance.key.host, instance.key.service.name, instance.key.port),
    }
}

fn is_from_eureka(row: &Row) -> bool {
    row.origins.first().is_some_and(|first| first.kind == RegistryKind::Eureka)
}

/// Eureka's word for a state: one that is up and known to be sick is `DOWN`.
pub(super) fn word(instance: &Instance) -> &str {
    use HealthStatus::{Healthy, Unhealthy, Unknown};
    // Of a row of several registries the terms may be those of one that is away.
    if let (Some(word), InstanceStatus::Down) = (instance.native.get(term::STATUS), instance.status)
    {
        return word;
    }
    match (instance.status, instance.health) {
        (InstanceStatus::Up, Healthy | Unknown) => "UP",
        (InstanceStatus::Up, Unhealthy) | (InstanceStatus::Down, _) => "DOWN",
        (InstanceStatus::Starting, _) => "STARTING",
        (InstanceStatus::OutOfService, _) => "OUT_OF_SERVICE",
    }
}

/// The names it is looked up by; empty: its client said that there are none.
pub(super) fn vips(row: &Row, secure: bool) -> String {
    let service = &row.instance.key.service;
    let registered = row.instance.native.get(if secure { SECURE_VIP } else { VIP });
    let Some(registered) = registered else { return qualified(service) };
    if !is_from_eureka(row) || service.group == GroupName::default_group() {
        return registered.clone();
    }
    // In the Eureka it comes from there are no groups: here the name means another service.
    let bare = |vip: &str| vip.trim().eq_ignore_ascii_case(service.name.as_str());
    let vips = registered.split(',');
    let vips = vips.map(|vip| if bare(vip) { qualified(service) } else { vip.to_owned() });
    vips.collect::<Vec<_>>().join(",")
}

/// The instance as clients of Eureka see it. `action`: what it is in a delta; `ADDED` in lists.
pub(super) fn info(row: &Row, app: &str, action: &str, carried: bool) -> InstanceInfo {
    let instance = &*row.instance;
    let said = |key: &str| instance.native.get(key).cloned();
    let host = instance.key.host.as_str();
    let (host_name, ip_addr) = (said("hostName"), said("ipAddr"));
    let host_name = host_name.unwrap_or_else(|| host.to_owned());
    let word = word(instance);
    let overridden = said(term::OVERRIDDEN).unwrap_or_else(|| UNKNOWN.to_owned());
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    let (port, secure_port) = ports(instance);
    let changed = row.origins.first().map_or(0, |origin| origin.observed_at);
    let dirty = instance.native.get(term::DIRTY).and_then(|time| time.parse().ok());
    let home = said("homePageUrl").unwrap_or_else(|| home_page(instance, &host_name));
    // What a hub carries for other hubs is no pair of the client's.
    let mut metadata = instance.metadata.clone();
    metadata.retain(|key, _| !carry::is_carried(key));
    if is_from_eureka(row) {
        // Said for others; here status and ports say it.
        metadata.retain(|key, _| key != RAW_STATUS && key != SECURE_PORT);
    }
    if carried {
        let all = carry::besides(instance).into_iter();
        metadata.extend(all.map(|(key, value)| (key.to_owned(), value)));
    }
    InstanceInfo {
        instance_id: id_of(row),
        host_name,
        app: app.to_owned(),
        app_group_name: said("appGroupName"),
        ip_addr: ip_addr.unwrap_or_else(|| host.to_owned()),
        status: word.to_owned(),
        overridden_status: Some(overridden),
        port: Some(port),
        secure_port: Some(secure_port),
        country_id: Some(1),
        data_center_info: Some(data_center(instance)),
        lease_info: Some(lease(instance, changed)),
        metadata: metadata.into(),
        home_page_url: Some(home),
        status_page_url: said("statusPageUrl"),
        health_check_url: said("healthCheckUrl"),
        secure_health_check_url: said("secureHealthCheckUrl"),
        vip_address: some(vips(row, false)),
        secure_vip_address: some(vips(row, true)),
        is_coordinating_discovery_server: Some(false),
        last_updated_timestamp: Some(changed),
        last_dirty_timestamp: Some(dirty.unwrap_or(changed)),
        action_type: Some(action.to_owned()),
        ..InstanceInfo::default()
    }
}

fn lease(instance: &Instance, changed: i64) -> LeaseInfo {
    // Clients in Java read a number of 32 bits, or nothing of the whole list.
    let seconds = |key: &str| Some(instance.native.get(key)?.parse::<i32>().ok()?.into());
    let registered = instance.registered_at.unwrap_or(changed);
    LeaseInfo {
        renewal_interval_in_secs: Some(seconds("renewalIntervalInSecs").unwrap_or(LEASE.0)),
        duration_in_secs: Some(seconds("durationInSecs").unwrap_or(LEASE.1)),
        registration_timestamp: Some(registered),
        last_renewal_timestamp: Some(changed.max(registered)),
        eviction_timestamp: Some(0),
        service_up_timestamp: Some(registered),
    }
}

fn data_center(instance: &Instance) -> DataCenterInfo {
    let said = |key: &str| instance.native.get(key).cloned();
    let metadata = said(term::MACHINE).and_then(|text| serde_json::from_str(&text).ok());
    DataCenterInfo {
        class: Some(said(term::CLASS).unwrap_or_else(|| DEFAULT_DATA_CENTER.to_owned())),
        name: said("dataCenter")
            .filter(|name| DATA_CENTERS.contains(&name.as_str()))
            .unwrap_or_else(|| MY_OWN.to_owned()),
        metadata: metadata.unwrap_or_default(),
    }
}

/// The two ports as the term says them, else as address and protocol do.
fn ports(instance: &Instance) -> Ports {
    if let Some(said) = instance.native.get(term::PORTS).and_then(|text| read_ports(text)) {
        return said;
    }
    usual_ports(instance.key.port, instance.protocol == Protocol::Https)
}

fn home_page(instance: &Instance, host: &str) -> String {
    let scheme = if instance.protocol == Protocol::Https { "https" } else { "http" };
    let path = instance.context_path.as_deref().unwrap_or_default();
    match host.contains(':') {
        true => format!("{scheme}://[{host}]:{}{path}/", instance.key.port),
        false => format!("{scheme}://{host}:{}{path}/", instance.key.port),
    }
}
