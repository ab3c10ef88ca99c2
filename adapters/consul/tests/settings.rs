//! Settings are checked before anything is sent, and sent only when set.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use std::net::SocketAddr;

use common::{connect, spec, specific};
use hub_registry_consul::ConsulDriver;
use hub_registry_core::{Driver, Registry, RegistryKind, Scope, Secret};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

#[test]
fn good_settings_pass() {
    for keys in [
        json!({}),
        json!({"datacenter": "dc2", "namespace": "team", "partition": "p", "tag": "blue"}),
        json!({"onlyPassing": true, "write": {"mode": "catalog", "node": "hub"}}),
        json!({"write": {"mode": "agent"}}),
    ] {
        let spec = specific(spec(nowhere()), keys.clone());
        ConsulDriver.check(&spec).unwrap_or_else(|error| panic!("{keys}: {error}"));
    }
}

#[test]
fn bad_settings_name_the_field_and_the_rule() {
    let table = [
        (json!({"datacentre": "dc2"}), "specificConfig", "unknown field `datacentre`"),
        (json!({"onlyPassing": "yes"}), "specificConfig", "expected a boolean"),
        (json!({"namespace": " "}), "specificConfig.namespace", "must be text"),
        (json!({"tag": "a\nb"}), "specificConfig.tag", "control characters"),
        (json!({"write": {"mode": "kv"}}), "specificConfig", "unknown variant `kv`"),
        (json!({"write": {"mode": "agent", "node": "n"}}), "specificConfig.write.node", "catalog"),
    ];
    for (keys, field, text) in table {
        let spec = specific(spec(nowhere()), keys.clone());
        let error = ConsulDriver.check(&spec).expect_err(&keys.to_string());
        assert_eq!(error.field, field, "{error}");
        assert!(error.message.contains(text), "{error}");
    }
}

#[test]
fn other_kinds_no_addresses_and_broken_secrets_are_refused() {
    let mut other = spec(nowhere());
    other.kind = RegistryKind::Eureka;
    assert_eq!(ConsulDriver.check(&other).unwrap_err().field, "registryType");
    let mut none = spec(nowhere());
    none.endpoints.clear();
    assert_eq!(ConsulDriver.check(&none).unwrap_err().field, "serverAddress");
    let mut token = spec(nowhere());
    token.credentials.access_token = Secret::new("two\nlines");
    let error = ConsulDriver.check(&token).unwrap_err();
    assert_eq!(error.field, "accessToken");
    assert!(!error.to_string().contains("lines\""), "{error}");
    let mut pem = spec(nowhere());
    pem.tls.ca_pem = Some("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----".to_owned());
    assert_eq!(ConsulDriver.check(&pem).unwrap_err().field, "specificConfig.caPem");
}

/// The head of the one request that these settings make.
async fn request(listener: TcpListener, registry: &dyn Registry) -> String {
    let answered = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let read = stream.read(&mut head).await.unwrap();
        stream.write_all(b"HTTP/1.1 500 x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&head[..read]).to_ascii_lowercase()
    };
    let scope = Scope::all();
    let (head, list) = tokio::join!(answered, registry.services(&scope));
    list.expect_err("a 500");
    head
}

#[tokio::test]
async fn only_what_is_set_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = connect(&spec(listener.local_addr().unwrap())).await;
    let head = request(listener, plain.as_ref()).await;
    assert!(head.starts_with("get /v1/catalog/services http/1.1\r\n"), "{head}");
    assert!(!head.contains("token") && !head.contains("authorization"), "{head}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let keys = json!({"datacenter": "dc2", "namespace": "team a", "partition": "p"});
    let mut full = specific(spec(listener.local_addr().unwrap()), keys);
    full.path = "/consul".to_owned();
    full.credentials.access_token = Secret::new("s3cret");
    full.credentials.username = "me".to_owned();
    full.credentials.password = Secret::new("pass");
    let full = connect(&full).await;
    assert!(!format!("{full:?}").contains("s3cret"), "{full:?}");
    let head = request(listener, full.as_ref()).await;
    let line = "get /consul/v1/catalog/services?dc=dc2&ns=team+a&partition=p http/1.1\r\n";
    assert!(head.starts_with(line), "{head}");
    assert!(head.contains("x-consul-token: s3cret\r\n"), "{head}");
    assert!(head.contains("authorization: basic bwu6cgfzcw==\r\n"), "{head}");
}
