//! From outcomes to a health.

use std::time::Duration;

use hub_registry_core::HealthStatus;
use tokio::time::Instant;

use super::outcome::Tone;
use super::target::Thresholds;

/// How fast the memory of falls fades: by half in ten intervals, but in five minutes at most.
const HALF_LIFE: u32 = 10;
const LONGEST_HALF_LIFE: Duration = Duration::from_secs(300);
/// Each fall weighs one. Heavier than this an instance flaps: that is three falls in some ten
/// intervals.
const FLAPPING: f64 = 2.0;
/// It flaps until it weighs less than this again.
const CALM: f64 = 1.0;
/// It weighs no more than this, so that it flaps for two half lives at most.
const HEAVIEST: f64 = 4.0;

/// The thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    /// So many failures in a row make it unhealthy.
    pub(super) unhealthy: u32,
    /// So many passes in a row make it healthy.
    pub(super) healthy: u32,
    /// Whether one that flaps is kept unhealthy for longer.
    pub(super) damping: bool,
}

impl Rules {
    /// With what the check itself says.
    pub(super) fn with(self, said: Thresholds) -> Self {
        let (unhealthy, healthy) = (said.failures, said.passes);
        Self {
            unhealthy: unhealthy.unwrap_or(self.unhealthy).max(1),
            healthy: healthy.unwrap_or(self.healthy).max(1),
            ..self
        }
    }
}

/// What is remembered of one instance's checks. It knows no health: that is the registry's, who
/// may have been told another one by a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Judge {
    /// In a row.
    pub(super) failures: u32,
    /// In a row.
    pub(super) passes: u32,
    falls: Falls,
}

impl Judge {
    /// Takes an outcome; the health that follows, if it is another than it is `now`.
    ///
    /// What is found again and again and not taken over is found again each time.
    pub(super) fn observe(
        &mut self,
        tone: Tone,
        health: HealthStatus,
        rules: Rules,
        interval: Duration,
        now: Instant,
    ) -> Option<HealthStatus> {
        match tone {
            Tone::Hindered => return None,
            Tone::Passed | Tone::Warning => {
                self.failures = 0;
                self.passes = self.passes.saturating_add(1);
            }
            Tone::Failed => {
                self.passes = 0;
                self.failures = self.failures.saturating_add(1);
            }
        }
        self.falls.fade(interval, now);
        match health {
            // Nothing is known that a doubt could be set against.
            HealthStatus::Unknown if self.passes > 0 => Some(HealthStatus::Healthy),
            HealthStatus::Unhealthy if self.passes >= rules.healthy => {
                let held = rules.damping && self.falls.flapping;
                (!held).then_some(HealthStatus::Healthy)
            }
            HealthStatus::Unknown | HealthStatus::Healthy if self.failures >= rules.unhealthy => {
                if health == HealthStatus::Healthy && self.failures == rules.unhealthy {
                    self.falls.add();
                }
                Some(HealthStatus::Unhealthy)
            }
            _ => None,
        }
    }

    /// A request stated a health: what was counted before was not of it.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether it fell too often of late.
    pub(super) fn is_flapping(&self) -> bool {
        self.falls.flapping
    }

    /// How long it will flap still if it does not fall again.
    pub(super) fn calm_in(&self, interval: Duration) -> Option<Duration> {
        let half_lives = (self.falls.weight / CALM).log2().max(0.0);
        self.falls.flapping.then(|| half_life(interval).mul_f64(half_lives))
    }
}

/// How often it fell, older falls counting for less (as RFC 2439 damps routes that flap).
#[derive(Clone, Debug, Default)]
struct Falls {
    weight: f64,
    faded: Option<Instant>,
    flapping: bool,
}

impl Falls {
    fn fade(&mut self, interval: Duration, now: Instant) {
        let since = self.faded.replace(now).map_or(Duration::ZERO, |before| now - before);
        let half_lives = since.as_secs_f64() / half_life(interval).as_secs_f64();
        self.weight *= (-half_lives).exp2();
        self.flapping &= self.weight >= CALM;
    }

    fn add(&mut self) {
        self.weight = (self.weight + 1.0).min(HEAVIEST);
        self.flapping |= self.weight > FLAPPING;
    }
}

fn half_life(interval: Duration) -> Duration {
    (interval * HALF_LIFE).min(LONGEST_HALF_LIFE)
}
