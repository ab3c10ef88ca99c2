//! Asking for a page, for its status.

use http_body_util::{BodyExt, Full};
use hyper::Response;
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, HeaderValue, USER_AGENT};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::health::outcome::Outcome;
use crate::health::target::Request;

/// A longer head is no answer.
const HEAD: usize = 16 * 1024;
/// How much of an answer is taken, its head included. Nothing behind the head is looked at: it is
/// taken because a server that is not allowed to finish its answer would log an error each time.
const ANSWER: u64 = 64 * 1024;
const WHO: &str = concat!("hub-registry/", env!("CARGO_PKG_VERSION"), " health-check");

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page<'a> {
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    pub(super) by: &'a Request,
}

impl Page<'_> {
    /// What is sent: the usual headers, but for those that the check brings itself.
    fn request(self) -> Option<hyper::Request<Full<Bytes>>> {
        let by = self.by;
        let builder = hyper::Request::builder().method(&by.method).uri(self.path);
        let mut request = builder.body(Full::new(by.body.clone())).ok()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(self.authority).ok()?);
        headers.insert(USER_AGENT, HeaderValue::from_static(WHO));
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        for name in by.headers.keys() {
            headers.remove(name);
        }
        headers.extend(by.headers.clone());
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Some(request)
    }
}

/// Asks for the page; its status decides, whatever becomes of its body until the deadline.
pub(super) async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    page: Page<'_>,
    deadline: Instant,
) -> Outcome {
    let Some(request) = page.request() else {
        return Outcome::BadUrl("has characters that no request can carry");
    };
    let (answer, asking) = tokio::io::split(stream);
    let stream = tokio::io::join(answer.take(ANSWER), asking);
    let made = http1::Builder::new().max_buf_size(HEAD).handshake(TokioIo::new(stream)).await;
    let Ok((mut sender, connection)) = made else { return Outcome::NoHttp };
    let asked = async {
        match sender.send_request(request).await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                // The answer is known: how its body ends is of no interest.
                timeout_at(deadline, take(answer)).await.ok();
                Outcome::Answered(status)
            }
            Err(error) => of(&error),
        }
    };
    // It has to be polled for anything to happen; its end is told to the request.
    let driven = async {
        connection.await.ok();
        std::future::pending().await
    };
    tokio::select! {
        outcome = asked => outcome,
        outcome = driven => outcome,
    }
}

async fn take(mut answer: Response<Incoming>) {
    while let Some(Ok(_)) = answer.frame().await {}
}

fn of(error: &hyper::Error) -> Outcome {
    if error.is_parse() { Outcome::NoHttp } else { Outcome::Reset }
}
