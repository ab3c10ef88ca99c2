//! Bytes that no client would send.

use std::time::Duration;

use fastrand::Rng;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::{Client, Payload};
use super::port;
use crate::hub::Hub;
use crate::proofs::{rounds, seed};

const SOON: Duration = Duration::from_secs(10);

/// A call with this body; the gRPC status it is answered with.
async fn call(port: u16, path: &str, body: Vec<u8>) -> Option<String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let made = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = made.unwrap();
    let driven = tokio::spawn(connection);
    let request = hyper::Request::post(format!("http://hub{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let answer = timeout(SOON, sender.send_request(request)).await.unwrap().unwrap();
    let said = answer.headers().get("grpc-status").cloned();
    let whole = timeout(SOON, answer.into_body().collect()).await.unwrap();
    let trailers = whole.ok().and_then(|whole| whole.trailers().cloned());
    let said = said.or_else(|| trailers?.get("grpc-status").cloned());
    driven.abort();
    said.map(|status| status.to_str().unwrap().to_owned())
}

fn framed(compressed: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[compressed][..], &length.to_be_bytes(), message].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_are_cut_or_wrong_are_refused() {
    let hub = Hub::start().await;
    let port = port(&hub);
    let unary = "/Request/request";
    let whole = prost::Message::encode_to_vec(&Payload::new("ServerCheckRequest", b"{}".to_vec()));
    let length = whole.len() as u32;
    // 0 is OK; 2 unknown, 3 argument, 8 resources, 11 out of range, 12 not there, 13 internal.
    for (what, path, body, expected) in [
        ("all of it", unary, framed(0, length, &whole), &["0"][..]),
        ("nothing", unary, Vec::new(), &["13"]),
        ("half a head", unary, vec![0, 0, 0], &["13"]),
        ("a head alone", unary, framed(0, length, &[]), &["13"]),
        ("half a message", unary, framed(0, length, &whole[..whole.len() / 2]), &["13"]),
        ("too short a length", unary, framed(0, 3, &whole), &["13", "0"]),
        ("no protobuf", unary, framed(0, 4, b"\xff\xff\xff\xff"), &["13", "3"]),
        ("compressed, it says", unary, framed(1, length, &whole), &["13", "12"]),
        ("of no kind", unary, framed(7, length, &whole), &["13"]),
        ("four gigabytes, it says", unary, framed(0, u32::MAX, &whole), &["11", "8"]),
        ("no such call", "/Other/request", framed(0, length, &whole), &["12"]),
    ] {
        let status = call(port, path, body).await;
        let status = status.as_deref().unwrap_or("none");
        assert!(expected.contains(&status), "{what}: {status}");
    }
    let mut client = Client::start(port).await;
    client.register("alive", "10.8.10.1", &json!({})).await;
    assert!(!hub.log().contains("panic"), "{}", hub.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn random_bytes_end_their_connection_and_nothing_else() {
    let hub = Hub::start().await;
    let port = port(&hub);
    let mut client = Client::start(port).await;
    let mut random = Rng::with_seed(seed());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for _ in 0..rounds(200, 5000) {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut bytes = if random.bool() { preface.to_vec() } else { Vec::new() };
        for _ in 0..random.usize(0..6) {
            // Frames of HTTP/2 that may or may not be.
            let length = random.usize(0..64);
            let claimed = if random.u8(0..8) == 0 { random.u32(..) } else { length as u32 };
            bytes.extend(&claimed.to_be_bytes()[1..]);
            bytes.extend([random.u8(0..12), random.u8(..), 0, 0, 0, random.u8(0..6)]);
            bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(length));
        }
        // The other side may have ended it.
        stream.write_all(&bytes).await.ok();
        stream.shutdown().await.ok();
        let mut answer = Vec::new();
        timeout(SOON, stream.read_to_end(&mut answer)).await.expect("it is kept").ok();
    }
    assert_eq!(client.ask("HealthCheckRequest", json!({})).await.0, "HealthCheckResponse");
    assert!(!hub.log().contains("panic"), "{}", hub.log_end());
}
