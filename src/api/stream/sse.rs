//! Server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream::unfold;

use super::super::serve::Endless;
use super::follower::{End, Follower};
use crate::events::{Frame, Item};

/// Browsers come back after so many milliseconds; not all at once, should the server restart.
const RETRY: std::ops::RangeInclusive<u32> = 1000..=5000;
/// Small events that come together travel together, up to so many bytes. The connection holds 16
/// such pieces for a subscriber that takes none.
const TOGETHER: usize = 8 * 1024;
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

struct Lines {
    hello: Option<Bytes>,
    follower: Option<Follower>,
    /// What was given and not sent. It is there once for all subscribers; only the next piece is
    /// made.
    frames: VecDeque<Arc<Frame>>,
}

/// The answer whose body is the stream.
pub(super) fn answer(follower: Follower, revision: i64) -> Response {
    // Proxies and clients see at once that it began.
    let hello = format!("retry: {}\n: after revision {revision}\n\n", fastrand::u32(RETRY));
    let hello = Some(hello.into());
    let lines = Lines { hello, follower: Some(follower), frames: VecDeque::new() };
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
    (headers, Extension(Endless), body).into_response()
}

impl Lines {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(piece) = self.hello.take().or_else(|| piece(&mut self.frames)) {
            return Some(piece);
        }
        match self.follower.as_mut()?.next().await {
            Ok(Item::Notice(notice)) => Some(notice.lines()),
            Ok(Item::Events(frames)) => {
                self.frames = frames.into();
                piece(&mut self.frames)
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

/// The lines of the first of these; a single one's are not copied.
fn piece(frames: &mut VecDeque<Arc<Frame>>) -> Option<Bytes> {
    let first = frames.pop_front()?.lines();
    let mut size = first.len();
    let fits = |frame: &&Arc<Frame>| {
        size += frame.lines().len();
        size <= TOGETHER
    };
    let more = frames.iter().take_while(fits).count();
    if more == 0 {
        return Some(first);
    }
    let mut piece = BytesMut::from(&*first);
    frames.drain(..more).for_each(|frame| piece.put_slice(&frame.lines()));
    Some(piece.freeze())
}
