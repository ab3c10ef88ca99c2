//! What a server says back of our secrets comes out of no error.
#![allow(clippy::unwrap_used, reason = "test code")]

mod common;

use hub_registry_core::Secret;
use hub_registry_core::spec::Credentials;
use hub_registry_testkit::contract::complaints;
use hub_registry_testkit::stub::fault::Fault;
use hub_registry_testkit::stub::nacos::NacosStub;

use common::{connect, service, stub_spec};

const PASSWORD: &str = "canary/pass&word";
const ENCODED: &str = "canary%2Fpass%26word";

fn faults(secret: &str) -> Vec<Fault> {
    let mut faults: Vec<_> = [200, 202, 301, 400, 401, 403, 404, 429, 500, 503]
        .map(|status| Fault::reflect(status, "{}"))
        .into();
    let bodies = [
        "\"{}\"",
        r#"{"code": 500, "message": "{}", "data": null}"#,
        r#"{"code": "{}"}"#,
        r#"{"count": "{}"}"#,
        r#"{"accessToken": "{}", "tokenTtl": "{}"}"#,
    ];
    faults.extend(bodies.map(|body| Fault::reflect(200, body)));
    for before in [0, 100, 110, 119] {
        let body = format!("{}{secret} and more", "x".repeat(before));
        faults.push(Fault::answer(500, "text/plain", &body));
    }
    faults
}

#[tokio::test]
async fn a_given_token_is_masked() {
    let stub = NacosStub::start().await;
    let mut settings = stub_spec(&stub);
    settings.credentials =
        Credentials { access_token: Secret::new("canary-token"), ..Credentials::default() };
    let registry = connect(&settings).await;
    for fault in faults("canary-token") {
        stub.http_fault(fault.clone()).await;
        let said = complaints(registry.as_ref(), &service("s")).await;
        assert!(!said.is_empty(), "{fault:?}");
        assert!(!said.contains("canary"), "{fault:?}: {said}");
    }
    stub.http_fault(Fault::answer(500, "text/plain", "canary-token")).await;
    let said = complaints(registry.as_ref(), &service("s")).await;
    assert!(said.contains("***"), "{said}");
}

#[tokio::test]
async fn a_password_and_the_token_it_fetched_are_masked() {
    let stub = NacosStub::start().await;
    stub.require_login("nacos", PASSWORD);
    let mut settings = stub_spec(&stub);
    settings.credentials = Credentials {
        username: "nacos".to_owned(),
        password: Secret::new(PASSWORD),
        ..Credentials::default()
    };
    // Each time before the login, and then with a token.
    for logged_in in [false, true] {
        for fault in faults(PASSWORD).into_iter().chain(faults(ENCODED)).chain(faults("token-1")) {
            stub.http_fault(Fault::None).await;
            let registry = connect(&settings).await;
            if logged_in {
                registry.ping().await.unwrap();
            }
            stub.http_fault(fault.clone()).await;
            let said = complaints(registry.as_ref(), &service("s")).await;
            assert!(!said.is_empty(), "{fault:?}");
            assert!(!said.contains("canary"), "{fault:?}: {said}");
            let token = logged_in && format!("{fault:?}").contains("Reflect");
            assert!(!token || !said.contains("token-"), "{fault:?}: {said}");
            assert!(!format!("{registry:?}").contains("canary"));
        }
    }
}
