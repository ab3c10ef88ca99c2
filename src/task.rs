//! Tasks that somebody owns.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Why there is no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unended {
    /// The task panicked.
    Panicked,
    /// The process stops.
    Stopping,
}

/// A set of tasks that are told to stop together and waited for together.
#[derive(Clone, Debug, Default)]
pub struct TaskGroup {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl TaskGroup {
    /// An empty group.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A group that also stops when this one is told to, and can be stopped by itself.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { stop: self.stop.child_token(), tasks: TaskTracker::new() }
    }

    /// The signal tasks listen to.
    #[must_use]
    pub fn stop_signal(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task that listens to [`stop_signal`](Self::stop_signal) itself and ends in order.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        #[expect(clippy::disallowed_methods, reason = "this is the place the lint points to")]
        tokio::spawn(self.tasks.track_future(task));
    }

    /// Runs a task that may be dropped at any await when the group stops.
    pub fn spawn_until_stopped(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = task => {}
            }
        });
    }

    /// Runs a task whose outcome is waited for, and which goes on when whoever waits stops to.
    ///
    /// # Errors
    /// It panicked, or the process stops.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unended> {
        let (tell, told) = oneshot::channel();
        self.spawn(async move {
            let outcome = AssertUnwindSafe(task).catch_unwind().await;
            // Fails when the caller has gone.
            drop(tell.send(outcome.map_err(|_| Unended::Panicked)));
        });
        told.await.unwrap_or(Err(Unended::Stopping))
    }

    /// Counts what a library runs as one of the tasks, until this is dropped.
    pub fn hold(&self) -> TaskTrackerToken {
        self.tasks.token()
    }

    /// Tells every task to stop and waits for them, at most `within`. Whether all ended.
    pub async fn stop(&self, within: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }

    /// Tells every task to stop without waiting.
    pub fn cancel(&self) {
        self.stop.cancel();
    }
}
