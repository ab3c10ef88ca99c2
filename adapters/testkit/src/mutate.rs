//! Answers that were damaged on the way, or that somebody wrote otherwise.

use serde_json::{Value, json};

/// How many damaged answers a test reads of each: more with `HUB_REGISTRY_LONG` in the environment.
#[must_use]
pub fn rounds() -> usize {
    if is_long() { 100_000 } else { 1000 }
}

fn is_long() -> bool {
    std::env::var_os("HUB_REGISTRY_LONG").is_some()
}

/// The answer's beginnings, by a byte or more too short: every one, or of a long answer about 700
/// and the last 50.
pub fn beginnings(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = answer.trim_ascii();
    let step = if is_long() { 1 } else { whole.len() / 700 + 1 };
    let all = (0..whole.len()).step_by(step).chain(whole.len().saturating_sub(50)..whole.len());
    all.filter_map(move |length| whole.get(..length))
}

/// Damages answers by chance.
#[derive(Debug)]
pub struct Mutator(fastrand::Rng);

impl Mutator {
    /// By this seed, which is printed; by chance without one.
    #[must_use]
    pub fn new(seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| fastrand::u64(..));
        println!("seed {seed}");
        Self(fastrand::Rng::with_seed(seed))
    }

    /// One way or another.
    pub fn any(&mut self, answer: &[u8]) -> Vec<u8> {
        match self.0.usize(..4) {
            0 => self.cut(answer),
            1 => self.flip(answer),
            2 => self.swap(answer),
            _ => {
                let swapped = self.swap(answer);
                self.flip(&swapped)
            }
        }
    }

    /// Its beginning, by at least a byte too short.
    pub fn cut(&mut self, answer: &[u8]) -> Vec<u8> {
        let whole = answer.trim_ascii();
        whole.get(..self.0.usize(..whole.len().max(1))).unwrap_or_default().to_vec()
    }

    /// One to five of its bytes are others.
    pub fn flip(&mut self, answer: &[u8]) -> Vec<u8> {
        let mut bytes = answer.to_vec();
        for _ in 0..self.0.usize(1..6) {
            let at = self.0.usize(..bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                // A bit of it, or what JSON is made of.
                *byte = if self.0.bool() {
                    *byte ^ (1 << self.0.u8(..8))
                } else {
                    *self.0.choice(br#"{}[]",:0-9ntf\e. "#).unwrap_or(&b'x')
                };
            }
        }
        bytes
    }

    /// One of its values is of another type, or is left out.
    ///
    /// # Panics
    /// When the answer is not JSON.
    pub fn swap(&mut self, answer: &[u8]) -> Vec<u8> {
        let mut value: Value = serde_json::from_slice(answer).expect("an answer of JSON");
        let mut place = self.0.usize(..size(&value));
        let other = self.other();
        let leave_out = self.0.u8(..4) == 0;
        replace(&mut value, &mut place, &other, leave_out);
        value.to_string().into_bytes()
    }

    fn other(&mut self) -> Value {
        let deep = (0..self.0.usize(..200)).fold(json!(null), |inner, _| json!([inner]));
        let all = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(70_000),
            json!(u64::MAX),
            json!(1e308),
            json!(""),
            json!("true"),
            json!("\u{0}\u{202e}\"\\"),
            json!("x".repeat(5000)),
            json!([]),
            json!([null]),
            json!([{}]),
            json!({}),
            json!({"": ""}),
            deep,
        ];
        self.0.choice(all).unwrap_or_default()
    }
}

/// How many values there are, each in another counted too.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

/// Replaces the value at this place in the order of reading. Only what is in an object can be left
/// out: a list without one of its elements is a list.
fn replace(value: &mut Value, place: &mut usize, other: &Value, leave_out: bool) -> bool {
    if *place == 0 {
        *value = other.clone();
        return true;
    }
    *place -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|inner| replace(inner, place, other, leave_out)),
        Value::Object(map) => {
            let keys: Vec<_> = map.keys().cloned().collect();
            keys.into_iter().any(|key| {
                if *place == 0 && leave_out {
                    return map.remove(&key).is_some();
                }
                map.get_mut(&key).is_some_and(|inner| replace(inner, place, other, leave_out))
            })
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_damage_makes_a_difference_now_and_then() {
        let answer = br#"{"a": [1, {"b": "c"}], "d": null}"#;
        let mut mutator = Mutator::new(Some(1));
        let same: Value = serde_json::from_slice(answer).unwrap();
        let (mut swapped, mut broken) = (0, 0);
        for _ in 0..1000 {
            // What is nested too deep for a parser is a difference too.
            let value = serde_json::from_slice::<Value>(&mutator.swap(answer)).ok();
            swapped += usize::from(value.as_ref() != Some(&same));
            let flipped = mutator.flip(answer);
            broken += usize::from(serde_json::from_slice::<Value>(&flipped).is_err());
            assert!(serde_json::from_slice::<Value>(&mutator.cut(answer)).is_err());
        }
        println!("{swapped} swapped, {broken} broken of 1000");
        assert!(swapped > 800 && broken > 400);
    }
}
