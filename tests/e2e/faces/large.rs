//! Much more metadata than anybody has, sent to each face: refused in the words of the protocol, in
//! bounded memory, and the server serves on.

use bytes::Bytes;
use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tonic::Code;

use super::grpc::client::{Client, Payload};
use crate::hub::Hub;

const SIZE: usize = 11 << 20;
const FORM: &str = "application/x-www-form-urlencoded";
/// How often each is sent at once, and how much memory that may cost: much less than was sent.
const AT_ONCE: usize = 8;
const MOST: u64 = 250 << 20;

/// A call with metadata of this value.
struct Large {
    name: &'static str,
    method: Method,
    path: &'static str,
    kind: &'static str,
    body: Bytes,
}

fn eureka(value: &str) -> Value {
    json!({
        "instanceId": "large", "hostName": "10.23.0.1", "ipAddr": "10.23.0.1", "app": "LARGE",
        "status": "UP", "vipAddress": "large", "port": { "$": 80, "@enabled": "true" },
        "dataCenterInfo": { "name": "MyOwn" }, "metadata": { "k": value },
    })
}

fn all(value: &str) -> Vec<Large> {
    let (put, post) = (Method::PUT, Method::POST);
    let call = |name, method: &Method, path, kind, body: String| Large {
        name,
        method: method.clone(),
        path,
        kind,
        body: body.into(),
    };
    let json = "application/json";
    let batch = json!({ "replicationList": [{
        "appName": "LARGE", "id": "large", "action": "Register", "instanceInfo": eureka(value),
    }] });
    let xml = format!(
        "<instance><instanceId>large</instanceId><hostName>10.23.0.1</hostName><app>LARGE</app>\
         <ipAddr>10.23.0.1</ipAddr><status>UP</status><port enabled=\"true\">80</port>\
         <dataCenterInfo><name>MyOwn</name></dataCenterInfo><metadata><k>{value}</k></metadata>\
         </instance>"
    );
    let service = json!({
        "Name": "large", "Address": "10.23.0.1", "Port": 80, "Meta": { "k": value },
    });
    let form =
        format!("serviceName=large&ip=10.23.0.1&port=80&metadata=%7B%22k%22%3A%22{value}%22%7D");
    let host = json!({
        "serviceName": "DEFAULT_GROUP@@large", "ip": "10.23.0.1", "port": 80, "weight": 1,
        "metadata": { "k": value },
    });
    let beat = format!("serviceName=large&ip=10.23.0.1&port=80&beat={host}");
    let eureka = json!({ "instance": eureka(value) });
    vec![
        call("Eureka, JSON", &post, "/eureka/apps/LARGE", json, eureka.to_string()),
        call("Eureka, XML", &post, "/eureka/apps/LARGE", "application/xml", xml),
        call("Eureka, a list", &post, "/eureka/peerreplication/batch", json, batch.to_string()),
        call("Consul", &put, "/v1/agent/service/register", json, service.to_string()),
        call("Nacos 1", &post, "/nacos/v1/ns/instance", FORM, form.clone()),
        call("Nacos 2", &post, "/nacos/v2/ns/instance", FORM, form.clone()),
        call("Nacos 3", &post, "/nacos/v3/client/ns/instance", FORM, form),
        call("Nacos, a heartbeat", &put, "/nacos/v1/ns/instance/beat", FORM, beat),
    ]
}

impl Large {
    fn request(&self, hub: &Hub) -> RequestBuilder {
        let request = hub.client.request(self.method.clone(), hub.url(self.path));
        request.header("content-type", self.kind).body(self.body.clone())
    }
}

fn by_grpc(value: &str) -> Payload {
    let body = json!({
        "requestId": "1", "namespace": "public", "groupName": "DEFAULT_GROUP",
        "serviceName": "large", "type": "registerInstance",
        "instance": { "ip": "10.23.0.1", "port": 80, "metadata": { "k": value } },
    });
    Payload::new("InstanceRequest", body.to_string().into_bytes())
}

/// The most memory that the process ever had, in bytes.
fn peak(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Nobody is there; and the same with little metadata is taken.
async fn lives(hub: &Hub, client: &mut Client) {
    assert_eq!(client.ask("HealthCheckRequest", json!({})).await.0, "HealthCheckResponse");
    let path = "/api/v1/services/large/instances";
    assert_eq!(hub.get(path).await.0, 404);
    for small in all("small") {
        let answer = small.request(hub).send().await.unwrap();
        assert!(answer.status().is_success(), "{}: {}", small.name, answer.status());
        let (_, list) = hub.get(path).await;
        assert_eq!(list["instances"][0]["metadata"]["k"], "small", "{}: {list}", small.name);
    }
    let (kind, answer) = client.send(by_grpc("small")).await.unwrap();
    assert_eq!((&*kind, &answer["resultCode"]), ("InstanceResponse", &json!(200)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_a_body_may_be_is_not_kept_in_memory() {
    let hub = Hub::start().await;
    let mut client = Client::start(hub.port + 1000).await;
    let before = peak(&hub);
    let value = "x".repeat(SIZE);
    for large in all(&value) {
        let sent = (0..AT_ONCE).map(|_| large.request(&hub).send());
        for answer in join_all(sent).await {
            let answer = answer.unwrap_or_else(|error| panic!("{}: {error:?}", large.name));
            assert_eq!(answer.status(), 413, "{}", large.name);
            let text = answer.text().await.unwrap();
            assert!((1..4096).contains(&text.len()), "{}: {} bytes", large.name, text.len());
        }
    }
    for _ in 0..AT_ONCE {
        let status = client.send(by_grpc(&value)).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status:?}");
    }
    let more = peak(&hub) - before;
    println!("{} MiB were sent, {} MiB more were held", (9 * AT_ONCE * SIZE) >> 20, more >> 20);
    assert!(more < MOST, "{more} bytes");
    lives(&hub, &mut client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_bodies_may_be_larger_metadata_may_not() {
    let limit = [("REGISTRY__SERVER__HTTP__BODYLIMIT", "67108864")];
    let hub = Hub::with_environment(&limit).await;
    let mut client = Client::start(hub.port + 1000).await;
    // One that each of them takes into its hands, and one that is a little too much.
    for size in [SIZE, 70 * 1024] {
        let value = "x".repeat(size);
        for large in all(&value) {
            let answer = large.request(&hub).send().await.unwrap();
            let status = answer.status();
            let text = answer.text().await.unwrap();
            let start: String = text.chars().take(300).collect();
            if large.name == "Eureka, a list" {
                assert_eq!(
                    (status.as_u16(), &*text),
                    (200, r#"{"responseList":[{"statusCode":400}]}"#)
                );
                continue;
            }
            assert_eq!(status, 400, "{}: {start}", large.name);
            assert!((1..4096).contains(&text.len()), "{}: {} bytes", large.name, text.len());
        }
        let (kind, answer) = client.send(by_grpc(&value)).await.unwrap();
        assert_eq!((&*kind, &answer["errorCode"]), ("ErrorResponse", &json!(400)), "{kind}");
        assert!(answer["message"].as_str().is_some_and(|text| (1..4096).contains(&text.len())));
    }
    lives(&hub, &mut client).await;
}
