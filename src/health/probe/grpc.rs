//! Asking by gRPC, as `grpc.health.v1` has it (github.com/grpc/grpc, `doc/health-checking.md`).

use std::error::Error as _;
use std::io;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use hyper::client::conn::http2;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::task::JoinSet;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::health::outcome::Outcome;

/// How much of an answer is taken, with all that surrounds it.
const ANSWER: u64 = 64 * 1024;
/// The longest head, and the longest message: a number.
const HEAD: u32 = 16 * 1024;
const MESSAGE: usize = 1024;
/// `HealthCheckResponse.ServingStatus`
const SERVING: i32 = 1;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service<'a> {
    pub(super) origin: &'a str,
    /// Empty: the server as a whole.
    pub(super) name: &'a str,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// What a connection runs besides. It owns the socket, and ends with the check: a peer that takes
/// nothing would keep it for ever.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F> Executor<F> for Tasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.lock().spawn(task);
    }
}

// The tasks hold the set that they are in.
struct Ends(Tasks);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.0.lock().abort_all();
    }
}

/// Asks whether the service serves.
pub(super) async fn check(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: Service<'_>,
) -> Outcome {
    let Ok(origin) = service.origin.parse::<Uri>() else {
        return Outcome::BadUrl("has characters that no request can carry");
    };
    let (answer, asking) = tokio::io::split(stream);
    let stream = TokioIo::new(tokio::io::join(answer.take(ANSWER), asking));
    let tasks = Tasks::default();
    let _ends = Ends(tasks.clone());
    let mut builder = http2::Builder::new(tasks);
    let made = builder.max_header_list_size(HEAD).handshake(stream).await;
    let Ok((sender, connection)) = made else { return Outcome::NoGrpc };
    let calls = tower::service_fn(move |request| {
        let mut sender = sender.clone();
        async move { sender.send_request(request).await }
    });
    let mut grpc = Grpc::with_origin(calls, origin).max_decoding_message_size(MESSAGE);
    let asked = async {
        grpc.ready().await.map_err(|_: hyper::Error| Status::unknown(""))?;
        let request = Request::new(HealthCheckRequest { service: service.name.to_owned() });
        let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
        let codec = ProstCodec::<HealthCheckRequest, HealthCheckResponse>::default();
        grpc.unary(request, path, codec).await
    };
    // It has to be polled for anything to happen; its end is told to the request.
    let driven = async {
        connection.await.ok();
        std::future::pending().await
    };
    let answered = tokio::select! {
        answered = asked => answered,
        answered = driven => answered,
    };
    match answered {
        Ok(answer) if answer.get_ref().status == SERVING => Outcome::Serving,
        Ok(answer) => Outcome::NotServing(answer.get_ref().status),
        Err(status) if is_cut(&status) => Outcome::Reset,
        // Nothing that speaks gRPC says these of its own.
        Err(status) if matches!(status.code(), Code::Unknown | Code::Internal) => Outcome::NoGrpc,
        Err(status) => Outcome::Status(status.code() as i32),
    }
}

/// Whether the connection ended before an answer came.
fn is_cut(status: &Status) -> bool {
    let error = status.source().and_then(|error| error.downcast_ref::<hyper::Error>());
    let Some(error) = error else { return false };
    let below = error.source().and_then(|error| error.downcast_ref::<io::Error>());
    below.is_some() || error.is_canceled() || error.is_closed() || error.is_incomplete_message()
}
