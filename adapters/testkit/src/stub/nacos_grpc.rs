//! The gRPC half of the Nacos stub.
//!
//! A client is one connection: its calls and its stream are tied by the socket they came on.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::service::Routes;
use tonic::transport::server::{Server, TcpIncoming};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::nacos::{Connection, Key, Shared};

/// Pushes that wait for a slow client.
const PUSHES: usize = 1024;

/// What kind of message it is, and for whom.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Metadata {
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(string, tag = "8")]
    client_ip: String,
    #[prost(map = "string, string", tag = "7")]
    headers: HashMap<String, String>,
}

/// `google.protobuf.Any`, holding JSON.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Body {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// Every message of Nacos.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Payload {
    #[prost(message, optional, tag = "2")]
    metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    body: Option<Body>,
}

impl Payload {
    fn new(kind: &str, body: &Value) -> Self {
        let metadata = Metadata { kind: kind.to_owned(), ..Metadata::default() };
        let body = Body { type_url: String::new(), value: body.to_string().into_bytes() };
        Self { metadata: Some(metadata), body: Some(body) }
    }

    fn kind(&self) -> &str {
        self.metadata.as_ref().map_or("", |m| m.kind.as_str())
    }

    fn json(&self) -> Value {
        let body = self.body.as_ref().map_or(&[][..], |body| &body.value);
        serde_json::from_slice(body).unwrap_or_default()
    }
}

/// The push of a service.
pub(super) fn push(service_info: &Value) -> Payload {
    // Clients insist on the empty headers.
    let body = json!({"requestId": "1", "headers": {}, "module": "naming",
        "serviceInfo": service_info});
    Payload::new("NotifySubscriberRequest", &body)
}

pub(super) async fn serve(shared: Arc<Shared>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/Request/request", post(unary))
        .route("/BiRequestStream/requestBiStream", post(stream))
        .with_state(shared);
    let server = Server::builder().add_routes(Routes::from(router));
    let serving = server.serve_with_incoming(TcpIncoming::from(listener));
    (address, tokio::spawn(async move { serving.await.unwrap() }))
}

type HttpRequest = axum::http::Request<axum::body::Body>;
type HttpResponse = axum::http::Response<tonic::body::Body>;

async fn unary(State(shared): State<Arc<Shared>>, request: HttpRequest) -> HttpResponse {
    let codec = ProstCodec::<Payload, Payload>::default();
    Grpc::new(codec).unary(Unary(shared), request).await
}

async fn stream(State(shared): State<Arc<Shared>>, request: HttpRequest) -> HttpResponse {
    let codec = ProstCodec::<Payload, Payload>::default();
    Grpc::new(codec).streaming(Pushes(shared), request).await
}

/// The connection a message came on: the proxy before the stub opens one socket per client.
fn connection<T>(request: &Request<T>) -> String {
    let address = request.remote_addr();
    format!("grpc_{}", address.map_or(0, |address| address.port()))
}

struct Unary(Arc<Shared>);

impl UnaryService<Payload> for Unary {
    type Response = Payload;
    type Future = BoxFuture<'static, Result<Response<Payload>, Status>>;

    fn call(&mut self, request: Request<Payload>) -> Self::Future {
        let connection = connection(&request);
        let answer = answer(&self.0, &connection, request.get_ref());
        Box::pin(async { Ok(Response::new(answer)) })
    }
}

struct Pushes(Arc<Shared>);

impl StreamingService<Payload> for Pushes {
    type Response = Payload;
    type ResponseStream = futures_util::stream::BoxStream<'static, Result<Payload, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<Payload>>) -> Self::Future {
        let (shared, id) = (Arc::clone(&self.0), connection(&request));
        Box::pin(async move {
            let (pushes, queue) = mpsc::channel(PUSHES);
            let mut from_client = request.into_inner();
            tokio::spawn(async move {
                while let Ok(Some(message)) = from_client.message().await {
                    if message.kind() == "ConnectionSetupRequest" {
                        let connection =
                            Connection { subscribed: HashSet::new(), pushes: pushes.clone() };
                        shared.lock().connections.insert(id.clone(), connection);
                    }
                }
                shared.disconnect(&id);
            });
            let pushed: Self::ResponseStream = Box::pin(ReceiverStream::new(queue).map(Ok));
            Ok(Response::new(pushed))
        })
    }
}

fn answer(shared: &Arc<Shared>, connection: &str, request: &Payload) -> Payload {
    let body = request.json();
    let mut answer = json!({
        "resultCode": 200, "errorCode": 0, "success": true, "requestId": body["requestId"],
    });
    let failed = |code: u16, message: &str| {
        let body = json!({"resultCode": 500, "errorCode": code, "success": false,
            "message": message, "requestId": body["requestId"]});
        Payload::new("ErrorResponse", &body)
    };
    let kind = request.kind();
    if kind == "ServerCheckRequest" {
        answer["connectionId"] = json!(connection);
        answer["supportAbilityNegotiation"] = json!(false);
        return Payload::new("ServerCheckResponse", &answer);
    }
    if !shared.lock().connections.contains_key(connection) {
        return failed(301, "Connection is unregistered.");
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    if text("namespace") != "public" && kind != "HealthCheckRequest" {
        return failed(500, "the stub has the namespace public only");
    }
    let key: Key = (text("groupName"), text("serviceName"));
    let kind = match kind {
        "HealthCheckRequest" => "HealthCheckResponse",
        "SubscribeServiceRequest" => {
            answer["serviceInfo"] = shared.lock().service_info(&key);
            subscribe(shared, connection, key, body["subscribe"] == true);
            "SubscribeServiceResponse"
        }
        "ServiceQueryRequest" => {
            answer["serviceInfo"] = shared.lock().service_info(&key);
            "QueryServiceResponse"
        }
        "ServiceListRequest" => {
            let state = shared.lock();
            let names: Vec<_> = state.services.keys().filter(|k| k.0 == key.0).collect();
            answer["count"] = json!(names.len());
            answer["serviceNames"] = names.iter().map(|k| k.1.clone()).collect();
            "ServiceListResponse"
        }
        "InstanceRequest" => {
            let register = body["type"] == "registerInstance";
            let hosts = register.then(|| body["instance"].clone());
            shared.publish(key, connection, hosts.into_iter().collect());
            answer["type"] = body["type"].clone();
            "InstanceResponse"
        }
        "BatchInstanceRequest" => {
            let hosts = body["instances"].as_array().cloned().unwrap_or_default();
            shared.publish(key, connection, hosts);
            answer["type"] = body["type"].clone();
            "BatchInstanceResponse"
        }
        _ => return failed(302, "no such request"),
    };
    Payload::new(kind, &answer)
}

fn subscribe(shared: &Arc<Shared>, connection: &str, key: Key, subscribe: bool) {
    if let Some(connection) = shared.lock().connections.get_mut(connection) {
        if subscribe {
            connection.subscribed.insert(key.clone());
        } else {
            connection.subscribed.remove(&key);
        }
    }
    if subscribe {
        // The real server pushes the state to a new subscriber, too.
        shared.push_later(key);
    }
}
