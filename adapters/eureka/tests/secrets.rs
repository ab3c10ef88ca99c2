//! What a server says back of our secrets comes out of no error.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use hub_registry_core::spec::Credentials;
use hub_registry_core::{GroupName, Secret, ServiceKey, ServiceName};
use hub_registry_testkit::contract::complaints;
use hub_registry_testkit::stub::eureka::EurekaStub;
use hub_registry_testkit::stub::fault::Fault;
use serde_json::json;

const PASSWORD: &str = "canary-password";
// base64 of user:canary-password
const BASIC: &str = "dXNlcjpjYW5hcnktcGFzc3dvcmQ";

#[tokio::test]
async fn reflected_secrets_are_masked() {
    let stub = EurekaStub::start().await;
    let mut spec = common::spec(&[stub.port()], &json!({}));
    spec.credentials = Credentials {
        username: "user".to_owned(),
        password: Secret::new(PASSWORD),
        ..Credentials::default()
    };
    let registry = common::connect(&spec).await;
    let service = ServiceKey::new(GroupName::default_group(), ServiceName::parse("a").unwrap());
    let nameless = r#"{"applications": {"apps__hashcode": "", "application":
        [{"name": "{}", "instance": [{"instanceId": ""}]}]}}"#;
    let unreadable = r#"{"applications": {"application":
        [{"name": "{}", "instance": [{"instanceId": "{}", "ipAddr": {"a": 1}}]}]}}"#;
    let mut faults: Vec<_> = [200, 301, 400, 401, 403, 404, 429, 500, 503]
        .map(|status| Fault::reflect(status, "{}"))
        .into();
    let bodies = ["\"{}\"", "[\"{}\"]", r#"{"applications": "{}"}"#, nameless, unreadable];
    faults.extend(bodies.map(|body| Fault::reflect(200, body)));
    for before in [0, 100, 110, 119] {
        let body = format!("{}{PASSWORD} {BASIC}=", "x".repeat(before));
        faults.push(Fault::answer(500, PASSWORD, &body));
    }
    for fault in faults {
        stub.proxy().set(fault.clone()).await;
        let said = complaints(registry.as_ref(), &service).await;
        assert!(said.contains("***"), "{fault:?}: {said}");
        assert!(!said.contains("canary") && !said.contains("dXNlc"), "{fault:?}: {said}");
    }
    assert!(!format!("{registry:?}").contains("canary"));
}
