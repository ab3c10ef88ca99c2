//! A TCP proxy that makes faults in front of any server, real or stub.

mod connection;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a fault waits for connections to be cut.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the proxy does to its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Everything is forwarded.
    None,
    /// The server is dead: existing connections and every new one are reset at once.
    Refuse,
    /// The server is frozen: it accepts, swallows and never answers; existing connections fall
    /// silent too.
    Hang,
    /// Existing connections are reset; new ones work.
    Reset,
    /// Every piece of an answer comes this much later; existing connections live on.
    Delay(Duration),
    /// Of what the server sends, its HTTP head included, each connection gets only so many
    /// bytes; then it is closed.
    Truncate(usize),
    /// Some other server answers every request like this.
    Answer {
        /// The status.
        status: u16,
        /// The value of `Content-Type`.
        content_type: String,
        /// The body.
        body: String,
    },
    /// Some other server answers every request with what it was sent.
    Reflect {
        /// The status.
        status: u16,
        /// The body, in which the request, head and body, stands for each `{}`, as the inside of a
        /// JSON text.
        body: String,
    },
}

impl Fault {
    /// A canned answer.
    #[must_use]
    pub fn answer(status: u16, content_type: &str, body: &str) -> Self {
        Self::Answer { status, content_type: content_type.to_owned(), body: body.to_owned() }
    }

    /// An answer that says the request back in place of each `{}`.
    #[must_use]
    pub fn reflect(status: u16, body: &str) -> Self {
        Self::Reflect { status, body: body.to_owned() }
    }
}

/// The proxy: listens on a free loopback port until it is dropped. It forwards everything until
/// told otherwise.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    open: watch::Sender<usize>,
    accepting: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy in front of `target`, which need not run yet.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let fault = watch::Sender::new(Fault::None);
        let open = watch::Sender::new(0);
        let accepting = connection::accept(listener, target, fault.clone(), open.clone());
        Self { address, fault, open, accepting: tokio::spawn(accepting) }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this fault and no other: not a byte is forwarded as before. Returns when the
    /// connections that the fault cuts are cut and their clients can know it.
    pub async fn set(&self, fault: Fault) {
        let cuts = !matches!(fault, Fault::None | Fault::Delay(_));
        self.fault.send_replace(fault);
        if cuts {
            let mut open = self.open.subscribe();
            let cut = open.wait_for(|open| *open == 0);
            tokio::time::timeout(PATIENCE, cut).await.ok();
        }
        // A timer parks the test's thread, so that its clients are told of the resets: a pooled
        // connection that is dead must not be tried once more.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // The connections are in a set that the task owns: they end with it.
        self.accepting.abort();
    }
}
