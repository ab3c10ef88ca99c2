//! Bodies made of parts that were written, and compressed, beforehand.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

use crate::http::gzip::{Part, member};

/// Small parts are sent together.
const FRAME: usize = 64 << 10;

/// A part of an answer, and its compressed form once somebody asked for it.
#[derive(Debug)]
pub(super) struct Piece {
    plain: Bytes,
    gzip: OnceLock<Part>,
}

impl Piece {
    pub(super) fn new(plain: impl Into<Bytes>) -> Self {
        Self { plain: plain.into(), gzip: OnceLock::new() }
    }

    fn gzip(&self) -> &Part {
        self.gzip.get_or_init(|| Part::new(&self.plain))
    }
}

/// Pieces one after the other, of known length.
#[derive(Debug)]
pub(super) struct Joined {
    parts: std::vec::IntoIter<Bytes>,
    left: u64,
}

impl Joined {
    /// As they are, or as one gzip member.
    pub(super) fn new(pieces: &[&Piece], compressed: bool) -> Self {
        let len =
            |parts: &mut dyn Iterator<Item = &Bytes>| parts.map(|part| part.len() as u64).sum();
        let mut all: Vec<Bytes> = pieces.iter().map(|piece| piece.plain.clone()).collect();
        let mut left = len(&mut all.iter());
        if compressed {
            all = member(pieces.iter().map(|piece| piece.gzip()), left);
            left = len(&mut all.iter());
        }
        Self { parts: all.into_iter(), left }
    }
}

impl Body for Joined {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(first) = self.parts.find(|part| !part.is_empty()) else {
            return Poll::Ready(None);
        };
        let next = |parts: &std::vec::IntoIter<Bytes>, so_far: usize| {
            parts.as_slice().first().is_some_and(|next| so_far + next.len() <= FRAME)
        };
        let mut frame = first;
        if next(&self.parts, frame.len()) {
            let mut joined = BytesMut::with_capacity(FRAME);
            joined.extend_from_slice(&frame);
            while next(&self.parts, joined.len()) {
                joined.extend_from_slice(&self.parts.next().unwrap_or_default());
            }
            frame = joined.freeze();
        }
        self.left = self.left.saturating_sub(frame.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
