//! Instances as XML.

use hub_registry_eureka::wire::{DEFAULT_DATA_CENTER, InstanceInfo, PortWrapper};

use super::names::escape;

/// Appends the element `instance`, its parts in the order of `XStream`.
pub(in super::super) fn instance(info: &InstanceInfo, out: &mut Vec<u8>) {
    let mut xml = Writer(out);
    xml.raw("<instance>");
    xml.element("instanceId", &info.instance_id);
    xml.element("hostName", &info.host_name);
    xml.element("app", &info.app);
    xml.some("appGroupName", info.app_group_name.as_deref());
    xml.element("ipAddr", &info.ip_addr);
    xml.element("status", &info.status);
    xml.some("overriddenstatus", info.overridden_status.as_deref());
    xml.port("port", info.port);
    xml.port("securePort", info.secure_port);
    xml.number("countryId", info.country_id);
    xml.data_center(info);
    let lease = info.lease_info.unwrap_or_default();
    xml.raw("<leaseInfo>");
    for (name, value) in [
        ("renewalIntervalInSecs", lease.renewal_interval_in_secs),
        ("durationInSecs", lease.duration_in_secs),
        ("registrationTimestamp", lease.registration_timestamp),
        ("lastRenewalTimestamp", lease.last_renewal_timestamp),
        ("evictionTimestamp", lease.eviction_timestamp),
        ("serviceUpTimestamp", lease.service_up_timestamp),
    ] {
        // py-eureka-client reads each as a number.
        xml.number(name, Some(value.unwrap_or_default()));
    }
    xml.raw("</leaseInfo>");
    xml.pairs("metadata", info.metadata.iter());
    for (name, value) in [
        ("homePageUrl", &info.home_page_url),
        ("statusPageUrl", &info.status_page_url),
        ("healthCheckUrl", &info.health_check_url),
        ("secureHealthCheckUrl", &info.secure_health_check_url),
        ("vipAddress", &info.vip_address),
        ("secureVipAddress", &info.secure_vip_address),
    ] {
        xml.some(name, value.as_deref());
    }
    let coordinating = info.is_coordinating_discovery_server.unwrap_or_default();
    xml.element("isCoordinatingDiscoveryServer", if coordinating { "true" } else { "false" });
    xml.number("lastUpdatedTimestamp", info.last_updated_timestamp);
    xml.number("lastDirtyTimestamp", info.last_dirty_timestamp);
    xml.some("actionType", info.action_type.as_deref());
    xml.raw("</instance>");
}

/// Appends it as it stands in short lists.
pub(in super::super) fn mini(info: &InstanceInfo, out: &mut Vec<u8>) {
    let mut xml = Writer(out);
    xml.raw("<instance>");
    xml.element("instanceId", &info.instance_id);
    xml.element("app", &info.app);
    xml.element("ipAddr", &info.ip_addr);
    xml.some("vipAddress", info.vip_address.as_deref());
    xml.some("secureVipAddress", info.secure_vip_address.as_deref());
    xml.data_center(info);
    xml.element("hostName", &info.host_name);
    xml.element("status", &info.status);
    xml.number("lastUpdatedTimestamp", info.last_updated_timestamp);
    xml.some("actionType", info.action_type.as_deref());
    xml.port("port", info.port);
    xml.port("securePort", info.secure_port);
    xml.raw("</instance>");
}

/// Appends the text, so that it is read as text. What XML 1.0 cannot say is a replacement
/// character: one such byte would make a list unreadable for all.
pub(in super::super) fn text(text: &str, out: &mut Vec<u8>) {
    for c in text.chars() {
        match c {
            '&' => out.extend_from_slice(b"&amp;"),
            '<' => out.extend_from_slice(b"&lt;"),
            '>' => out.extend_from_slice(b"&gt;"),
            '"' => out.extend_from_slice(b"&quot;"),
            // A parser would make a line feed of it.
            '\r' => out.extend_from_slice(b"&#xd;"),
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => out.extend_from_slice("\u{fffd}".as_bytes()),
        }
    }
}

struct Writer<'o>(&'o mut Vec<u8>);

impl Writer<'_> {
    fn raw(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    fn text(&mut self, value: &str) {
        text(value, self.0);
    }

    fn element(&mut self, name: &str, value: &str) {
        self.raw("<");
        self.raw(name);
        self.raw(">");
        self.text(value);
        self.raw("</");
        self.raw(name);
        self.raw(">");
    }

    fn some(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.element(name, value);
        }
    }

    fn number(&mut self, name: &str, value: Option<i64>) {
        self.some(name, value.map(|value| value.to_string()).as_deref());
    }

    fn data_center(&mut self, info: &InstanceInfo) {
        let center = info.data_center_info.clone().unwrap_or_default();
        self.raw("<dataCenterInfo class=\"");
        self.text(center.class.as_deref().unwrap_or(DEFAULT_DATA_CENTER));
        self.raw("\">");
        self.element("name", &center.name);
        if center.has_metadata() {
            self.pairs("metadata", center.metadata.iter());
        }
        self.raw("</dataCenterInfo>");
    }

    fn port(&mut self, name: &str, port: Option<PortWrapper>) {
        let Some(port) = port else { return };
        let enabled = port.enabled.unwrap_or_default();
        self.raw(&format!(
            "<{name} enabled=\"{enabled}\">{}</{name}>",
            port.number.unwrap_or_default()
        ));
    }

    fn pairs<'p>(&mut self, name: &str, pairs: impl Iterator<Item = (&'p String, &'p String)>) {
        self.raw(&format!("<{name}>"));
        // An element has a name.
        for (key, value) in pairs.filter(|(key, _)| !key.is_empty()) {
            self.element(&escape(key), value);
        }
        self.raw(&format!("</{name}>"));
    }
}
