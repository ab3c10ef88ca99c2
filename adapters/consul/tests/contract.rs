//! The adapter keeps the contract, before a stub and before the real server.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use common::subject::{Agent, traits};
use common::{connect, spec};
use hub_registry_core::{Instance, InstanceKey, Registry};
use hub_registry_testkit::contract::{self, Subject, Traits};
use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use hub_registry_testkit::stub::consul::StubConsul;
use serde_json::json;
use tokio::sync::Mutex;

struct Stub {
    server: StubConsul,
    agent: Agent,
}

#[async_trait]
impl Subject for Stub {
    fn name(&self) -> &str {
        "stub consul"
    }

    fn traits(&self) -> Traits {
        traits(true)
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(connect(&spec(self.server.address())).await)
    }

    async fn put(&self, instance: &Instance) {
        self.agent.put(instance).await;
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.agent.remove(instance).await;
    }

    async fn fail(&self) {
        self.server.down().await;
    }

    async fn mend(&self) {
        self.server.up().await;
    }
}

#[tokio::test]
async fn the_stub_keeps_the_contract() {
    let server = StubConsul::start().await;
    let agent = Agent::new(server.address());
    contract::run(&Stub { server, agent }).await;
}

struct Real {
    address: SocketAddr,
    mode: &'static str,
    server: Mutex<Server>,
    agent: Agent,
}

#[async_trait]
impl Subject for Real {
    fn name(&self) -> &str {
        match self.mode {
            "agent" => "real consul, by its agent",
            _ => "real consul",
        }
    }

    fn traits(&self) -> Traits {
        traits(false)
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        let mut spec = spec(self.address);
        spec.specific.insert("write".to_owned(), json!({ "mode": self.mode }));
        contract::in_the_hubs_terms(connect(&spec).await)
    }

    async fn put(&self, instance: &Instance) {
        self.agent.put(instance).await;
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.agent.remove(instance).await;
    }

    async fn fail(&self) {
        self.server.lock().await.kill().await;
    }

    async fn mend(&self) {
        let mut server = self.server.lock().await;
        server.restart(Data::Wiped).await.unwrap();
    }
}

async fn real(mode: &'static str) {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let server = servers::start(ServerKind::Consul, ServerOptions::default()).await;
    let server = server.unwrap();
    let address = server.address();
    let subject = Real { address, mode, server: Mutex::new(server), agent: Agent::new(address) };
    contract::run(&subject).await;
}

#[tokio::test]
async fn the_real_server_keeps_the_contract() {
    real("catalog").await;
}

#[tokio::test]
async fn the_real_server_keeps_the_contract_with_copies_on_its_agent() {
    real("agent").await;
}
