//! Getting a page, for its status.

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::health::outcome::Outcome;

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
}

/// Asks for the page; its status decides, whatever becomes of its body until the deadline.
pub(super) async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    page: Page<'_>,
    deadline: Instant,
) -> Outcome {
    let request = Request::get(page.path)
        .header(HOST, page.authority)
        .header(USER_AGENT, WHO)
        .header(ACCEPT, "*/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new());
    let Ok(request) = request else {
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
