//! The reference registry keeps the contract.
#![allow(clippy::unwrap_used, reason = "test code: a failure is a panic")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::memory::Memory;
use hub_registry_core::{GroupName, HealthStatus, Instance, InstanceKey, InstanceStatus, Registry};
use hub_registry_testkit::contract::{self, Subject, Traits};

struct MemorySubject(Memory);

#[async_trait]
impl Subject for MemorySubject {
    fn name(&self) -> &str {
        "memory"
    }

    fn traits(&self) -> Traits {
        let every_state = InstanceStatus::ALL
            .iter()
            .flat_map(|&status| HealthStatus::ALL.iter().map(move |&health| (status, health)));
        Traits {
            groups: vec![GroupName::default_group(), GroupName::parse("g2").unwrap()],
            states: every_state.collect(),
            initial: (InstanceStatus::Up, HealthStatus::Healthy),
            weight: true,
            tags: true,
            lag: Duration::from_secs(1),
            keeps_data: true,
        }
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(Arc::new(self.0.clone()))
    }

    async fn put(&self, instance: &Instance) {
        self.0.register(instance).await.unwrap();
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.0.deregister(instance).await.unwrap();
    }

    async fn fail(&self) {
        self.0.set_up(false);
    }

    async fn mend(&self) {
        self.0.set_up(true);
    }
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract::run(&MemorySubject(Memory::new("memory"))).await;
}
