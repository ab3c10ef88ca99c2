//! Writing copies into Eureka.
//!
//! | ours | Eureka's |
//! |---|---|
//! | service | `app` in upper case; `vipAddress` and `secureVipAddress` as it is, which clients look names up by |
//! | id | [`carry::copy_id`] |
//! | host | `ipAddr` and `hostName` |
//! | port, protocol | `securePort` for HTTPS, else `port` |
//! | status, health | see [`word`] |
//! | context path | the path of `homePageUrl` |
//! | metadata | whole |
//!
//! A copy has a lease like any other: 30 s between heartbeats, evicted after 90 s without one.

use std::time::{SystemTime, UNIX_EPOCH};

use hub_registry_core::http::{Call, HttpClient};
use hub_registry_core::{
    Error, ErrorKind, HealthStatus, Instance, InstanceKey, InstanceStatus, Protocol, Result, carry,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::client::{Client, is_segment};
use crate::wire::{
    DEFAULT_DATA_CENTER, DataCenterInfo, InstanceInfo, LeaseInfo, MY_OWN, PortWrapper,
};

/// Seconds between two heartbeats, and after which a silent copy is evicted: Eureka's own defaults,
/// on which its self-preservation counts.
const LEASE: (i64, i64) = (30, 90);

impl Client {
    /// Registers the copy, or updates it in place.
    pub(crate) async fn register(&self, instance: &Instance) -> Result<()> {
        let operation = "register";
        let word = word(instance);
        let body = json!({ "instance": info(instance, word) });
        let path = path_of_app(operation, &instance.key)?;
        let answer = self.send(Call::post(operation, &path, &body)).await?.success()?;
        if answer.status != StatusCode::NO_CONTENT {
            // Whatever answers so did not do it.
            return Err(answer.error(ErrorKind::Protocol, "is not 204"));
        }
        // A registration moves one neither from UP to OUT_OF_SERVICE nor back
        // (eureka-core `LeaseExistsRule`): that takes what an operator would do. Of the state it
        // is in already nothing is kept.
        let status = format!("{}/status", path_of(operation, &instance.key)?);
        let query = [("value", word)];
        if !matches!(word, "UP" | "OUT_OF_SERVICE") {
            return Ok(());
        }
        let call = Call::get(operation, &status).query(&query).method(Method::PUT);
        self.send(call).await?.success().map(drop)
    }

    /// Removes the copy; one that is not there is no error, if this is a Eureka at all (see
    /// [`probe`](Self::probe)).
    pub(crate) async fn deregister(&self, key: &InstanceKey, use_delta: bool) -> Result<()> {
        let path = path_of("deregister", key)?;
        let answer = self.send(Call::get("deregister", &path).method(Method::DELETE)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => self.probe(use_delta).await,
            _ => answer.success().map(drop),
        }
    }

    /// Renews the copy's lease.
    pub(crate) async fn heartbeat(&self, key: &InstanceKey) -> Result<()> {
        let path = path_of("heartbeat", key)?;
        let answer = self.send(Call::get("heartbeat", &path).method(Method::PUT)).await?;
        match answer.status {
            StatusCode::NOT_FOUND => {
                Err(Error::new(ErrorKind::NotFound, "heartbeat", format!("no instance {key}")))
            }
            _ => answer.success().map(drop),
        }
    }
}

fn path_of(operation: &'static str, key: &InstanceKey) -> Result<String> {
    Ok(format!("{}/{}", path_of_app(operation, key)?, carry::copy_id(key)))
}

fn path_of_app(operation: &'static str, key: &InstanceKey) -> Result<String> {
    let name = key.service.name.as_str();
    if !is_segment(name) {
        let problem = format!("no path leads to an application named {name:?}");
        return Err(Error::new(ErrorKind::Invalid, operation, problem));
    }
    Ok(format!("/apps/{}", HttpClient::segment(&name.to_uppercase())))
}

/// Eureka's word for a state.
fn word(instance: &Instance) -> &'static str {
    match (instance.status, instance.health) {
        (InstanceStatus::Up, HealthStatus::Healthy | HealthStatus::Unknown) => "UP",
        (InstanceStatus::Up, HealthStatus::Unhealthy) | (InstanceStatus::Down, _) => "DOWN",
        (InstanceStatus::Starting, _) => "STARTING",
        (InstanceStatus::OutOfService, _) => "OUT_OF_SERVICE",
    }
}

fn info(instance: &Instance, word: &str) -> InstanceInfo {
    let key = &instance.key;
    let (name, host) = (key.service.name.as_str(), key.host.as_str());
    let secure = instance.protocol == Protocol::Https;
    let scheme = if secure { "https" } else { "http" };
    let authority = match host.contains(':') {
        true => format!("[{host}]:{}", key.port),
        false => format!("{host}:{}", key.port),
    };
    let path = instance.context_path.as_deref().unwrap_or_default();
    let port = |number: u16, enabled| {
        Some(PortWrapper { number: Some(number.into()), enabled: Some(enabled) })
    };
    let (plain, tls) = match secure {
        true => (port(80, false), port(key.port, true)),
        false => (port(key.port, true), port(443, false)),
    };
    let now = now_ms();
    InstanceInfo {
        instance_id: carry::copy_id(key),
        host_name: host.to_owned(),
        app: name.to_uppercase(),
        ip_addr: host.to_owned(),
        status: word.to_owned(),
        overridden_status: Some("UNKNOWN".to_owned()),
        port: plain,
        secure_port: tls,
        country_id: Some(1),
        data_center_info: Some(DataCenterInfo {
            class: Some(DEFAULT_DATA_CENTER.to_owned()),
            name: MY_OWN.to_owned(),
            ..DataCenterInfo::default()
        }),
        lease_info: Some(LeaseInfo {
            renewal_interval_in_secs: Some(LEASE.0),
            duration_in_secs: Some(LEASE.1),
            ..LeaseInfo::default()
        }),
        metadata: instance.metadata.clone().into(),
        home_page_url: Some(format!("{scheme}://{authority}{path}/")),
        vip_address: Some(name.to_owned()),
        secure_vip_address: Some(name.to_owned()),
        is_coordinating_discovery_server: Some(false),
        last_updated_timestamp: Some(now),
        last_dirty_timestamp: Some(now),
        action_type: Some("ADDED".to_owned()),
        ..InstanceInfo::default()
    }
}

/// Milliseconds since 1970. A registration with an older `lastDirtyTimestamp` than the one that is
/// there is taken for a late one, and ignored (`AbstractInstanceRegistry.register`).
fn now_ms() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the protocol orders writes by wall time")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
