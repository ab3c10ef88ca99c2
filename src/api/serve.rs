//! The accept loop.
//!
//! Our own, because the common helper sets no time-out for a request's head: a client that opens
//! connections and sends a byte an hour would hold them for ever.
//!
//! The end comes in two steps. While the server is *leaving* it takes connections and requests as
//! before, and closes each connection with its next answer: a client that would have sent its next
//! request into a closing connection learns in time. Then it *stops*: what is waiting to be
//! accepted is, idle connections are closed, and the others end with the request under way.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::gate::Gate;
use crate::task::TaskGroup;
use crate::telemetry::metrics::HttpMetrics;

/// A request's head must be whole within this time, counted from the answer before it: it is also
/// how long an idle connection is kept. Longer than the minute after which usual clients and
/// proxies close an idle one themselves, so that they do not write into a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// A peer that takes nothing of what it is sent, or acknowledges nothing, for so long is gone.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// A silent connection is asked after so long whether there is still somebody.
#[cfg(target_os = "linux")]
const SILENCE: Duration = Duration::from_secs(60);
/// A subscriber that takes nothing is waited for no longer when the server stops.
pub(super) const FAREWELL: Duration = Duration::from_secs(3);
/// The pause after a failed accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener's door and its bounds.
#[derive(Clone, Debug)]
pub struct Serving {
    /// What answers.
    pub gate: Gate,
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
    /// Whether the server is about to stop.
    pub leaving: Leaving,
    /// Metrics.
    pub metrics: HttpMetrics,
}

/// Whether the server is about to stop: it was asked to, and serves for a last while. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Leaving(Arc<AtomicBool>);

impl Leaving {
    /// From now on it is.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Says to connections that the server stops. Each is polled for every part of every request, and
/// asking a [`CancellationToken`](tokio_util::sync::CancellationToken) takes locks that all of them share.
#[derive(Debug, Default)]
struct Stopping {
    begun: AtomicBool,
    begins: Notify,
}

impl Stopping {
    fn begin(&self) {
        self.begun.store(true, Ordering::Release);
        self.begins.notify_waiters();
    }

    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    async fn wait(&self) {
        let mut begins = pin!(self.begins.notified());
        begins.as_mut().enable();
        if !self.has_begun() {
            begins.await;
        }
    }

    /// Runs the work until it stops; what came of the work, unless it did not end before.
    async fn before<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let (mut work, mut stops, mut waits) = (pin!(work), pin!(self.wait()), false);
        poll_fn(|context| {
            // Once is enough to be woken, since a task has the same waker for all its life.
            if !waits || self.has_begun() {
                waits = true;
                if stops.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }
}

/// Marks an answer whose body ends only with the server: who does not take it is not waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Endless;

/// Serves connections until the group stops; then no new ones are taken, and those that are open
/// end after the request under way.
pub fn serve(listener: TcpListener, serving: Serving, tasks: &TaskGroup) {
    let (stop, connections) = (tasks.stop_signal(), tasks.clone());
    let stopping = Arc::new(Stopping::default());
    let stops = Arc::clone(&stopping);
    let places = Arc::new(Semaphore::new(serving.connections.max(1)));
    let open = move |stream, peer, place| {
        let (serving, stopping) = (serving.clone(), Arc::clone(&stopping));
        connections.spawn(connection(stream, peer, serving, stopping, place));
    };
    tasks.spawn(async move {
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place.ok(),
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => open(stream, peer, place),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        stops.begin();
        // Those who wait in the kernel's queue think that they are connected, and may have sent.
        let Ok(listener) = listener.into_std() else { return };
        while let Ok(place) = Arc::clone(&places).try_acquire_owned()
            && let Ok((stream, peer)) = listener.accept()
        {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                open(stream, peer, Some(place));
            }
        }
    });
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    serving: Serving,
    stopping: Arc<Stopping>,
    _place: Option<OwnedSemaphorePermit>,
) {
    let _open = serving.metrics.connected();
    // Answers are written whole; waiting for more to send would only delay them.
    stream.set_nodelay(true).ok();
    tend(&stream);
    let endless = AtomicBool::new(false);
    let (endless, leaving, gate) = (&endless, &serving.leaving, &serving.gate);
    let service = service_fn(|request: Request<Incoming>| {
        let at_once = gate.answer(&request, peer);
        async move {
            let mut response = match at_once {
                Some(response) => response,
                None => {
                    let mut request = request.map(axum::body::Body::new);
                    request.extensions_mut().insert(ConnectInfo(peer));
                    gate.call(request).await
                }
            };
            if response.extensions().get::<Endless>().is_some() {
                endless.store(true, Ordering::Relaxed);
            }
            if leaving.has_begun() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = match stopping.before(connection.as_mut()).await {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(FAREWELL, connection.as_mut()).await {
                Ok(ended) => ended,
                Err(_) if endless.load(Ordering::Relaxed) => {
                    tracing::debug!(%peer, "a subscriber does not take the end of its stream");
                    return;
                }
                Err(_) => connection.await,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}

/// Lets the kernel find out that the peer is gone, or stuck: it may never say so.
#[cfg(target_os = "linux")]
fn tend(stream: &TcpStream) {
    use rustix::net::sockopt;

    let asked = sockopt::set_socket_keepalive(stream, true)
        .and_then(|()| sockopt::set_tcp_keepidle(stream, SILENCE))
        .and_then(|()| sockopt::set_tcp_keepintvl(stream, SILENCE / 4))
        .and_then(|()| sockopt::set_tcp_user_timeout(stream, PATIENCE.as_millis() as u32));
    if let Err(error) = asked {
        tracing::debug!(%error, "a connection cannot be watched");
    }
}

/// The system's own time-outs count.
#[cfg(not(target_os = "linux"))]
fn tend(_: &TcpStream) {}
