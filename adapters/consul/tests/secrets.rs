//! What a server says back of our secrets comes out of no error.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use common::{connect, key, spec};
use hub_registry_core::Secret;
use hub_registry_core::spec::Credentials;
use hub_registry_testkit::contract::complaints;
use hub_registry_testkit::stub::consul::StubConsul;
use hub_registry_testkit::stub::fault::Fault;

const PASSWORD: &str = "canary-password";
const TOKEN: &str = "canary-token";
// base64 of user:canary-password
const BASIC: &str = "dXNlcjpjYW5hcnktcGFzc3dvcmQ";

#[tokio::test]
async fn reflected_secrets_are_masked() {
    let server = StubConsul::start().await;
    let mut spec = spec(server.address());
    spec.credentials = Credentials {
        username: "user".to_owned(),
        password: Secret::new(PASSWORD),
        access_token: Secret::new(TOKEN),
        secret_key: Secret::new("canary-key"),
    };
    let registry = connect(&spec).await;
    let mut faults: Vec<_> = [200, 301, 400, 401, 403, 404, 429, 500, 503]
        .map(|status| Fault::reflect(status, "{}"))
        .into();
    faults.extend(
        ["\"{}\"", "[\"{}\"]", "{\"{}\": 7}", "{\"a\": \"{}\"}", "[{\"Node\": \"{}\"}]"]
            .map(|body| Fault::reflect(200, body)),
    );
    for before in [0, 100, 110, 119] {
        let body = format!("{}{TOKEN} {PASSWORD} {BASIC}= canary-key", "x".repeat(before));
        faults.push(Fault::answer(500, TOKEN, &body));
    }
    for fault in faults {
        server.fault(fault.clone()).await;
        let said = complaints(registry.as_ref(), &key("web")).await;
        assert!(said.contains("***"), "{fault:?}: {said}");
        assert!(!said.contains("canary") && !said.contains("dXNlc"), "{fault:?}: {said}");
    }
    // A name that is a secret makes a path of it.
    server.fault(Fault::answer(404, "text/plain", "")).await;
    let said = complaints(registry.as_ref(), &key(TOKEN)).await;
    assert!(said.contains("/v1/health/service/***"), "{said}");
    assert!(!said.contains(TOKEN), "{said}");
    assert!(!format!("{registry:?}").contains("canary"));
}

#[tokio::test]
async fn beside_a_short_secret_nothing_is_quoted() {
    let server = StubConsul::start().await;
    let mut spec = spec(server.address());
    spec.credentials.access_token = Secret::new("q7z");
    let registry = connect(&spec).await;
    for fault in [
        Fault::reflect(500, "{}"),
        Fault::reflect(200, "\"{}\""),
        Fault::reflect(200, "{\"a\": \"{}\"}"),
        Fault::answer(500, "q7z", "q7z"),
    ] {
        server.fault(fault.clone()).await;
        let said = complaints(registry.as_ref(), &key("web")).await;
        assert!(said.contains("(not shown)"), "{fault:?}: {said}");
        assert!(!said.contains("q7z"), "{fault:?}: {said}");
    }
}
