//! Bodies of two parts made elsewhere, sent without joining them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Two byte strings, one after the other, of known total length.
#[derive(Debug)]
pub(super) struct TwoParts {
    parts: [Bytes; 2],
}

impl TwoParts {
    /// This head, then this tail.
    #[must_use]
    pub(super) fn new(head: Bytes, tail: Bytes) -> Self {
        Self { parts: [head, tail] }
    }
}

impl Body for TwoParts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.parts.iter_mut().find(|part| !part.is_empty()).map(std::mem::take);
        Poll::Ready(next.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.parts.iter().map(|part| part.len() as u64).sum())
    }
}
