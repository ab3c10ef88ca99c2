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
    /// Every piece of an answer comes by so much later at most, by chance; existing connections
    /// live on.
    Jitter {
        /// The latest.
        most: Duration,
        /// Of the chance.
        seed: u64,
    },
    /// Of what the server sends, its HTTP head included, each connection gets only so many
    /// bytes; then it is closed.
    Truncate(usize),
    /// The same, and then only the server's side is closed: what the client says goes on being
    /// taken.
    HalfClose(usize),
    /// In one of so many bytes of what the server sends, its HTTP head included, a bit is turned.
    Flip {
        /// One of so many, by chance.
        one_in: usize,
        /// Of the chance.
        seed: u64,
    },
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
    /// Some other server answers every request with a JSON list of so many bytes that goes on and
    /// on.
    Huge(usize),
    /// Each new connection has one of these, by chance.
    Scripted {
        /// Of the chance.
        seed: u64,
        /// At least one.
        faults: Vec<Self>,
    },
}

impl Fault {
    /// A canned answer.
    #[must_use]
    pub fn answer(status: u16, content_type: &str, body: &str) -> Self {
        Self::Answer { status, content_type: content_type.to_owned(), body: body.to_owned() }
    }

    /// What something else says that answers at the registry's address, each with its name.
    #[must_use]
    pub fn wrong_answers() -> Vec<(&'static str, Self)> {
        let json = "application/json";
        vec![
            ("html", Self::answer(200, "text/html", "<html><h1>Welcome to nginx!</h1></html>")),
            ("unauthorized", Self::answer(401, json, "{}")),
            ("forbidden", Self::answer(403, "text/plain", "")),
            ("not found", Self::answer(404, "text/plain", "")),
            ("failing", Self::answer(500, "text/plain", "oops")),
            ("unavailable", Self::answer(503, "text/html", "<html>busy</html>")),
            ("nothing", Self::answer(200, json, "")),
            ("an empty object", Self::answer(200, json, "{}")),
            ("half an answer", Self::answer(200, json, "{\"applications\":{\"applica")),
            ("huge", Self::Huge(512 * 1024 * 1024)),
        ]
    }

    /// The fault of the connection of this number.
    fn of(&self, number: u64) -> Self {
        match self {
            Self::Scripted { seed, faults } => {
                let place = random(*seed, number).usize(..faults.len().max(1));
                faults.get(place).map_or(Self::None, |fault| fault.of(number))
            }
            fault => fault.clone(),
        }
    }

    /// Whether open connections live on under it.
    fn spares(&self) -> bool {
        matches!(self, Self::None | Self::Delay(_) | Self::Jitter { .. })
    }

    /// An answer that says the request back in place of each `{}`.
    #[must_use]
    pub fn reflect(status: u16, body: &str) -> Self {
        Self::Reflect { status, body: body.to_owned() }
    }
}

/// What chance brings to the connection of this number: the same for the same seed.
fn random(seed: u64, number: u64) -> fastrand::Rng {
    fastrand::Rng::with_seed(seed.wrapping_add(number))
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
        let cuts = !fault.spares();
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
