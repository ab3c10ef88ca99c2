//! The distributions, and what moves when the list changes.

use proptest::prelude::{any, prop, prop_assert_eq, proptest};

use super::hash::mix;
use super::*;

/// Printed with each failure: the same seed gives the same numbers.
const SEED: u64 = 0x5eed_2026;

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("i{n}")).collect()
}

fn candidates<'a>(ids: &'a [String], weights: &[u32]) -> Vec<Candidate<'a>> {
    let both = ids.iter().zip(weights);
    both.map(|(id, &weight)| Candidate { id, weight, zone: None, usable: true }).collect()
}

fn shares(strategy: Strategy, weights: &[u32], rounds: u64) -> Vec<u64> {
    let ids = ids(weights.len());
    let all = candidates(&ids, weights);
    let picks = Picks::default();
    let mut counts = vec![0; weights.len()];
    for turn in 0..rounds {
        let key = format!("k{turn}");
        let request = Request { key: &key, random: mix(SEED + turn), ..Request::default() };
        counts[order(strategy, &all, request, &picks)[0]] += 1;
    }
    counts
}

/// Pearson's sum against shares by weight.
fn chi_square(counts: &[u64], weights: &[u32]) -> f64 {
    let (sum, total) = (counts.iter().sum::<u64>() as f64, weights.iter().sum::<u32>() as f64);
    let both = counts.iter().zip(weights).filter(|(_, weight)| **weight > 0);
    both.map(|(&count, &weight)| {
        let expected = sum * f64::from(weight) / total;
        (count as f64 - expected).powi(2) / expected
    })
    .sum()
}

#[test]
fn turns_are_exact() {
    assert_eq!(shares(Strategy::RoundRobin, &[1, 5, 9], 300), [100, 100, 100]);
    assert_eq!(shares(Strategy::LeastConnections, &[1, 5, 9], 300), [100, 100, 100]);
    assert_eq!(shares(Strategy::WeightedRoundRobin, &[1, 2, 0, 3], 600), [100, 200, 0, 300]);
    assert_eq!(shares(Strategy::WeightedRoundRobin, &[5, 3, 2], 10), [5, 3, 2]);
    assert_eq!(shares(Strategy::WeightedRoundRobin, &[0, 0], 10), [5, 5]);
}

#[test]
fn chance_and_hashes_follow_the_weights() {
    let even = [1; 5];
    let uneven = [50, 100, 150, 300, 400];
    let cases = [
        (Strategy::Random, uneven, even),
        (Strategy::WeightedRandom, uneven, uneven),
        (Strategy::ConsistentHash, uneven, uneven),
        (Strategy::IpHash, uneven, uneven),
        (Strategy::ZoneAffinity, uneven, uneven),
    ];
    for (strategy, weights, expected) in cases {
        let counts = shares(strategy, &weights, 20_000);
        // Four degrees of freedom: above 23.5 once in ten thousand seeds.
        let sum = chi_square(&counts, &expected);
        assert!(sum < 23.5, "{strategy}, seed {SEED:#x}: {sum} of {counts:?}");
    }
}

#[test]
fn weight_0_gets_nothing_while_another_has_weight() {
    for &strategy in Strategy::ALL {
        let counts = shares(strategy, &[100, 0, 300], 500);
        assert_eq!(counts[1], 0, "{strategy}: {counts:?}");
        let counts = shares(strategy, &[0, 0, 0], 3000);
        assert!(counts.iter().all(|&count| count > 800), "{strategy}: {counts:?}");
    }
}

fn winners(all: &[Candidate<'_>], keys: u32) -> Vec<String> {
    let picks = Picks::default();
    let first = |n: u32| {
        let key = format!("user-{n}");
        let request = Request { key: &key, ..Request::default() };
        all[order(Strategy::ConsistentHash, all, request, &picks)[0]].id.to_owned()
    };
    (0..keys).map(first).collect()
}

#[test]
fn a_change_of_one_moves_only_what_it_must() {
    let ids = ids(10);
    let ten = candidates(&ids, &[100; 10]);
    let before = winners(&ten, 5000);
    for (place, gone) in ids.iter().enumerate() {
        let mut nine = ten.clone();
        nine.remove(place);
        let after = winners(&nine, 5000);
        let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
        assert!(moved.into_iter().all(|(a, _)| a == gone), "keys of others moved");
    }
    // Adding the tenth to nine moves about a tenth, all of it to the tenth.
    let nine = winners(&ten[..9], 5000);
    let moved: Vec<_> = nine.iter().zip(&before).filter(|(a, b)| a != b).collect();
    assert!(moved.iter().all(|(_, to)| **to == ids[9]));
    assert!((400..600).contains(&moved.len()), "{} of 5000 moved", moved.len());
    // More weight only attracts.
    let mut heavier = ten.clone();
    heavier[3].weight = 200;
    let after = winners(&heavier, 5000);
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b);
    assert!(moved.into_iter().all(|(_, to)| *to == ids[3]));
}

#[test]
fn the_own_zone_goes_first_while_it_is_usable() {
    let near = Candidate { id: "a", weight: 1, zone: Some("z1"), usable: true };
    let far = Candidate { id: "b", weight: 1000, zone: Some("z2"), usable: true };
    let request = Request { zone: Some("z1"), ..Request::default() };
    let places =
        |all: &[Candidate<'_>]| order(Strategy::ZoneAffinity, all, request, &Picks::default());
    assert_eq!(places(&[far, near]), [1, 0]);
    assert_eq!(places(&[far, Candidate { usable: false, ..near }]), [0, 1]);
    assert_eq!(places(&[far, Candidate { weight: 0, ..near }]), [0, 1]);
}

#[test]
fn readers_with_other_filters_do_not_take_each_others_turns() {
    let ids = ids(4);
    let all = candidates(&ids, &[1; 4]);
    let picks = Picks::default();
    let pick = |some: &[Candidate<'_>]| {
        let place = order(Strategy::RoundRobin, some, Request::default(), &picks)[0];
        some[place].id.to_owned()
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        first.push(pick(&all[..2]));
        second.push(pick(&all[2..]));
    }
    for (taken, ids) in [(first, &ids[..2]), (second, &ids[2..])] {
        assert!(ids.iter().all(|id| taken.iter().filter(|t| *t == id).count() == 2), "{taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_fewest_connections_go_first_and_a_burst_is_spread() {
    let ids = ids(3);
    let all = candidates(&ids, &[100; 3]);
    let picks = Picks::default();
    for (id, connections) in ids.iter().zip([10, 4, 7]) {
        picks.report(id, connections);
    }
    let pick = || order(Strategy::LeastConnections, &all, Request::default(), &picks)[0];
    assert_eq!((0..3).map(|_| pick()).collect::<Vec<_>>(), [1, 1, 1]);
    let mut counts = [10, 7, 7];
    (0..30).for_each(|_| counts[pick()] += 1);
    assert_eq!(counts, [18, 18, 18], "a burst levels the three");
    assert_eq!(picks.load(&ids[1]).map(|load| load.total()), Some(18));
}

proptest! {
    #[test]
    fn every_order_is_a_permutation(
        weights in prop::collection::vec(0_u32..1000, 0..20),
        random in any::<u64>(), index in 0_usize..8, usable in any::<u32>(),
    ) {
        let ids = ids(weights.len());
        let mut all = candidates(&ids, &weights);
        for (n, candidate) in all.iter_mut().enumerate() {
            candidate.usable = usable >> n & 1 == 1;
        }
        let request = Request { key: "k", zone: Some("z"), random };
        let mut places = order(Strategy::ALL[index], &all, request, &Picks::default());
        let classes = places.iter().map(|&place| (!all[place].usable, all[place].weight == 0));
        prop_assert_eq!(classes.is_sorted(), true);
        places.sort_unstable();
        prop_assert_eq!(places, (0..weights.len()).collect::<Vec<_>>());
    }
}
