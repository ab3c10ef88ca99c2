//! The orders.

use super::Strategy;
use super::hash::{mix, stable, unit};

/// What an order looks at in an instance.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// A stable identity: the instance id.
    pub id: &'a str,
    /// Its weight; 0 goes last.
    pub weight: u32,
    /// Its zone.
    pub zone: Option<&'a str>,
    /// The connections it reports.
    pub load: u64,
}

/// What an order looks at in the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// What is hashed: a key, or the caller's address.
    pub key: &'a str,
    /// The caller's zone.
    pub zone: Option<&'a str>,
    /// A number that rises by one per request.
    pub turn: u64,
    /// A random number.
    pub random: u64,
}

/// The candidates' places, the one to try first in front. Each place is there once.
#[must_use]
pub fn order(strategy: Strategy, candidates: &[Candidate<'_>], request: Request<'_>) -> Vec<usize> {
    let mut places: Vec<usize> = (0..candidates.len()).collect();
    if places.len() < 2 {
        return places;
    }
    let seeded = |place: usize| mix(request.random ^ stable(&[candidates[place].id.as_bytes()]));
    let by_weight = |place: usize, hash: u64| weighted_score(candidates[place].weight, hash);
    match strategy {
        Strategy::RoundRobin => rotate(&mut places, request.turn),
        Strategy::WeightedRoundRobin => {
            let first = turn_of_weights(candidates, request.turn);
            places.rotate_left(first);
            places.sort_by_key(|&place| candidates[place].weight == 0);
        }
        Strategy::Random => places.sort_by_key(|&place| seeded(place)),
        Strategy::WeightedRandom => {
            places.sort_by(|&a, &b| by_weight(b, seeded(b)).total_cmp(&by_weight(a, seeded(a))));
        }
        Strategy::LeastConnections => {
            rotate(&mut places, request.turn);
            places.sort_by_key(|&place| candidates[place].load);
        }
        Strategy::IpHash | Strategy::ConsistentHash => {
            let hash =
                |place: usize| stable(&[candidates[place].id.as_bytes(), request.key.as_bytes()]);
            places.sort_by(|&a, &b| by_weight(b, hash(b)).total_cmp(&by_weight(a, hash(a))));
        }
        Strategy::ZoneAffinity => {
            places.sort_by(|&a, &b| by_weight(b, seeded(b)).total_cmp(&by_weight(a, seeded(a))));
            places.sort_by_key(|&place| {
                request.zone.is_none() || candidates[place].zone != request.zone
            });
        }
    }
    places
}

fn rotate(places: &mut [usize], turn: u64) {
    let by = (turn % places.len() as u64) as usize;
    places.rotate_left(by);
}

/// Weighted rendezvous: the largest score wins as often as its weight's share.
fn weighted_score(weight: u32, hash: u64) -> f64 {
    if weight == 0 { unit(hash) - 1.0 } else { f64::from(weight) / -unit(hash).ln() }
}

/// Whose turn it is when each has as many turns per round as its weight, well mixed.
fn turn_of_weights(candidates: &[Candidate<'_>], turn: u64) -> usize {
    let total: u64 = candidates.iter().map(|c| u64::from(c.weight)).sum();
    if total == 0 {
        return (turn % candidates.len() as u64) as usize;
    }
    // A stride near the golden section visits every place of the round once, far apart.
    let mut stride = ((total as f64 * 0.618_033_988_75) as u64).max(1);
    while gcd(stride, total) != 1 {
        stride += 1;
    }
    let mut place = (u128::from(turn) * u128::from(stride) % u128::from(total)) as u64;
    for (index, candidate) in candidates.iter().enumerate() {
        let weight = u64::from(candidate.weight);
        if place < weight {
            return index;
        }
        place -= weight;
    }
    0
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};

    use super::*;

    fn candidates<'a>(ids: &'a [String], weights: &[u32]) -> Vec<Candidate<'a>> {
        let both = ids.iter().zip(weights);
        both.map(|(id, &weight)| Candidate { id, weight, zone: None, load: 0 }).collect()
    }

    fn shares(strategy: Strategy, weights: &[u32], rounds: u64) -> Vec<u64> {
        let ids: Vec<_> = (0..weights.len()).map(|n| format!("i{n}")).collect();
        let all = candidates(&ids, weights);
        let mut counts = vec![0; weights.len()];
        for turn in 0..rounds {
            let key = format!("k{turn}");
            let request = Request { key: &key, turn, random: mix(turn), ..Request::default() };
            counts[order(strategy, &all, request)[0]] += 1;
        }
        counts
    }

    #[test]
    fn round_robin_is_fair() {
        assert_eq!(shares(Strategy::RoundRobin, &[1, 1, 1], 300), [100, 100, 100]);
    }

    #[test]
    fn weights_are_honoured() {
        assert_eq!(shares(Strategy::WeightedRoundRobin, &[1, 2, 0, 3], 600), [100, 200, 0, 300]);
        for strategy in [Strategy::WeightedRandom, Strategy::ConsistentHash] {
            let counts = shares(strategy, &[100, 300, 0], 8000);
            assert!((1800..2200).contains(&counts[0]), "{strategy}: {counts:?}");
            assert_eq!(counts[2], 0, "{strategy}: weight 0 is tried last");
        }
    }

    #[test]
    fn one_leaving_moves_only_its_own_keys() {
        let ids: Vec<_> = (0..10).map(|n| format!("i{n}")).collect();
        let all = candidates(&ids, &[100; 10]);
        for n in 0..500 {
            let key = format!("user-{n}");
            let request = Request { key: &key, ..Request::default() };
            let before = order(Strategy::ConsistentHash, &all, request)[0];
            let after = order(Strategy::ConsistentHash, &all[..9], request)[0];
            assert!(before == 9 || before == after, "{key} moved without need");
        }
    }

    #[test]
    fn the_own_zone_goes_first() {
        let near = Candidate { id: "a", weight: 1, zone: Some("z1"), load: 0 };
        let far = Candidate { id: "b", weight: 1000, zone: Some("z2"), load: 0 };
        let request = Request { zone: Some("z1"), ..Request::default() };
        assert_eq!(order(Strategy::ZoneAffinity, &[far, near], request), [1, 0]);
    }

    proptest! {
        #[test]
        fn every_order_is_a_permutation(
            weights in prop::collection::vec(0_u32..1000, 0..20),
            turn in any::<u64>(), random in any::<u64>(), index in 0_usize..8,
        ) {
            let ids: Vec<_> = (0..weights.len()).map(|n| format!("i{n}")).collect();
            let all = candidates(&ids, &weights);
            let request = Request { key: "k", zone: Some("z"), turn, random };
            let mut places = order(Strategy::ALL[index], &all, request);
            places.sort_unstable();
            prop_assert_eq!(places, (0..weights.len()).collect::<Vec<_>>());
        }
    }
}
