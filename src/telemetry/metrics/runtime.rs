//! What runs the tasks.

use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{Counter, IntGauge};
use tokio::runtime::Handle;

use super::Maker;

/// Workers and tasks of the tokio runtime.
#[derive(Debug)]
pub struct RuntimeMetrics {
    workers: IntGauge,
    tasks: IntGauge,
    queued: IntGauge,
    busy: Counter,
    seen: Mutex<Duration>,
}

impl RuntimeMetrics {
    pub(super) fn new(maker: &Maker<'_>) -> Self {
        Self {
            workers: maker.gauge("hub_registry_runtime_workers", "Threads that run tasks."),
            tasks: maker.gauge("hub_registry_runtime_tasks", "Tasks that did not end yet."),
            queued: maker.gauge(
                "hub_registry_runtime_queued_tasks",
                "Tasks that could go on and that no thread has taken up yet.",
            ),
            busy: maker.fraction_counter(
                "hub_registry_runtime_busy_seconds_total",
                "Time the threads spent on tasks, added up.",
            ),
            seen: Mutex::default(),
        }
    }

    /// Measures the runtime of the caller.
    pub fn measure(&self) {
        let runtime = Handle::current().metrics();
        let workers = runtime.num_workers();
        self.workers.set(workers as i64);
        self.tasks.set(runtime.num_alive_tasks() as i64);
        self.queued.set(runtime.global_queue_depth() as i64);
        let busy = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
        let mut seen = self.seen.lock();
        let before = std::mem::replace(&mut *seen, busy);
        self.busy.inc_by(busy.saturating_sub(before).as_secs_f64());
    }
}
