//! Which request is being answered: its id is in every line of it.
//!
//! A local of the task and not a span of `tracing`, which would be made, formatted and dropped for
//! each of the many requests that log nothing.

use std::future::Future;

use bytes::Bytes;
use tokio::task_local;

task_local! {
    static ID: Bytes;
}

/// Answers a request of this id, which is text.
pub async fn within_request<F: Future>(id: Bytes, answering: F) -> F::Output {
    ID.scope(id, answering).await
}

/// The id of the request that this task answers, if it does.
pub(super) fn id() -> Option<String> {
    ID.try_with(|id| String::from_utf8_lossy(id).into_owned()).ok()
}
