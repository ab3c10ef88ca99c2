//! The fault proxy makes the faults it promises.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use std::time::Duration;

use hub_registry_testkit::stub::fault::{Fault, FaultProxy};
use reqwest::{Client, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
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

#[tokio::test]
async fn jitter_is_late_by_its_seed_and_keeps_connections() {
    let (client, proxy) = (Client::new(), behind_proxy().await);
    works(&client, &proxy).await;
    let most = Duration::from_millis(60);
    proxy.set(Fault::Jitter { most, seed: 7 }).await;
    let start = Instant::now();
    for _ in 0..10 {
        works(&client, &proxy).await;
    }
    assert!(start.elapsed() >= most, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_half_close_ends_the_answer_and_takes_what_the_client_says() {
    let proxy = behind_proxy().await;
    proxy.set(Fault::HalfClose(10)).await;
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 2");
    // Had the other side been closed too, the second of these would be refused.
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn flipped_bytes_are_the_same_for_the_same_seed() {
    let proxy = behind_proxy().await;
    let raw = async || {
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let whole = raw().await;
    let mut turned = 0;
    for seed in 0..5 {
        proxy.set(Fault::Flip { one_in: 8, seed }).await;
        let answer = raw().await;
        assert_eq!(answer.len(), whole.len());
        turned += usize::from(answer != whole);
    }
    assert_eq!(turned, 5);
    // Also a connection that was made under the fault is without it afterwards.
    let client = Client::new();
    proxy.set(Fault::Flip { one_in: 1_000_000, seed: 1 }).await;
    works(&client, &proxy).await;
    proxy.set(Fault::Flip { one_in: 1, seed: 1 }).await;
    proxy.set(Fault::None).await;
    works(&client, &proxy).await;
}

#[tokio::test]
async fn what_is_no_registry_answers_as_it_should() {
    let (client, proxy) = (Client::new(), behind_proxy().await);
    for (name, fault) in Fault::wrong_answers() {
        proxy.set(fault.clone()).await;
        let mut answer = get(&client, &proxy).await.unwrap();
        match fault {
            Fault::Answer { status, body, .. } => {
                assert_eq!(
                    (answer.status().as_u16(), answer.text().await.unwrap()),
                    (status, body)
                );
            }
            _ => {
                let mut read = 0;
                while read < 4 * 1024 * 1024 {
                    read += answer.chunk().await.unwrap().expect(name).len();
                }
            }
        }
    }
}

#[tokio::test]
async fn a_script_gives_each_connection_its_own_fault_by_the_seed() {
    let proxy = behind_proxy().await;
    let statuses = async |seed: u64| {
        let faults = [403, 404, 500].map(|status| Fault::answer(status, "text/plain", "no"));
        proxy.set(Fault::Scripted { seed, faults: faults.into() }).await;
        let mut statuses = Vec::new();
        for _ in 0..20 {
            statuses.push(get(&Client::new(), &proxy).await.unwrap().status().as_u16());
        }
        statuses
    };
    let first = statuses(1).await;
    for status in [403, 404, 500] {
        assert!(first.contains(&status), "{first:?}");
    }
    works_again(&proxy).await;
}

async fn works_again(proxy: &FaultProxy) {
    proxy.set(Fault::None).await;
    works(&Client::new(), proxy).await;
}
