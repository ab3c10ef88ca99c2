//! Signs of life for the service manager.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;

use super::gate::Gate;
use crate::process::Supervisor;
use crate::task::TaskGroup;

/// Tells the service manager that the process lives, as long as a request through the front door
/// is answered: by a task of its own, so that a runtime that runs no tasks gives no sign.
pub fn pulse(gate: Gate, supervisor: Arc<Supervisor>, tasks: &TaskGroup) {
    let Some(patience) = supervisor.patience() else { return };
    // Half of it, as `sd_watchdog_enabled(3)` advises.
    let every = patience / 2;
    let probes = tasks.clone();
    tasks.spawn_until_stopped(async move {
        loop {
            if answers(&gate, &probes, every).await {
                supervisor.alive();
            } else {
                let waited_ms = every.as_millis() as u64;
                tracing::error!(
                    waited_ms,
                    "no answer to ourselves: the service manager is not told that we live"
                );
            }
            tokio::time::sleep(every).await;
        }
    });
}

async fn answers(gate: &Gate, tasks: &TaskGroup, within: Duration) -> bool {
    let (done, answered) = tokio::sync::oneshot::channel();
    let gate = gate.clone();
    tasks.spawn_until_stopped(async move {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = axum::http::Uri::from_static("/health");
        let status = gate.call(request).await.status();
        // Too late: the one who asked has gone.
        done.send(status.is_success()).ok();
    });
    matches!(tokio::time::timeout(within, answered).await, Ok(Ok(true)))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_does_not_live() {
        let tasks = TaskGroup::new();
        // A door that is still shut answers that it lives.
        assert!(answers(&Gate::default(), &tasks, Duration::from_secs(1)).await);
        let stuck = Gate::default();
        stuck.open(Router::new().route("/health", get(std::future::pending::<()>)), None);
        assert!(!answers(&stuck, &tasks, Duration::from_secs(1)).await);
    }
}
