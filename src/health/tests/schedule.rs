//! Whose turn it is.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::health::schedule::{First, Schedule};
use crate::model::names::CheckKey;

const INTERVAL: Duration = Duration::from_secs(30);

fn id(number: u32) -> CheckKey {
    CheckKey::own(format!("{number:032x}").parse().unwrap())
}

fn schedule() -> Schedule {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    Schedule::new(fastrand::Rng::with_seed(seed))
}

#[test]
fn nothing_drifts_however_late_turns_are_taken() {
    let (mut schedule, start) = (schedule(), Instant::now());
    for number in 0..100 {
        schedule.put(id(number), INTERVAL, First::InTurn, start);
    }
    let mut firsts: HashMap<CheckKey, Instant> = HashMap::new();
    let mut turns: HashMap<CheckKey, u32> = HashMap::new();
    for _ in 0..100 * 1000 {
        let due = schedule.next().unwrap();
        // Each is taken late, by up to a twentieth of the interval.
        let now = due + INTERVAL.mul_f64(fastrand::f64() / 20.0);
        let (id, due) = schedule.pop(now).unwrap();
        let first = *firsts.entry(id).or_insert(due);
        let turn = turns.entry(id).or_default();
        // The first turn is not moved from its slot.
        let slot = first + INTERVAL * *turn;
        let off = if due > slot { due - slot } else { slot - due };
        assert!(off <= INTERVAL / 20, "turn {turn} is {off:?} off");
        *turn += 1;
    }
    assert!(turns.values().all(|count| (990..=1010).contains(count)), "{turns:?}");
}

#[test]
fn those_that_come_together_are_spread_over_the_interval() {
    let (mut schedule, start) = (schedule(), Instant::now());
    for number in 0..30_000 {
        schedule.put(id(number), INTERVAL, First::InTurn, start);
    }
    let mut seconds = [0_u32; 120];
    while let Some(due) = schedule.next().filter(|due| *due < start + INTERVAL * 4) {
        let (_, due) = schedule.pop(due).unwrap();
        seconds[(due - start).as_secs() as usize] += 1;
    }
    // At first nobody's turn has moved.
    let seconds = &seconds[32..];
    assert!(seconds.iter().all(|count| (800..1200).contains(count)), "{seconds:?}");
}

#[test]
fn a_new_one_has_its_turn_within_a_second_and_then_in_its_slot() {
    let (mut schedule, start) = (schedule(), Instant::now());
    for number in 0..1000 {
        schedule.put(id(number), INTERVAL, First::Soon, start);
    }
    for _ in 0..1000 {
        let due = schedule.next().unwrap();
        assert!(due <= start + Duration::from_secs(1));
        schedule.pop(due);
    }
    assert!(schedule.next().unwrap() > start);
}

#[test]
fn missed_turns_are_left_out_and_not_made_up_for() {
    let (mut schedule, start) = (schedule(), Instant::now());
    schedule.put(id(1), INTERVAL, First::InTurn, start);
    let late = start + INTERVAL * 10;
    assert!(schedule.pop(late).is_some());
    assert_eq!(schedule.pop(late), None, "once, for ten that were missed");
    assert!(schedule.next().unwrap() > late);
}

#[test]
fn after_a_pause_not_all_have_their_turn_at_once() {
    let (mut schedule, start) = (schedule(), Instant::now());
    for number in 0..3000 {
        schedule.put(id(number), INTERVAL, First::InTurn, start);
    }
    let late = start + INTERVAL * 4;
    assert_eq!(schedule.overdue(late).count(), 3000);
    assert_eq!(schedule.spread(late), 3000);
    assert_eq!(schedule.overdue(late).count(), 0);
    let soon = schedule.overdue(late + INTERVAL / 30).count();
    assert!((50..200).contains(&soon), "{soon} in a thirtieth of the interval");
    assert_eq!(schedule.overdue(late + INTERVAL).count(), 3000);
}

#[test]
fn one_that_left_has_no_turn_and_another_interval_counts_at_once() {
    let (mut schedule, start) = (schedule(), Instant::now());
    schedule.put(id(1), INTERVAL, First::InTurn, start);
    schedule.put(id(1), INTERVAL * 100, First::Soon, start);
    assert!(schedule.next().unwrap() <= start + Duration::from_secs(1));
    schedule.pop(start + Duration::from_secs(1)).unwrap();
    schedule.remove(id(1));
    assert_eq!(schedule.next(), None);
}
