//! The adapter keeps the contract: with the stub, and with the real Java Nacos.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use hub_registry_core::{Instance, InstanceKey, Registry};
use hub_registry_testkit::contract::{self, Subject, Traits};
use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use hub_registry_testkit::stub::nacos::NacosStub;
use tokio::sync::Mutex;

use common::Writer;

struct Stub {
    stub: NacosStub,
    writer: Writer,
}

#[async_trait]
impl Subject for Stub {
    fn name(&self) -> &str {
        "nacos stub"
    }

    fn traits(&self) -> Traits {
        common::traits()
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(common::connect(&common::stub_spec(&self.stub)).await)
    }

    async fn put(&self, instance: &Instance) {
        self.writer.put(instance).await;
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.writer.remove(instance).await;
    }

    async fn fail(&self) {
        self.stub.down().await;
    }

    async fn mend(&self) {
        self.stub.up().await;
    }
}

struct Real {
    server: Mutex<Server>,
    port: u16,
    writer: Writer,
}

#[async_trait]
impl Subject for Real {
    fn name(&self) -> &str {
        "nacos 2.2.4"
    }

    fn traits(&self) -> Traits {
        common::traits()
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(common::connect(&common::spec(self.port)).await)
    }

    async fn put(&self, instance: &Instance) {
        self.writer.put(instance).await;
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.writer.remove(instance).await;
    }

    async fn fail(&self) {
        self.server.lock().await.kill().await;
    }

    async fn mend(&self) {
        let mut server = self.server.lock().await;
        server.restart(Data::Kept).await.expect("nacos again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_is_followed() {
    let stub = NacosStub::start().await;
    let writer = Writer::new(stub.port());
    contract::run(&Stub { stub, writer }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_nacos_is_followed() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let server = servers::start(ServerKind::Nacos, ServerOptions::default());
    let server = server.await.expect("nacos");
    let port = server.http_port();
    let subject = Real { server: Mutex::new(server), port, writer: Writer::new(port) };
    contract::run(&subject).await;
}
