//! What belongs to one agent of Consul: the services that register from one address, their checks, and
//! their maintenance.

use std::net::IpAddr;

use reqwest::Method;
use serde_json::{Value, json};

use super::consul::{put, read};
use crate::hub::Hub;

/// A client at this address.
fn from(host: [u8; 4]) -> reqwest::Client {
    reqwest::Client::builder().no_proxy().local_address(IpAddr::from(host)).build().unwrap()
}

/// Registers a service that is well, at this port.
async fn registers(hub: &Hub, id: &str, port: u16) {
    let check = json!({ "TTL": "1h", "Status": "passing" });
    let body =
        json!({ "ID": id, "Name": "web", "Address": "10.8.0.1", "Port": port, "Check": check });
    assert_eq!(put(hub, "/v1/agent/service/register", &body).await, 200);
}

/// The ids that pass.
async fn passing(hub: &Hub) -> Vec<String> {
    let body = read(hub, "/v1/health/service/web?passing").await;
    let ids = body.as_array().unwrap().iter().map(|one| &one["Service"]["ID"]);
    ids.map(|id| id.as_str().unwrap().to_owned()).collect()
}

/// The ids and reasons of what is in maintenance.
async fn in_maintenance(hub: &Hub) -> Vec<(String, String)> {
    let body = read(hub, "/v1/agent/checks?filter=Type+%3D%3D+maintenance").await;
    let checks = body.as_object().unwrap().iter();
    checks.map(|(id, check)| (id.clone(), check["Notes"].as_str().unwrap().to_owned())).collect()
}

/// An operator gives the first instance this status.
async fn set(hub: &Hub, status: &str) {
    let (_, list) = hub.get("/api/v1/services/web/instances").await;
    let id = list["instances"][0]["instanceId"].as_str().unwrap();
    let path = format!("/api/v1/instances/{id}/status");
    let (answer, body) = hub.put(&path, &json!({ "instanceStatus": status })).await;
    assert_eq!(answer, 200, "{body:#}");
}

async fn maintain(hub: &Hub, path: &str) {
    assert_eq!(put(hub, &format!("/v1/agent/{path}"), &Value::Null).await, 200, "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_takes_its_maintenance_along_and_leaves_none_behind() {
    let hub = Hub::start().await;
    registers(&hub, "a", 81).await;
    maintain(&hub, "service/maintenance/a?enable=true&reason=why").await;
    let why = [("_service_maintenance:a".to_owned(), "why".to_owned())];
    assert_eq!(in_maintenance(&hub).await, why);
    // Said again, it is no other.
    maintain(&hub, "service/maintenance/a?enable=true&reason=else").await;
    assert_eq!(in_maintenance(&hub).await, why);
    registers(&hub, "a", 82).await;
    assert_eq!((passing(&hub).await, in_maintenance(&hub).await), (vec![], why.into()));
    // Another one takes its address, and is in none.
    registers(&hub, "b", 82).await;
    assert_eq!((passing(&hub).await, in_maintenance(&hub).await), (vec!["b".to_owned()], vec![]));
    // The place that it left is as any other.
    registers(&hub, "a", 81).await;
    assert_eq!(passing(&hub).await, ["a", "b"]);
    // A service's own is one of its checks, its agent's is not.
    maintain(&hub, "service/maintenance/a?enable=true").await;
    maintain(&hub, "maintenance?enable=true&reason=all").await;
    assert_eq!(in_maintenance(&hub).await.len(), 2);
    let body = json!({ "ID": "a", "Name": "web", "Address": "10.8.0.1", "Port": 81 });
    let path = "/v1/agent/service/register?replace-existing-checks=true";
    assert_eq!(put(&hub, path, &body).await, 200);
    let all = [("_node_maintenance".to_owned(), "all".to_owned())];
    assert_eq!(in_maintenance(&hub).await, all);
    maintain(&hub, "maintenance?enable=false").await;
    assert_eq!(passing(&hub).await, ["a", "b"]);
    maintain(&hub, "service/maintenance/a?enable=true").await;
    assert_eq!(put(&hub, path, &body).await, 200);
    assert_eq!(passing(&hub).await, ["a", "b"]);
}

/// An operator's word is the service's, not the address's.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_took_out_of_use_stays_out_wherever_it_goes() {
    let hub = Hub::start().await;
    registers(&hub, "a", 81).await;
    set(&hub, "OUT_OF_SERVICE").await;
    maintain(&hub, "maintenance?enable=true&reason=all").await;
    maintain(&hub, "maintenance?enable=false").await;
    assert_eq!(passing(&hub).await, [""; 0], "it was out before");
    registers(&hub, "a", 82).await;
    assert_eq!(passing(&hub).await, [""; 0]);
    registers(&hub, "b", 82).await;
    assert_eq!(passing(&hub).await, ["b"]);
    registers(&hub, "b", 83).await;
    // What has no id is no other service: what an operator said of it stays.
    let body = json!({ "serviceName": "web", "hostAddress": "10.8.0.1", "portNumber": 70 });
    assert_eq!(hub.post("/api/v1/instances", &body).await.0, 201);
    set(&hub, "OUT_OF_SERVICE").await;
    registers(&hub, "c", 70).await;
    assert_eq!(passing(&hub).await, ["b"]);
    maintain(&hub, "maintenance?enable=true").await;
    let body = json!({ "ID": "c", "Name": "web", "Address": "10.8.0.1", "Port": 70 });
    let path = "/v1/agent/service/register?replace-existing-checks=1";
    assert_eq!(put(&hub, path, &body).await, 200);
    maintain(&hub, "maintenance?enable=false").await;
    assert_eq!(passing(&hub).await, ["b"], "it was no check of its own");
    maintain(&hub, "service/deregister/c").await;
    // Also one of Eureka, until it is taken back there.
    let eureka = async |method: Method, value: &str| {
        let path = format!("/eureka/apps/WEB/10.8.0.1:web:83/status?value={value}");
        let answer = hub.client.request(method, hub.url(&path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    };
    eureka(Method::PUT, "OUT_OF_SERVICE").await;
    registers(&hub, "b", 83).await;
    assert_eq!(passing(&hub).await, [""; 0]);
    eureka(Method::DELETE, "UP").await;
    assert_eq!(passing(&hub).await, ["b"]);
    // Who ends it here ends it there.
    eureka(Method::PUT, "OUT_OF_SERVICE").await;
    maintain(&hub, "service/maintenance/b?enable=false").await;
    let app = hub.client.get(hub.url("/eureka/apps/WEB")).header("accept", "application/json");
    let app: Value = app.send().await.unwrap().json().await.unwrap();
    let shown = &app["application"]["instance"][0];
    assert_eq!((&shown["status"], &shown["overriddenStatus"]), (&json!("UP"), &json!("UNKNOWN")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_from_elsewhere_ends_a_maintenance_and_the_next_one_counts() {
    let hub = Hub::start().await;
    registers(&hub, "a", 81).await;
    let set = async |status: &str| set(&hub, status).await;
    for _ in 0..2 {
        maintain(&hub, "maintenance?enable=true&reason=all").await;
        let all = [("_node_maintenance".to_owned(), "all".to_owned())];
        assert_eq!((passing(&hub).await, in_maintenance(&hub).await), (vec![], all.into()));
        set("UP").await;
        assert_eq!(
            (passing(&hub).await, in_maintenance(&hub).await),
            (vec!["a".to_owned()], vec![])
        );
    }
    // Both at once, and each ends alone.
    maintain(&hub, "maintenance?enable=true&reason=all").await;
    maintain(&hub, "service/maintenance/a?enable=true&reason=why").await;
    assert_eq!(in_maintenance(&hub).await.len(), 2);
    maintain(&hub, "maintenance?enable=false").await;
    assert_eq!(
        in_maintenance(&hub).await,
        [("_service_maintenance:a".to_owned(), "why".to_owned())]
    );
    maintain(&hub, "service/maintenance/a?enable=false").await;
    assert_eq!(passing(&hub).await, ["a"]);
    // One that an operator took out of use is shown so, and may be ended so; the agent's ends nothing.
    set("OUT_OF_SERVICE").await;
    maintain(&hub, "maintenance?enable=false").await;
    assert_eq!(in_maintenance(&hub).await, [("_service_maintenance:a".to_owned(), String::new())]);
    maintain(&hub, "service/maintenance/a?enable=false").await;
    assert_eq!(passing(&hub).await, ["a"]);
    // One that says that it is down is not made to be up.
    set("DOWN").await;
    maintain(&hub, "service/maintenance/a?enable=false").await;
    assert_eq!(passing(&hub).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checks_of_an_only_one_are_anybodys_to_add_and_take_away() {
    let hub = Hub::start().await;
    let (own, other) = (from([127, 0, 0, 2]), from([127, 0, 0, 3]));
    let call = async |client: &reqwest::Client, path: &str, body: Value| {
        let request = client.put(hub.url(&format!("/v1/agent/{path}"))).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    };
    let ids = async || {
        let body = read(&hub, "/v1/health/checks/web").await;
        let ids = body.as_array().unwrap().iter().map(|check| check["CheckID"].as_str().unwrap());
        ids.map(str::to_owned).collect::<Vec<_>>()
    };
    let web = json!({ "ID": "a", "Name": "web", "Port": 80 });
    call(&own, "service/register", web.clone()).await;
    let check = json!({ "ID": "more", "Name": "more", "ServiceID": "a", "TTL": "1h" });
    call(&other, "check/register", check.clone()).await;
    assert_eq!(ids().await, ["more"]);
    call(&other, "check/deregister/more", Value::Null).await;
    assert_eq!(ids().await, [""; 0]);
    // Of two, it is one's own.
    call(&other, "check/register", check.clone()).await;
    call(&other, "service/register", web).await;
    call(&other, "check/register", check.clone()).await;
    assert_eq!(ids().await, ["more", "more"]);
    call(&other, "check/deregister/more", Value::Null).await;
    call(&from([127, 0, 0, 4]), "check/deregister/more", Value::Null).await;
    assert_eq!(ids().await, [""; 0], "its own first, then the only one");
    // An id that a service of the same agent takes leaves the first, whoever says so.
    call(&own, "check/register", check).await;
    call(&own, "service/register", json!({ "ID": "b", "Name": "next", "Port": 90 })).await;
    let check = json!({ "ID": "more", "Name": "more", "ServiceID": "b", "TTL": "1h" });
    call(&other, "check/register", check).await;
    assert_eq!(ids().await, [""; 0]);
    let next = read(&hub, "/v1/health/checks/next").await;
    assert_eq!((next.as_array().unwrap().len(), &next[0]["CheckID"]), (1, &json!("more")));
}

/// Both have `web-80`, and the second one said that its own is well.
async fn each_agent_lists_its_own(hub: &Hub, agents: &[reqwest::Client; 2]) {
    let list = async |agent: &reqwest::Client, path: &str| {
        let answer = agent.get(hub.url(&format!("/v1/agent/{path}"))).send().await.unwrap();
        answer.json::<Value>().await.unwrap()
    };
    let status = "checks?filter=Status+%3D%3D+critical";
    for (agent, address, critical) in [(&agents[0], "127.0.0.2", 1), (&agents[1], "127.0.0.3", 0)] {
        assert_eq!(list(agent, "services").await["web-80"]["Address"], address);
        let found = list(agent, status).await;
        assert_eq!(found.as_object().unwrap().len(), critical, "{address}: {found}");
    }
    let maintain = async |enable: bool| {
        let url = hub.url(&format!("/v1/agent/maintenance?enable={enable}"));
        assert_eq!(agents[1].put(url).send().await.unwrap().status(), 200);
    };
    maintain(true).await;
    let shown = async |agent| list(agent, "checks").await.get("_node_maintenance").is_some();
    assert_eq!((shown(&agents[0]).await, shown(&agents[1]).await), (false, true));
    maintain(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_unique_with_one_agent_only() {
    let hub = Hub::start().await;
    let agents = [from([127, 0, 0, 2]), from([127, 0, 0, 3])];
    // As many clients do it: an id made of name and port, and no address.
    let body = json!({ "ID": "web-80", "Name": "web", "Port": 80, "Check": { "TTL": "1h" } });
    let call =
        |client: &reqwest::Client, path: &str| client.put(hub.url(&format!("/v1/agent/{path}")));
    for agent in &agents {
        let answer = call(agent, "service/register").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let all = read(&hub, "/v1/health/service/web").await;
    let addresses: Vec<_> =
        all.as_array().unwrap().iter().map(|one| &one["Service"]["Address"]).collect();
    assert_eq!(addresses, ["127.0.0.2", "127.0.0.3"]);
    // Each speaks for its own.
    let passes = call(&agents[1], "check/pass/service:web-80").send().await.unwrap();
    assert_eq!(passes.status(), 200);
    let passing = read(&hub, "/v1/health/service/web?passing").await;
    assert_eq!(passing[0]["Service"]["Address"], "127.0.0.3");
    assert_eq!(passing.as_array().unwrap().len(), 1);
    each_agent_lists_its_own(&hub, &agents).await;
    // One that moves takes its old place with it.
    let moved = json!({ "ID": "web-80", "Name": "web", "Port": 81 });
    assert_eq!(
        call(&agents[0], "service/register").json(&moved).send().await.unwrap().status(),
        200
    );
    let all = read(&hub, "/v1/health/service/web").await;
    let ports: Vec<_> = all.as_array().unwrap().iter().map(|one| &one["Service"]["Port"]).collect();
    assert_eq!(ports, [81, 80]);
    // Somebody else's word counts where it can only mean one.
    let other = from([127, 0, 0, 4]);
    let gone = call(&other, "service/deregister/web-80").send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(read(&hub, "/v1/health/service/web").await.as_array().unwrap().len(), 2);
    call(&agents[0], "service/deregister/web-80").send().await.unwrap();
    call(&other, "service/deregister/web-80").send().await.unwrap();
    assert_eq!(read(&hub, "/v1/health/service/web").await, json!([]));
}
