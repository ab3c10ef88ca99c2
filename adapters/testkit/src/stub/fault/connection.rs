//! One connection through the proxy.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Fault;

/// How long a connection that got its last byte is kept for its client to read it.
const LINGER: Duration = Duration::from_secs(2);
/// The longest request head that is read before a canned answer.
const MAX_HEAD: usize = 64 * 1024;

/// Counts one connection through which bytes may pass.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|open| *open += 1);
        Self(count.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Accepts and serves until it is dropped, which ends its connections too.
pub(super) async fn accept(
    listener: TcpListener,
    target: SocketAddr,
    fault: watch::Sender<Fault>,
    open: watch::Sender<usize>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(serve(client, target, fault.subscribe(), Open::new(&open)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(
    mut client: TcpStream,
    target: SocketAddr,
    mut fault: watch::Receiver<Fault>,
    open: Open,
) {
    let now = fault.borrow().clone();
    match now {
        Fault::Refuse => reset(&client),
        Fault::Hang => swallow(client, fault, open).await,
        Fault::Answer { status, content_type, body } => {
            let answer = |_: &str| canned(status, &content_type, "", &body);
            tokio::select! {
                biased;
                _ = fault.changed() => reset(&client),
                () = give(&mut client, answer) => {}
            }
        }
        Fault::Reflect { status, body } => {
            let answer = |request: &str| {
                let request = serde_json::Value::from(request).to_string();
                let body = body.replace("{}", request.trim_matches('"'));
                // So that a client of Consul reads on.
                canned(status, "application/json", "X-Consul-Index: 7\r\n", &body)
            };
            tokio::select! {
                biased;
                _ = fault.changed() => reset(&client),
                () = give(&mut client, answer) => {}
            }
        }
        Fault::None | Fault::Reset | Fault::Delay(_) | Fault::Truncate(_) => {
            forward(client, target, fault, open).await;
        }
    }
}

fn canned(status: u16, content_type: &str, more: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} Canned\r\nContent-Type: {content_type}\r\n\
         {more}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Makes the coming close a reset.
fn reset(client: &TcpStream) {
    client.set_zero_linger().ok();
}

/// Reads and says nothing until the fault is over; then the connection is reset.
async fn swallow(mut client: TcpStream, mut fault: watch::Receiver<Fault>, open: Open) {
    drop(open);
    let silence = async {
        let mut buffer = [0; 4096];
        while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        // The client gave up.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = fault.changed() => {}
        () = silence => {}
    }
    reset(&client);
}

/// Waits for a request head and gives the answer to it and to what came with it.
async fn give(client: &mut TcpStream, answer: impl Fn(&str) -> String) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = client.read_buf(&mut head).await;
        if !read.is_ok_and(|read| read > 0) || head.len() > MAX_HEAD {
            return;
        }
    }
    let answer = answer(&String::from_utf8_lossy(&head));
    if client.write_all(answer.as_bytes()).await.is_ok() {
        close(client).await;
    }
}

/// Closes without a reset, which would take away from the client what it has not read yet.
async fn close(client: &mut TcpStream) {
    client.shutdown().await.ok();
    let drained = async {
        let mut buffer = [0; 4096];
        while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    };
    tokio::time::timeout(LINGER, drained).await.ok();
}

/// What ended the forwarding.
enum End {
    Cut,
    Silent,
    Closed,
}

async fn forward(
    mut client: TcpStream,
    target: SocketAddr,
    mut fault: watch::Receiver<Fault>,
    open: Open,
) {
    let Ok(mut server) = TcpStream::connect(target).await else {
        return reset(&client);
    };
    let end = {
        let (mut from_client, to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let requests = async {
            tokio::io::copy(&mut from_client, &mut to_server).await.ok();
            to_server.shutdown().await.ok();
            std::future::pending::<()>().await;
        };
        let answers = answers(from_server, to_client, fault.clone());
        tokio::select! {
            // In this order: nothing passes after `set`.
            biased;
            end = ended(&mut fault) => end,
            () = answers => End::Closed,
            () = requests => End::Closed,
        }
    };
    drop(server);
    match end {
        End::Cut => reset(&client),
        End::Silent => swallow(client, fault, open).await,
        End::Closed => close(&mut client).await,
    }
}

async fn ended(fault: &mut watch::Receiver<Fault>) -> End {
    loop {
        if fault.changed().await.is_err() {
            return End::Cut;
        }
        match &*fault.borrow() {
            Fault::None | Fault::Delay(_) => {}
            Fault::Hang => return End::Silent,
            _ => return End::Cut,
        }
    }
}

/// Forwards what the server says, late or not whole if so told.
async fn answers(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, fault: watch::Receiver<Fault>) {
    let mut left = match *fault.borrow() {
        Fault::Truncate(bytes) => bytes,
        _ => usize::MAX,
    };
    let mut buffer = vec![0; 16 * 1024];
    while left > 0 {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let late = match *fault.borrow() {
            Fault::Delay(late) => late,
            _ => Duration::ZERO,
        };
        tokio::time::sleep(late).await;
        let piece = &buffer[..read.min(left)];
        left -= piece.len();
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
