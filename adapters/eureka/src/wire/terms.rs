//! What Eureka says of an instance and the hub has no word for.

use hub_registry_core::Pairs;

use super::{InstanceInfo, MY_OWN};

/// Term of both ports, as [`write_ports`](super::write_ports) has them, where address and protocol do not
/// say them.
pub const PORTS: &str = "ports";
/// Term of the status, where it is one the hub has no word for.
pub const STATUS: &str = "status";
/// Metadata key of Eureka's own word, where the hub has none for it: for clients of other protocols.
pub const RAW_STATUS: &str = "eureka-status";
/// Metadata key of the TLS port of an instance that has both ports open: for clients of other protocols.
pub const SECURE_PORT: &str = "eureka-secure-port";

/// Term of the names it is looked up by, as it registered them, where that is not its service's name;
/// empty if there are none. And of those by which it is over TLS.
pub const VIP: &str = "vipAddress";
/// See [`VIP`].
pub const SECURE_VIP: &str = "secureVipAddress";

/// What else than address, state and metadata Eureka says of an instance, each where it is not the usual:
/// `hostName` and `ipAddr`, whichever is not the host; `appGroupName`; `vipAddress`,
/// `secureVipAddress` where they are not the `name` of its service, if that is known; `dataCenter`;
/// `homePageUrl`, `statusPageUrl`, `healthCheckUrl`, `secureHealthCheckUrl`; `overriddenStatus`; and
/// `renewalIntervalInSecs`, `durationInSecs` of its lease.
#[must_use]
pub fn terms(info: &InstanceInfo, host: &str, name: Option<&str>) -> Pairs {
    let lease = info.lease_info.unwrap_or_default();
    let seconds = |value: Option<i64>, usual| {
        value.filter(|value| *value != usual).map(|value| value.to_string())
    };
    let (renewal, duration) =
        (seconds(lease.renewal_interval_in_secs, 30), seconds(lease.duration_in_secs, 90));
    let data_center = info.data_center_info.as_ref().map_or("", |center| &center.name);
    let overridden = info.overridden_status.as_ref().or(info.overridden_status_lower.as_ref());
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let port = info.port.and_then(|port| port.number).unwrap_or_default();
    let usual_page = format!("http://{}:{port}/", info.host_name);
    let all = [
        ("hostName", info.host_name.clone(), host),
        ("ipAddr", info.ip_addr.clone(), host),
        ("appGroupName", text(&info.app_group_name), ""),
        (VIP, text(&info.vip_address), ""),
        (SECURE_VIP, text(&info.secure_vip_address), ""),
        ("dataCenter", data_center.to_owned(), MY_OWN),
        ("homePageUrl", text(&info.home_page_url), &usual_page),
        ("statusPageUrl", text(&info.status_page_url), ""),
        ("healthCheckUrl", text(&info.health_check_url), ""),
        ("secureHealthCheckUrl", text(&info.secure_health_check_url), ""),
        ("overriddenStatus", overridden.cloned().unwrap_or_default(), "UNKNOWN"),
        ("renewalIntervalInSecs", renewal.unwrap_or_default(), ""),
        ("durationInSecs", duration.unwrap_or_default(), ""),
    ];
    let said = all.into_iter().filter(|(key, value, usual)| match *key {
        // Clients look for a vip as it is written, and who has none is not found by any.
        VIP | SECURE_VIP => name != Some(value.as_str()),
        _ => !value.is_empty() && !value.eq_ignore_ascii_case(usual),
    });
    said.map(|(key, value, _)| (key.to_owned(), value)).collect()
}

/// The path of the home page, empty if that is the root; `None`: it is said by no page, or one elsewhere.
#[must_use]
pub fn context_path(info: &InstanceInfo) -> Option<String> {
    let url = info.home_page_url.as_deref()?;
    let (_, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find('/')?);
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let own = [&info.host_name, &info.ip_addr];
    if !own.iter().any(|own| own.eq_ignore_ascii_case(host)) {
        return None;
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    Some(path.trim_end_matches('/').to_owned())
}
