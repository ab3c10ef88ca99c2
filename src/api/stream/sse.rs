//! Server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::unfold;

use super::follower::{End, Follower};
use crate::events::{Frame, Item};

/// Browsers come back after so many milliseconds; not all at once, should the server restart.
const RETRY: std::ops::RangeInclusive<u32> = 1000..=5000;
/// Small events that come together travel together, up to so many bytes.
const TOGETHER: usize = 16 * 1024;
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

struct Lines {
    follower: Option<Follower>,
    ready: VecDeque<Bytes>,
}

/// The answer whose body is the stream.
pub(super) fn answer(follower: Follower, revision: i64) -> Response {
    // Proxies and clients see at once that it began.
    let hello = format!("retry: {}\n: after revision {revision}\n\n", fastrand::u32(RETRY));
    let lines = Lines { follower: Some(follower), ready: VecDeque::from([hello.into()]) };
    let body = Body::from_stream(unfold(lines, |mut lines| async move {
        let piece = lines.next().await?;
        Some((Ok::<_, Infallible>(piece), lines))
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform")),
        // nginx would keep it back.
        (UNBUFFERED, HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.ready.pop_front() {
            return Some(piece);
        }
        match self.follower.as_mut()?.next().await {
            Ok(Item::Notice(notice)) => Some(notice.lines()),
            Ok(Item::Events(frames)) => {
                self.ready = together(&frames);
                self.ready.pop_front()
            }
            Err(end) => {
                self.follower = None;
                Some(Bytes::from_static(match end {
                    End::Stopping => b": the server stops\n\n",
                    End::Credential => b": the credential has ended\n\n",
                }))
            }
        }
    }
}

/// The lines of these; a single one's are not copied.
fn together(frames: &[Arc<Frame>]) -> VecDeque<Bytes> {
    if let [one] = frames {
        return VecDeque::from([one.lines()]);
    }
    let (mut pieces, mut piece) = (VecDeque::new(), BytesMut::new());
    for frame in frames {
        let lines = frame.lines();
        if !piece.is_empty() && piece.len() + lines.len() > TOGETHER {
            pieces.push_back(piece.split().freeze());
        }
        piece.put_slice(&lines);
    }
    pieces.push_back(piece.freeze());
    pieces
}
