//! Asking, over real sockets of this machine.

mod forbidden;

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use hub_registry_core::egress::{Egress, EgressPolicy, Lookup, Network, SystemLookup};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::http::{Page, ask};
use super::*;
use crate::health::target::Request;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn networks(all: &[&str]) -> Vec<Network> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

/// Everything that is not forbidden may be asked, but for these.
fn but_for(deny: &[&str]) -> EgressPolicy {
    EgressPolicy::new(EgressPolicy::everything(), networks(deny))
}

fn probe(policy: EgressPolicy, names: Names) -> NetworkProbe {
    let egress = Egress::with_lookup(Arc::new(policy), Arc::new(names));
    let trust = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    NetworkProbe::new(egress, vec![Ports::ALL], &trust).unwrap()
}

/// A name server: the answers of each name, one after the other, the last one for ever. Numbers
/// are left to the system, which takes every spelling of them.
#[derive(Debug, Default)]
struct Names(Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>);

impl Names {
    fn with(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |all: &&[&str]| all.iter().map(|text| text.parse().unwrap()).collect();
        self.0.get_mut().insert(name.to_owned(), answers.iter().map(parse).collect());
        self
    }
}

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let bare = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(answers) = self.0.lock().get_mut(&bare) {
            let more = answers.len() > 1;
            return Ok(if more { answers.remove(0) } else { answers[0].clone() });
        }
        if name.starts_with(|c: char| c.is_ascii_digit()) || name.contains(':') {
            return SystemLookup.lookup(name).await;
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A port of every IPv4 address of this machine, and what comes to it while something is done.
struct Door(TcpListener);

impl Door {
    async fn open() -> (Self, u16) {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (Self(listener), port)
    }

    /// How many connected meanwhile; they are let in and hung up on.
    async fn count<T>(&self, work: impl Future<Output = T>) -> (T, usize) {
        let count = AtomicUsize::new(0);
        let guard = async {
            loop {
                drop(self.0.accept().await.unwrap());
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let done = tokio::select! {
            done = work => done,
            () = guard => unreachable!("it never ends"),
        };
        // Whoever came before this one is let in before it.
        let last = TcpStream::connect(self.0.local_addr().unwrap()).await.unwrap();
        let last = last.local_addr().unwrap();
        while self.0.accept().await.unwrap().1 != last {
            count.fetch_add(1, Ordering::Relaxed);
        }
        (done, count.into_inner())
    }
}

/// An answer that never ends, of which is counted how much is taken.
struct Flood {
    /// Whoever waits for it has asked.
    asked: bool,
    waits: Option<Waker>,
    head: &'static [u8],
    more: u8,
    taken: Arc<AtomicUsize>,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.asked {
            self.waits = Some(context.waker().clone());
            return Poll::Pending;
        }
        let size = self.head.len().min(buffer.remaining());
        let (now, later) = self.head.split_at(size);
        buffer.put_slice(now);
        self.head = later;
        let rest = buffer.remaining();
        buffer.put_slice(&vec![self.more; rest]);
        self.taken.fetch_add(size + rest, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        request: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.asked = true;
        self.waits.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(request.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn no_more_than_64_kib_of_an_answer_is_taken() {
    for (head, more, outcome) in [
        ("HTTP/1.1 200 OK\r\n\r\n", b'x', Outcome::Answered(200)),
        ("HTTP/1.1 500 No\r\ncontent-length: 9999999999\r\n\r\n", b'x', Outcome::Answered(500)),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n",
            b'x',
            Outcome::Answered(200),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b'1', Outcome::Answered(200)),
        ("HTTP/1.1 200 OK\r\nx: ", b'x', Outcome::NoHttp),
        ("HTTP/1.1 200 ", b'x', Outcome::NoHttp),
        ("", b'\n', Outcome::NoHttp),
        ("", b'x', Outcome::NoHttp),
    ] {
        let taken = Arc::new(AtomicUsize::new(0));
        let (asked, waits, head) = (false, None, head.as_bytes());
        let flood = Flood { asked, waits, head, more, taken: Arc::clone(&taken) };
        let by = Request::default();
        let page = Page { authority: "a", path: "/", by: &by };
        let found = timeout_at(soon(), ask(flood, page, soon())).await;
        assert_eq!(found, Ok(outcome), "{head:?}");
        let taken = taken.load(Ordering::Relaxed);
        assert!((1..=64 * 1024).contains(&taken), "{head:?}: {taken} bytes");
    }
}

#[tokio::test]
async fn each_check_asks_anew_where_a_name_leads() {
    let (door, port) = Door::open().await;
    let answers: [&[&str]; 4] =
        [&["127.0.0.1"], &["169.254.169.254"], &["fe80::1", "127.66.0.1"], &["127.0.0.2"]];
    let probe = probe(but_for(&["127.66.0.0/16"]), Names::default().with("evil.example", &answers));
    let ask = Ask::Tcp { host: "evil.example".to_owned(), port };
    let (found, connections) = door
        .count(async {
            let mut found = Vec::new();
            for _ in 0..4 {
                found.push(probe.ask(&ask, soon()).await.to_string());
            }
            found
        })
        .await;
    let denied = |why: &str| format!("not allowed by healthCheck.egress: {why}");
    assert_eq!(found[0], "connected");
    assert_eq!(found[1], denied("a cloud's metadata address is not connected to"));
    assert_eq!(found[2], denied("a link-local address is not connected to"));
    assert_eq!((found[3].as_str(), connections), ("connected", 2));
}

#[tokio::test]
async fn the_next_address_of_a_name_is_tried() {
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let names = Names::default().with("two.example", &[&["127.0.0.1", "127.0.0.2"]]);
    let ask = Ask::Tcp { host: "two.example".to_owned(), port };
    let probe = probe(EgressPolicy::default(), names);
    assert_eq!(probe.ask(&ask, soon()).await, Outcome::Connected);
}

#[tokio::test]
async fn other_ports_are_not_asked() {
    let (door, port) = Door::open().await;
    let egress = Egress::new(Arc::default());
    let ports = vec!["1-1023".parse().unwrap(), (port + 1).to_string().parse().unwrap()];
    let probe = NetworkProbe::new(egress, ports, &TlsSettings::default()).unwrap();
    let ask = Ask::of_url(&format!("http://127.0.0.1:{port}/"));
    let (found, connections) = door.count(probe.ask(&ask, soon())).await;
    assert_eq!(found, Outcome::PortNotAllowed);
    assert_eq!(connections, 0);
}

/// What a peer does that is asked by gRPC.
#[derive(Clone, Copy, Debug)]
enum Peer {
    /// It ends the connection when it was asked; `true`: by a reset.
    Leaves(bool),
    /// It ends the connection after it has said that it speaks HTTP/2.
    Greets,
    Says(&'static str),
}

impl Peer {
    async fn meet(self, listener: &TcpListener) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 1024];
        assert_ne!(stream.read(&mut asked).await.unwrap(), 0);
        match self {
            Self::Leaves(resets) => {
                if resets {
                    stream.set_zero_linger().unwrap();
                }
            }
            // An empty frame of settings: RFC 9113, 6.5.
            Self::Greets => stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap(),
            Self::Says(text) => {
                stream.write_all(text.as_bytes()).await.unwrap();
                while stream.read(&mut asked).await.is_ok_and(|count| count > 0) {}
            }
        }
    }
}

/// That a connection was cut is not that it speaks something else.
#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_no_answer_by_grpc() {
    let probe = probe(but_for(&[]), Names::default());
    for (peer, outcome) in [
        (Peer::Leaves(false), Outcome::Reset),
        (Peer::Leaves(true), Outcome::Reset),
        (Peer::Greets, Outcome::Reset),
        (Peer::Says("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), Outcome::NoGrpc),
        (Peer::Says("SSH-2.0-OpenSSH_9.2p1\r\n"), Outcome::NoGrpc),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("grpc://{}/s", listener.local_addr().unwrap());
        let ask = Ask::of_url(&url);
        let (found, ()) = tokio::join!(probe.ask(&ask, soon()), peer.meet(&listener));
        assert_eq!(found, outcome, "{peer:?}");
    }
}
