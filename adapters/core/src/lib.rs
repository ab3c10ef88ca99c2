//! The port between Hub Registry and any service registry.
//!
//! A registry is anything that implements [`Registry`]: Consul, Nacos, Eureka, the hub's own
//! registry, or [`memory::Memory`], the reference the others are compared with. A [`Driver`]
//! turns a configuration row ([`ConnectSpec`]) into a connected registry. What every
//! implementation owes its callers is written at the trait and checked by the contract suite of
//! the testkit.
//!
//! | module | what |
//! |---|---|
//! | [`id`] | validated names: tenant, group, service, host |
//! | [`instance`], [`mod@words`] | one instance of a service and its states |
//! | [`carry`], [`mapping`] | what travels in metadata with a copy, and what a configuration reads out of it |
//! | [`conventions`] | what clients write into metadata where a registry has no field |
//! | [`change`] | what a watch yields |
//! | [`registry`] | the trait, its scope and information |
//! | [`look`] | a second look at what a watch no longer lists |
//! | [`driver`], [`spec`] | from a configuration row to a registry |
//! | [`capability`] | what a registry can do |
//! | [`error`] | what went wrong, and whether trying again makes sense |
//! | [`egress`] | which addresses may be connected to |
//! | [`layers`] | scope, mapping, retry, time-out and metrics around any registry |
//! | [`watch`] | polling and two-level watching, for adapters to build on |
//! | [`http`] | the bounded HTTP client the adapters share |
//! | [`memory`] | the reference implementation |

pub mod capability;
pub mod carry;
pub mod change;
pub mod conventions;
pub mod driver;
pub mod duration;
pub mod egress;
pub mod error;
pub mod http;
pub mod id;
pub mod instance;
pub mod layers;
pub mod look;
pub mod mapping;
pub mod memory;
pub mod pairs;
pub mod registry;
pub mod secret;
pub mod spec;
pub mod watch;
pub mod words;

pub use capability::{Capability, KeyRule, MetadataRoom};
pub use carry::Mark;
pub use change::{Change, ChangeStream, ServiceState};
pub use driver::Driver;
pub use error::{Error, ErrorKind, Result};
pub use id::{ConfigId, GroupName, Host, InvalidName, ServiceName, TenantId};
pub use instance::{
    HealthStatus, Instance, InstanceKey, InstanceStatus, Protocol, ServiceKey, Weight,
};
pub use look::Presence;
pub use mapping::FieldMapping;
pub use pairs::Pairs;
pub use registry::{Registry, RegistryInfo, RegistryKind, Scope};
pub use secret::Secret;
pub use spec::{ConnectSpec, SpecError};
