//! The orders.

use super::Strategy;
use super::hash::{mix, stable, unit};
use super::picks::Picks;

/// What an order looks at in an instance.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// A stable identity: the instance id.
    pub id: &'a str,
    /// Its weight; with 0 it is tried after all that have one.
    pub weight: u32,
    /// Its zone.
    pub zone: Option<&'a str>,
    /// Whether it is up and not known to be sick; else it is tried last.
    pub usable: bool,
}

/// What an order looks at in the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// What is hashed: a key, or the caller's address.
    pub key: &'a str,
    /// The caller's zone.
    pub zone: Option<&'a str>,
    /// A random number.
    pub random: u64,
}

/// The candidates' places, the one to try first in front. Each place is there once: those that
/// are usable and have a weight in the strategy's order, then the others.
#[must_use]
pub fn order(
    strategy: Strategy,
    candidates: &[Candidate<'_>],
    request: Request<'_>,
    picks: &Picks,
) -> Vec<usize> {
    let class = |candidate: &Candidate<'_>| (!candidate.usable, candidate.weight == 0);
    let mut places: Vec<usize> = (0..candidates.len()).collect();
    places.sort_by_key(|&place| class(&candidates[place]));
    let sorted: Vec<_> = places.iter().map(|&place| candidates[place]).collect();
    let mut ordered = Vec::with_capacity(places.len());
    let mut first = true;
    for alike in sorted.chunk_by(|a, b| class(a) == class(b)) {
        let start = ordered.len();
        // Who takes turns are those that traffic goes to.
        let memory = std::mem::take(&mut first).then_some(picks);
        let inside = among(strategy, alike, request, memory);
        ordered.extend(inside.into_iter().map(|place| places[start + place]));
    }
    ordered
}

/// The order of candidates of one class.
fn among(
    strategy: Strategy,
    all: &[Candidate<'_>],
    request: Request<'_>,
    picks: Option<&Picks>,
) -> Vec<usize> {
    let mut places: Vec<usize> = (0..all.len()).collect();
    let seeded = |place: usize| mix(request.random ^ stable(&[all[place].id.as_bytes()]));
    let by_weight = |place: usize, hash: u64| weighted_score(all[place].weight, hash);
    match strategy {
        Strategy::RoundRobin => {
            places.rotate_left(picks.map_or(0, |picks| picks.even(all, request.random)));
        }
        Strategy::WeightedRoundRobin => {
            places.rotate_left(picks.map_or(0, |picks| picks.weighted(all, request.random)));
        }
        Strategy::Random => places.sort_by_cached_key(|&place| seeded(place)),
        Strategy::WeightedRandom => {
            descending(&mut places, |place| by_weight(place, seeded(place)))
        }
        Strategy::LeastConnections => {
            if let Some(picks) = picks {
                places = picks.by_load(all, request.random);
            }
        }
        Strategy::IpHash | Strategy::ConsistentHash => {
            let hash = |place: usize| stable(&[all[place].id.as_bytes(), request.key.as_bytes()]);
            descending(&mut places, |place| by_weight(place, hash(place)));
        }
        Strategy::ZoneAffinity => {
            descending(&mut places, |place| by_weight(place, seeded(place)));
            places.sort_by_key(|&place| request.zone.is_none() || all[place].zone != request.zone);
        }
    }
    places
}

/// Sorts by a score, highest first; each score is computed once.
fn descending(places: &mut Vec<usize>, score: impl Fn(usize) -> f64) {
    let mut scored: Vec<_> = places.iter().map(|&place| (score(place), place)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    places.clear();
    places.extend(scored.into_iter().map(|(_, place)| place));
}

/// Weighted rendezvous: the largest score wins as often as its weight's share. Without a weight
/// all are equal.
fn weighted_score(weight: u32, hash: u64) -> f64 {
    f64::from(weight.max(1)) / -unit(hash).ln()
}
