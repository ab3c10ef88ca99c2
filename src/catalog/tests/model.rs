//! The removal guard against a model of its rules that shares no code with it, and against what
//! the rules are for. The seed of each run is printed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::test_runner::{Config, RngSeed, TestRunner};
use tokio::time::Instant;

use super::sim::Sim;
use super::*;

const NAMES: [&str; 4] = ["s0", "s1", "s2", "s3"];

type Row = (usize, u16);
type Listed = BTreeMap<usize, BTreeSet<u16>>;

/// What happens to a registry and its watch.
#[derive(Clone, Debug)]
enum Step {
    /// Services are told to have these instances, together.
    Put(Vec<(usize, BTreeSet<u16>)>),
    /// The registry fails, and comes back so many seconds later with these services.
    Outage(u64, Vec<(usize, BTreeSet<u16>)>),
    /// Looks get an answer, or none.
    Answers(bool),
    /// Time goes by, in tenths of a second.
    Wait(u64),
}

fn some_service() -> impl Strategy<Value = (usize, BTreeSet<u16>)> {
    let few = prop::collection::btree_set(0_u16..24, 0..6);
    let ranges = (0_u16..24, 0_u16..24).prop_map(|(a, b)| (a.min(b)..a.max(b)).collect());
    let ports = prop_oneof![2 => ranges, 1 => few, 1 => Just(BTreeSet::new())];
    (0..NAMES.len(), ports)
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(some_service(), 1..3);
    prop_oneof![
        5 => some().prop_map(Step::Put),
        1 => (1..40_u64, some()).prop_map(|(seconds, some)| Step::Outage(seconds, some)),
        1 => any::<bool>().prop_map(Step::Answers),
        3 => (1..80_u64).prop_map(Step::Wait),
        1 => (80..1300_u64).prop_map(Step::Wait),
    ]
}

/// One missing instance, in the model.
#[derive(Clone, Copy, Debug)]
struct Miss {
    since: u64,
    from: u64,
    reads: u32,
    returns: bool,
    alone: bool,
}

/// The rules once more, in tenths of a second, by scanning everything.
#[derive(Debug, Default)]
struct Model {
    listed: Listed,
    missing: BTreeMap<Row, Miss>,
    // What was lost (+1) and gained (-1): when, by which service, which instance.
    log: Vec<(u64, usize, u16, i64)>,
    outage: bool,
    everything_gone: bool,
    refilled: Option<u64>,
    alarms: Vec<u64>,
    swept: u64,
}

const MINUTE: u64 = 600;
const SETTLED: u64 = 300;
const HOLD: u64 = 150;
const EMPTY: u64 = 6000;

impl Model {
    fn net(&self, service: usize, now: u64) -> i64 {
        // A second is the grain of the window.
        let fresh = |at: u64| at / 10 + MINUTE / 10 > now / 10;
        let of = |entry: &&(u64, usize, u16, i64)| entry.1 == service && fresh(entry.0);
        self.log.iter().filter(of).map(|(.., lost)| lost).sum()
    }

    fn size(&self) -> i64 {
        self.listed.values().map(BTreeSet::len).sum::<usize>() as i64
    }

    /// Takes lists; how many instances began to be missing.
    fn take(&mut self, now: u64, lists: &[(usize, BTreeSet<u16>)], full: bool) {
        let mut last: BTreeMap<usize, BTreeSet<u16>> = lists.iter().cloned().collect();
        if full {
            for service in 0..NAMES.len() {
                last.entry(service).or_default();
            }
        }
        let size_before = self.size();
        let mut gone: Vec<Row> = Vec::new();
        let mut before_sizes = BTreeMap::new();
        let mut gained = BTreeSet::new();
        for (service, ports) in &last {
            let before = self.listed.insert(*service, ports.clone()).unwrap_or_default();
            before_sizes.insert(*service, before.len() as i64);
            for port in ports.difference(&before) {
                match self.missing.remove(&(*service, *port)) {
                    // It returned: its own loss is taken back.
                    Some(miss) => {
                        let its = |e: &(u64, usize, u16, i64)| {
                            (e.1, e.2, e.3) == (*service, *port, 1) && e.0 == miss.since
                        };
                        if let Some(place) = self.log.iter().rposition(its) {
                            self.log.remove(place);
                        }
                    }
                    None => {
                        self.log.push((now, *service, *port, -1));
                        gained.insert(*service);
                    }
                }
            }
            for port in before.difference(ports) {
                self.log.push((now, *service, *port, 1));
                gone.push((*service, *port));
            }
        }
        let after_outage = full && std::mem::take(&mut self.outage);
        let size = self.size();
        let nets: Vec<i64> = (0..NAMES.len()).map(|service| self.net(service, now)).collect();
        let loss: i64 = nets.iter().map(|net| (*net).max(0)).sum();
        let was = size + nets.iter().sum::<i64>();
        let too_much = loss >= 10 && loss * 100 > was * 20;
        if size > 0 && std::mem::take(&mut self.everything_gone) {
            self.refilled = Some(now);
            for miss in self.missing.values_mut().filter(|miss| miss.from < now) {
                (miss.from, miss.reads) = (now, 0);
            }
        }
        if size == 0 && !gone.is_empty() && was.max(size_before) >= 10 {
            self.everything_gone = true;
        }
        if !after_outage && (size == 0 || too_much) && !gone.is_empty() {
            self.alarms.push(now);
        }
        if after_outage {
            for miss in self.missing.values_mut() {
                (miss.from, miss.reads, miss.returns) = (now, 1, true);
            }
        }
        for row in gone {
            let (service, left) = (row.0, self.listed[&row.0].len());
            let swapped = left > 0 && nets[service] <= 0;
            let emptied = left == 0 && nets[service].max(before_sizes[&service]) >= 3;
            let held = after_outage || !swapped && (size == 0 || too_much || emptied);
            if held {
                let alone = !(size == 0 || too_much);
                let miss = Miss { since: now, from: now, reads: 1, returns: after_outage, alone };
                self.missing.insert(row, miss);
            }
        }
        if !after_outage {
            for service in last.keys() {
                let left = self.listed[service].len();
                if left > 0 && nets[*service] <= 0 {
                    self.missing.retain(|row, miss| {
                        row.0 != *service || miss.returns || miss.since + MINUTE <= now
                    });
                }
            }
        }
        self.forget();
        self.bound(now);
    }

    fn needs(&self, miss: &Miss) -> (u32, u64, u64) {
        let alarmed = self.alarms.iter().any(|at| *at >= miss.since);
        let (reads, span) = match (miss.returns, miss.alone && !alarmed) {
            (true, _) => (1, SETTLED),
            (false, true) => (2, 20),
            (false, false) => (3, HOLD),
        };
        if self.everything_gone {
            return (3, span.max(EMPTY), 2 * span.max(EMPTY));
        }
        if self.refilled.is_some_and(|at| at >= miss.since) {
            return (3, span.max(SETTLED), 2 * EMPTY);
        }
        (reads, span, 2 * span)
    }

    /// A look found none of them.
    fn look(&mut self, now: u64) {
        let rows: Vec<Row> = self.missing.keys().copied().collect();
        for row in rows {
            let Some(miss) = self.missing.get_mut(&row) else { continue };
            miss.reads += 1;
            let miss = *miss;
            let (reads, span, bound) = self.needs(&miss);
            if miss.reads >= reads && now >= miss.from + span || now >= miss.since + bound {
                self.missing.remove(&row);
            }
        }
        self.forget();
    }

    fn bound(&mut self, now: u64) {
        if self.missing.is_empty() || now < self.swept + 10 {
            return;
        }
        self.swept = now;
        let over: Vec<Row> = self
            .missing
            .iter()
            .filter(|(_, miss)| now >= miss.since + self.needs(miss).2)
            .map(|(row, _)| *row)
            .collect();
        for row in over {
            self.missing.remove(&row);
        }
        self.forget();
    }

    fn forget(&mut self) {
        if self.missing.is_empty() {
            (self.everything_gone, self.refilled) = (false, None);
            self.alarms.clear();
        }
    }

    fn rows(&self) -> BTreeMap<(String, u16), bool> {
        let name = |row: Row| (NAMES[row.0].to_owned(), row.1);
        let listed = self.listed.iter().flat_map(|(s, ports)| ports.iter().map(|p| (*s, *p)));
        let listed = listed.map(|row| (name(row), false));
        listed.chain(self.missing.keys().map(|row| (name(*row), true))).collect()
    }
}

/// `PROPTEST_CASES` and `PROPTEST_RNG_SEED` set how much of it, and what is repeated.
fn runner(cases: u32) -> TestRunner {
    let given = Config::default();
    let seed = match given.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => fastrand::u64(..),
    };
    println!("PROPTEST_RNG_SEED={seed}");
    // 256 is what proptest does unless told otherwise.
    let cases = if given.cases == 256 { cases } else { given.cases };
    let rng_seed = RngSeed::Fixed(seed);
    TestRunner::new(Config { cases, rng_seed, failure_persistence: None, ..given })
}

fn paused(work: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

fn by_name(lists: &[(usize, BTreeSet<u16>)]) -> Vec<(&'static str, BTreeSet<u16>)> {
    lists.iter().map(|(service, ports)| (NAMES[*service], ports.clone())).collect()
}

#[test]
fn the_guard_does_what_a_model_of_its_rules_does() {
    let steps = prop::collection::vec(step(), 1..40);
    let start = prop::collection::vec(0_u16..24, NAMES.len());
    let outcome = runner(200).run(&(start, steps), |(start, steps)| {
        paused(async {
            let begin: Vec<_> = NAMES.into_iter().zip(start.iter().map(|n| 0..*n)).collect();
            let mut sim = Sim::new(&begin);
            let mut model = Model::default();
            let first = start.iter().enumerate().map(|(s, n)| (s, (0..*n).collect()));
            model.listed = first.collect();
            let (mut now, mut answers) = (0_u64, true);
            for step in &steps {
                match step {
                    Step::Put(lists) => {
                        for (name, ports) in by_name(lists) {
                            sim.set(name, ports);
                        }
                        sim.apply(lists.iter().map(|(s, _)| sim.told(NAMES[*s])).collect());
                        model.take(now, lists, false);
                    }
                    Step::Outage(seconds, lists) => {
                        sim.fail();
                        sim.run_secs(*seconds).await;
                        now = sim.tenths();
                        sim.truth.clear();
                        for (name, ports) in by_name(lists) {
                            sim.set(name, ports);
                        }
                        sim.reset();
                        model.outage = true;
                        model.take(now, lists, true);
                    }
                    Step::Answers(whether) => (sim.answers, answers) = (*whether, *whether),
                    Step::Wait(tenths) => {
                        let end = Instant::now() + Duration::from_millis(tenths * 100);
                        while sim.step(end).await {
                            if answers {
                                model.look(sim.tenths());
                            }
                            prop_assert_eq!(sim.rows(), model.rows(), "at {}", sim.tenths());
                        }
                        now = sim.tenths();
                    }
                }
                prop_assert_eq!(sim.rows(), model.rows(), "at {} after {:?}", now, step);
            }
            // What is missing from every good read leaves, whatever happened: ten minutes twice.
            sim.answers = true;
            for _ in 0..125 {
                sim.run_secs(10).await;
                sim.apply(vec![Change::Unchanged]);
            }
            let held = sim.rows().into_values().filter(|held| *held).count();
            prop_assert_eq!(held, 0, "something is stuck");
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A lie: what a registry does not list for a while although it is there.
#[derive(Clone, Debug)]
enum Lie {
    /// It restarts and lists who came back so far.
    Restart(BTreeSet<Row>),
    /// Its lists, but no look, lack them: a cache.
    Cache(BTreeSet<Row>),
    /// It lists nothing at all for so many seconds, up to nine minutes: a token expired.
    Nothing(u64),
    /// More of it than may just leave is missing, for less than fifteen seconds.
    Part(u64),
}

fn lie() -> impl Strategy<Value = Lie> {
    let rows = || prop::collection::btree_set((0..NAMES.len(), 0_u16..20), 0..80);
    prop_oneof![
        3 => rows().prop_map(Lie::Restart),
        2 => rows().prop_map(Lie::Cache),
        1 => (1..540_u64).prop_map(Lie::Nothing),
        2 => (1..7_u64).prop_map(Lie::Part),
    ]
}

/// Nothing is removed that is there all the time, however its registry lies within these bounds;
/// nothing that is gone stays for longer than twice ten minutes.
#[test]
fn nobody_who_lives_is_removed_and_nobody_who_left_stays() {
    let lies = prop::collection::vec((lie(), 1..100_u64), 1..12);
    let outcome = runner(120).run(&lies, |lies| {
        paused(async {
            // The last service dies in the beginning, and nobody comes back of it.
            let services: Vec<_> = NAMES.into_iter().map(|name| (name, 0..20)).collect();
            let mut sim = Sim::new(&services);
            let mut full = sim.truth.clone();
            sim.fail();
            full.remove("s3");
            sim.truth.clone_from(&full);
            sim.reset();
            for (lie, pause) in &lies {
                tell(&mut sim, &full, lie).await;
                sim.run_secs(*pause).await;
            }
            let lost: Vec<_> = sim.left.keys().filter(|(name, _)| name != "s3").collect();
            prop_assert!(lost.is_empty(), "{lost:?} were there all the time");
            for _ in 0..125 {
                sim.run_secs(10).await;
                sim.apply(vec![Change::Unchanged]);
            }
            prop_assert_eq!(sim.count("s3"), (0, 0), "it left long ago");
            prop_assert_eq!((sim.rows().len(), sim.state()), (60, SourceState::Live));
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

async fn tell(sim: &mut Sim, full: &BTreeMap<String, BTreeSet<u16>>, lie: &Lie) {
    let without = |rows: &BTreeSet<Row>| {
        let mut some = full.clone();
        for (service, port) in rows {
            if let Some(ports) = some.get_mut(NAMES[*service]) {
                ports.remove(port);
            }
        }
        some
    };
    let told = |sim: &Sim| full.keys().map(|name| sim.told(name)).collect::<Vec<_>>();
    match lie {
        Lie::Restart(rows) => {
            sim.fail();
            sim.run_secs(3).await;
            sim.truth = without(rows);
            sim.reset();
            sim.run_secs(20).await;
        }
        Lie::Cache(rows) => {
            sim.truth = without(rows);
            // Fewer may be believed at once, whatever a look would have said.
            let missing = 60 - sim.truth.values().map(BTreeSet::len).sum::<usize>();
            let (stale, emptied) = (told(sim), sim.truth.values().any(BTreeSet::is_empty));
            sim.truth.clone_from(full);
            if missing > 14 && !emptied {
                sim.apply(stale);
                sim.run_secs(40).await;
            }
        }
        Lie::Nothing(seconds) => {
            sim.truth.clear();
            sim.apply(told(sim));
            sim.run_secs(*seconds).await;
        }
        Lie::Part(seconds) => {
            let most: BTreeSet<Row> = (0..60).map(|n| (n % 3, (n / 3) as u16)).take(40).collect();
            sim.truth = without(&most);
            sim.apply(told(sim));
            sim.run_secs(*seconds).await;
        }
    }
    // The truth comes back piece by piece.
    for (name, ports) in full {
        sim.truth.insert(name.clone(), ports.clone());
        sim.apply(vec![sim.told(name)]);
        sim.run_secs(3).await;
    }
}

/// What comes together may come in any order.
#[test]
fn the_order_of_arrival_makes_no_difference() {
    let lists = prop::collection::vec(some_service(), 1..8);
    let outcome = runner(200).run(&(lists, any::<u64>()), |(lists, seed)| {
        paused(async {
            let mut once: BTreeMap<usize, BTreeSet<u16>> = BTreeMap::new();
            once.extend(lists.iter().cloned());
            let mut order: Vec<_> = once.into_iter().collect();
            let mut seen = Vec::new();
            for _ in 0..3 {
                let services: Vec<_> = NAMES.into_iter().map(|name| (name, 0..15)).collect();
                let mut sim = Sim::new(&services);
                let changes = by_name(&order).into_iter().map(|(name, ports)| {
                    sim.set(name, ports);
                    sim.told(name)
                });
                let changes: Vec<_> = changes.collect();
                sim.apply(changes);
                seen.push(sim.rows());
                fastrand::Rng::with_seed(seed).shuffle(&mut order);
            }
            prop_assert!(seen.windows(2).all(|pair| pair[0] == pair[1]), "{seen:?}");
            Ok(())
        })
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
