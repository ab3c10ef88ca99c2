//! What a caller asks for, on its way to the keeper and back.

use tokio::sync::oneshot;

use super::draft::Draft;
use crate::error::{Error, Result};

/// A request that waits for the keeper.
pub(super) trait Job: Send {
    /// Does it on the draft; what is left is to tell its caller.
    fn plan(self: Box<Self>, draft: &mut Draft) -> Ack;

    /// Tells its caller that it was not done.
    fn refuse(self: Box<Self>, error: &Error);
}

/// Tells the caller: the planned outcome, or the error that came between.
pub(super) type Ack = Box<dyn FnOnce(Option<&Error>) + Send>;

/// The job of this work, and where its outcome comes out.
pub(super) fn job<T: Send + 'static>(
    work: impl FnOnce(&mut Draft) -> Result<T> + Send + 'static,
) -> (Box<dyn Job>, oneshot::Receiver<Result<T>>) {
    let (tell, told) = oneshot::channel();
    (Box::new(Work { work, tell }), told)
}

struct Work<T, W> {
    work: W,
    tell: oneshot::Sender<Result<T>>,
}

impl<T, W> Job for Work<T, W>
where
    T: Send + 'static,
    W: FnOnce(&mut Draft) -> Result<T> + Send,
{
    fn plan(self: Box<Self>, draft: &mut Draft) -> Ack {
        let Self { work, tell } = *self;
        // A caller that has gone away is not served: nothing was done for it yet.
        if tell.is_closed() {
            return Box::new(|_| ());
        }
        let planned = draft.writes.len();
        let outcome = work(draft);
        debug_assert!(
            outcome.is_ok() || planned == draft.writes.len(),
            "check first, change after"
        );
        Box::new(move |error| {
            let outcome = error.map_or(outcome, |error| Err(error.clone()));
            // Fails when the caller went away meanwhile.
            drop(tell.send(outcome));
        })
    }

    fn refuse(self: Box<Self>, error: &Error) {
        drop(self.tell.send(Err(error.clone())));
    }
}
