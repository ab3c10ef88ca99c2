//! The description of the API, as a page and as a document.

use reqwest::StatusCode;

use crate::hub::Hub;

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let answer = hub.client.get(hub.url("/api-docs")).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let page = answer.text().await.unwrap();
    for part in ["/api-docs/page.css", "/api-docs/page.js", "/api-docs/openapi.json"] {
        assert!(page.contains(&part[1..]), "{part}");
        let (status, body) = hub.get(part).await;
        assert_eq!(status, StatusCode::OK, "{part}");
        let elsewhere = body.as_str().unwrap_or_default();
        assert!(!elsewhere.contains("://") && !elsewhere.contains("innerHTML"), "{part}");
    }
    assert!(!page.contains("://") && !page.contains("<style") && !page.contains("onclick"));
    assert_eq!(hub.get("/api-docs/openapi.json").await.1["openapi"], "3.1.0");
}
