//! Whatever stands between us and Nacos is an error of the right kind, never an empty list.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use std::time::Duration;

use futures_util::StreamExt;
use hub_registry_core::spec::Credentials;
use hub_registry_core::{
    Change, ConnectSpec, Driver, ErrorKind, Registry, Scope, Secret, SpecError,
};
use hub_registry_nacos::NacosDriver;
use hub_registry_testkit::stub::fault::Fault;
use hub_registry_testkit::stub::nacos::NacosStub;
use serde_json::json;

use common::{Writer, connect, credentials, instance, service, spec, stub_spec, with};

async fn kinds(registry: &dyn Registry) -> [ErrorKind; 4] {
    let mut watch = registry.watch(Scope::all());
    [
        registry.ping().await.unwrap_err().kind(),
        registry.services(&Scope::all()).await.unwrap_err().kind(),
        registry.instances(&service("s")).await.unwrap_err().kind(),
        watch.next().await.unwrap().unwrap_err().kind(),
    ]
}

#[tokio::test]
async fn each_fault_is_an_error_of_its_kind() {
    let stub = NacosStub::start().await;
    Writer::new(stub.port()).put(&instance(&service("s"), 1)).await;
    let mut settings = stub_spec(&stub);
    settings.read_timeout = Duration::from_millis(300);
    let registry = connect(&settings).await;
    let answer = |status, text| Fault::answer(status, "text/html", text);
    let html = "<html>welcome</html>";
    let refused = r#"{"code":403,"message":"no","data":null}"#;
    for (fault, expected) in [
        (answer(200, html), ErrorKind::Protocol),
        (answer(200, ""), ErrorKind::Protocol),
        (answer(200, "{}"), ErrorKind::Protocol),
        (answer(200, "[]"), ErrorKind::Protocol),
        (answer(401, html), ErrorKind::Unauthorized),
        (answer(403, html), ErrorKind::Forbidden),
        (answer(404, html), ErrorKind::NotFound),
        (answer(410, html), ErrorKind::NotFound),
        (answer(429, html), ErrorKind::RateLimited),
        (answer(500, html), ErrorKind::Server),
        (answer(302, html), ErrorKind::Protocol),
        (Fault::Hang, ErrorKind::Timeout),
        (Fault::Refuse, ErrorKind::Unreachable),
    ] {
        stub.http_fault(fault.clone()).await;
        assert_eq!(kinds(registry.as_ref()).await, [expected; 4], "{fault:?}");
    }
    // Half a body, and half of its head.
    stub.http_fault(Fault::Truncate(150)).await;
    for kind in kinds(registry.as_ref()).await {
        assert_eq!(kind, ErrorKind::Protocol);
    }
    stub.http_fault(answer(200, refused)).await;
    let error = registry.instances(&service("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    stub.http_fault(Fault::None).await;
    assert_eq!(registry.instances(&service("s")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_is_whole_or_an_error() {
    let stub = NacosStub::start().await;
    let writer = Writer::new(stub.port());
    for number in 1..=10 {
        let service = service(&format!("s{number}"));
        writer.put(&instance(&service, 1)).await;
    }
    for number in 2..=10 {
        writer.put(&instance(&service("s1"), number)).await;
    }
    let registry = connect(&stub_spec(&stub)).await;
    stub.cap_pages(3);
    assert_eq!(registry.services(&Scope::all()).await.unwrap().len(), 10);
    assert_eq!(registry.instances(&service("s1")).await.unwrap().len(), 10);
    stub.cap_pages(0);
    let error = registry.services(&Scope::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let error = registry.instances(&service("s1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[tokio::test]
async fn a_running_watch_ends_when_nacos_falls_silent() {
    let stub = NacosStub::start().await;
    let mut settings = stub_spec(&stub);
    settings.read_timeout = Duration::from_secs(2);
    let registry = connect(&settings).await;
    let mut watch = registry.watch(Scope::all());
    let first = watch.next().await.unwrap().unwrap();
    assert_eq!(first, Change::Reset(Vec::new()));
    stub.http_fault(Fault::Hang).await;
    let end = async {
        loop {
            if let Err(error) = watch.next().await.unwrap() {
                return error;
            }
        }
    };
    let end = tokio::time::timeout(Duration::from_secs(5), end);
    assert_eq!(end.await.unwrap().kind(), ErrorKind::Timeout);
    assert!(watch.next().await.is_none());
}

#[tokio::test]
async fn a_login_is_made_renewed_and_refused() {
    let stub = NacosStub::start().await;
    stub.require_login("nacos", "right");
    let mut settings = stub_spec(&stub);
    let without = connect(&settings).await;
    assert_eq!(kinds(without.as_ref()).await, [ErrorKind::Forbidden; 4]);

    settings.credentials = credentials("nacos", "wrong");
    let wrong = connect(&settings).await;
    assert_eq!(kinds(wrong.as_ref()).await, [ErrorKind::Unauthorized; 4]);
    let error = wrong.ping().await.unwrap_err().to_string();
    assert!(!error.contains("\"wrong\""), "{error}");

    settings.credentials = credentials("nacos", "right");
    let right = connect(&settings).await;
    right.ping().await.unwrap();
    stub.revoke_tokens();
    right.services(&Scope::all()).await.unwrap();

    settings.credentials =
        Credentials { access_token: Secret::new("token-0"), ..Credentials::default() };
    let stale = connect(&settings).await;
    assert_eq!(kinds(stale.as_ref()).await, [ErrorKind::Forbidden; 4]);
}

#[test]
fn settings_are_checked() {
    let check = |spec: &ConnectSpec| NacosDriver.check(spec);
    let field = |outcome: Result<(), SpecError>| outcome.unwrap_err().field;
    assert_eq!(check(&spec(8848)), Ok(()));
    let known = json!({
        "namespace": "dev-1", "groups": ["a"], "clusters": ["b"], "grpcPortOffset": 1001,
    });
    assert_eq!(check(&with(spec(8848), &known)), Ok(()));
    let unknown = check(&with(spec(8848), &json!({"nameSpace": "dev"}))).unwrap_err();
    assert!(unknown.message.contains("nameSpace"), "{unknown}");
    let namespace = with(spec(8848), &json!({"namespace": "a/b"}));
    assert_eq!(field(check(&namespace)), "specificConfig.namespace");
    assert_eq!(field(check(&spec(65000))), "specificConfig.grpcPortOffset");
    let mut two = with(spec(8848), &json!({"grpcPortOffset": 900}));
    two.endpoints.push(spec(8858).endpoints.remove(0));
    assert_eq!(field(check(&two)), "specificConfig.grpcPortOffset");
}
