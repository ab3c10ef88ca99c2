//! What waits for the one writer goes to disk with the transaction that has it: one commit for both
//! instead of two, one after the other.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::storage::event::LogBatch;

/// Appends to the log that wait for the writer. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting(Arc<Mutex<Vec<Passenger>>>);

/// One of them, as a transaction takes it along.
#[derive(Debug)]
pub(super) struct Passenger {
    pub(super) batch: Arc<LogBatch>,
    pub(super) arrived: Arrived,
}

/// Tells that it is on disk; dropped: that it is not.
pub(super) type Arrived = oneshot::Sender<()>;

/// Its place in the queue. It leaves the queue when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    queue: Waiting,
    batch: Arc<LogBatch>,
    arrived: oneshot::Receiver<()>,
}

impl Waiting {
    /// Waits to be taken along.
    pub(super) fn wait(&self, batch: Arc<LogBatch>) -> Place {
        let (tell, arrived) = oneshot::channel();
        self.0.lock().push(Passenger { batch: Arc::clone(&batch), arrived: tell });
        Place { queue: self.clone(), batch, arrived }
    }

    /// Takes along whoever waits.
    pub(super) fn take(&self) -> Vec<Passenger> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl Place {
    /// Waits until it is on disk with a transaction that took it along; whether it came to that.
    pub(super) async fn arrives(&mut self) -> bool {
        (&mut self.arrived).await.is_ok()
    }

    /// Whether it is on disk, once the transaction that took it along has ended.
    pub(super) fn has_arrived(&mut self) -> bool {
        self.arrived.try_recv().is_ok()
    }

    /// Leaves the queue; whether it was still in it.
    pub(super) fn leave(&self) -> bool {
        let mut waiting = self.queue.0.lock();
        let before = waiting.len();
        waiting.retain(|passenger| !Arc::ptr_eq(&passenger.batch, &self.batch));
        waiting.len() < before
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_was_taken_arrives_or_is_told_that_it_did_not() {
        let waiting = Waiting::default();
        let mut places: Vec<_> = (0..3).map(|_| waiting.wait(Arc::default())).collect();
        assert!(places.remove(1).leave());
        let mut taken = waiting.take().into_iter();
        taken.next().unwrap().arrived.send(()).unwrap();
        drop(taken);
        let (mut first, mut last) = (places.remove(0), places.remove(0));
        assert!(!first.leave() && !last.leave(), "both were taken");
        assert!(first.has_arrived());
        assert!(!last.arrives().await && !last.has_arrived());
    }

    #[test]
    fn who_gives_up_is_not_taken() {
        let waiting = Waiting::default();
        drop(waiting.wait(Arc::default()));
        assert!(waiting.take().is_empty());
    }
}
