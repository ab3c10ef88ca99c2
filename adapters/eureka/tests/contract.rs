//! The adapter keeps the contract of `Registry`, before the stub and before the real server.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::{GroupName, HealthStatus, Instance, InstanceKey, InstanceStatus, Registry};
use hub_registry_testkit::contract::{self, Subject, Traits};
use hub_registry_testkit::servers::{self, Data, EurekaOptions, Server, ServerKind, ServerOptions};
use hub_registry_testkit::stub::eureka::EurekaStub;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use common::Plain;

/// Who answers.
enum Who {
    Stub(EurekaStub),
    Real(Box<Mutex<Server>>),
}

struct EurekaSubject {
    name: &'static str,
    who: Who,
    port: u16,
    plain: Plain,
    specific: Value,
    lag: Duration,
}

impl EurekaSubject {
    async fn stub(name: &'static str, specific: Value) -> Self {
        let stub = EurekaStub::start().await;
        Self {
            name,
            port: stub.port(),
            plain: Plain::new(&stub.base()),
            who: Who::Stub(stub),
            specific,
            lag: Duration::from_secs(3),
        }
    }

    async fn real(name: &'static str, specific: Value) -> Option<Self> {
        if !servers::require(ServerKind::Eureka) {
            return None;
        }
        let options = ServerOptions::default().with_eureka(EurekaOptions::quick());
        let server = servers::start(ServerKind::Eureka, options).await.unwrap();
        Some(Self {
            name,
            port: server.http_port(),
            plain: Plain::new(&server.base_url()),
            who: Who::Real(Box::new(Mutex::new(server))),
            specific,
            lag: Duration::from_secs(6),
        })
    }
}

#[async_trait]
impl Subject for EurekaSubject {
    fn name(&self) -> &str {
        self.name
    }

    fn traits(&self) -> Traits {
        Traits {
            groups: vec![GroupName::default_group()],
            states: vec![
                (InstanceStatus::Up, HealthStatus::Healthy),
                (InstanceStatus::Down, HealthStatus::Unhealthy),
                (InstanceStatus::Starting, HealthStatus::Unknown),
                (InstanceStatus::OutOfService, HealthStatus::Unknown),
                (InstanceStatus::Up, HealthStatus::Healthy),
            ],
            initial: (InstanceStatus::Up, HealthStatus::Healthy),
            weight: false,
            tags: false,
            lag: self.lag,
            keeps_data: false,
        }
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        let spec = common::spec(&[self.port], &self.specific);
        contract::in_the_hubs_terms(common::connect(&spec).await)
    }

    async fn put(&self, instance: &Instance) {
        self.plain.put(instance).await;
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.plain.remove(instance).await;
    }

    async fn fail(&self) {
        match &self.who {
            Who::Stub(stub) => stub.down(false).await,
            Who::Real(server) => server.lock().await.kill().await,
        }
    }

    async fn mend(&self) {
        match &self.who {
            Who::Stub(stub) => stub.up().await,
            Who::Real(server) => server.lock().await.restart(Data::Wiped).await.unwrap(),
        }
    }
}

#[tokio::test]
async fn the_stub_followed_by_delta() {
    let specific = json!({"pollInterval": "500ms"});
    let subject = EurekaSubject::stub("eureka stub, delta", specific).await;
    contract::run(&subject).await;
    let Who::Stub(stub) = &subject.who else { panic!("a stub") };
    assert!(stub.asked().delta > stub.asked().full / 2, "deltas are used");
}

#[tokio::test]
async fn the_stub_followed_by_full_fetches() {
    let specific = json!({"pollInterval": "500ms", "useDelta": false});
    let subject = EurekaSubject::stub("eureka stub, full", specific).await;
    contract::run(&subject).await;
    let Who::Stub(stub) = &subject.who else { panic!("a stub") };
    assert_eq!(stub.asked().delta, 0);
}

#[tokio::test]
async fn the_real_server() {
    let specific = json!({"pollInterval": "500ms"});
    if let Some(subject) = EurekaSubject::real("real eureka", specific).await {
        contract::run(&subject).await;
    }
}
