//! Connections, and calls on them.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response, StatusCode, header};
use futures_util::future::BoxFuture;
use futures_util::stream::{BoxStream, StreamExt};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::answer;
use super::connection::Connection;
use super::message::Payload;
use super::push::{End, Order, tend};
use crate::facades::nacos::Face;
use crate::http::shown::is_forwarded;
use crate::task::TaskGroup;

/// After a failed accept, so as not to spin.
const PAUSE: Duration = Duration::from_millis(100);
/// How many calls of one connection are answered at once; clients send one after the other.
const CALLS: u32 = 16;
/// The longest head of a call, in bytes.
const HEAD: u32 = 16 * 1024;
/// The longest message of who did not say who they are, in bytes.
const SET_UP_BODY: usize = 16 * 1024;
/// How many bytes a connection may send before they are taken.
const WINDOW: u32 = 1024 * 1024;
/// How many bytes are kept for a client that does not take them.
const KEPT: usize = 256 * 1024;
/// How many messages wait to be written, and how many are waited for by the connection's task.
const PUSHES: usize = 8;
const ORDERS: usize = 256;
/// How long a client may take its leave.
const FAREWELL: Duration = Duration::from_secs(3);

/// Takes connections until the group stops.
pub(super) async fn accept(
    listener: TcpListener,
    face: Arc<Face>,
    connections: usize,
    tasks: TaskGroup,
) {
    let places = Arc::new(Semaphore::new(connections.max(1)));
    // Where one has to show who one is, those who did not leave room for those who did.
    let strangers = Arc::new(Semaphore::new((connections / 2).max(1)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let stranger = match face.authenticator.is_on() {
                    true => match Arc::clone(&strangers).try_acquire_owned() {
                        Ok(stranger) => Some(stranger),
                        Err(_) => continue,
                    },
                    false => None,
                };
                let (face, group) = (Arc::clone(&face), tasks.clone());
                tasks.spawn(async move {
                    connection((stream, peer), face, group, stranger).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection of a client of Nacos can be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One client, from its first byte to its last.
async fn connection(
    (stream, peer): (TcpStream, SocketAddr),
    face: Arc<Face>,
    tasks: TaskGroup,
    stranger: Option<OwnedSemaphorePermit>,
) {
    let _open = face.metrics.nacos.connected();
    stream.set_nodelay(true).ok();
    let (orders, taken) = mpsc::channel(ORDERS);
    let limits = Limits { body: face.body_limit, time: face.body_time };
    let connection = Connection::new(face, tasks.clone(), peer, orders, stranger);
    let connection = Arc::new(connection);
    let calls = Arc::clone(&connection);
    let service = service_fn(move |request| {
        let connection = Arc::clone(&calls);
        async move { Ok::<_, Infallible>(call(connection, request, limits).await) }
    });
    let stop = tasks.stop_signal();
    let serving = http2::Builder::new(Spawner(tasks))
        .timer(TokioTimer::new())
        .max_concurrent_streams(CALLS)
        .max_header_list_size(HEAD)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(KEPT)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = Box::pin(serving);
    let comes_back = {
        let mut tending = pin!(tend(Arc::clone(&connection), taken));
        tokio::select! {
            // One that gave up a hub that stood still has not left.
            _ = serving.as_mut() => connection.face.pulse.was_paused(),
            end = tending.as_mut() => {
                let why = end.as_str();
                tracing::debug!(client = %connection.id, why, "a client of Nacos is let go");
                // To show what counts.
                end == End::Credential || connection.face.pulse.was_paused()
            }
            () = stop.cancelled() => true,
        }
    };
    if stop.is_cancelled() {
        // It comes back: what it registered has a lease until then.
        serving.as_mut().graceful_shutdown();
        tokio::time::timeout(FAREWELL, serving).await.ok();
        return;
    }
    drop(serving);
    let instances = connection.end(comes_back).await;
    if instances > 0 && !comes_back {
        let client = &connection.id;
        tracing::info!(%client, instances, "a client of Nacos left, and its instances with it");
    }
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    body: usize,
    time: Duration,
}

async fn call(
    connection: Arc<Connection>,
    request: Request<Incoming>,
    limits: Limits,
) -> Response<tonic::body::Body> {
    let most = if connection.is_set_up() { limits.body } else { SET_UP_BODY };
    let codec = ProstCodec::<Payload, Payload>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(most);
    let forwarded = is_forwarded(request.headers());
    match request.uri().path() {
        "/Request/request" => {
            let answered = grpc.unary(Unary { connection, forwarded }, request);
            let late = |_| Status::deadline_exceeded("the request did not end in time").into_http();
            tokio::time::timeout(limits.time, answered).await.unwrap_or_else(late)
        }
        "/BiRequestStream/requestBiStream" => grpc.streaming(Stream(connection), request).await,
        _ => {
            let kind = request.headers().get(header::CONTENT_TYPE);
            if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
                return Status::unimplemented("there is no such call").into_http();
            }
            let mut response = Response::new(tonic::body::Body::empty());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

struct Unary {
    connection: Arc<Connection>,
    forwarded: bool,
}

impl UnaryService<Payload> for Unary {
    type Response = Payload;
    type Future = BoxFuture<'static, Result<tonic::Response<Payload>, Status>>;

    fn call(&mut self, request: tonic::Request<Payload>) -> Self::Future {
        let (connection, forwarded) = (Arc::clone(&self.connection), self.forwarded);
        Box::pin(async move {
            let answer = answer::unary(&connection, request.get_ref(), forwarded).await;
            Ok(tonic::Response::new(answer))
        })
    }
}

struct Stream(Arc<Connection>);

impl StreamingService<Payload> for Stream {
    type Response = Payload;
    type ResponseStream = BoxStream<'static, Result<Payload, Status>>;
    type Future = BoxFuture<'static, Result<tonic::Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: tonic::Request<Streaming<Payload>>) -> Self::Future {
        let connection = Arc::clone(&self.0);
        Box::pin(async move {
            if !connection.takes_stream() {
                return Err(Status::already_exists("a connection has one stream"));
            }
            let (pushes, queue) = mpsc::channel(PUSHES);
            let over = |_| Status::unavailable("the connection has ended");
            connection.orders.send(Order::Stream(pushes)).await.map_err(over)?;
            let tasks = connection.tasks.clone();
            tasks.spawn_until_stopped(listen(connection, request.into_inner()));
            let pushed: Self::ResponseStream = ReceiverStream::new(queue).map(Ok).boxed();
            Ok(tonic::Response::new(pushed))
        })
    }
}

/// Hears what comes on the stream, until it ends: then the client is gone.
async fn listen(connection: Arc<Connection>, mut stream: Streaming<Payload>) {
    while let Ok(Some(message)) = stream.message().await {
        if let Err(error) = answer::streamed(&connection, &message).await {
            tracing::debug!(client = %connection.id, error = error.message, "not understood");
        }
    }
    // Fails when it is over already.
    connection.orders.send(Order::Ended).await.ok();
}

/// Runs what the connection needs besides as tasks of the group.
#[derive(Clone, Debug)]
struct Spawner(TaskGroup);

impl<F> Executor<F> for Spawner
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
