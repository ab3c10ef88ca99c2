//! Groups that a caller may not read are as if they were not, whichever protocol asks.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::hub::Hub;

struct World {
    hub: Hub,
    owner: String,
    stranger: String,
}

impl World {
    /// A group of the owner's in which a Consul's and a Eureka's client live.
    async fn start() -> Self {
        let hub = Hub::with_config("security:\n  enabled: true\n").await;
        let token = |user: &'static str| {
            let line = ["token", "create", "--role", "writer", "--user", user];
            let hub = &hub;
            async move { hub.command(&line).await }
        };
        let (owner, stranger) = (token("olga").await, token("stan").await);
        let world = Self { hub, owner, stranger };
        let group = json!({
            "groupName": "closed", "ownerUserId": "olga", "readUserIds": [], "accessControlEnabled": "Y",
        });
        let made = world.owner(Method::POST, "/api/v1/groups").json(&group);
        assert_eq!(made.send().await.unwrap().status(), 201);
        let service = json!({
            "ID": "hidden-1", "Name": "closed--hidden", "Address": "10.9.0.1", "Port": 80,
            "Check": { "TTL": "1h", "CheckID": "hidden-check" },
        });
        let made = world.owner(Method::PUT, "/v1/agent/service/register").json(&service);
        assert_eq!(made.send().await.unwrap().status(), 200);
        let instance = json!({ "instance": {
            "instanceId": "hidden-2", "hostName": "10.9.0.2", "ipAddr": "10.9.0.2", "status": "UP",
            "app": "CLOSED--OTHER", "vipAddress": "closed--other", "dataCenterInfo": { "name": "MyOwn" },
            "port": { "$": 80, "@enabled": "true" },
        } });
        let made = world.owner(Method::POST, "/eureka/apps/CLOSED--OTHER").json(&instance);
        assert_eq!(made.send().await.unwrap().status(), 204);
        world
    }

    fn owner(&self, method: Method, path: &str) -> RequestBuilder {
        self.hub.client.request(method, self.hub.url(path)).bearer_auth(&self.owner)
    }

    fn stranger(&self, method: Method, path: &str) -> RequestBuilder {
        self.hub.client.request(method, self.hub.url(path)).bearer_auth(&self.stranger)
    }

    async fn text(&self, path: &str, of_owner: bool) -> String {
        let who = if of_owner { Self::owner } else { Self::stranger };
        let request = who(self, Method::GET, path).header("accept", "application/json");
        request.send().await.unwrap().text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_tells_of_what_is_hidden() {
    let world = World::start().await;
    // One that would be in the same application, were it not for its group.
    let squatter = json!({
        "serviceName": "CLOSED--hidden", "hostAddress": "10.9.0.3", "portNumber": 80,
        "healthCheckType": "NONE",
    });
    let made = world.stranger(Method::POST, "/api/v1/instances").json(&squatter);
    assert_eq!(made.send().await.unwrap().status(), 201);
    for path in [
        "/v1/catalog/services",
        "/v1/catalog/nodes",
        "/v1/catalog/node/hub-registry",
        "/v1/catalog/service/closed--hidden",
        "/v1/health/service/closed--hidden",
        "/v1/health/checks/closed--hidden",
        "/v1/health/state/any",
        "/v1/health/node/hub-registry",
        "/v1/agent/services",
        "/v1/agent/checks",
        "/v1/agent/service/hidden-1",
        "/eureka/apps",
        "/eureka/apps/delta",
        "/eureka/apps/CLOSED--HIDDEN",
        "/eureka/apps/CLOSED--OTHER",
        "/eureka/apps/CLOSED--OTHER/hidden-2",
        "/eureka/instances/hidden-2",
        "/eureka/vips/closed--other",
        "/eureka/svips/closed--other",
    ] {
        let seen = world.text(path, false).await;
        for secret in ["10.9.0.1", "10.9.0.2", "closed--other", "CLOSED--OTHER\""] {
            assert!(!seen.contains(secret), "{path} tells {secret}: {seen}");
        }
    }
    for path in ["/v1/health/service/closed--hidden", "/eureka/apps/CLOSED--OTHER"] {
        assert!(world.text(path, true).await.contains("10.9.0."), "{path}");
    }
    // The other one's names say whose they are, and the owner sees both.
    let all: Value = serde_json::from_str(&world.text("/v1/catalog/services", true).await).unwrap();
    let names: Vec<_> = all.as_object().unwrap().keys().collect();
    assert_eq!(names, ["DEFAULT_GROUP--CLOSED--hidden", "closed--hidden", "closed--other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_changes_what_is_hidden_or_says_that_it_is_there() {
    let world = World::start().await;
    let before = world.text("/v1/agent/checks", true).await;
    let put = |path: String| world.stranger(Method::PUT, &path);
    for (hidden, unknown, path) in [
        ("hidden-1", "none", "/v1/agent/service/deregister/ID"),
        ("hidden-1", "none", "/v1/agent/service/maintenance/ID?enable=true"),
        ("service:hidden-1", "service:none", "/v1/agent/check/pass/ID"),
        ("hidden-check", "none", "/v1/agent/check/fail/ID"),
        ("CLOSED--OTHER/hidden-2", "NONE/none", "/eureka/apps/ID"),
        ("CLOSED--OTHER/hidden-2", "NONE/none", "/eureka/apps/ID/status?value=DOWN"),
        ("CLOSED--OTHER/hidden-2", "NONE/none", "/eureka/apps/ID/metadata?a=b"),
    ] {
        let (there, none) = (path.replace("ID", hidden), path.replace("ID", unknown));
        let (there, none) = (put(there).send().await.unwrap(), put(none).send().await.unwrap());
        assert_eq!(there.status(), none.status(), "{path}");
        let (there, none) = (there.text().await.unwrap(), none.text().await.unwrap());
        assert_eq!(there.replace(hidden, unknown), none, "{path}");
    }
    for path in
        ["/eureka/apps/CLOSED--OTHER/hidden-2", "/eureka/apps/CLOSED--OTHER/hidden-2/status"]
    {
        assert_eq!(
            world.stranger(Method::DELETE, path).send().await.unwrap().status(),
            404,
            "{path}"
        );
    }
    // An id that somebody else has too is another service.
    let mine = json!({ "ID": "hidden-1", "Name": "mine", "Address": "10.9.0.4", "Port": 80 });
    let made = world.stranger(Method::PUT, "/v1/agent/service/register").json(&mine);
    assert_eq!(made.send().await.unwrap().status(), 200);
    let into = json!({ "Name": "closed--new", "Address": "10.9.0.4", "Port": 80 });
    let made = world.stranger(Method::PUT, "/v1/agent/service/register").json(&into);
    assert_eq!(made.send().await.unwrap().status(), 403);
    let pass = world.owner(Method::PUT, "/v1/agent/check/pass/hidden-check").send().await.unwrap();
    assert_eq!(pass.status(), 200);
    let after = world.text("/v1/agent/checks", true).await;
    assert!(before.contains("critical") && after.contains("passing"), "{before} {after}");
    // Who sees both means the own one, whoever may write what.
    let group = json!({ "readUserIds": ["stan"] });
    let opened =
        world.owner(Method::PUT, "/api/v1/groups/closed").json(&group).send().await.unwrap();
    assert_eq!(opened.status(), 200);
    let made = world.stranger(Method::PUT, "/v1/agent/service/register").json(&mine);
    assert_eq!(made.send().await.unwrap().status(), 200);
    let own =
        json!({ "ID": "hidden-1", "Name": "closed--hidden", "Address": "10.9.0.1", "Port": 81 });
    let moved = world.owner(Method::PUT, "/v1/agent/service/register").json(&own);
    assert_eq!(moved.send().await.unwrap().status(), 200);
    let places = async |service: &str| {
        let all = world.text(&format!("/v1/catalog/service/{service}"), true).await;
        let all: Value = serde_json::from_str(&all).unwrap();
        let port = |one: &Value| one["ServicePort"].as_u64().unwrap();
        all.as_array().unwrap().iter().map(port).collect::<Vec<_>>()
    };
    assert_eq!((places("closed--hidden").await, places("mine").await), (vec![81], vec![80]));
    let leave = world.owner(Method::PUT, "/v1/agent/service/deregister/hidden-1");
    assert_eq!(leave.send().await.unwrap().status(), 200);
    assert_eq!((places("closed--hidden").await, places("mine").await), (vec![], vec![80]));
}

/// What one may read and not change is no more to be had by its id than by its name.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_what_one_may_only_read_is_refused() {
    let world = World::start().await;
    let group = json!({
        "groupName": "shown", "ownerUserId": "olga", "readUserIds": ["stan"], "accessControlEnabled": "Y",
    });
    let made = world.owner(Method::POST, "/api/v1/groups").json(&group);
    assert_eq!(made.send().await.unwrap().status(), 201);
    let service = json!({
        "ID": "shown-1", "Name": "shown--web", "Address": "10.9.1.1", "Port": 80,
        "Check": { "TTL": "1h", "CheckID": "shown-check", "Status": "passing" },
    });
    let made = world.owner(Method::PUT, "/v1/agent/service/register").json(&service);
    assert_eq!(made.send().await.unwrap().status(), 200);
    for mine in [
        json!({ "ID": "shown-1", "Name": "mine", "Address": "10.9.1.2", "Port": 80 }),
        json!({
            "ID": "mine-1", "Name": "mine", "Address": "10.9.1.2", "Port": 80,
            "Check": { "TTL": "1h", "CheckID": "shown-check" },
        }),
    ] {
        let refused = world.stranger(Method::PUT, "/v1/agent/service/register").json(&mine);
        assert_eq!(refused.send().await.unwrap().status(), 403, "{mine}");
    }
    let plain = json!({ "ID": "mine-1", "Name": "mine", "Address": "10.9.1.2", "Port": 80 });
    let made = world.stranger(Method::PUT, "/v1/agent/service/register").json(&plain);
    assert_eq!(made.send().await.unwrap().status(), 200);
    let check = json!({ "Name": "shown-check", "ServiceID": "mine-1", "TTL": "1h" });
    let refused = world.stranger(Method::PUT, "/v1/agent/check/register").json(&check);
    assert_eq!(refused.send().await.unwrap().status(), 403);
    let there = world.text("/v1/health/service/shown--web?passing", true).await;
    assert!(there.contains("shown-check"), "{there}");
    let leave = world.stranger(Method::PUT, "/v1/agent/service/deregister/mine-1");
    assert_eq!(leave.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_nothing_is_told() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    for (method, path) in [
        (Method::GET, "/eureka/apps"),
        (Method::GET, "/eureka/apps/X"),
        (Method::GET, "/eureka/nothing"),
        (Method::POST, "/eureka/peerreplication/batch"),
        (Method::DELETE, "/eureka/v2/apps/X/y"),
        (Method::PATCH, "/eureka/apps"),
        (Method::GET, "/v1/agent/self"),
        (Method::GET, "/v1/status/leader"),
        (Method::GET, "/v1/kv/x"),
        (Method::PUT, "/v1/kv/x"),
        (Method::GET, "/v1/nothing"),
        (Method::PUT, "/v1/agent/service/register"),
        (Method::GET, "/nacos/v1/ns/operator/metrics"),
        (Method::GET, "/nacos/v1/console/server/state"),
        (Method::GET, "/nacos/v1/cs/configs"),
        (Method::POST, "/nacos/v1/cs/configs/listener"),
        (Method::GET, "/nacos/nothing"),
        (Method::POST, "/nacos/v1/auth/login"),
    ] {
        let answer = hub.client.request(method.clone(), hub.url(path)).send().await.unwrap();
        assert!(
            matches!(answer.status().as_u16(), 401 | 403 | 405),
            "{method} {path}: {}",
            answer.status()
        );
    }
}

/// It says in a form what it waits for, and writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_may_wait_for_configurations_and_a_path_that_is_not_served_is_none() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let reader = hub.command(&["token", "create", "--role", "reader", "--user", "rita"]).await;
    let post = |path: &str| {
        let request =
            hub.client.post(hub.url(path)).header("Long-Pulling-Timeout-No-Hangup", "true");
        request.form(&[("Listening-Configs", "x"), ("accessToken", reader.trim())])
    };
    let listen = post("/nacos/v1/cs/configs/listener").send().await.unwrap();
    assert_eq!(listen.status(), 200);
    assert_eq!(post("/nacos/v1/ns/instance").send().await.unwrap().status(), 403);
    // In the words of the protocol, whichever way it has to show a token.
    let (token, get) = (reader.trim(), |path: &str| hub.client.get(hub.url(path)));
    for request in [
        get(&format!("/nacos/v2/cs/config?accessToken={token}")),
        get(&format!("/nacos/v3/console/x?accessToken={token}")),
        get("/eureka/x").basic_auth("rita", Some(token)),
        get("/eureka/apps/a/b/c/d").basic_auth("rita", Some(token)),
        get("/v1/session/nothing").header("X-Consul-Token", token),
    ] {
        let answer = request.send().await.unwrap();
        let (status, path) = (answer.status(), answer.url().path().to_owned());
        let text = answer.text().await.unwrap();
        assert_eq!(status, 404, "{path}: {text}");
        assert!(
            !text.contains("\"time\""),
            "{path}: not in the words of the hub's own API: {text}"
        );
    }
}
