//! A real Consul that denies by default: what a token may not read is an error, not an empty list.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use std::net::SocketAddr;

use common::{connect, key, spec};
use futures_util::StreamExt;
use hub_registry_core::{Change, ConnectSpec, ErrorKind, Scope, Secret};
use hub_registry_testkit::servers::{self, Login, ServerKind, ServerOptions};
use serde_json::{Value, json};

fn with_token(address: SocketAddr, token: &str) -> ConnectSpec {
    let mut spec = spec(address);
    spec.credentials.access_token = Secret::new(token);
    spec
}

/// Sends a body with all rights; the answer.
async fn put(address: SocketAddr, path: &str, body: Value) -> Value {
    let request = reqwest::Client::new()
        .put(format!("http://{address}/v1/{path}"))
        .header("X-Consul-Token", Login::of(ServerKind::Consul).password)
        .body(body.to_string());
    let answer = request.send().await.unwrap().error_for_status().unwrap();
    serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
}

/// A new token with these rules.
async fn token(address: SocketAddr, name: &str, rules: &str) -> String {
    put(address, "acl/policy", json!({"Name": name, "Rules": rules})).await;
    let body = json!({"Policies": [{"Name": name}]});
    let token = put(address, "acl/token", body).await;
    token["SecretID"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_a_token_may_not_read_is_no_empty_list() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let options = ServerOptions::default().with_login();
    let server = servers::start(ServerKind::Consul, options).await.unwrap();
    let address = server.address();
    for name in ["web", "stock"] {
        put(address, "agent/service/register", json!({"Name": name, "Port": 80})).await;
    }
    let (all, web) = (Scope::all(), key("web"));

    let root = connect(&with_token(address, Login::of(ServerKind::Consul).password)).await;
    assert_eq!(root.services(&all).await.unwrap().len(), 3);
    assert_eq!(root.instances(&web).await.unwrap().len(), 1);

    let powerless = put(address, "acl/token", json!({"Description": "none"})).await;
    let powerless = powerless["SecretID"].as_str().unwrap().to_owned();
    for (who, token) in [
        ("anonymous", ""),
        ("an unknown token", "7e57ed00-0000-4000-8000-00000000dead"),
        ("a token without rights", &powerless),
    ] {
        let registry = connect(&with_token(address, token)).await;
        let error = registry.services(&all).await.expect_err(who);
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{who}: {error}");
        let first = registry.watch(Scope::all()).next().await.unwrap();
        let error = first.expect_err(who);
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{who}: {error}");
        assert!(token.is_empty() || !error.to_string().contains(token), "{error}");
        let error = registry.instances(&web).await.expect_err(who);
        assert_eq!(error.kind(), ErrorKind::Forbidden, "{who}: {error}");
    }

    // It sees the names, but no node, and so no instance.
    let names = "service_prefix \"\" { policy = \"read\" }";
    let half = connect(&with_token(address, &token(address, "names", names).await)).await;
    assert_eq!(half.services(&all).await.unwrap().len(), 3);
    let error = half.instances(&web).await.expect_err("instances");
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let first = half.watch(Scope::all()).next().await.unwrap();
    assert_eq!(first.expect_err("watch").kind(), ErrorKind::Forbidden);

    // Enough for one service, and so everything there is for this client.
    let some = "service \"web\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }";
    let some = connect(&with_token(address, &token(address, "some", some).await)).await;
    assert_eq!(some.services(&all).await.unwrap(), [key("web")]);
    let first = some.watch(Scope::all()).next().await.unwrap().unwrap();
    assert!(matches!(&first, Change::Reset(states) if states.len() == 1), "{first:?}");
}

/// A token that keeps its policies and is given nothing by them any more: up to 1.10 its answers are
/// plain empty lists, of an index that did not move.
#[tokio::test]
async fn a_token_that_loses_its_rights_is_an_error_and_no_removal() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let options = ServerOptions::default().with_login();
    let server = servers::start(ServerKind::Consul, options).await.unwrap();
    let address = server.address();
    for name in ["web", "stock"] {
        put(address, "agent/service/register", json!({"Name": name, "Port": 80})).await;
    }
    let rules = |names: &str| {
        format!("{names} {{ policy = \"read\" }} node_prefix \"\" {{ policy = \"read\" }}")
    };
    let everything = rules("service_prefix \"\"");
    let policy = put(address, "acl/policy", json!({"Name": "hub", "Rules": everything})).await;
    let token = put(address, "acl/token", json!({"Policies": [{"Name": "hub"}]})).await;
    let allow = async |rules: &str| {
        let path = format!("acl/policy/{}", policy["ID"].as_str().unwrap());
        let body = json!({"ID": policy["ID"], "Name": "hub", "Rules": rules});
        put(address, &path, body).await;
    };
    let registry = connect(&with_token(address, token["SecretID"].as_str().unwrap())).await;
    let removals = |change: &Change| match change {
        Change::Put(state) => state.instances.is_empty(),
        Change::Gone(_) | Change::Reset(_) => true,
        _ => false,
    };

    let mut watch = registry.watch(Scope::all());
    let first = watch.next().await.unwrap().unwrap();
    assert!(matches!(&first, Change::Reset(states) if states.len() == 3), "{first:?}");
    // One of three: what is hidden is not gone.
    allow(&rules("service \"web\"")).await;
    put(address, "agent/service/register", json!({"Name": "web", "ID": "web-2", "Port": 81})).await;
    let mut told = false;
    while !told {
        let next = tokio::time::timeout(std::time::Duration::from_secs(40), watch.next());
        let change = next.await.expect("the second web").unwrap().unwrap();
        assert!(!removals(&change), "{change:?}");
        told = matches!(&change, Change::Put(state) if state.instances.len() == 2);
    }

    // All of it.
    allow("").await;
    let error = loop {
        let next = tokio::time::timeout(std::time::Duration::from_secs(60), watch.next());
        match next.await.expect("an error").unwrap() {
            Ok(change) => assert!(!removals(&change), "{change:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    let again = registry.watch(Scope::all()).next().await.unwrap().expect_err("nothing to see");
    assert_eq!(again.kind(), ErrorKind::Forbidden, "{again}");
    assert!(again.to_string().contains("`consul`"), "{again}");

    allow(&everything).await;
    let back = registry.watch(Scope::all()).next().await.unwrap().unwrap();
    assert!(matches!(&back, Change::Reset(states) if states.len() == 3), "{back:?}");
}
