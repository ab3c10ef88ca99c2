use hub_registry_core::spec::{Credentials, Endpoint, Scheme, Tls};
use hub_registry_core::{ConnectSpec, GroupName, RegistryKind, http::HttpClient};
use hub_registry_testkit::stub::eureka::EurekaStub;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue};
use serde_json::json;

use super::*;
use crate::convert::HostPreference;

fn mirror(stub: &EurekaStub) -> Mirror {
    let spec = ConnectSpec {
        name: "test".to_owned(),
        kind: RegistryKind::Eureka,
        endpoints: vec![Endpoint { host: "127.0.0.1".to_owned(), port: stub.port() }],
        scheme: Scheme::Http,
        path: "/eureka".to_owned(),
        credentials: Credentials::default(),
        connect_timeout: Duration::from_secs(2),
        read_timeout: Duration::from_secs(5),
        max_retries: 0,
        retry_interval: Duration::ZERO,
        default_group: GroupName::default_group(),
        tls: Tls::default(),
        egress: Arc::default(),
        specific: serde_json::Map::new(),
    };
    let json = HeaderValue::from_static("application/json");
    let http = HttpClient::new(&spec, HeaderMap::from_iter([(ACCEPT, json)])).unwrap();
    Mirror {
        client: Client::new(http, spec.read_timeout, &[]),
        rules: Rules { group: spec.default_group, host: HostPreference::Ip },
        use_delta: true,
        scope: Scope::all(),
        unshown: Arc::new(Unshown::new("test")),
        apps: BTreeMap::new(),
        states: BTreeMap::new(),
        loaded: None,
    }
}

async fn register(stub: &EurekaStub, id: &str, version: &str) {
    let body = json!({"instance": {
        "instanceId": id, "hostName": id, "app": "A", "ipAddr": "10.0.0.1", "status": "UP",
        "port": {"$": 80, "@enabled": "true"}, "metadata": {"version": version},
        "dataCenterInfo": {"name": "MyOwn"},
    }});
    let url = format!("{}/apps/A", stub.base());
    let answer = reqwest::Client::new().post(url).json(&body).send().await;
    assert_eq!(answer.unwrap().status(), 204);
}

fn version(states: Option<Vec<ServiceState>>) -> Option<String> {
    let states = states?;
    states[0].instances[0].metadata.get("version").cloned()
}

#[tokio::test]
async fn a_change_the_hash_hides_is_found_by_the_next_full_fetch() {
    let stub = EurekaStub::start().await;
    stub.moods(|moods| moods.forgetful = true);
    register(&stub, "a", "1").await;
    let mut mirror = mirror(&stub);
    assert_eq!(version(mirror.look().await.unwrap()).unwrap(), "1");
    for (reach, new) in [(FULL_EVERY, "2"), (DELTA_REACH, "3")] {
        register(&stub, "a", new).await;
        let hidden = mirror.look().await.unwrap();
        assert!(hidden.is_none(), "the delta does not tell: {hidden:?}");
        let past = Instant::now().checked_sub(reach).unwrap();
        let loaded = mirror.loaded.as_mut().unwrap();
        if reach == FULL_EVERY {
            loaded.full = past;
        } else {
            loaded.good = past;
        }
        assert_eq!(version(mirror.look().await.unwrap()).unwrap(), new);
    }
}

#[tokio::test]
async fn a_server_without_deltas_is_asked_for_them_again_with_the_next_full_fetch() {
    let stub = EurekaStub::start().await;
    stub.moods(|moods| moods.no_delta = true);
    register(&stub, "a", "1").await;
    let mut mirror = mirror(&stub);
    for _ in 0..4 {
        mirror.look().await.unwrap();
    }
    assert_eq!((stub.asked().full, stub.asked().delta), (4, 1));
    stub.moods(|moods| moods.no_delta = false);
    mirror.loaded.as_mut().unwrap().full = Instant::now().checked_sub(FULL_EVERY).unwrap();
    mirror.look().await.unwrap();
    mirror.look().await.unwrap();
    assert_eq!((stub.asked().full, stub.asked().delta), (5, 2));
}

#[tokio::test]
async fn without_the_right_hash_everything_is_fetched() {
    let stub = EurekaStub::start().await;
    register(&stub, "a", "1").await;
    let mut mirror = mirror(&stub);
    mirror.look().await.unwrap();
    stub.moods(|moods| moods.wrong_hash = true);
    register(&stub, "a", "2").await;
    assert_eq!(version(mirror.look().await.unwrap()).unwrap(), "2");
    stub.moods(|moods| (moods.wrong_hash, moods.no_hash) = (false, true));
    register(&stub, "a", "3").await;
    assert_eq!(version(mirror.look().await.unwrap()).unwrap(), "3");
    assert_eq!((stub.asked().full, stub.asked().delta), (3, 2));
    stub.moods(|moods| (moods.no_hash, moods.single_objects) = (false, true));
    register(&stub, "a", "4").await;
    assert_eq!(version(mirror.look().await.unwrap()).unwrap(), "4");
    assert_eq!((stub.asked().full, stub.asked().delta), (3, 3));
}
