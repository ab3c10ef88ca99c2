//! What only the real Java Nacos can show: its login, and instances that came by gRPC.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use std::time::Duration;

use hub_registry_core::spec::Credentials;
use hub_registry_core::{ErrorKind, Scope, Secret};
use hub_registry_testkit::contract::{Follower, eventually};
use hub_registry_testkit::servers::{self, ServerKind, ServerOptions};
use nacos_sdk::api::naming::{NamingServiceBuilder, ServiceInstance};
use nacos_sdk::api::props::ClientProps;
use tokio::time::Instant;

use common::{Writer, connect, instance, service, spec};

const SOON: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_opens_http_and_grpc() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let options = ServerOptions::default().with_login();
    let server = servers::start(ServerKind::Nacos, options).await;
    let server = server.expect("nacos");
    let port = server.http_port();
    let login = server.login().unwrap();
    let mut settings = spec(port);
    let nobody = connect(&settings).await;
    let error = nobody.services(&Scope::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);

    for (user, password) in [(login.user, "wrong"), ("nobody", login.password)] {
        settings.credentials = Credentials {
            username: user.to_owned(),
            password: Secret::new(password),
            ..Credentials::default()
        };
        let wrong = connect(&settings).await;
        let error = wrong.services(&Scope::all()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{user}: {error}");
    }

    settings.credentials.username = login.user.to_owned();
    settings.credentials.password = Secret::new(login.password);
    let writer = Writer::new(port);
    let writer = writer.logged_in(login.user, login.password).await;
    let service = service("s");
    let mut written = instance(&service, 1);
    writer.put(&written).await;
    let registry = connect(&settings).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower
        .until("the instance", SOON, |seen| seen.get(&service).is_some_and(|list| list.len() == 1))
        .await;
    let subscribers = || writer.subscribers(&service);
    eventually("subscribed", SOON, subscribers, |count| *count == 1).await;

    let metadata = &mut written.metadata;
    metadata.insert("version".to_owned(), "2".to_owned());
    writer.put(&written).await;
    follower
        .until("pushed metadata", SOON, |seen| {
            let version = seen[&service][0].metadata.get("version");
            version.is_some_and(|version| version == "2")
        })
        .await;
    drop(follower);
    eventually("unsubscribed", SOON * 2, subscribers, |count| *count == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_grpc_clients_come_and_change() {
    if !servers::require(ServerKind::Nacos) {
        return;
    }
    let server = servers::start(ServerKind::Nacos, ServerOptions::default()).await;
    let server = server.expect("nacos");
    let registry = connect(&spec(server.http_port())).await;
    let mut follower = Follower::new(registry.watch(Scope::all()));
    follower.step().await.unwrap();
    let props = ClientProps::new()
        .env_first(false)
        .server_addr(server.address().to_string())
        .cache_dir("/dev/null/nacos-sdk");
    let client = NamingServiceBuilder::new(props).build().await.unwrap();
    let service = service("s");
    let mut written = ServiceInstance {
        ip: "10.3.0.1".to_owned(),
        port: 80,
        weight: 0.5,
        cluster_name: Some("east".to_owned()),
        ..ServiceInstance::default()
    };
    for healthy in [true, false] {
        let start = Instant::now();
        written.healthy = healthy;
        let register = client.register_instance("s".to_owned(), None, written.clone());
        register.await.unwrap();
        follower
            .until("the instance", SOON, |seen| {
                let list = seen.get(&service).map_or(&[][..], Vec::as_slice);
                list.len() == 1 && list[0].health.as_str().starts_with("H") == healthy
            })
            .await;
        println!("healthy {healthy}: seen after {:?}", start.elapsed());
    }
    let seen = &follower.seen[&service][0];
    let id = seen.native_id.as_deref();
    assert_eq!(id, Some("10.3.0.1#80#east#DEFAULT_GROUP@@s"));
    assert_eq!(seen.weight.get(), 50);

    // Disabled alone in its service, then changed while nobody is pushed anything.
    written.healthy = true;
    for (enabled, version) in [(false, "1"), (false, "2"), (true, "2")] {
        let start = Instant::now();
        written.enabled = enabled;
        let metadata = &mut written.metadata;
        metadata.insert("version".to_owned(), version.to_owned());
        let register = client.register_instance("s".to_owned(), None, written.clone());
        register.await.unwrap();
        follower
            .until("the change", Duration::from_secs(35), |seen| {
                let instance = &seen[&service][0];
                let up = instance.status.as_str() == "UP";
                up == enabled && instance.metadata.get("version").is_some_and(|v| v == version)
            })
            .await;
        let took = start.elapsed();
        println!("enabled {enabled}, version {version}: seen after {took:?}");
    }
    let deregister = client.deregister_instance("s".to_owned(), None, written.clone());
    deregister.await.unwrap();
    follower.until("its end", SOON, |seen| seen.get(&service).is_none_or(Vec::is_empty)).await;
}
