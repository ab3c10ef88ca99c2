//! Writing copies into Consul.
//!
//! | ours | Consul |
//! |---|---|
//! | service, address | `Service`, `Address`, `Port` |
//! | id | [`carry::copy_id`] |
//! | status, health | a check `service:ID`, see [`Words`]; out of service is Consul's own maintenance check beside it |
//! | weight | `Weights.Passing`, at least 1 |
//! | metadata, tags | `Meta`, `Tags`, whole |
//!
//! By [catalog] a copy is on a node that has no agent, and stays until somebody removes it; by
//! [agent] it is on the agent's own node, with a time-to-live that heartbeats renew.

mod agent;
mod catalog;

use std::fmt;

use hub_registry_core::{
    Error, HealthStatus, Instance, InstanceKey, InstanceStatus, Result, carry,
};
use serde_json::{Value, json};

use crate::client::Client;
use crate::driver::{Settings, WriteMode};
use crate::wire::SERVICE_MAINTENANCE;
use agent::Agent;
use catalog::Catalog;

/// One of Consul's two ways.
#[derive(Debug)]
pub(crate) enum Writer {
    Catalog(Catalog),
    Agent(Agent),
}

impl Writer {
    pub(crate) fn new(settings: &Settings) -> Self {
        match settings.write.mode {
            WriteMode::Catalog => Self::Catalog(Catalog::new(settings)),
            WriteMode::Agent => Self::Agent(Agent::default()),
        }
    }

    /// Whether what it writes expires unless it is renewed.
    pub(crate) fn expires(&self) -> bool {
        matches!(self, Self::Agent(_))
    }

    pub(crate) async fn register(&self, client: &Client, instance: &Instance) -> Result<()> {
        match self {
            Self::Catalog(catalog) => catalog.register(client, instance).await,
            Self::Agent(agent) => agent.register(client, instance).await,
        }
    }

    pub(crate) async fn deregister(&self, client: &Client, key: &InstanceKey) -> Result<()> {
        match self {
            Self::Catalog(catalog) => catalog.deregister(client, key).await,
            Self::Agent(agent) => agent.deregister(client, key).await,
        }
    }

    pub(crate) async fn heartbeat(&self, client: &Client, key: &InstanceKey) -> Result<()> {
        match self {
            Self::Catalog(_) => Err(Error::unsupported("heartbeat")),
            Self::Agent(agent) => agent.heartbeat(client, key).await,
        }
    }
}

/// The service id of a copy, and those of its checks.
struct Id(String);

impl Id {
    fn of(key: &InstanceKey) -> Self {
        Self(carry::copy_id(key))
    }

    fn check(&self) -> String {
        format!("service:{self}")
    }

    fn maintenance(&self) -> String {
        format!("{SERVICE_MAINTENANCE}{self}")
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is said of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Words {
    /// The status of the copy's check.
    check: &'static str,
    /// Whether it is out of service.
    maintenance: bool,
}

impl Words {
    fn of(instance: &Instance) -> Self {
        let check = match (instance.status, instance.health) {
            (InstanceStatus::Up | InstanceStatus::OutOfService, health) => match health {
                HealthStatus::Unhealthy => "critical",
                HealthStatus::Healthy | HealthStatus::Unknown => "passing",
            },
            (InstanceStatus::Down | InstanceStatus::Starting, _) => "critical",
        };
        Self { check, maintenance: instance.status == InstanceStatus::OutOfService }
    }
}

/// The fields that both ways have.
fn service(id: &Id, instance: &Instance) -> Value {
    let passing = (instance.weight.get() + 50) / 100;
    json!({
        "ID": id.0,
        "Address": instance.key.host.as_str(),
        "Port": instance.key.port,
        "Tags": instance.tags,
        "Meta": instance.metadata,
        "Weights": {"Passing": passing.max(1), "Warning": 1},
    })
}
