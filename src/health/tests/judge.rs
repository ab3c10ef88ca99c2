//! From outcomes to a health.

use std::time::Duration;

use hub_registry_core::HealthStatus::{self, Healthy, Unhealthy, Unknown};
use proptest::prelude::*;
use tokio::time::Instant;

use crate::health::Tone::{self, Failed, Hindered, Passed, Warning};
use crate::health::judge::{Judge, Rules};

const RULES: Rules = Rules { unhealthy: 3, healthy: 2, damping: true };
const INTERVAL: Duration = Duration::from_secs(30);

/// An instance whose judge is believed at once.
struct Patient {
    judge: Judge,
    health: HealthStatus,
    rules: Rules,
    now: Instant,
}

impl Patient {
    fn new(health: HealthStatus) -> Self {
        Self { judge: Judge::default(), health, rules: RULES, now: Instant::now() }
    }

    /// The health after one more check.
    fn check(&mut self, tone: Tone) -> HealthStatus {
        self.now += INTERVAL;
        let found = self.judge.observe(tone, self.health, self.rules, INTERVAL, self.now);
        self.health = found.unwrap_or(self.health);
        self.health
    }

    fn checks(&mut self, tones: &[Tone]) -> Vec<HealthStatus> {
        tones.iter().map(|tone| self.check(*tone)).collect()
    }
}

#[test]
fn three_failures_and_two_passes_in_a_row_count() {
    let mut patient = Patient::new(Healthy);
    let found = patient.checks(&[Failed, Failed, Passed, Failed, Failed, Failed]);
    assert_eq!(found, [Healthy, Healthy, Healthy, Healthy, Healthy, Unhealthy]);
    let found = patient.checks(&[Passed, Failed, Passed, Warning]);
    assert_eq!(found, [Unhealthy, Unhealthy, Unhealthy, Healthy]);
}

#[test]
fn where_nothing_is_known_one_pass_is_enough_and_one_failure_is_not() {
    assert_eq!(Patient::new(Unknown).checks(&[Passed]), [Healthy]);
    let found = Patient::new(Unknown).checks(&[Failed, Failed, Failed]);
    assert_eq!(found, [Unknown, Unknown, Unhealthy]);
}

#[test]
fn a_check_that_could_not_be_made_says_nothing() {
    let mut patient = Patient::new(Healthy);
    patient.checks(&[Failed, Failed, Hindered, Hindered]);
    assert_eq!(patient.judge.failures, 2);
    assert_eq!(patient.check(Failed), Unhealthy);
}

#[test]
fn a_statement_forgets_what_was_counted() {
    let mut patient = Patient::new(Healthy);
    patient.checks(&[Failed, Failed]);
    patient.judge.forget();
    assert_eq!(patient.checks(&[Failed, Failed, Failed]), [Healthy, Healthy, Unhealthy]);
}

#[test]
fn what_flaps_is_kept_out_until_it_is_calm() {
    let mut patient = Patient::new(Healthy);
    let round = [Failed, Failed, Failed, Passed, Passed];
    // Two falls are bad luck.
    assert_eq!(patient.checks(&round)[4], Healthy);
    assert_eq!(patient.checks(&round)[4], Healthy);
    let mut falls = 2;
    while !patient.judge.is_flapping() {
        patient.checks(&round);
        falls += 1;
        assert!(falls < 6, "it falls and falls");
    }
    assert_eq!(patient.health, Unhealthy, "two passes are not enough any more");
    let told = patient.judge.calm_in(INTERVAL).unwrap();
    let start = patient.now;
    while patient.check(Passed) == Unhealthy {
        assert!(patient.now - start < Duration::from_secs(600), "it is calm for long");
    }
    let took = patient.now - start;
    assert!(took + INTERVAL >= told && took <= told + INTERVAL, "{told:?} said, {took:?} taken");
    assert!(!patient.judge.is_flapping());
}

#[test]
fn without_damping_nothing_is_kept_out() {
    let mut patient = Patient::new(Healthy);
    patient.rules.damping = false;
    for _ in 0..50 {
        let found = patient.checks(&[Failed, Failed, Failed, Passed, Passed]);
        assert_eq!(found[2..], [Unhealthy, Unhealthy, Healthy]);
    }
}

fn tones() -> impl Strategy<Value = Vec<Tone>> {
    let tone =
        prop_oneof![3 => Just(Passed), 3 => Just(Failed), 1 => Just(Warning), 1 => Just(Hindered)];
    proptest::collection::vec(tone, 0..200)
}

proptest! {
    /// Health moves only after as many in a row as the rules say, and what passes in the end is
    /// healthy within the bound, whatever went before.
    #[test]
    fn any_sequence_keeps_the_promises(
        tones in tones(), unhealthy in 1_u32..6, healthy in 1_u32..6, damping: bool,
    ) {
        let rules = Rules { unhealthy, healthy, damping };
        let mut patient = Patient { rules, ..Patient::new(Unknown) };
        let (mut failed, mut passed) = (0, 0);
        for tone in tones {
            match tone {
                Passed | Warning => (failed, passed) = (0, passed + 1),
                Failed => (failed, passed) = (failed + 1, 0),
                Hindered => {}
            }
            let before = patient.health;
            match (before, patient.check(tone)) {
                (Healthy | Unknown, Unhealthy) => prop_assert!(failed >= unhealthy),
                (Unhealthy, Healthy) => prop_assert!(passed >= healthy),
                (Unknown, Healthy) => prop_assert!(passed >= 1),
                (before, after) => {
                    prop_assert_eq!(before, after);
                    let due = after == Healthy && failed >= unhealthy;
                    prop_assert!(!due, "it is to fall");
                    let held = damping && patient.judge.is_flapping();
                    prop_assert!(after != Unhealthy || passed < healthy || held, "it is to rise");
                }
            }
        }
        let bound = 20 + healthy + 1;
        for _ in 0..bound {
            patient.check(Passed);
        }
        prop_assert_eq!(patient.health, Healthy);
    }
}
