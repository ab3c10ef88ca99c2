//! A relay in front of a registry that counts what a hub asks of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// What passed since the last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed {
    /// When each request began.
    requests: Vec<Instant>,
    /// The most connections that were open at the same time.
    pub connections: usize,
    /// Of answers.
    pub bytes: usize,
}

impl Passed {
    pub(crate) fn requests(&self) -> usize {
        self.requests.len()
    }

    /// The most requests within any one second.
    pub(crate) fn most_a_second(&self) -> usize {
        let within = |(first, at): (usize, &Instant)| {
            let end = *at + Duration::from_secs(1);
            self.requests.partition_point(|one| *one < end) - first
        };
        self.requests.iter().enumerate().map(within).max().unwrap_or(0)
    }
}

#[derive(Debug, Default)]
struct Counts {
    passed: Passed,
    open: usize,
}

pub(crate) struct Relay {
    pub address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let counts = Arc::<Mutex<Counts>>::default();
        let counted = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                open.spawn(carry(client, target, Arc::clone(&counted)));
                while open.try_join_next().is_some() {}
            }
        });
        Self { address, counts, task }
    }

    /// What passed since the last call.
    pub(crate) fn passed(&self) -> Passed {
        let mut counts = self.counts.lock();
        let next = Passed { connections: counts.open, ..Passed::default() };
        std::mem::replace(&mut counts.passed, next)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(mut client: TcpStream, target: SocketAddr, counts: Arc<Mutex<Counts>>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    {
        let mut counts = counts.lock();
        counts.open += 1;
        counts.passed.connections = counts.passed.connections.max(counts.open);
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let asked = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            // A client sends a request in one piece, and the next one after the answer.
            if buffer.starts_with(b"GET ") {
                counts.lock().passed.requests.push(Instant::now());
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let answered = async {
        let mut buffer = vec![0; 256 * 1024];
        while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
            counts.lock().passed.bytes += read;
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asked => {}
        () = answered => {}
    }
    counts.lock().open -= 1;
}
