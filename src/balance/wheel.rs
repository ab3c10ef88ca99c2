//! Turns by weight: in each round everybody has as many turns as its weight, spread out.

/// Turns by weight. In every round of the sum of the weights (divided by what they have in
/// common) each place has exactly its weight's turns. No place comes twice in a row unless it has
/// more than half of all turns; then no two others do. A pick costs one look at each place.
#[derive(Clone, Debug)]
pub(super) struct Wheel {
    weights: Vec<u64>,
    taken: Vec<u64>,
    total: u64,
    turn: u64,
    last: usize,
    heaviest: usize,
}

impl Wheel {
    /// A wheel of these weights at the start of a round; weights that are all 0 count as equal.
    /// There is at least one.
    pub(super) fn new(weights: &[u32]) -> Self {
        let common = weights.iter().fold(0, |a, &b| gcd(a, u64::from(b)));
        let weights: Vec<u64> = match common {
            0 => vec![1; weights.len()],
            common => weights.iter().map(|&weight| u64::from(weight) / common).collect(),
        };
        let heaviest = (0..weights.len()).rev().max_by_key(|&place| weights[place]);
        Self {
            taken: vec![0; weights.len()],
            total: weights.iter().sum(),
            turn: 0,
            last: 0,
            heaviest: heaviest.unwrap_or_default(),
            weights,
        }
    }

    /// Whose turn it is.
    pub(super) fn next(&mut self) -> usize {
        if self.turn == self.total {
            self.turn = 0;
            self.taken.fill(0);
        }
        let place = if self.turn == 0 {
            self.heaviest
        } else if self.weights[self.heaviest] * 2 <= self.total {
            self.apart()
        } else {
            self.crowded()
        };
        self.turn += 1;
        self.taken[place] += 1;
        self.last = place;
        place
    }

    fn left(&self, place: usize) -> u64 {
        self.weights[place] - self.taken[place]
    }

    /// How far behind its share a place would be after a turn of somebody else.
    fn credit(&self, place: usize) -> i128 {
        let due = i128::from(self.weights[place]) * i128::from(self.turn + 1);
        due - i128::from(self.total) * i128::from(self.taken[place])
    }

    fn best(&self, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        let places = 0..self.weights.len();
        let allowed = places.filter(|&place| self.left(place) > 0 && allowed(place));
        // Of equals the first.
        allowed.rev().max_by_key(|&place| self.credit(place))
    }

    /// The next turn such that the rest of the round can go on without the same place twice in a
    /// row, into the next round, which the heaviest begins.
    ///
    /// With R turns left a place fits into the rest while it has at most half of them, rounded up
    /// (down if it just had its turn or must not be the last one). One that would not fit after
    /// this turn is taken now; two such would have more than R turns.
    fn apart(&self) -> usize {
        let rest = self.total - self.turn;
        let urgent = |place: usize| {
            let fits = if place == self.heaviest { (rest - 1) / 2 } else { rest / 2 };
            self.left(place) > fits
        };
        let urgent = (0..self.weights.len()).find(|&place| urgent(place));
        let next = urgent.or_else(|| self.best(|place| place != self.last));
        next.unwrap_or(self.heaviest)
    }

    /// The next turn where one place has more than half of all: each of the others is followed by
    /// it.
    fn crowded(&self) -> usize {
        let heaviest = self.heaviest;
        let rest = self.total - self.turn;
        let others = rest - self.left(heaviest);
        if others == 0 || (self.last != heaviest && self.left(heaviest) > 0) {
            return heaviest;
        }
        let can_wait = self.left(heaviest) >= others;
        let other = self.best(|place| place != heaviest);
        other.filter(|&o| !can_wait || self.credit(o) > self.credit(heaviest)).unwrap_or(heaviest)
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn turns(weights: &[u32], count: usize) -> Vec<usize> {
        let mut wheel = Wheel::new(weights);
        (0..count).map(|_| wheel.next()).collect()
    }

    #[test]
    fn the_heavy_one_is_spread_out() {
        assert_eq!(turns(&[1, 2, 1], 8), [1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(turns(&[500, 100, 100], 7), [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns(&[0, 0], 4), [0, 1, 0, 1]);
        assert_eq!(turns(&[7], 3), [0, 0, 0]);
    }

    #[test]
    fn large_weights_cost_no_more() {
        let mut wheel = Wheel::new(&[1_000_000, 999_999, 1]);
        assert!((0..10_000).filter(|_| wheel.next() == 2).count() <= 1);
    }

    proptest! {
        #[test]
        fn a_round_is_exact_and_smooth(weights in prop::collection::vec(0_u32..30, 1..8)) {
            let wheel = Wheel::new(&weights);
            let total = wheel.total as usize;
            let all = turns(&weights, total * 3);
            for window in all.windows(total) {
                for (place, weight) in wheel.weights.iter().enumerate() {
                    let had = window.iter().filter(|&&turn| turn == place).count() as u64;
                    prop_assert_eq!(had, *weight, "{:?}: {:?}", weights, all);
                }
            }
            let heavy = wheel.weights[wheel.heaviest] * 2 > wheel.total;
            for pair in all.windows(2).filter(|pair| !heavy && pair[0] == pair[1]) {
                prop_assert!(false, "{:?} twice in a row: {:?} {:?}", pair, weights, all);
            }
            for pair in all.windows(2).filter(|_| heavy) {
                prop_assert!(pair.contains(&wheel.heaviest), "{:?} {:?}", weights, all);
            }
        }

        /// Not far from its share at any time, not only at the end of a round.
        #[test]
        fn nobody_waits_long(weights in prop::collection::vec(1_u32..20, 2..6)) {
            let wheel = Wheel::new(&weights);
            let total = wheel.total;
            let mut had = vec![0_u64; weights.len()];
            for (turn, place) in turns(&weights, total as usize).into_iter().enumerate() {
                had[place] += 1;
                for (place, weight) in wheel.weights.iter().enumerate() {
                    let share = *weight as f64 * (turn + 1) as f64 / total as f64;
                    prop_assert!((had[place] as f64 - share).abs() <= 2.0, "{:?}", weights);
                }
            }
        }
    }
}
