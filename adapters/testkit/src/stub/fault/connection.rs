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
    let mut number = 0;
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let script = Script { fault: fault.subscribe(), number };
                connections.spawn(serve(client, target, script, Open::new(&open)));
                number += 1;
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What one connection is told to do.
struct Script {
    fault: watch::Receiver<Fault>,
    number: u64,
}

impl Script {
    fn now(&self) -> Fault {
        self.fault.borrow().of(self.number)
    }

    /// Waits until it is told something else.
    async fn changed(&mut self) {
        if self.fault.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    fn random(&self, seed: u64) -> fastrand::Rng {
        super::random(seed, self.number)
    }
}

async fn serve(mut client: TcpStream, target: SocketAddr, mut script: Script, open: Open) {
    match script.now() {
        Fault::Refuse => reset(&client),
        Fault::Hang => swallow(client, script, open).await,
        Fault::Answer { status, content_type, body } => {
            let answer = |_: &str| canned(status, &content_type, "", &body);
            tokio::select! {
                biased;
                () = script.changed() => reset(&client),
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
                () = script.changed() => reset(&client),
                () = give(&mut client, answer) => {}
            }
        }
        Fault::Huge(bytes) => {
            tokio::select! {
                biased;
                () = script.changed() => reset(&client),
                () = flood(&mut client, bytes) => {}
            }
        }
        // Each of these is one of the others.
        Fault::Scripted { .. } => reset(&client),
        _ => forward(client, target, script, open).await,
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
async fn swallow(mut client: TcpStream, mut script: Script, open: Open) {
    drop(open);
    let silence = async {
        let mut buffer = [0; 4096];
        while client.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        // The client gave up.
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = script.changed() => {}
        () = silence => {}
    }
    reset(&client);
}

/// Waits for a request head and gives the answer to it and to what came with it.
async fn give(client: &mut TcpStream, answer: impl Fn(&str) -> String) {
    let Some(head) = head(client).await else { return };
    if client.write_all(answer(&head).as_bytes()).await.is_ok() {
        close(client).await;
    }
}

async fn head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = client.read_buf(&mut head).await;
        if !read.is_ok_and(|read| read > 0) || head.len() > MAX_HEAD {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&head).into_owned())
}

/// Waits for a request head and answers with a list that goes on and on, in chunks: its length is
/// not known before.
async fn flood(client: &mut TcpStream, bytes: usize) {
    if head(client).await.is_none() {
        return;
    }
    let head = "HTTP/1.1 200 Canned\r\nContent-Type: application/json\r\n\
                X-Consul-Index: 7\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n";
    let piece = format!("{:x}\r\n{}\r\n", 64 * 1024, "{}, ".repeat(16 * 1024));
    let mut sent = 0;
    let mut more = client.write_all(head.as_bytes()).await.is_ok();
    while more && sent < bytes {
        more = client.write_all(piece.as_bytes()).await.is_ok();
        sent += piece.len();
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

async fn forward(mut client: TcpStream, target: SocketAddr, mut script: Script, open: Open) {
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
        let told = Script { fault: script.fault.clone(), number: script.number };
        let answers = answers(from_server, to_client, told);
        tokio::select! {
            // In this order: nothing passes after `set`.
            biased;
            end = ended(&mut script) => end,
            () = answers => End::Closed,
            () = requests => End::Closed,
        }
    };
    drop(server);
    match end {
        End::Cut => reset(&client),
        End::Silent => swallow(client, script, open).await,
        End::Closed => close(&mut client).await,
    }
}

async fn ended(script: &mut Script) -> End {
    // One that was not whole from the beginning ends with its fault.
    let first = script.now();
    let whole = first.spares() || first == Fault::Reset;
    loop {
        if script.fault.changed().await.is_err() {
            return End::Cut;
        }
        let scripted = matches!(&*script.fault.borrow(), Fault::Scripted { .. });
        match script.now() {
            Fault::Hang if !scripted => return End::Silent,
            fault if fault.spares() && whole && !scripted => {}
            _ => return End::Cut,
        }
    }
}

/// Forwards what the server says, late or not whole or not as it was, if so told.
async fn answers(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, script: Script) {
    let first = script.now();
    let (mut left, half) = match first {
        Fault::Truncate(bytes) => (bytes, false),
        Fault::HalfClose(bytes) => (bytes, true),
        _ => (usize::MAX, false),
    };
    let mut turned = match first {
        Fault::Flip { one_in, seed } => Some((one_in, script.random(seed))),
        _ => None,
    };
    let mut late = None;
    let mut buffer = vec![0; 16 * 1024];
    while left > 0 {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let wait = match script.now() {
            Fault::Delay(late) => late,
            Fault::Jitter { most, seed } => {
                let random: &mut fastrand::Rng = late.get_or_insert_with(|| script.random(seed));
                most.mul_f64(random.f64())
            }
            _ => Duration::ZERO,
        };
        tokio::time::sleep(wait).await;
        let piece = &mut buffer[..read.min(left)];
        left -= piece.len();
        if let Some((one_in, random)) = &mut turned {
            for byte in piece.iter_mut() {
                if random.usize(..(*one_in).max(1)) == 0 {
                    *byte ^= 1 << random.u8(..8);
                }
            }
        }
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
    if half {
        to.shutdown().await.ok();
        std::future::pending::<()>().await;
    }
}
