//! The fault proxy makes the faults it promises.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::time::Duration;

use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use reqwest::{Client, Response};
use tokio::net::TcpListener;
use tokio::time::Instant;

const BODY: &str = "all is well";

/// A server that always answers the same, and the proxy before it.
async fn behind_proxy() -> FaultProxy {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(|| async { BODY });
    #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    FaultProxy::start(address).await
}

async fn get(client: &Client, proxy: &FaultProxy) -> Result<Response, reqwest::Error> {
    let url = format!("http://127.0.0.1:{}/", proxy.port());
    let request = client.get(url).timeout(Duration::from_millis(500));
    request.send().await
}

async fn works(client: &Client, proxy: &FaultProxy) {
    let answer = get(client, proxy).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), BODY);
}

#[tokio::test]
async fn each_fault_shows_also_on_a_connection_that_was_open_and_goes_away_again() {
    let (client, proxy) = (Client::new(), behind_proxy().await);
    works(&client, &proxy).await;

    proxy.set(Fault::Refuse).await;
    let error = get(&client, &proxy).await.unwrap_err();
    assert!(!error.is_timeout(), "refused at once: {error:?}");
    proxy.set(Fault::None).await;
    works(&client, &proxy).await;

    proxy.set(Fault::Hang).await;
    let error = get(&client, &proxy).await.unwrap_err();
    assert!(error.is_timeout(), "silent: {error:?}");
    proxy.set(Fault::None).await;
    works(&client, &proxy).await;

    proxy.set(Fault::answer(403, "text/html", "<html>no</html>")).await;
    let answer = get(&client, &proxy).await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(answer.headers()["content-type"], "text/html");
    assert_eq!(answer.text().await.unwrap(), "<html>no</html>");

    proxy.set(Fault::Truncate(20)).await;
    get(&client, &proxy).await.expect_err("half a head");
    proxy.set(Fault::None).await;
    works(&client, &proxy).await;
}

#[tokio::test]
async fn a_body_can_be_cut() {
    let (client, proxy) = (Client::new(), behind_proxy().await);
    let whole = get(&client, &proxy).await.unwrap();
    let lines = whole.headers().iter();
    let head: usize = lines.map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let head = head + "HTTP/1.1 200 OK\r\n\r\n".len();
    proxy.set(Fault::Truncate(head + 3)).await;
    let cut = get(&client, &proxy).await.expect("a whole head");
    cut.text().await.expect_err("half a body");
}

#[tokio::test]
async fn a_reset_cuts_what_is_open_and_lets_new_connections_work() {
    let (client, proxy) = (Client::new(), behind_proxy().await);
    works(&client, &proxy).await;
    proxy.set(Fault::Hang).await;
    let waiting = get(&client, &proxy);
    let (waiting, ()) = tokio::join!(waiting, proxy.set(Fault::Reset));
    assert!(waiting.is_ok() || !waiting.unwrap_err().is_timeout());
    works(&Client::new(), &proxy).await;
}

#[tokio::test]
async fn a_delay_is_late_and_keeps_connections() {
    let (client, proxy) = (Client::new(), behind_proxy().await);
    works(&client, &proxy).await;
    let late = Duration::from_millis(150);
    proxy.set(Fault::Delay(late)).await;
    let start = Instant::now();
    works(&client, &proxy).await;
    assert!(start.elapsed() >= late);
}
