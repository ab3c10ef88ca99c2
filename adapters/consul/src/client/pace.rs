//! How much may be asked of one Consul.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// What may be asked at once after a rest: with [`EACH`], at most 450 requests are let go in any second,
/// so that those which a busy machine sends late and together make no more than 500.
const BURST: u32 = 50;
/// Pause between two requests after that.
const EACH: Duration = Duration::from_micros(2_500);

/// Lets requests through in the order they came, so many a second over all services. A registration
/// anywhere moves the index of all services that share connections, and a restart moves every one:
/// that must not become a burst of thousands of requests.
#[derive(Debug)]
pub(super) struct Pace {
    // When the next request may begin; how long ago that is, is what rest has saved up.
    next: Mutex<Instant>,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { next: Mutex::new(Instant::now()) }
    }

    /// Waits for its turn. Who is dropped while waiting gives it up, and nobody else has it.
    pub(super) async fn turn(&self) {
        let turn = {
            let now = Instant::now();
            let mut next = self.next.lock();
            // The earliest that counts: what a longer rest would save up is lost.
            let turn = (*next).max(now.checked_sub(EACH * (BURST - 1)).unwrap_or(now));
            *next = turn + EACH;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_450_requests() {
        let pace = Pace::new();
        tokio::time::sleep(Duration::from_secs(10)).await;
        let mut turns = Vec::new();
        for number in 0..4_000 {
            pace.turn().await;
            turns.push(Instant::now());
            if number == 2_000 {
                tokio::time::sleep(Duration::from_millis(1_700)).await;
            }
        }
        assert_eq!(turns[BURST as usize - 1], turns[0], "after a rest some go ahead");
        let within = |(first, at): (usize, &Instant)| {
            let end = *at + Duration::from_secs(1);
            turns.partition_point(|turn| *turn < end) - first
        };
        let most = turns.iter().enumerate().map(within).max();
        assert!((440..=450).contains(&most.unwrap()), "{most:?}");
    }
}
