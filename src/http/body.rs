//! A request's body, of bounded size.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde_json::json;

use crate::error::{Error, ErrorCode, Result};

/// The rest of a body that is too large is read so far, and so long, before the answer: a client
/// that is still sending when the connection closes may never see why.
const DRAINED: usize = 32 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The body, if it has at most so many bytes.
///
/// # Errors
/// `TooLarge`, with the bound; `Invalid` when it does not come whole.
pub async fn read(mut body: Body, limit: usize) -> Result<Bytes> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let broken = |_| Error::new(ErrorCode::Invalid, "the body did not come whole");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if read.len() + data.len() > limit {
            // Whether the rest came makes no difference to the answer.
            tokio::time::timeout(DRAIN_TIME, drain(body)).await.ok();
            let rule = format!("must be at most {limit} bytes");
            let details = json!({ "field": "body", "rule": rule, "limit": limit });
            let error = Error::new(ErrorCode::TooLarge, format!("body {rule}"));
            return Err(error.with_details(details));
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

async fn drain(mut body: Body) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, Bytes::len);
        if read > DRAINED {
            return;
        }
    }
}
