//! No fault is an empty list, and each is the kind it is.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hub_registry_core::spec::Credentials;
use hub_registry_core::{
    Change, ConnectSpec, Error, ErrorKind, GroupName, Host, Instance, InstanceKey, Registry, Scope,
    Secret, ServiceKey, ServiceName,
};
use hub_registry_testkit::servers::{self, EurekaOptions, Login, ServerKind, ServerOptions};
use hub_registry_testkit::stub::eureka::EurekaStub;
use hub_registry_testkit::stub::fault::Fault;
use serde_json::json;

use common::Plain;

fn instance(name: &str) -> Instance {
    let name = ServiceName::parse(name).unwrap();
    Instance::new(InstanceKey {
        service: ServiceKey::new(GroupName::default_group(), name),
        host: Host::parse("10.0.0.1").unwrap(),
        port: 8080,
    })
}

async fn stub() -> EurekaStub {
    let stub = EurekaStub::start().await;
    Plain::new(&stub.base()).put(&instance("a")).await;
    stub
}

fn spec(stub: &EurekaStub, delta: bool) -> ConnectSpec {
    let specific = json!({"pollInterval": "500ms", "useDelta": delta});
    let mut spec = common::spec(&[stub.port()], &specific);
    spec.read_timeout = Duration::from_millis(800);
    spec
}

/// What every call says, and a new watch.
async fn kinds(registry: &dyn Registry) -> [Result<(), ErrorKind>; 4] {
    let kind = |error: Error| error.kind();
    let service = instance("a").key.service;
    let first = registry.watch(Scope::all()).next().await.unwrap();
    [
        registry.ping().await.map_err(kind),
        registry.services(&Scope::all()).await.map(drop).map_err(kind),
        registry.instances(&service).await.map(drop).map_err(kind),
        first.map(drop).map_err(kind),
    ]
}

async fn ended(registry: &Arc<dyn Registry>, fault: impl AsyncFnOnce()) -> ErrorKind {
    let mut running = registry.watch(Scope::all());
    let first = running.next().await.unwrap().unwrap();
    assert!(matches!(&first, Change::Reset(all) if all.len() == 1), "{first:?}");
    fault().await;
    loop {
        match running.next().await.expect("an error, not the end") {
            Ok(change) => assert_eq!(change, Change::Unchanged),
            Err(error) => {
                assert!(running.next().await.is_none(), "the error is the last item");
                return error.kind();
            }
        }
    }
}

#[tokio::test]
async fn every_fault_is_the_error_it_is() {
    let stub = stub().await;
    let json = "application/json";
    let table = [
        (Fault::Refuse, ErrorKind::Unreachable),
        (Fault::Hang, ErrorKind::Timeout),
        // The whole head and a part of the body.
        (Fault::Truncate(250), ErrorKind::Protocol),
        (Fault::answer(200, "text/html", "<html>Welcome</html>"), ErrorKind::Protocol),
        (Fault::answer(200, json, ""), ErrorKind::Protocol),
        (Fault::answer(200, json, "[]"), ErrorKind::Protocol),
        (Fault::answer(200, json, "null"), ErrorKind::Protocol),
        (Fault::answer(200, json, "{}"), ErrorKind::Protocol),
        (Fault::answer(200, json, r#"{"applications":{}}"#), ErrorKind::Protocol),
        (Fault::answer(200, json, r#"{"applications":null}"#), ErrorKind::Protocol),
        (Fault::answer(302, "text/html", ""), ErrorKind::Protocol),
        (Fault::answer(401, "text/html", "<html>Log in</html>"), ErrorKind::Unauthorized),
        (Fault::answer(403, "text/html", "<html>No</html>"), ErrorKind::NotReady),
        (Fault::answer(404, "text/html", "<html>No</html>"), ErrorKind::NotFound),
        (Fault::answer(404, "text/html", ""), ErrorKind::NotFound),
        (Fault::answer(429, json, "{}"), ErrorKind::RateLimited),
        (Fault::answer(500, json, "{}"), ErrorKind::Server),
        (Fault::answer(503, "text/html", "<html>Soon</html>"), ErrorKind::Server),
    ];
    for delta in [true, false] {
        let registry = common::connect(&spec(&stub, delta)).await;
        for (fault, kind) in &table {
            let what = format!("{fault:?}, delta {delta}");
            let running = ended(&registry, async || stub.proxy().set(fault.clone()).await).await;
            assert_eq!(running, *kind, "a running watch: {what}");
            assert_eq!(kinds(registry.as_ref()).await, [Err(*kind); 4], "{what}");
            stub.up().await;
            let service = instance("a").key.service;
            assert_eq!(registry.instances(&service).await.unwrap().len(), 1, "{what}");
        }
    }
}

#[tokio::test]
async fn a_list_that_denies_its_own_hash_is_no_empty_list() {
    let stub = stub().await;
    let registry = common::connect(&spec(&stub, false)).await;
    let body = r#"{"applications":{"apps__hashcode":"UP_3_","application":[]}}"#;
    stub.proxy().set(Fault::answer(200, "application/json", body)).await;
    let error = registry.services(&Scope::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    // While this is what an empty registry says.
    let body = r#"{"applications":{"versions__delta":"1","apps__hashcode":"","application":[]}}"#;
    stub.proxy().set(Fault::answer(200, "application/json", body)).await;
    assert_eq!(registry.services(&Scope::all()).await.unwrap(), []);
}

#[tokio::test]
async fn an_instance_that_cannot_be_read_fails_the_list_and_is_named() {
    let stub = stub().await;
    let registry = common::connect(&spec(&stub, true)).await;
    let body = r#"{"applications":{"apps__hashcode":"UP_2_","application":{"name":"B","instance":[
        {"instanceId":"ok","ipAddr":"10.0.0.1","status":"UP","port":{"$":1,"@enabled":"true"}},
        {"instanceId":"bad","ipAddr":{},"status":"UP"}]}}}"#;
    stub.proxy().set(Fault::answer(200, "application/json", body)).await;
    let error = registry.services(&Scope::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let text = error.to_string();
    assert!(text.contains("app \"B\", instance \"bad\""), "{text}");
}

#[tokio::test]
async fn warming_up_is_not_ready() {
    let stub = stub().await;
    let registry = common::connect(&spec(&stub, true)).await;
    stub.moods(|moods| moods.warming_up = true);
    assert_eq!(kinds(registry.as_ref()).await, [Err(ErrorKind::NotReady); 4]);
    stub.moods(|moods| moods.warming_up = false);
    assert_eq!(kinds(registry.as_ref()).await, [Ok(()); 4]);
}

#[tokio::test]
async fn another_address_is_another_watch() {
    let (first, second) = (stub().await, stub().await);
    Plain::new(&second.base()).put(&instance("b")).await;
    let specific = json!({"pollInterval": "500ms"});
    let spec = common::spec(&[first.port(), second.port()], &specific);
    let registry = common::connect(&spec).await;
    // Somebody else's call meets the dead address first and moves the list on.
    let kind = ended(&registry, async || {
        first.down(true).await;
        registry.ping().await.unwrap_err();
    })
    .await;
    assert_eq!(kind, ErrorKind::Unreachable);
    let reset = registry.watch(Scope::all()).next().await.unwrap().unwrap();
    assert!(matches!(&reset, Change::Reset(all) if all.len() == 2), "{reset:?}");
}

#[tokio::test]
async fn the_real_server_tells_wrong_credentials_and_its_warm_up() {
    if !servers::require(ServerKind::Eureka) {
        return;
    }
    let mut options = EurekaOptions::quick();
    options.warm_up = Some(Duration::from_secs(6));
    let options = ServerOptions::default().with_login().with_eureka(options);
    let server = servers::start(ServerKind::Eureka, options).await.unwrap();
    let mut spec = common::spec(&[server.http_port()], &json!({}));
    let login = Login::of(ServerKind::Eureka);
    spec.credentials = Credentials {
        username: login.user.to_owned(),
        password: Secret::new("wrong-password"),
        ..Credentials::default()
    };
    let wrong = common::connect(&spec).await;
    assert_eq!(kinds(wrong.as_ref()).await, [Err(ErrorKind::Unauthorized); 4]);
    let shown = format!("{wrong:?} {}", wrong.ping().await.unwrap_err());
    assert!(!shown.contains("wrong-password"), "{shown}");

    spec.credentials.password = Secret::new(login.password);
    let right = common::connect(&spec).await;
    assert_eq!(kinds(right.as_ref()).await, [Err(ErrorKind::NotReady); 4]);
    let within = Duration::from_secs(60);
    let warm =
        hub_registry_testkit::contract::eventually("warm", within, || right.ping(), Result::is_ok);
    warm.await;
    assert_eq!(kinds(right.as_ref()).await, [Ok(()); 4]);
}
