use std::time::Duration;

use hub_registry_core::ConfigId;
use proptest::prelude::*;

use super::*;

fn rules() -> Failover {
    Failover {
        standby: ConfigId::parse("b").unwrap(),
        auto: true,
        after: Duration::from_secs(10),
        floor_percent: 50,
        good_reads: 3,
        hold_down: Duration::from_secs(30),
        standby_visible: false,
    }
}

fn well() -> Primary {
    Primary { outage: None, current: true, good_reads: 100, held: false, instances: 10 }
}

fn down(since: Moment, attempts: u32) -> Primary {
    Primary { outage: Some((since, attempts)), current: false, good_reads: 0, ..well() }
}

fn standby(instances: usize) -> Standby {
    Standby { live: true, current: true, instances }
}

const SECOND: Moment = 1000;

/// One that failed over at `now`.
fn failed_over(now: Moment) -> Machine {
    let mut machine = Machine::default();
    let step = machine.look(&rules(), &down(now - 10 * SECOND, 2), &standby(10), now);
    assert_eq!(step, Some(Step::Away));
    machine
}

#[test]
fn it_fails_over_after_a_time_and_two_attempts_to_a_standby_that_is_fit() {
    let now = 100 * SECOND;
    let cases = [
        (down(now - 10 * SECOND, 2), standby(10), true),
        (down(now - 9 * SECOND, 9), standby(10), false),
        (down(now - 99 * SECOND, 1), standby(10), false),
        (down(now - 10 * SECOND, 2), standby(5), true),
        (down(now - 10 * SECOND, 2), standby(4), false),
        (down(now - 10 * SECOND, 2), Standby::default(), false),
        (down(now - 10 * SECOND, 2), Standby { live: false, ..standby(10) }, false),
        (Primary { instances: 0, ..down(now - 10 * SECOND, 2) }, standby(0), true),
        (well(), standby(10), false),
    ];
    for (primary, standby, away) in cases {
        let mut machine = Machine::default();
        let step = machine.look(&rules(), &primary, &standby, now);
        assert_eq!(step, away.then_some(Step::Away), "{primary:?} {standby:?}");
        assert_eq!(machine.phase().is_away(), away);
    }
    let manual = Failover { auto: false, ..rules() };
    assert_eq!(Machine::default().look(&manual, &down(0, 9), &standby(10), now), None);
}

#[test]
fn it_returns_when_everything_is_right_and_not_before() {
    let start = 100 * SECOND;
    let mut machine = failed_over(start);
    assert_eq!(machine.look(&rules(), &well(), &standby(10), start + SECOND), Some(Step::Answers));
    let later = start + 31 * SECOND;
    for (primary, now) in [
        (well(), later - 1),
        (Primary { good_reads: 2, ..well() }, later),
        (Primary { held: true, ..well() }, later),
        (Primary { instances: 4, ..well() }, later),
    ] {
        assert_eq!(machine.look(&rules(), &primary, &standby(10), now), None, "{primary:?}");
    }
    assert_eq!(machine.clone().look(&rules(), &well(), &standby(10), later), Some(Step::Back));
    // A failure begins it anew.
    assert_eq!(machine.look(&rules(), &down(later, 1), &standby(10), later), Some(Step::Fails));
    assert_eq!(machine.look(&rules(), &well(), &standby(10), later + 1), Some(Step::Answers));
    assert_eq!(machine.look(&rules(), &well(), &standby(10), later + 30 * SECOND), None);
    let step = machine.look(&rules(), &well(), &standby(10), later + 30 * SECOND + 1);
    assert_eq!(step, Some(Step::Back));
}

#[test]
fn it_says_what_it_waits_for() {
    let now = 100 * SECOND;
    let failing = down(now - 10 * SECOND, 2);
    let stale = Standby { live: false, ..standby(10) };
    let waits = |machine: &Machine, rules: &Failover, primary: &Primary, standby: &Standby| {
        machine.waits_for(rules, primary, standby, now)
    };
    let manual = Failover { auto: false, ..rules() };
    let home = Machine::default();
    for (rules, primary, standby, expected) in [
        (&rules(), well(), standby(10), Some(Waits::Nothing)),
        (&manual, failing, standby(10), Some(Waits::Operator)),
        (&rules(), down(now, 2), standby(10), Some(Waits::Outage)),
        (&rules(), failing, stale, Some(Waits::StandbyNotLive)),
        (&rules(), failing, standby(4), Some(Waits::StandbyTooSmall)),
        (&rules(), failing, standby(10), None),
    ] {
        assert_eq!(waits(&home, rules, &primary, &standby), expected, "{primary:?} {standby:?}");
    }
    let mut away = failed_over(now - 40 * SECOND);
    assert_eq!(waits(&away, &rules(), &failing, &standby(10)), Some(Waits::Primary));
    away.look(&rules(), &well(), &standby(10), now - 29 * SECOND);
    assert_eq!(waits(&away, &rules(), &well(), &standby(10)), Some(Waits::HoldDown));
    away.phase = Phase::Recovering(now - 30 * SECOND);
    for (primary, expected) in [
        (Primary { good_reads: 2, ..well() }, Some(Waits::GoodReads)),
        (Primary { held: true, ..well() }, Some(Waits::HeldRemovals)),
        (Primary { instances: 4, ..well() }, Some(Waits::PrimaryTooSmall)),
        (well(), None),
    ] {
        assert_eq!(waits(&away, &rules(), &primary, &standby(10)), expected, "{primary:?}");
    }
    away.send_away(now);
    assert_eq!(waits(&away, &rules(), &well(), &standby(10)), Some(Waits::Operator));
}

#[test]
fn a_standby_that_fails_is_left_without_a_hold_down() {
    let start = 100 * SECOND;
    let mut machine = failed_over(start);
    machine.look(&rules(), &well(), &standby(10), start + SECOND);
    let gone = Standby { live: false, current: false, instances: 10 };
    let poor = Primary { good_reads: 2, ..well() };
    assert_eq!(machine.look(&rules(), &poor, &gone, start + 2 * SECOND), None);
    assert_eq!(machine.look(&rules(), &well(), &gone, start + 2 * SECOND), Some(Step::Back));
}

#[test]
fn the_hold_down_doubles_with_each_flip_of_the_hour() {
    let mut machine = Machine::default();
    let mut now = 0;
    for seconds in [30, 60, 120, 240, 480, 600, 600] {
        machine.leave(now, false);
        machine.phase = Phase::Normal;
        assert_eq!(machine.hold_down(&rules(), now), Duration::from_secs(seconds));
        now += SECOND;
    }
    assert_eq!(machine.hold_down(&rules(), now + MEMORY), Duration::from_secs(30));
    let long = Failover { hold_down: Duration::from_secs(3000), ..rules() };
    assert_eq!(machine.hold_down(&long, now), Duration::from_secs(3000), "never shorter");
}

#[test]
fn what_an_operator_decided_stays() {
    let now = 100 * SECOND;
    let mut machine = Machine::default();
    assert!(machine.send_away(now));
    assert!(!machine.send_away(now), "once is enough");
    assert_eq!(machine.look(&rules(), &well(), &standby(10), now + MEMORY), None);
    assert!(machine.call_back(now));
    assert!(!machine.call_back(now));
    // The outage it was called back into counts from there.
    let old = down(0, 50);
    assert_eq!(machine.look(&rules(), &old, &standby(10), now + 9 * SECOND), None);
    assert_eq!(machine.look(&rules(), &old, &standby(10), now + 10 * SECOND), Some(Step::Away));
    assert!(machine.send_away(now + 11 * SECOND), "now it is the operator's");
    assert_eq!(machine.look(&rules(), &well(), &standby(10), now + MEMORY), None);
}

#[test]
fn after_a_restart_the_standby_serves_until_the_primary_proved_itself() {
    let mut machine = Machine::away(false, vec![-5 * SECOND]);
    assert!(machine.phase().is_away());
    assert_eq!(machine.look(&rules(), &well(), &standby(10), 0), Some(Step::Answers));
    assert_eq!(machine.look(&rules(), &well(), &standby(10), 29 * SECOND), None);
    assert_eq!(machine.look(&rules(), &well(), &standby(10), 30 * SECOND), Some(Step::Back));
}

/// What happens in one second.
#[derive(Clone, Copy, Debug)]
enum Event {
    PrimaryFails,
    PrimaryReturns(usize),
    Holds(bool),
    StandbyFails,
    StandbyReturns(usize),
    SendAway,
    CallBack,
    Restart,
    Wait(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => Just(Event::PrimaryFails),
        3 => (0_usize..20).prop_map(Event::PrimaryReturns),
        1 => any::<bool>().prop_map(Event::Holds),
        1 => Just(Event::StandbyFails),
        2 => (0_usize..20).prop_map(Event::StandbyReturns),
        1 => Just(Event::SendAway),
        1 => Just(Event::CallBack),
        1 => Just(Event::Restart),
        8 => any::<u8>().prop_map(Event::Wait),
    ]
}

/// Two registries and the machine between them, a look each second.
struct World {
    machine: Machine,
    now: Moment,
    primary_up: bool,
    standby_up: bool,
    since: Moment,
    held: bool,
    sizes: (usize, usize),
    good_since: Moment,
}

impl World {
    fn primary(&self) -> Primary {
        let attempts = u32::try_from((self.now - self.since) / SECOND).unwrap();
        let good = u32::try_from((self.now - self.good_since) / SECOND).unwrap();
        Primary {
            outage: (!self.primary_up).then_some((self.since, attempts)),
            current: self.primary_up,
            good_reads: if self.primary_up { good } else { 0 },
            held: self.held,
            instances: self.sizes.0,
        }
    }

    fn standby(&self) -> Standby {
        Standby { live: self.standby_up, current: self.standby_up, instances: self.sizes.1 }
    }

    fn second(&mut self) {
        self.now += SECOND;
        let (primary, standby, before) = (self.primary(), self.standby(), self.machine.phase());
        let hold = self.machine.hold_down(&rules(), self.now);
        match self.machine.look(&rules(), &primary, &standby, self.now) {
            Some(Step::Away) => {
                assert!(standby.live && standby.instances * 2 >= primary.instances);
                assert!(self.now - self.since >= 10 * SECOND && !self.primary_up);
                // Readers are never given nothing for something.
                assert!(standby.instances > 0 || primary.instances == 0);
            }
            Some(Step::Back) => {
                let Phase::Recovering(since) = before else { panic!("back from {before:?}") };
                assert!(self.primary_up && !self.held && primary.good_reads >= 3);
                assert!(primary.instances * 2 >= standby.instances);
                assert!(primary.instances > 0 || standby.instances == 0);
                assert!(!self.standby_up || self.now - since >= ms(hold), "hold-down {hold:?}");
            }
            Some(Step::Answers) => assert_eq!(before, Phase::Failover),
            Some(Step::Fails) => assert!(matches!(before, Phase::Recovering(_))),
            None => {}
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::PrimaryFails if self.primary_up => {
                (self.primary_up, self.since) = (false, self.now);
            }
            Event::PrimaryReturns(size) => {
                if !self.primary_up {
                    (self.primary_up, self.good_since) = (true, self.now);
                }
                self.sizes.0 = size;
            }
            Event::Holds(held) => self.held = held,
            Event::StandbyFails => self.standby_up = false,
            Event::StandbyReturns(size) => (self.standby_up, self.sizes.1) = (true, size),
            Event::SendAway => drop(self.machine.send_away(self.now)),
            Event::CallBack => drop(self.machine.call_back(self.now)),
            Event::Restart => {
                let (flips, by) = (self.machine.flips().to_vec(), self.machine.by_operator());
                let away = self.machine.phase().is_away();
                self.machine = if away { Machine::away(by, flips) } else { Machine::home(flips) };
            }
            Event::PrimaryFails => {}
            Event::Wait(seconds) => (0..seconds).for_each(|_| self.second()),
        }
        self.second();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Whatever happens: no step but a right one; and when it ends well, the primary serves in the
    /// end, when it ends badly, whoever can.
    #[test]
    fn any_order_of_events_keeps_the_promises(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World {
            machine: Machine::default(), now: 0, primary_up: true, standby_up: true, since: 0,
            held: false, sizes: (10, 10), good_since: 0,
        };
        for event in events {
            world.take(event);
        }
        world.machine.call_back(world.now);
        let mut broken = World { machine: world.machine.clone(), ..world };
        broken.take(Event::PrimaryFails);
        broken.take(Event::StandbyReturns(20));
        (0..30).for_each(|_| broken.second());
        prop_assert!(broken.machine.phase().is_away(), "the standby serves");
        broken.take(Event::PrimaryReturns(20));
        broken.held = false;
        (0..700).for_each(|_| broken.second());
        prop_assert_eq!(broken.machine.phase(), Phase::Normal, "the primary serves again");
    }
}
