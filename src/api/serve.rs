//! The accept loop.
//!
//! Our own, because the common helper sets no time-out for a request's head: a client that opens
//! connections and sends a byte an hour would hold them for ever.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::gate::Gate;
use crate::task::TaskGroup;

/// A request's head must be whole within this time, counted from the answer before it: it is also
/// how long an idle connection is kept. Longer than the minute after which usual clients and
/// proxies close an idle one themselves, so that they do not write into a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The pause after a failed accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of a listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more wait in the kernel's queue.
    pub connections: usize,
}

/// Serves connections until the group stops; then no new ones are taken, and those that are open
/// end after the request under way.
pub fn serve(listener: TcpListener, gate: Gate, limits: Limits, tasks: &TaskGroup) {
    let (stop, connections) = (tasks.stop_signal(), tasks.clone());
    let places = Arc::new(Semaphore::new(limits.connections.max(1)));
    tasks.spawn(async move {
        loop {
            let place = tokio::select! {
                () = stop.cancelled() => return,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let (gate, stop) = (gate.clone(), stop.clone());
                    connections.spawn(async move {
                        connection(stream, peer, gate, stop).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    });
}

async fn connection(
    stream: TcpStream,
    peer: std::net::SocketAddr,
    gate: Gate,
    stop: tokio_util::sync::CancellationToken,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request: Request<Incoming>| {
        let gate = gate.clone();
        async move {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            Ok::<_, Infallible>(gate.call(request).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%peer, %error, "a connection ended early");
                }
                return;
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}
