//! A server that answers by heart, and one that hides a part of another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running server; it ends when it is dropped.
#[derive(Debug)]
pub struct Canned {
    port: u16,
    answers: Arc<Answers>,
    serving: JoinHandle<()>,
}

type Answers = Mutex<HashMap<String, (u16, Bytes)>>;

impl Canned {
    /// Starts one on a free loopback port. It has 404 for everything.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn start() -> Self {
        let answers = Arc::<Answers>::default();
        let router = Router::new().fallback(by_heart).with_state(Arc::clone(&answers));
        let (port, serving) = serve(router).await;
        Self { port, answers, serving }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it answers so to requests of this path, whatever their query.
    pub fn set(&self, path: &str, status: u16, body: impl Into<Bytes>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(path.to_owned(), (status, body.into()));
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(router: Router) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}

async fn by_heart(State(answers): State<Arc<Answers>>, request: Request) -> Response {
    let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
    let Some((status, body)) = answers.get(request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let status = StatusCode::from_u16(*status).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], body.clone()).into_response()
}

/// A server that is another one but for some paths; it ends when it is dropped.
#[derive(Debug)]
pub struct Hiding {
    port: u16,
    serving: JoinHandle<()>,
}

impl Hiding {
    /// Starts one before the server of this base URL. What is below the paths is not there.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn start(base: &str, paths: &[&str]) -> Self {
        let behind = Arc::new(Behind {
            base: base.to_owned(),
            hidden: paths.iter().map(|path| (*path).to_owned()).collect(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let router = Router::new().fallback(forward).with_state(behind);
        let (port, serving) = serve(router).await;
        Self { port, serving }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Hiding {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Debug)]
struct Behind {
    base: String,
    hidden: Vec<String>,
    client: reqwest::Client,
}

async fn forward(State(behind): State<Arc<Behind>>, request: Request) -> Response {
    if behind.hidden.iter().any(|path| request.uri().path().starts_with(path)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, 1 << 20).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut forwarded = behind.client.request(head.method, format!("{}{path}", behind.base));
    for (name, value) in &head.headers {
        if name != header::HOST && name != header::CONTENT_LENGTH {
            forwarded = forwarded.header(name, value);
        }
    }
    let Ok(answer) = forwarded.body(body).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, content) = (answer.status(), answer.headers().get(header::CONTENT_TYPE).cloned());
    let body = answer.bytes().await.unwrap_or_default();
    let mut answer = (status, body).into_response();
    if let Some(content) = content {
        answer.headers_mut().insert(header::CONTENT_TYPE, content);
    }
    answer
}
