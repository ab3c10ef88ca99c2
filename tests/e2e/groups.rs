//! Groups, and the answers of a GET put back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::hub::Hub;

async fn version(hub: &Hub, path: &str) -> Value {
    hub.get(path).await.1["currentVersion"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_group() {
    let hub = Hub::start().await;
    let group = json!({
        "groupName": "payments", "groupDescription": "money", "groupType": "BUSINESS",
        "ownerUserId": "olga", "adminUserIds": ["adam"], "readUserIds": "[\"rita\"]",
        "accessControlEnabled": "N", "defaultProtocolType": "GRPC",
        "defaultLoadBalanceStrategy": "WEIGHTED_ROUND_ROBIN",
        "defaultHealthCheckUrl": "/alive", "defaultHealthCheckIntervalSeconds": 7,
        "noteText": "n", "extProperty": { "a": 1 },
    });
    let (status, made) = hub.post("/api/v1/groups", &group).await;
    assert_eq!((status.as_u16(), &made["groupName"]), (201, &json!("payments")), "{made}");
    assert!(made["message"].is_string());
    assert_eq!(hub.post("/api/v1/groups", &group).await.0, 409);
    let path = "/api/v1/groups/payments";
    let (_, read) = hub.get(path).await;
    for (field, value) in group.as_object().unwrap() {
        let expected = if field == "readUserIds" { &json!(["rita"]) } else { value };
        assert_eq!(read[field], *expected, "{field}: {read:#}");
    }
    let counted = (&read["sources"], &read["serviceCount"], &read["instanceCount"]);
    assert_eq!(counted, (&json!(["native"]), &json!(0), &json!(0)));
    assert_eq!(read["serviceGroupId"].as_str().unwrap().len(), 32);
    // Its defaults go into its new services, made by a request and by an instance.
    let service = json!({ "serviceName": "a", "groupName": "payments" });
    assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
    let instance = json!({ "serviceName": "b", "hostAddress": "10.0.0.1", "portNumber": 1 });
    let (status, answer) = hub.post("/api/v1/instances?groupName=payments", &instance).await;
    assert_eq!(status, 201, "{answer}");
    for name in ["a", "b"] {
        let (_, service) = hub.get(&format!("/api/v1/services/{name}")).await;
        assert_eq!(service["groupName"], "payments");
        assert_eq!(service["protocolType"], "GRPC", "{service:#}");
        assert_eq!(service["loadBalanceStrategy"], "WEIGHTED_ROUND_ROBIN");
        assert_eq!(service["healthCheckUrl"], "/alive");
        assert_eq!(service["healthCheckIntervalSeconds"], 7);
    }
    let (_, services) = hub.get(&format!("{path}/services?sort=-serviceName")).await;
    let names: Vec<_> =
        services["services"].as_array().unwrap().iter().map(|s| &s["serviceName"]).collect();
    assert_eq!(names, ["b", "a"], "{services:#}");
    assert_eq!(hub.get("/api/v1/groups/none/services").await.0, 404);
    // A change names what it changes, and may say for which version.
    let (_, before) = hub.get(path).await;
    let change = json!({ "groupDescription": "coins", "currentVersion": before["currentVersion"] });
    let (status, answer) = hub.put(path, &change).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["currentVersion"], before["currentVersion"].as_i64().unwrap() + 1);
    assert_eq!(hub.put(path, &change).await.0, 409, "the version moved on");
    let (_, after) = hub.get(path).await;
    assert_eq!((&after["groupDescription"], &after["noteText"]), (&json!("coins"), &json!("n")));
    assert_eq!(hub.put(path, &json!({ "groupName": "other" })).await.0, 400);
    assert_eq!(hub.put("/api/v1/groups/none", &json!({})).await.0, 404);
    // It goes with its services only when told to.
    let (status, answer) = hub.send(Method::DELETE, path, None).await;
    assert_eq!((status.as_u16(), &answer["details"]["services"]), (409, &json!(2)), "{answer}");
    assert_eq!(hub.send(Method::DELETE, &format!("{path}?force=true"), None).await.0, 200);
    assert_eq!(hub.get(path).await.0, 404);
    assert_eq!(hub.send(Method::DELETE, path, None).await.0, 404);
    assert_eq!(hub.get("/api/v1/instances").await.1["count"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_filtered_sorted_and_of_one_tenant() {
    let hub = Hub::start().await;
    for (name, kind, services) in
        [("alpha", "BUSINESS", 2), ("beta", "TEST", 0), ("gamma", "TEST", 1)]
    {
        let group = json!({ "groupName": name, "groupType": kind });
        assert_eq!(hub.post("/api/v1/groups", &group).await.0, 201);
        for n in 0..services {
            let service = json!({ "serviceName": format!("s{n}"), "groupName": name });
            assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
        }
    }
    let foreign = json!({ "groupName": "hidden" });
    assert_eq!(hub.post("/api/v1/groups?tenantId=other", &foreign).await.0, 201);
    let confused = json!({ "groupName": "lost", "tenantId": "other" });
    assert_eq!(hub.post("/api/v1/groups", &confused).await.0, 400, "another tenant in the body");
    let cases: [(&str, &[&str], usize); 11] = [
        ("", &["alpha", "beta", "gamma"], 3),
        ("?sort=-groupName", &["gamma", "beta", "alpha"], 3),
        ("?sort=groupName,desc", &["gamma", "beta", "alpha"], 3),
        ("?sort=-serviceCount", &["alpha", "gamma", "beta"], 3),
        ("?sort=serviceCount,asc", &["beta", "gamma", "alpha"], 3),
        ("?groupType=TEST", &["beta", "gamma"], 2),
        ("?name=*a*m*", &["gamma"], 1),
        ("?source=native", &["alpha", "beta", "gamma"], 3),
        ("?source=consul-a", &[], 0),
        ("?pageSize=1&page=2", &["beta"], 3),
        ("?pageSize=1&page=9", &[], 3),
    ];
    for (query, names, count) in cases {
        let (status, list) = hub.get(&format!("/api/v1/groups{query}")).await;
        assert_eq!(status, 200, "{query}: {list}");
        let got: Vec<_> =
            list["groups"].as_array().unwrap().iter().map(|g| g["groupName"].clone()).collect();
        assert_eq!(got, names, "{query}");
        assert_eq!(list["count"], count, "{query}");
    }
    assert_eq!(hub.get("/api/v1/groups/alpha?tenantId=other").await.0, 404);
    let (_, other) = hub.get("/api/v1/stats?tenantId=other").await;
    assert_eq!((&other["groups"], &other["services"]), (&json!(1), &json!(0)), "{other:#}");
}

/// What a GET answers can be put back, and then nothing happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_get_put_back_changes_nothing() {
    let hub = Hub::start().await;
    let group = json!({ "groupName": "g", "adminUserIds": ["a"], "extProperty": { "x": [1] } });
    assert_eq!(hub.post("/api/v1/groups", &group).await.0, 201);
    let service = json!({
        "groupName": "g", "serviceName": "s", "serviceDescription": "d", "contextPath": "/api",
        "protocolType": "HTTPS", "loadBalanceStrategy": "IP_HASH", "healthCheckUrl": "/h",
        "healthCheckIntervalSeconds": 11, "healthCheckTimeoutSeconds": 3,
        "metadata": { "k": "v" }, "tags": ["t", "u"], "noteText": "n", "extProperty": { "y": 2 },
    });
    assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
    let instance = json!({
        "groupName": "g", "serviceName": "s", "hostAddress": "10.0.0.1", "portNumber": 80,
        "contextPath": "/i", "instanceStatus": "STARTING", "healthStatus": "UNHEALTHY",
        "weightValue": 250, "clientId": "c", "clientVersion": "1.2", "clientType": "GATEWAY",
        "metadata": { "zone": "z1" }, "tags": ["blue"], "healthCheckType": "NONE",
        "leaseSeconds": 77, "ephemeral": "N", "noteText": "n", "extProperty": { "z": null },
    });
    let (status, made) = hub.post("/api/v1/instances", &instance).await;
    assert_eq!(status, 201, "{made}");
    let id = made["instanceId"].as_str().unwrap();
    let config = json!({
        "configName": "c", "registryType": "CONSUL", "serverAddress": "127.0.0.1:1",
        "activeFlag": "N", "authEnabled": "Y", "username": "u", "password": "secret",
        "specificConfig": { "priority": 5 }, "extProperty": { "a": 1 },
    });
    let (status, made) = hub.post("/api/v1/external/configs", &config).await;
    assert_eq!(status, 201, "{made}");
    let config_id = made["configId"].as_str().unwrap();
    let cases = [
        ("/api/v1/groups/g".to_owned(), group),
        ("/api/v1/services/s".to_owned(), service),
        (format!("/api/v1/instances/{id}"), instance),
        (format!("/api/v1/external/configs/{config_id}"), config),
    ];
    for (path, sent) in cases {
        let (_, read) = hub.get(&path).await;
        for (field, value) in sent.as_object().unwrap() {
            let expected = if field == "password" { &json!("***") } else { value };
            assert_eq!(read[field], *expected, "{path} {field}: {read:#}");
        }
        let before = version(&hub, &path).await;
        let (status, answer) = hub.put(&path, &read).await;
        assert_eq!(status, 200, "{path}: {answer}");
        assert_eq!(version(&hub, &path).await, before, "{path}: nothing changed");
        // Said again for an old version it is a conflict all the same.
        let mut old = read.clone();
        old["currentVersion"] = json!(before.as_i64().unwrap() + 1);
        assert_eq!(hub.put(&path, &old).await.0, 409, "{path}");
        // A change of one field changes that field.
        let note = json!({ "noteText": "other" });
        assert_eq!(hub.put(&path, &note).await.0, 200, "{path}");
        let (_, mut after) = hub.get(&path).await;
        let mut expected = read.clone();
        for changing in ["noteText", "currentVersion", "editTime", "revision", "lastHeartbeatTime"]
        {
            expected[changing] = json!(null);
            after[changing] = json!(null);
        }
        assert_eq!(after, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entity_tags_on_lists_and_single_things() {
    let hub = Hub::start().await;
    let instance = json!({
        "serviceName": "web", "hostAddress": "10.0.0.1", "portNumber": 80, "healthCheckType": "NONE",
    });
    let (_, made) = hub.post("/api/v1/instances", &instance).await;
    let paths = [
        "/api/v1/groups".to_owned(),
        "/api/v1/groups/DEFAULT_GROUP".to_owned(),
        "/api/v1/groups/DEFAULT_GROUP/services".to_owned(),
        "/api/v1/services".to_owned(),
        "/api/v1/services/web".to_owned(),
        "/api/v1/instances".to_owned(),
        format!("/api/v1/instances/{}", made["instanceId"].as_str().unwrap()),
        "/api/v1/external/configs".to_owned(),
    ];
    let mut tags = Vec::new();
    for path in &paths {
        let answer = hub.client.get(hub.url(path)).send().await.unwrap();
        let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        assert!(tag.starts_with("W/\""), "{path}: {tag}");
        let again = hub.client.get(hub.url(path)).header("if-none-match", &tag).send().await;
        let again = again.unwrap();
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.headers()["etag"].to_str().unwrap(), tag);
        assert_eq!(again.text().await.unwrap(), "");
        tags.push(tag);
    }
    let mut more = instance.clone();
    more["portNumber"] = json!(81);
    more["metadata"] = json!({ "x": "y" });
    assert_eq!(hub.post("/api/v1/instances", &more).await.0, 201);
    for (path, tag) in paths.iter().zip(&tags).take(6) {
        let answer = hub.client.get(hub.url(path)).header("if-none-match", tag).send().await;
        assert_eq!(answer.unwrap().status(), 200, "{path}: a change changes the tag");
    }
}
