//! The adapter keeps the contract: with the stub in each version, and with the real Java Nacos.

#![allow(clippy::disallowed_methods, reason = "test code; one test is told where a server is")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::{ConnectSpec, HealthStatus, Instance, InstanceKey, Registry};
use hub_registry_testkit::contract::{self, Subject, Traits};
use hub_registry_testkit::servers::{self, Data, Server, ServerKind, ServerOptions};
use hub_registry_testkit::stub::canned::Hiding;
use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use hub_registry_testkit::stub::nacos::{NacosStub, Version};
use serde_json::json;
use tokio::sync::Mutex;

use common::Writer;

struct Stub {
    name: String,
    stub: NacosStub,
    spec: ConnectSpec,
    writer: Writer,
}

#[async_trait]
impl Subject for Stub {
    fn name(&self) -> &str {
        &self.name
    }

    fn traits(&self) -> Traits {
        common::traits()
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(common::connect(&self.spec).await)
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
    name: &'static str,
    server: Mutex<Server>,
    // Where the adapter finds it.
    port: u16,
    writer: Writer,
}

/// One that somebody else started: it is not stopped, but cannot be reached.
struct Given {
    name: String,
    spec: ConnectSpec,
    http: FaultProxy,
    grpc: FaultProxy,
    writer: Writer,
    is_1: bool,
}

impl Given {
    /// Of a port, a name and a password.
    async fn new(name: &str, (port, user, password): (u16, &str, &str)) -> Self {
        let target = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        // The gRPC port is to be above the HTTP port: the kernel gives ports in no order.
        let (http, grpc) = loop {
            let (http, grpc) = (
                FaultProxy::start(target(port)).await,
                FaultProxy::start(target(port + 1000)).await,
            );
            if http.port() < grpc.port() {
                break (http, grpc);
            }
        };
        let offset = json!({"grpcPortOffset": grpc.port() - http.port()});
        let mut spec = common::with(common::spec(http.port()), &offset);
        spec.credentials = common::credentials(user, password);
        let writer = Writer::new(port).logged_in(user, password).await;
        let is_1 = writer.is_1().await;
        Self { name: name.to_owned(), spec, http, grpc, writer, is_1 }
    }
}

#[async_trait]
impl Subject for Given {
    fn name(&self) -> &str {
        &self.name
    }

    fn traits(&self) -> Traits {
        let mut traits = common::traits();
        if self.is_1 {
            // Of one that is there an update changes all but its health (`Service.updateIpAddresses`).
            traits.states.retain(|(_, health)| *health != HealthStatus::Unhealthy);
        }
        Traits { keeps_data: true, lag: Duration::from_secs(6), ..traits }
    }

    async fn connect(&self) -> Arc<dyn Registry> {
        contract::in_the_hubs_terms(common::connect(&self.spec).await)
    }

    async fn put(&self, instance: &Instance) {
        self.writer.put(instance).await;
    }

    async fn remove(&self, instance: &InstanceKey) {
        self.writer.remove(instance).await;
    }

    async fn fail(&self) {
        self.http.set(Fault::Refuse).await;
        self.grpc.set(Fault::Refuse).await;
    }

    async fn mend(&self) {
        self.http.set(Fault::None).await;
        self.grpc.set(Fault::None).await;
    }
}

#[async_trait]
impl Subject for Real {
    fn name(&self) -> &str {
        self.name
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

async fn a_stub_is_followed(version: Version) {
    let (stub, spec) = common::stub_of(version).await;
    let (name, writer) = (format!("nacos stub {version:?}"), Writer::of(&stub));
    contract::run(&Stub { name, stub, spec, writer }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_is_followed() {
    a_stub_is_followed(Version::V2_2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_of_1_4_is_followed() {
    a_stub_is_followed(Version::V1_4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_of_2_0_is_followed() {
    a_stub_is_followed(Version::V2_0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_of_3_0_is_followed() {
    a_stub_is_followed(Version::V3_0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stub_of_3_2_is_followed() {
    a_stub_is_followed(Version::V3_2).await;
}

async fn real() -> Option<Server> {
    if !servers::require(ServerKind::Nacos) {
        return None;
    }
    let server = servers::start(ServerKind::Nacos, ServerOptions::default());
    Some(server.await.expect("nacos"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_nacos_is_followed() {
    let Some(server) = real().await else { return };
    let port = server.http_port();
    let (server, writer) = (Mutex::new(server), Writer::new(port));
    contract::run(&Real { name: "nacos 2.2.4", server, port, writer }).await;
}

/// It has the calls of 1.x too, with the rules of 2.0; and without its gRPC port, it is polled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_nacos_is_followed_by_what_older_ones_have() {
    let Some(server) = real().await else { return };
    let (own, newer) = (server.http_port(), ["/nacos/v2/", "/nacos/v3/"]);
    let front = Hiding::start(&format!("http://127.0.0.1:{own}"), &newer).await;
    let (server, port, writer) = (Mutex::new(server), front.port(), Writer::new(own));
    contract::run(&Real { name: "nacos 2.2.4 by v1", server, port, writer }).await;
}

/// `HUB_REGISTRY_NACOS=8848,nacos,secret` (port on this machine, name, password) runs the suite
/// against a Nacos of your own: no registry of packages has a 1.x or a 3.x.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nacos_of_your_own_is_followed() {
    let Ok(given) = std::env::var("HUB_REGISTRY_NACOS") else {
        println!("SKIPPED a nacos of your own: HUB_REGISTRY_NACOS names none");
        return;
    };
    let parts: Vec<_> = given.split(',').collect();
    let [port, user, password] = parts.as_slice() else {
        panic!("{given:?} is not PORT,NAME,PASSWORD")
    };
    let port = port.parse().expect("a port");
    let subject = Given::new(&format!("nacos at {port}"), (port, user, password)).await;
    contract::run(&subject).await;
}
