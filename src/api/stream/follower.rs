//! A subscription for as long as its holder may have it.

use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::authenticate::Shown;
use super::super::state::Api;
use crate::access::{Authenticator, Caller};
use crate::events::{Item, Subscription};
use crate::telemetry::metrics::{Stream, Transport};

/// How often it is asked whether the credential still counts.
const CHECK: Duration = Duration::from_secs(5);

/// A subscriber's right to listen.
#[derive(Debug)]
pub(super) struct Right {
    authenticator: Authenticator,
    shown: Shown,
    caller: Caller,
}

impl Right {
    pub(super) fn new(api: &Api, shown: Shown, caller: Caller) -> Self {
        Self { authenticator: api.authenticator.clone(), shown, caller }
    }

    /// Whether the credential says the same as at first.
    fn holds(&self) -> bool {
        let known = self.authenticator.known(self.shown.said());
        known.is_some_and(|now| now.has_rights_of(&self.caller))
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The server stops.
    Stopping,
    /// The credential has ended, or says something else.
    Credential,
}

/// A subscription and the right to it.
#[derive(Debug)]
pub(super) struct Follower {
    subscription: Subscription,
    right: Right,
    check_at: Instant,
    stopping: CancellationToken,
    _open: Stream,
}

impl Follower {
    pub(super) fn new(api: &Api, subscription: Subscription, right: Right, socket: bool) -> Self {
        let transport = if socket { Transport::WebSocket } else { Transport::Sse };
        Self {
            subscription,
            right,
            check_at: Instant::now() + CHECK,
            stopping: api.stopping.clone(),
            _open: api.metrics.events.stream(transport),
        }
    }

    /// What is to be sent next.
    ///
    /// # Errors
    /// Nothing is any more.
    pub(super) async fn next(&mut self) -> Result<Item, End> {
        let mut next = pin!(self.subscription.next());
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return Err(End::Stopping),
                () = tokio::time::sleep_until(self.check_at) => {
                    if !self.right.holds() {
                        return Err(End::Credential);
                    }
                    self.check_at = Instant::now() + CHECK;
                }
                item = &mut next => return Ok(item),
            }
        }
    }
}
