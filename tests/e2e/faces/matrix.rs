//! Every way to write against every way to read: each change is seen by all within a second.

use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::grpc;
use super::grpc::client::Client;
use crate::hub::{Hub, free_port};

const WITHIN: Duration = Duration::from_secs(1);
const READERS: [&str; 7] = ["rest", "eureka", "consul", "nacos", "nacos-grpc", "prometheus", "dns"];
const WRITERS: [&str; 5] = ["rest", "eureka", "consul", "nacos", "nacos-grpc"];
/// What an instance goes through, and whether traffic may be sent to it then.
const STEPS: [(&str, bool); 4] = [("join", true), ("out", false), ("back", true), ("leave", false)];

struct World {
    hub: Hub,
    dns: u16,
    grpc: Mutex<Client>,
}

/// What a reader knows of the one instance of a service: where it is, and what it says of itself.
type Seen = Option<(String, Value)>;

fn host(writer: &str) -> String {
    format!("10.11.0.{}", WRITERS.iter().position(|name| *name == writer).unwrap() + 1)
}

fn metadata() -> Value {
    json!({ "team": "x", "zone_id": "z <1> & ä" })
}

impl World {
    async fn start() -> Self {
        let dns = free_port();
        let hub = Hub::with_config(&format!("facades:\n  dns:\n    port: {dns}\n")).await;
        let grpc = Mutex::new(Client::start(hub.port + 1000).await);
        Self { hub, dns, grpc }
    }

    async fn send(&self, request: RequestBuilder) {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{status}: {}", answer.text().await.unwrap());
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.hub.client.request(method, self.hub.url(path))
    }

    async fn by_grpc(&self, host: &str, step: &str) {
        let what = if step == "leave" { "deregisterInstance" } else { "registerInstance" };
        let body = json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": "nacos-grpc", "type": what,
            "instance": {
                "ip": host, "port": 8000, "healthy": true, "enabled": step != "out",
                "metadata": metadata(),
            },
        });
        let (_, answer) = self.grpc.lock().await.ask("InstanceRequest", body).await;
        assert_eq!(answer["resultCode"], 200, "{answer}");
    }

    async fn write(&self, writer: &str, step: &str) {
        let (put, post, delete) = (Method::PUT, Method::POST, Method::DELETE);
        let host = host(writer);
        if writer == "nacos-grpc" {
            return self.by_grpc(&host, step).await;
        }
        let request = match (writer, step) {
            ("rest", "join") => self.request(post, "/api/v1/instances").json(&json!({
                "serviceName": writer, "hostAddress": host, "portNumber": 8000, "leaseSeconds": 3600,
                "metadata": metadata(),
            })),
            ("rest", _) => {
                let (_, list) = self.hub.get("/api/v1/services/rest/instances").await;
                let id = list["instances"][0]["instanceId"].as_str().unwrap().to_owned();
                let path = format!("/api/v1/instances/{id}");
                match step {
                    "leave" => self.request(delete, &path),
                    _ => {
                        let word = if step == "out" { "OUT_OF_SERVICE" } else { "UP" };
                        let body = json!({ "instanceStatus": word });
                        self.request(put, &format!("{path}/status")).json(&body)
                    }
                }
            }
            ("eureka", "join") => self.request(post, "/eureka/apps/EUREKA").json(&json!({ "instance": {
                "instanceId": "one", "hostName": host, "ipAddr": host, "app": "EUREKA", "status": "UP",
                "vipAddress": "eureka", "port": { "$": 8000, "@enabled": "true" },
                "dataCenterInfo": { "name": "MyOwn" }, "metadata": metadata(),
            } })),
            ("eureka", "out") => {
                self.request(put, "/eureka/apps/EUREKA/one/status?value=OUT_OF_SERVICE")
            }
            ("eureka", "back") => self.request(delete, "/eureka/apps/EUREKA/one/status?value=UP"),
            ("eureka", _) => self.request(delete, "/eureka/apps/EUREKA/one"),
            ("consul", "join") => self.request(put, "/v1/agent/service/register").json(&json!({
                "ID": "one", "Name": "consul", "Address": host, "Port": 8000, "Meta": metadata(),
            })),
            ("consul", "leave") => self.request(put, "/v1/agent/service/deregister/one"),
            ("consul", _) => {
                let path = format!("/v1/agent/service/maintenance/one?enable={}", step == "out");
                self.request(put, &path)
            }
            (_, step) => {
                let method = match step {
                    "join" => post,
                    "leave" => delete,
                    _ => put,
                };
                let enabled = (step != "out").to_string();
                let said = [("serviceName", "nacos"), ("ip", &host), ("port", "8000"), ("enabled", &enabled)];
                let request = self.request(method, "/nacos/v1/ns/instance").query(&said);
                request.query(&[("metadata", metadata().to_string())])
            }
        };
        self.send(request).await;
    }

    async fn json(&self, path: &str) -> Value {
        let request = self.request(Method::GET, path).header("accept", "application/json");
        request.send().await.unwrap().json().await.unwrap_or_default()
    }

    /// What may be sent traffic of a service, as this reader sees it.
    async fn read(&self, reader: &str, service: &str) -> Seen {
        let one = |list: &Value, host: &str, port: &str, pairs: &str| {
            let all = list.as_array()?;
            assert!(all.len() < 2, "{reader} of {service}: {list}");
            let one = all.first()?;
            let host = one.pointer(host)?.as_str()?;
            Some((format!("{host}:{}", one.pointer(port)?), one.pointer(pairs)?.clone()))
        };
        match reader {
            "rest" => {
                let list =
                    self.json(&format!("/api/v1/services/{service}/instances?status=UP")).await;
                one(&list["instances"], "/hostAddress", "/portNumber", "/metadata")
            }
            "eureka" => {
                let list = self.json(&format!("/eureka/apps/{service}")).await;
                let list = &list["application"]["instance"];
                let up = list.as_array()?.iter().filter(|one| one["status"] == "UP").cloned();
                one(&Value::Array(up.collect()), "/ipAddr", "/port/$", "/metadata")
            }
            "consul" => {
                let list = self.json(&format!("/v1/health/service/{service}?passing")).await;
                one(&list, "/Service/Address", "/Service/Port", "/Service/Meta")
            }
            "nacos" => {
                let path =
                    format!("/nacos/v1/ns/instance/list?healthyOnly=true&serviceName={service}");
                one(&self.json(&path).await["hosts"], "/ip", "/port", "/metadata")
            }
            "nacos-grpc" => {
                let body = json!({
                    "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service,
                    "healthyOnly": true,
                });
                let (_, answer) = self.grpc.lock().await.ask("ServiceQueryRequest", body).await;
                one(&answer["serviceInfo"]["hosts"], "/ip", "/port", "/metadata")
            }
            "prometheus" => {
                let path = format!("/api/v1/sd/prometheus?name={service}&status=UP");
                let list = self.json(&path).await;
                let labels = list.get(0)?["labels"].clone();
                let said =
                    |key: &str| labels[format!("__meta_hub_registry_metadata_{key}")].clone();
                let pairs = json!({ "team": said("team"), "zone_id": said("zone_id") });
                Some((list[0]["targets"][0].as_str()?.to_owned(), pairs))
            }
            _ => self.resolve(service).await.map(|address| (address, metadata())),
        }
    }

    async fn resolve(&self, service: &str) -> Option<String> {
        let mut question = Message::query();
        let name = Name::from_ascii(format!("{service}.service.consul.")).unwrap();
        question.add_query(Query::query(name, RecordType::SRV));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(&question.to_vec().unwrap(), ("127.0.0.1", self.dns)).await.unwrap();
        let mut buffer = vec![0; 4096];
        let length = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut buffer)).await;
        let answer = Message::from_vec(&buffer[..length.unwrap().unwrap()]).unwrap();
        let port = answer.answers.iter().find_map(|record| match &record.data {
            RData::SRV(service) => Some(service.port),
            _ => None,
        })?;
        answer.additionals.iter().find_map(|record| match &record.data {
            RData::A(address) => Some(format!("{}:{port}", address.0)),
            _ => None,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_anybody_writes_everybody_reads_within_a_second() {
    let world = World::start().await;
    for writer in WRITERS {
        for (step, may_be_used) in STEPS {
            world.write(writer, step).await;
            let end = Instant::now() + WITHIN;
            let expected = may_be_used.then(|| (format!("{}:8000", host(writer)), metadata()));
            for reader in READERS {
                loop {
                    let seen = world.read(reader, writer).await;
                    if seen == expected {
                        break;
                    }
                    assert!(Instant::now() < end, "{writer}, {step}: {reader} sees {seen:?}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        }
    }
}

/// A path prefix is the same to all, whichever way it is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_prefix_is_the_same_whoever_says_it() {
    let hub = Hub::start().await;
    let by_consul = json!({
        "Name": "by-consul", "Address": "10.11.2.1", "Port": 80, "Meta": { "contextPath": "/api" },
    });
    let put = hub.client.put(hub.url("/v1/agent/service/register")).json(&by_consul);
    assert_eq!(put.send().await.unwrap().status(), 200);
    let metadata = "serviceName=by-nacos&ip=10.11.2.2&port=80&metadata=contextPath%3D%2Fapi";
    let post = hub.client.post(hub.url(&format!("/nacos/v1/ns/instance?{metadata}")));
    assert_eq!(post.send().await.unwrap().status(), 200);
    let by_eureka = json!({ "instance": {
        "instanceId": "e", "hostName": "10.11.2.3", "ipAddr": "10.11.2.3", "app": "BY-EUREKA",
        "vipAddress": "by-eureka", "status": "UP", "port": { "$": 80, "@enabled": "true" },
        "dataCenterInfo": { "name": "MyOwn" }, "homePageUrl": "http://10.11.2.3:80/api/",
    } });
    let post = hub.client.post(hub.url("/eureka/apps/BY-EUREKA")).json(&by_eureka);
    assert_eq!(post.send().await.unwrap().status(), 204);
    for (number, name) in ["by-consul", "by-nacos", "by-eureka"].into_iter().enumerate() {
        let (_, list) = hub.get(&format!("/api/v1/services/{name}/instances")).await;
        assert_eq!(list["instances"][0]["contextPath"], "/api", "{list}");
        let get = hub.client.get(hub.url(&format!("/eureka/apps/{name}")));
        let app = get.header("accept", "application/json").send().await.unwrap();
        let app: Value = app.json().await.unwrap();
        let page = format!("http://10.11.2.{}:80/api/", number + 1);
        assert_eq!(app["application"]["instance"][0]["homePageUrl"], page, "{app}");
    }
    // It ends when its page says so, and one that is too long is in the page only.
    for page in
        ["http://10.11.2.3:80/".to_owned(), format!("http://10.11.2.3:80/{}/", "x".repeat(300))]
    {
        let mut again = by_eureka.clone();
        again["instance"]["homePageUrl"] = json!(page);
        let post = hub.client.post(hub.url("/eureka/apps/BY-EUREKA")).json(&again);
        assert_eq!(post.send().await.unwrap().status(), 204);
        let (_, list) = hub.get("/api/v1/services/by-eureka/instances").await;
        assert_eq!(list["instances"][0]["contextPath"], Value::Null, "{list}");
        let get = hub.client.get(hub.url("/eureka/apps/by-eureka"));
        let app = get.header("accept", "application/json").send().await.unwrap();
        let app: Value = app.json().await.unwrap();
        assert_eq!(app["application"]["instance"][0]["homePageUrl"], page, "{app}");
    }
}

/// What no protocol has a word for, or not each, for who asks for it: all faces say the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_protocol_has_no_word_for_is_told_to_those_who_ask() {
    let hub = Hub::start().await;
    let body = json!({
        "serviceName": "Rich", "groupName": "team", "hostAddress": "10.11.1.1", "portNumber": 80,
        "weightValue": 250, "tags": ["a,b", "c"], "contextPath": "/api", "protocolType": "GRPC",
        "metadata": { "k": "v" }, "leaseSeconds": 3600,
    });
    assert_eq!(hub.post("/api/v1/instances", &body).await.0, 201);
    let plain = json!({ "k": "v" });
    let is_everything = |told: &Value, by: &str| {
        let mut told = told.clone();
        assert!(told.as_object_mut().unwrap().remove("fed-id").is_some(), "{by}: {told}");
        let everything = json!({
            "k": "v", "fed-group": "team", "fed-svc": "Rich", "fed-weight": "250",
            "fed-tags": "a\\,b,c", "fed-path": "/api", "fed-proto": "GRPC",
        });
        assert_eq!(told, everything, "{by}");
    };
    for (path, metadata) in [
        ("/eureka/apps/TEAM--RICH", "/application/instance/0/metadata"),
        ("/eureka/apps", "/applications/application/0/instance/0/metadata"),
        ("/eureka/apps/delta", "/applications/application/0/instance/0/metadata"),
        ("/eureka/vips/team--Rich", "/applications/application/0/instance/0/metadata"),
        ("/v1/health/service/team--Rich", "/0/Service/Meta"),
        ("/v1/catalog/service/team--Rich", "/0/ServiceMeta"),
        ("/nacos/v1/ns/instance/list?serviceName=team%40%40Rich", "/hosts/0/metadata"),
        ("/nacos/v2/ns/instance/list?serviceName=team%40%40Rich", "/data/hosts/0/metadata"),
    ] {
        let get = || hub.client.get(hub.url(path)).header("accept", "application/json");
        let said: Value = get().send().await.unwrap().json().await.unwrap();
        assert_eq!(said.pointer(metadata), Some(&plain), "{path}: {said}");
        let asked = get().header("x-registry-carry", "true").send().await.unwrap();
        let asked: Value = asked.json().await.unwrap();
        is_everything(asked.pointer(metadata).unwrap(), path);
        // And nobody else is told because somebody asked.
        let said: Value = get().send().await.unwrap().json().await.unwrap();
        assert_eq!(said.pointer(metadata), Some(&plain), "{path}");
    }
    // By gRPC, answers and pushes: to who asked for it when it said who it is.
    for (labels, asks) in [
        (json!({ "registry-carry": "true" }), true),
        (json!({}), false),
        (json!({ "registry-carry": "yes" }), false),
        (json!({ "registry-carry": null }), false),
    ] {
        let mut client = Client::connect(grpc::port(&hub), true).await;
        client.set_up_with(&labels).await;
        let service = json!({
            "groupName": "team", "serviceName": "Rich", "clusters": "", "subscribe": true,
        });
        let (_, queried) = client.ask("ServiceQueryRequest", service.clone()).await;
        let (_, subscribed) = client.ask("SubscribeServiceRequest", service).await;
        let pushed = client.pushed(|kind, _| kind == "NotifySubscriberRequest").await.unwrap();
        for said in [queried, subscribed, pushed] {
            let metadata = &said["serviceInfo"]["hosts"][0]["metadata"];
            if asks {
                is_everything(metadata, "gRPC");
            } else {
                assert_eq!(*metadata, plain, "{labels}");
            }
        }
    }
}
