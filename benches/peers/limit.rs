//! The limit: as little as an axum server can do and still send what the hub sends.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hub::free_port;
use crate::wrk::Call;

/// The first argument of the process that is the limit.
pub(crate) const WORD: &str = "--limit";

/// What the hub answered.
#[derive(Debug, Serialize, Deserialize)]
struct Recorded {
    path: String,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

struct Made {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

type Answers = Arc<HashMap<String, Made>>;

/// A limit that runs; ended with this.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) port: u16,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Limit {
    /// It answers each of these calls as the server at this port does.
    pub(crate) async fn of(port: u16, calls: &[Call]) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut lines = String::new();
        for call in calls {
            lines.push_str(&serde_json::to_string(&record(&client, port, call).await).unwrap());
            lines.push('\n');
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("answers");
        std::fs::write(&file, lines).unwrap();
        let port = free_port();
        let child = Command::new(std::env::current_exe().unwrap())
            .args([WORD, &port.to_string()])
            .arg(&file)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Self { port, child, _folder: folder };
        for _ in 0..200 {
            let first = client.get(format!("http://127.0.0.1:{port}{}", calls[0].path));
            if first.send().await.is_ok() {
                return limit;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the limit does not start");
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

async fn record(client: &reqwest::Client, port: u16, call: &Call) -> Recorded {
    let answer = call.send(client, port).await;
    let status = answer.status().as_u16();
    assert!(status < 400, "{} {} is answered {status}", call.method, call.path);
    let own = ["content-length", "date", "connection", "transfer-encoding"];
    let headers = answer.headers().iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    let headers = headers.collect();
    Recorded { path: call.path.clone(), status, headers, body: answer.text().await.unwrap() }
}

/// Is the limit, until somebody ends it.
pub(crate) async fn serve(port: u16, file: &Path) {
    let lines = std::fs::read_to_string(file).unwrap();
    let answers = lines.lines().map(|line| {
        let Recorded { path, status, headers, body } = serde_json::from_str(line).unwrap();
        let header = |(name, value): (String, String)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap())
        };
        let headers = headers.into_iter().map(header).collect();
        let made =
            Made { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() };
        (path, made)
    });
    let answers: Answers = Arc::new(answers.collect());
    let router = Router::new().fallback(answer).with_state(answers);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
    axum::serve(listener, router).await.unwrap();
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Some(made) = answers.get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    (made.status, made.headers.clone(), Body::from(made.body.clone())).into_response()
}
