//! Pauses between two attempts to reach a registry.

use std::time::Duration;

use hub_registry_core::ErrorKind;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(5);
/// Wrong credentials do not become right by asking often, and asking often locks accounts.
const AUTH: Duration = Duration::from_secs(30);

/// Jittered pauses that grow from 1 s to 5 s, 30 s after refused credentials.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Starts over.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after one more failure.
    pub(super) fn next(&mut self, kind: ErrorKind) -> Duration {
        let pause = if kind.is_auth() {
            AUTH
        } else {
            (FIRST * 2_u32.saturating_pow(self.failures.min(8))).min(LONGEST)
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
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..5).map(|_| backoff.next(ErrorKind::Unreachable)).collect();
        assert!(pauses[0] <= FIRST && pauses[4] <= LONGEST, "{pauses:?}");
        assert!(pauses[4] > pauses[0], "{pauses:?}");
        assert!(backoff.next(ErrorKind::Unauthorized) > LONGEST);
        backoff.reset();
        assert!(backoff.next(ErrorKind::Timeout) <= FIRST);
    }
}
