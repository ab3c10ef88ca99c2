//! Ports and TLS: whoever says that it is spoken to over TLS is so to readers of each protocol, and for
//! itself alone.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::hub::Hub;

/// A GET, in JSON.
async fn read(hub: &Hub, path: &str) -> Value {
    let request = hub.client.get(hub.url(path)).header("accept", "application/json");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

/// An instance of Eureka's with these ports: number and whether it is open.
async fn by_eureka(hub: &Hub, app: &str, host: &str, plain: (u16, bool), secure: (u16, bool)) {
    let port = |(number, open): (u16, bool)| json!({ "$": number, "@enabled": open.to_string() });
    let body = json!({ "instance": {
        "instanceId": host, "hostName": host, "ipAddr": host, "app": app, "status": "UP",
        "vipAddress": app.to_lowercase(), "port": port(plain), "securePort": port(secure),
        "dataCenterInfo": { "name": "MyOwn" },
    } });
    let request = hub.client.post(hub.url(&format!("/eureka/apps/{app}"))).json(&body);
    assert_eq!(request.send().await.unwrap().status(), 204);
}

/// What a reader of Consul's API is told of `secure`, by the address.
async fn seen_by_consul(hub: &Hub, service: &str) -> Vec<(String, Value)> {
    let all = read(hub, &format!("/v1/health/service/{service}")).await;
    let one = |row: &Value| {
        let service = &row["Service"];
        let place = format!("{}:{}", service["Address"].as_str().unwrap(), service["Port"]);
        (place, service["Meta"]["secure"].clone())
    };
    let mut seen: Vec<_> = all.as_array().unwrap().iter().map(one).collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    seen
}

async fn seen_by_nacos(hub: &Hub, service: &str) -> Vec<(String, Value)> {
    let all = read(hub, &format!("/nacos/v1/ns/instance/list?serviceName={service}")).await;
    let one = |host: &Value| {
        let place = format!("{}:{}", host["ip"].as_str().unwrap(), host["port"]);
        (place, host["metadata"]["secure"].clone())
    };
    let mut seen: Vec<_> = all["hosts"].as_array().unwrap().iter().map(one).collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    seen
}

/// The ports that Eureka's readers see of an instance.
async fn ports(hub: &Hub, app: &str, id: &str) -> String {
    let seen = read(hub, &format!("/eureka/apps/{app}/{id}")).await;
    let port = |name: &str| {
        let port = &seen["instance"][name];
        format!("{} {}", port["$"], port["@enabled"].as_str().unwrap())
    };
    format!("{}, {}", port("port"), port("securePort"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_over_tls_is_one_beside_others_of_its_service_that_are_not() {
    let hub = Hub::start().await;
    by_eureka(&hub, "MIXED", "10.6.0.1", (80, true), (443, false)).await;
    by_eureka(&hub, "MIXED", "10.6.0.2", (80, false), (8443, true)).await;
    by_eureka(&hub, "MIXED", "10.6.0.3", (80, true), (8443, true)).await;
    by_eureka(&hub, "TLS", "10.6.0.4", (8080, false), (443, true)).await;
    by_eureka(&hub, "TLS", "10.6.0.5", (8080, true), (443, false)).await;
    for (app, id, expected) in [
        ("MIXED", "10.6.0.1", "80 true, 443 false"),
        ("MIXED", "10.6.0.2", "80 false, 8443 true"),
        ("MIXED", "10.6.0.3", "80 true, 8443 true"),
        ("TLS", "10.6.0.4", "8080 false, 443 true"),
        ("TLS", "10.6.0.5", "8080 true, 443 false"),
    ] {
        assert_eq!(ports(&hub, app, id).await, expected, "{id}");
    }
    // Spring's word for it where there is one port only.
    let (no, yes) = (Value::Null, json!("true"));
    let expected = [
        ("10.6.0.1:80".to_owned(), no.clone()),
        ("10.6.0.2:8443".to_owned(), yes.clone()),
        ("10.6.0.3:80".to_owned(), no.clone()),
    ];
    assert_eq!(seen_by_consul(&hub, "mixed").await, expected);
    assert_eq!(seen_by_nacos(&hub, "mixed").await, expected);
    let expected = [("10.6.0.4:443".to_owned(), yes), ("10.6.0.5:8080".to_owned(), no)];
    assert_eq!(seen_by_consul(&hub, "tls").await, expected);
    assert_eq!(seen_by_nacos(&hub, "tls").await, expected);
    // What others register with a service that somebody over TLS made first is not so for that.
    let url = hub.url("/v1/agent/service/register");
    let body = json!({ "ID": "late", "Name": "tls", "Address": "10.6.0.6", "Port": 80 });
    assert_eq!(hub.client.put(&url).json(&body).send().await.unwrap().status(), 200);
    let late = ("10.6.0.6:80".to_owned(), Value::Null);
    assert_eq!(seen_by_consul(&hub, "tls").await.last(), Some(&late));
    assert_eq!(seen_by_nacos(&hub, "tls").await.last(), Some(&late));
    assert_eq!(ports(&hub, "TLS", "10.6.0.6:tls:80").await, "80 true, 443 false");
    let all = hub.get("/api/v1/services/mixed/instances").await.1;
    let protocols = all["instances"].as_array().unwrap().iter();
    let protocols: Vec<_> = protocols.map(|one| one["protocolType"].as_str().unwrap()).collect();
    assert_eq!(protocols, ["HTTP", "HTTPS", "HTTP"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_clients_without_a_field_for_it_say_is_an_open_secure_port_to_eureka() {
    let hub = Hub::start().await;
    let url = hub.url("/v1/agent/service/register");
    for (address, meta) in [("10.6.1.1", json!({ "secure": "true" })), ("10.6.1.2", json!({}))] {
        let body = json!({
            "ID": address, "Name": "orders", "Address": address, "Port": 8443, "Meta": meta,
        });
        assert_eq!(hub.client.put(&url).json(&body).send().await.unwrap().status(), 200);
    }
    for (address, metadata) in [("10.6.1.3", "secure=true"), ("10.6.1.4", "a=b")] {
        let url = hub.url("/nacos/v1/ns/instance");
        let form =
            [("ip", address), ("metadata", metadata), ("port", "8443"), ("serviceName", "orders")];
        assert_eq!(hub.client.post(&url).form(&form).send().await.unwrap().status(), 200);
    }
    let seen = read(&hub, "/eureka/apps/ORDERS").await;
    let open = |one: &Value| {
        let which = ["port", "securePort"].map(|port| one[port]["@enabled"] == "true");
        (one["ipAddr"].as_str().unwrap().to_owned(), which)
    };
    let all = seen["application"]["instance"].as_array().unwrap().iter();
    let mut all: Vec<_> = all.map(open).collect();
    all.sort();
    let (plain, secure) = ([true, false], [false, true]);
    let expected = [secure, plain, secure, plain].into_iter().enumerate();
    let expected: Vec<_> =
        expected.map(|(index, open)| (format!("10.6.1.{}", index + 1), open)).collect();
    assert_eq!(all, expected);
}
