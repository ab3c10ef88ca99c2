//! Pauses between two attempts to reach a registry.

use std::time::Duration;

use hub_registry_core::ErrorKind;

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
/// Wrong credentials do not become right by asking often, and asking often locks accounts.
const AUTH: Duration = Duration::from_secs(30);

/// Jittered pauses that double from the configured one up to 5 s; 30 s after refused credentials.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses that begin with this one.
    pub(super) fn new(first: Duration) -> Self {
        Self { first: first.clamp(SHORTEST, LONGEST), failures: 0 }
    }

    /// Starts over.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure.
    pub(super) fn next(&mut self, kind: ErrorKind) -> Duration {
        let pause = if kind.is_auth() {
            AUTH
        } else {
            (self.first * 2_u32.saturating_pow(self.failures.min(8))).min(LONGEST)
        };
        self.failures = self.failures.saturating_add(1);
        pause.mul_f64(0.75 + fastrand::f64() / 4.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let first = Duration::from_secs(1);
        let mut backoff = Backoff::new(first);
        let pauses: Vec<_> = (0..5).map(|_| backoff.next(ErrorKind::Unreachable)).collect();
        assert!(pauses[0] <= first && pauses[4] <= LONGEST, "{pauses:?}");
        assert!(pauses[4] > pauses[0], "{pauses:?}");
        assert!(backoff.next(ErrorKind::Unauthorized) > LONGEST);
        backoff.reset();
        assert!(backoff.next(ErrorKind::Timeout) <= first);
    }
}
