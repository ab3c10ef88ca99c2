//! A client of Nacos' gRPC that says just what it is told to.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

/// How long an answer or a push may take: a real server's come half a second late.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Metadata {
    #[prost(string, tag = "3")]
    pub kind: String,
    #[prost(map = "string, string", tag = "7")]
    pub headers: HashMap<String, String>,
    #[prost(string, tag = "8")]
    pub client_ip: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Any {
    #[prost(string, tag = "1")]
    pub type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Payload {
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<Metadata>,
    #[prost(message, optional, tag = "3")]
    pub body: Option<Any>,
}

impl Payload {
    pub(crate) fn new(kind: &str, body: Vec<u8>) -> Self {
        let metadata = Metadata { kind: kind.to_owned(), ..Metadata::default() };
        Self { metadata: Some(metadata), body: Some(Any { type_url: String::new(), value: body }) }
    }

    fn read(self) -> (String, Value) {
        let kind = self.metadata.unwrap_or_default().kind;
        let body = serde_json::from_slice(&self.body.unwrap_or_default().value);
        (kind, body.unwrap_or_default())
    }
}

/// A connection; dropping it ends it.
pub(crate) struct Client {
    calls: Grpc<Channel>,
    stream: mpsc::UnboundedSender<Payload>,
    pushes: mpsc::UnboundedReceiver<(String, Value)>,
    reading: JoinHandle<()>,
    /// Shown with every request.
    pub(crate) token: Option<String>,
    number: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Client {
    /// A connection that says nothing yet; `acknowledges` what it is told.
    pub(crate) async fn connect(port: u16, acknowledges: bool) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        Self::over(endpoint.connect().await.unwrap(), acknowledges).await
    }

    /// One that said who it is; `None`: nobody is there, or not any more.
    pub(crate) async fn try_start(port: u16) -> Option<Self> {
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let mut client = Self::try_over(endpoint.connect().await.ok()?, true).await?;
        client.try_set_up(&json!({})).await?;
        Some(client)
    }

    /// What it is told next; `None`: the connection is over.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        self.pushes.recv().await
    }

    async fn over(channel: Channel, acknowledges: bool) -> Self {
        Self::try_over(channel, acknowledges).await.expect("a connection that lasts")
    }

    async fn try_over(channel: Channel, acknowledges: bool) -> Option<Self> {
        let mut calls = Grpc::new(channel);
        let (stream, said) = mpsc::unbounded_channel();
        let (tell, pushes) = mpsc::unbounded_channel();
        let mut bound = calls.clone();
        let back = stream.clone();
        let reading = tokio::spawn(async move {
            if bound.ready().await.is_err() {
                return;
            }
            let path = PathAndQuery::from_static("/BiRequestStream/requestBiStream");
            let codec = ProstCodec::<Payload, Payload>::default();
            let said = Request::new(UnboundedReceiverStream::new(said));
            let Ok(answer) = bound.streaming(said, path, codec).await else { return };
            let mut answer = answer.into_inner();
            while let Some(Ok(payload)) = answer.next().await {
                let (kind, body) = payload.read();
                let ack = json!({ "resultCode": 200, "requestId": body["requestId"] });
                let acknowledged = match kind.as_str() {
                    "NotifySubscriberRequest" if acknowledges => Some("NotifySubscriberResponse"),
                    "ClientDetectionRequest" if acknowledges => Some("ClientDetectionResponse"),
                    _ => None,
                };
                if let Some(kind) = acknowledged {
                    back.send(Payload::new(kind, ack.to_string().into_bytes())).ok();
                }
                if tell.send((kind, body)).is_err() {
                    return;
                }
            }
        });
        calls.ready().await.ok()?;
        Some(Self { calls, stream, pushes, reading, token: None, number: 0 })
    }

    /// One that said who it is.
    pub(crate) async fn start(port: u16) -> Self {
        let mut client = Self::connect(port, true).await;
        let (_, check) = client.ask("ServerCheckRequest", json!({})).await;
        assert_eq!(check["resultCode"], 200, "{check}");
        client.set_up().await;
        client
    }

    /// Says who it is, and waits until that is known.
    pub(crate) async fn set_up(&mut self) {
        self.set_up_with(&json!({})).await;
    }

    /// With these labels besides.
    pub(crate) async fn set_up_with(&mut self, more: &Value) {
        self.try_set_up(more).await.expect("a connection that lasts");
    }

    /// `None`: the connection is over.
    async fn try_set_up(&mut self, more: &Value) -> Option<()> {
        // A real server takes clients with other labels for ones of configurations.
        let mut labels = json!({ "source": "sdk", "module": "naming" });
        for (key, value) in more.as_object().unwrap() {
            labels[key] = value.clone();
        }
        let setup = json!({ "clientVersion": "test", "tenant": "", "labels": labels });
        let setup = Payload::new("ConnectionSetupRequest", setup.to_string().into_bytes());
        self.stream.send(setup).ok()?;
        let end = Instant::now() + PATIENCE;
        while self.try_ask("HealthCheckRequest", json!({})).await?.0 != "HealthCheckResponse" {
            assert!(Instant::now() < end, "not set up");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Some(())
    }

    /// On the stream.
    pub(crate) fn say(&self, kind: &str, body: &Value) {
        self.stream.send(Payload::new(kind, body.to_string().into_bytes())).unwrap();
    }

    /// A request; the type and the body of its answer.
    pub(crate) async fn ask(&mut self, kind: &str, body: Value) -> (String, Value) {
        self.asked(kind, body).await.unwrap()
    }

    /// The same; `None`: the connection is over.
    pub(crate) async fn try_ask(&mut self, kind: &str, body: Value) -> Option<(String, Value)> {
        self.asked(kind, body).await.ok()
    }

    async fn asked(&mut self, kind: &str, mut body: Value) -> Result<(String, Value), Status> {
        self.number += 1;
        body["requestId"] = json!(self.number.to_string());
        let mut payload = Payload::new(kind, body.to_string().into_bytes());
        if let (Some(token), Some(metadata)) = (&self.token, &mut payload.metadata) {
            metadata.headers.insert("accessToken".to_owned(), token.clone());
        }
        self.send(payload).await
    }

    /// The same of anything.
    pub(crate) async fn send(&mut self, payload: Payload) -> Result<(String, Value), Status> {
        let path = PathAndQuery::from_static("/Request/request");
        let codec = ProstCodec::<Payload, Payload>::default();
        self.calls.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        Ok(self.calls.unary(Request::new(payload), path, codec).await?.into_inner().read())
    }

    /// Registers in `DEFAULT_GROUP`.
    pub(crate) async fn register(&mut self, service: &str, ip: &str, more: &Value) {
        self.try_register(service, ip, more).await.expect("it is registered");
    }

    /// `None`: the connection is over, or it was refused.
    pub(crate) async fn try_register(
        &mut self,
        service: &str,
        ip: &str,
        more: &Value,
    ) -> Option<()> {
        let mut instance = json!({
            "ip": ip, "port": 8080, "weight": 1.0, "healthy": true, "enabled": true, "ephemeral": true,
            "clusterName": "DEFAULT", "serviceName": service, "metadata": {},
        });
        for (key, value) in more.as_object().unwrap() {
            instance[key] = value.clone();
        }
        let body = json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service,
            "type": "registerInstance", "instance": instance,
        });
        let (kind, answer) = self.try_ask("InstanceRequest", body).await?;
        let is_registered = kind == "InstanceResponse" && answer["resultCode"] == 200;
        if !is_registered {
            println!("{service} at {ip} is not registered: {answer}");
        }
        is_registered.then_some(())
    }

    /// Subscribes; the answer's hosts.
    pub(crate) async fn subscribe(&mut self, service: &str) -> Value {
        self.try_subscribe(service).await.expect("a connection that lasts")
    }

    /// `None`: the connection is over.
    pub(crate) async fn try_subscribe(&mut self, service: &str) -> Option<Value> {
        let body = json!({
            "namespace": "public", "groupName": "DEFAULT_GROUP", "serviceName": service,
            "subscribe": true, "clusters": "",
        });
        let (_, answer) = self.try_ask("SubscribeServiceRequest", body).await?;
        Some(answer["serviceInfo"]["hosts"].clone())
    }

    /// Reads pushes until one is as expected; the last one otherwise.
    pub(crate) async fn pushed(
        &mut self,
        expected: impl Fn(&str, &Value) -> bool,
    ) -> Result<Value, Value> {
        let end = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while let Ok(Some((kind, body))) = timeout_at(end, self.pushes.recv()).await {
            if expected(&kind, &body) {
                return Ok(body);
            }
            last = json!([kind, body]);
        }
        Err(last)
    }

    /// The next push of a service, and its hosts' addresses.
    pub(crate) async fn hosts(&mut self, service: &str) -> Vec<String> {
        let is_of = |_: &str, body: &Value| body["serviceInfo"]["name"] == service;
        let body = self.pushed(is_of).await.unwrap();
        let hosts = body["serviceInfo"]["hosts"].as_array().unwrap().iter();
        hosts.map(|host| host["ip"].as_str().unwrap().to_owned()).collect()
    }

    /// Nothing comes for so long.
    pub(crate) async fn is_told_nothing(&mut self, time: Duration) -> bool {
        tokio::time::timeout(time, self.pushes.recv()).await.is_err()
    }

    /// The server ended the stream, or the connection.
    pub(crate) async fn is_let_go(&mut self, within: Duration) -> bool {
        let ended = async { while self.pushes.recv().await.is_some() {} };
        tokio::time::timeout(within, ended).await.is_ok()
    }
}
