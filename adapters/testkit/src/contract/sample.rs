//! Instances to register.

use std::borrow::Borrow;
use std::sync::atomic::{AtomicU32, Ordering};

use hub_registry_core::{
    GroupName, Host, Instance, InstanceKey, Scope, ServiceKey, ServiceName, Weight,
};

use super::subject::{Subject, Traits};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A set of names nobody else uses: every service of it begins with the same prefix.
#[derive(Debug)]
pub struct Sample {
    prefix: String,
    traits: Traits,
}

impl Sample {
    /// New names for a case.
    pub fn new(case: &str, subject: &dyn Subject) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("c{}-{number}-{case}", std::process::id());
        Self { prefix, traits: subject.traits() }
    }

    /// All services of this sample and no other.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope::new(&[format!("{}-*", self.prefix)], &[], Vec::new())
    }

    /// The full name of a service of this sample.
    #[must_use]
    pub fn service_name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// The key of a service in the subject's first group.
    ///
    /// # Panics
    /// When the name is not valid.
    #[must_use]
    pub fn service(&self, name: &str) -> ServiceKey {
        self.service_in(&self.traits.groups[0].clone(), name)
    }

    /// The key of a service in this group.
    ///
    /// # Panics
    /// When the name is not valid.
    #[must_use]
    pub fn service_in(&self, group: &GroupName, name: &str) -> ServiceKey {
        let name = ServiceName::parse(&self.service_name(name)).expect("a valid service name");
        ServiceKey::new(group.clone(), name)
    }

    /// An instance of the service, with all that the subject can hold.
    ///
    /// # Panics
    /// When the name is not valid.
    #[must_use]
    pub fn instance(&self, service: &ServiceKey, number: u16) -> Instance {
        let host = Host::parse(&format!("10.1.{}.{}", number / 250, number % 250 + 1));
        let host = host.expect("a valid address");
        let key = InstanceKey { service: service.clone(), host, port: 8000 + number };
        let mut instance = Instance::new(key);
        (instance.status, instance.health) = self.traits.initial;
        instance.metadata.insert("version".to_owned(), format!("1.{number}"));
        instance.metadata.insert("zone".to_owned(), "z1".to_owned());
        if self.traits.weight {
            instance.weight = Weight::new(300);
        }
        if self.traits.tags {
            instance.tags = ["blue".to_owned(), format!("n{number}")].into();
        }
        instance
    }

    /// Whether what the hub read is what the client wrote, in all the subject can hold. Metadata
    /// may have more keys than were written: registries add their own.
    #[must_use]
    pub fn same(&self, read: &Instance, written: &Instance) -> bool {
        let has = |(key, value): (&String, &String)| read.metadata.get(key) == Some(value);
        read.key == written.key
            && (read.status, read.health) == (written.status, written.health)
            && written.metadata.iter().all(has)
            && (!self.traits.weight || read.weight == written.weight)
            && (!self.traits.tags || read.tags == written.tags)
    }

    /// The same for whole lists.
    #[must_use]
    pub fn all_same(&self, read: &[impl Borrow<Instance>], written: &[Instance]) -> bool {
        read.len() == written.len()
            && read.iter().zip(written).all(|(read, written)| self.same(read.borrow(), written))
    }
}
