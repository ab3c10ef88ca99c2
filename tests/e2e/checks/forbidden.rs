//! Checks of what an operator forbids, by the real server: a connection would arrive.

use std::sync::atomic::Ordering;

use hub_registry_testkit::spellings::{spellings, url_spellings};
use serde_json::json;

use super::{SOON, register};
use crate::egress::counting;
use crate::hub::Hub;

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_what_an_operator_forbids_is_connected_to() {
    let ((forbidden, came), (allowed, also)) = (counting().await, counting().await);
    let config = "healthCheck:\n  interval: 500ms\n  concurrentChecks: 100\n  \
                  egress:\n    deny: [\"127.66.0.0/16\"]\n";
    let hub = Hub::with_config(config).await;
    let ours = [127, 66, 0, 1];
    let (mut tries, mut refused) = (Vec::new(), 0);
    for text in spellings(ours) {
        tries.push((json!({ "hostAddress": text }), "/".to_owned()));
    }
    for text in spellings(ours).into_iter().chain(url_spellings(ours)) {
        let url = format!("http://{text}:{forbidden}/");
        tries.push((json!({ "hostAddress": "127.0.0.1" }), url));
    }
    for (number, (said, url)) in tries.iter().enumerate() {
        let mut instance = said.clone();
        instance["portNumber"] = json!(forbidden);
        let own = instance["hostAddress"] != "127.0.0.1";
        instance["healthCheckType"] = json!(if own && number % 2 == 0 { "TCP" } else { "HTTP" });
        let service = json!({ "serviceName": format!("s{number}"), "healthCheckUrl": url });
        refused += 1;
        assert_eq!(hub.post("/api/v1/services", &service).await.0, 201);
        instance["serviceName"] = service["serviceName"].clone();
        let (status, body) = hub.post("/api/v1/instances", &instance).await;
        if status == 400 && body["details"]["field"] == "hostAddress" {
            continue;
        }
        assert_eq!(status, 201, "{body}");
        let path = format!("/api/v1/instances/{}", body["instanceId"].as_str().unwrap());
        hub.until(&path, SOON, |_, body| {
            let last = &body["healthCheck"];
            let why = "not allowed by healthCheck.egress: its address is in egress.deny";
            let known = last.is_object();
            assert!(!known || last["output"] == why, "{said} {url}: {last}");
            known
        })
        .await;
    }
    let instance = json!({
        "hostAddress": "127.67.0.1", "portNumber": allowed, "healthCheckType": "TCP",
    });
    let path = register(&hub, &json!({ "serviceName": "allowed" }), &instance).await;
    hub.until(&path, SOON, |_, body| body["healthStatus"] == "HEALTHY").await;
    println!("{refused} spellings refused");
    assert_eq!(came.load(Ordering::Relaxed), 0);
    assert!(also.load(Ordering::Relaxed) > 0);
}
