//! From Eureka's instances to the hub's.
//!
//! | ours | Eureka's |
//! |---|---|
//! | service | the smallest vip, in byte order, that equals the application's name ignoring case; else that name in lower case. One name per application, whatever its instances say |
//! | group | the configured default |
//! | host | `ipAddr` or `hostName`, as configured; the other where that one is empty |
//! | port, protocol | see [`endpoint`] |
//! | status, health | see [`states`] |
//! | context path | the path of `homePageUrl`, if that page is on the instance itself |
//! | metadata | whole, with [`RAW_STATUS`], [`SECURE_PORT`] and [`ZONE`] added where they say more |
//! | native | see [`terms`]; [`PORTS`] and [`STATUS`] where the hub has no other word for them |
//!
//! An instance that cannot be addressed (no host, no port) is left out with a warning: Eureka
//! takes such registrations, and one of them must not blind the hub for all others. What is not
//! even Eureka's structure never comes here: [`wire`](crate::wire) refuses the whole answer.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use hub_registry_core::{
    GroupName, HealthStatus, Host, Instance, InstanceKey, InstanceStatus, Protocol, ServiceKey,
    ServiceName, ServiceState, carry,
};

use crate::wire::{
    Application, InstanceInfo, PORTS, RAW_STATUS, SECURE_PORT, SECURE_VIP, STATUS, VIP,
    context_path, terms, usual_ports, write_ports,
};

/// Metadata key of the zone: Spring's clients write it, Amazon's say it in their data centre.
pub(crate) const ZONE: &str = "zone";

/// Which of an instance's two addresses to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HostPreference {
    /// `ipAddr`.
    #[default]
    Ip,
    /// `hostName`.
    Hostname,
}

/// What the configuration says about the translation.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) group: GroupName,
    pub(crate) host: HostPreference,
}

/// One registration, translated but for the name of its service, which its whole application
/// decides. Equal ones make no difference to a reader.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Registered {
    /// Eureka's word, for the hash of the registry.
    pub(crate) status: String,
    /// The vip that could name the service.
    vip: Option<String>,
    /// Or why it cannot be shown.
    pub(crate) instance: Result<Instance, String>,
}

/// An application's registrations by their ids.
pub(crate) type Registrations = BTreeMap<String, Registered>;

impl Rules {
    /// An application as `application` lists it.
    ///
    /// # Errors
    /// In words, when an instance has no identity.
    pub(crate) fn application(
        &self,
        application: Application,
    ) -> Result<(String, Registrations), String> {
        let mut app = application.name;
        if app.trim().is_empty() {
            let named = application.instance.first().map(|first| first.app.clone());
            app = named.unwrap_or_default();
        }
        if app.trim().is_empty() {
            return Err("has an application without a name".to_owned());
        }
        let app = app.to_uppercase();
        let mut all = Registrations::new();
        for info in application.instance {
            let id = info.id().to_owned();
            if id.is_empty() {
                return Err(format!("has an instance of {app:?} without instanceId and hostName"));
            }
            all.insert(id, self.registered(&app, info));
        }
        Ok((app, all))
    }

    fn registered(&self, app: &str, info: InstanceInfo) -> Registered {
        let vips = info.vip_address.as_deref().unwrap_or("").split(',');
        let vip =
            vips.map(str::trim).filter(|vip| vip.to_uppercase() == app).min().map(str::to_owned);
        Registered { status: info.status.clone(), vip, instance: self.instance(app, info) }
    }

    fn instance(&self, app: &str, info: InstanceInfo) -> Result<Instance, String> {
        let service = self.key(&app.to_lowercase())?;
        let (host, port, protocol) = (self.host(&info)?, endpoint(&info), protocol(&info));
        let port = port.ok_or("no usable port")?;
        let mut instance = Instance::new(InstanceKey { service, host, port });
        instance.protocol = protocol;
        let known;
        (instance.status, instance.health, known) = states(&info.status);
        instance.context_path = context_path(&info).filter(|path| !path.is_empty());
        let lease = info.lease_info.unwrap_or_default();
        instance.registered_at = lease.registration_timestamp.filter(|&at| at > 0);
        instance.native_id = Some(info.id().into());
        // Its service's name is not known before all of its application are.
        instance.native = terms(&info, instance.key.host.as_str(), None);
        let ports = (info.port.unwrap_or_default(), info.secure_port.unwrap_or_default());
        let written = write_ports(ports);
        if written != write_ports(usual_ports(port, protocol == Protocol::Https)) {
            instance.native.insert(PORTS.to_owned(), written);
        }
        let both = (ports.0.open(), ports.1.open());
        let amazon = info.data_center_info.unwrap_or_default().metadata;
        instance.metadata = info.metadata.into();
        if let Some(zone) = amazon.get("availability-zone") {
            instance.metadata.add(ZONE, || zone.clone());
        }
        if !known {
            instance.metadata.add(RAW_STATUS, || info.status.clone());
            instance.native.insert(STATUS.to_owned(), info.status);
        }
        if let (Some(_), Some(secure)) = both {
            instance.metadata.add(SECURE_PORT, || secure.to_string());
        }
        Ok(instance)
    }

    fn key(&self, name: &str) -> Result<ServiceKey, String> {
        let name = ServiceName::parse(name).map_err(|error| error.to_string())?;
        Ok(ServiceKey::new(self.group.clone(), name))
    }

    fn host(&self, info: &InstanceInfo) -> Result<Host, String> {
        let both = match self.host {
            HostPreference::Ip => [&info.ip_addr, &info.host_name],
            HostPreference::Hostname => [&info.host_name, &info.ip_addr],
        };
        let mut problem = "no host".to_owned();
        for text in both.into_iter().filter(|text| !text.trim().is_empty()) {
            match Host::parse(text.trim()) {
                Ok(host) => return Ok(host),
                Err(error) => problem = error.to_string(),
            }
        }
        Err(problem)
    }

    /// The service an application is; `None` when its name is not one a service can have.
    pub(crate) fn service(&self, app: &str, all: &Registrations) -> Option<ServiceKey> {
        let vip = all.values().filter_map(|one| one.vip.as_deref()).min();
        let name = vip.map_or_else(|| app.to_lowercase(), str::to_owned);
        self.key(&name).ok()
    }
}

/// All that can be shown of an application, as the state of this service.
///
/// A client's own goes before a copy. Two registrations of one address (a client that came back under a new id, its old lease not
/// yet over) are one instance: the one that is up, then the newest, then the smallest id.
pub(crate) fn state(key: ServiceKey, all: &Registrations) -> ServiceState {
    let shown = all.values().filter_map(|one| one.instance.as_ref().ok());
    let mut shown: Vec<_> = shown.cloned().collect();
    for instance in &mut shown {
        for vip in [VIP, SECURE_VIP] {
            if instance.native.get(vip).is_some_and(|it| it == key.name.as_str()) {
                instance.native.remove(vip);
            }
        }
        instance.key.service = key.clone();
    }
    let is_copy = |one: &Instance| one.metadata.contains_key(carry::OWNER);
    shown.sort_by_key(|one| {
        (is_copy(one), one.status != InstanceStatus::Up, Reverse(one.registered_at))
    });
    ServiceState::new(key, shown)
}

/// The hub's states for Eureka's word, and whether they say all that the word does.
fn states(word: &str) -> (InstanceStatus, HealthStatus, bool) {
    match word {
        "UP" => (InstanceStatus::Up, HealthStatus::Healthy, true),
        "DOWN" => (InstanceStatus::Down, HealthStatus::Unhealthy, true),
        "STARTING" => (InstanceStatus::Starting, HealthStatus::Unknown, true),
        "OUT_OF_SERVICE" => (InstanceStatus::OutOfService, HealthStatus::Unknown, true),
        _ => (InstanceStatus::Down, HealthStatus::Unknown, false),
    }
}

/// The open port, the plain one if both are; if neither is said to be open, the plain one all the
/// same, as Eureka's own clients do (`EurekaServiceInstance.getPort` looks at the secure flag
/// only).
fn endpoint(info: &InstanceInfo) -> Option<u16> {
    let plain = info.port.unwrap_or_default();
    let secure = info.secure_port.unwrap_or_default();
    plain.open().or_else(|| secure.open()).or_else(|| plain.usable())
}

fn protocol(info: &InstanceInfo) -> Protocol {
    let plain = info.port.and_then(|port| port.open());
    let secure = info.secure_port.and_then(|port| port.open());
    match (plain, secure) {
        (None, Some(_)) => Protocol::Https,
        _ => Protocol::Http,
    }
}

#[cfg(test)]
mod tests;
