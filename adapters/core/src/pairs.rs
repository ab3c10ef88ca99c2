//! Pairs of texts.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Pairs of texts, each key once, in the order of keys: a map for the few pairs that instances have.
/// A clone shares them; one that is changed afterwards is copied first. It takes about a fifth of
/// what a `BTreeMap` does, which has room for eleven pairs from the first one on, and there are
/// hundreds of thousands.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pairs(Option<Arc<[Pair]>>);

type Pair = (String, String);

impl Pairs {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    fn all(&self) -> &[Pair] {
        self.0.as_deref().unwrap_or_default()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.all().binary_search_by(|(known, _)| known.as_str().cmp(key))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&String> {
        let place = self.find(key).ok()?;
        Some(&self.all()[place].1)
    }

    /// Whether there is this key.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Sets a value; the one it had. All pairs are moved for it: of many pairs make these at once,
    /// or [`extend`](Extend::extend) them.
    pub fn insert(&mut self, key: String, value: String) -> Option<String> {
        let found = self.find(&key);
        let mut all = self.take();
        let before = match found {
            Ok(place) => Some(std::mem::replace(&mut all[place].1, value)),
            Err(place) => {
                all.insert(place, (key, value));
                None
            }
        };
        self.set(all);
        before
    }

    /// Sets the value of a key that has none.
    pub fn add(&mut self, key: &str, value: impl FnOnce() -> String) {
        if !self.contains_key(key) {
            self.insert(key.to_owned(), value());
        }
    }

    /// Adds those whose key is not there.
    pub fn add_all(&mut self, pairs: impl IntoIterator<Item = (String, String)>) {
        let new: Vec<_> = pairs.into_iter().filter(|(key, _)| !self.contains_key(key)).collect();
        if !new.is_empty() {
            self.extend(new);
        }
    }

    /// Takes a pair out.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        let place = self.find(key).ok()?;
        let mut all = self.take();
        let (_, value) = all.remove(place);
        self.set(all);
        Some(value)
    }

    /// Keeps those for which it holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut String) -> bool) {
        if self.is_empty() {
            return;
        }
        let mut all = self.take();
        all.retain_mut(|(key, value)| keep(key, value));
        self.set(all);
    }

    /// Each pair.
    pub fn iter(&self) -> Iter<'_> {
        self.all().iter().map(|(key, value)| (key, value))
    }

    /// Those whose key begins so.
    pub fn beginning_with<'p>(
        &'p self,
        prefix: &str,
    ) -> impl Iterator<Item = (&'p String, &'p String)> {
        let start = self.all().partition_point(|(key, _)| key.as_str() < prefix);
        let rest = &self.all()[start..];
        let end = rest.partition_point(|(key, _)| key.starts_with(prefix));
        rest[..end].iter().map(|(key, value)| (key, value))
    }

    /// Each key.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &String> {
        self.iter().map(|(key, _)| key)
    }

    /// Each value, in the order of keys.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &String> {
        self.iter().map(|(_, value)| value)
    }

    /// The pairs, out of here: without a copy where nobody else has them.
    fn take(&mut self) -> Vec<Pair> {
        let Some(mut all) = self.0.take() else { return Vec::new() };
        match Arc::get_mut(&mut all) {
            Some(own) => own.iter_mut().map(std::mem::take).collect(),
            None => all.to_vec(),
        }
    }

    /// Sorted, each key once.
    fn set(&mut self, all: Vec<Pair>) {
        self.0 = if all.is_empty() { None } else { Some(all.into()) };
    }
}

/// Each pair.
pub type Iter<'p> =
    std::iter::Map<std::slice::Iter<'p, Pair>, fn(&'p Pair) -> (&'p String, &'p String)>;

impl<'p> IntoIterator for &'p Pairs {
    type Item = (&'p String, &'p String);
    type IntoIter = Iter<'p>;

    fn into_iter(self) -> Iter<'p> {
        self.iter()
    }
}

impl IntoIterator for Pairs {
    type Item = Pair;
    type IntoIter = std::vec::IntoIter<Pair>;

    fn into_iter(mut self) -> Self::IntoIter {
        self.take().into_iter()
    }
}

/// Of several values of a key the last one counts.
impl FromIterator<Pair> for Pairs {
    fn from_iter<I: IntoIterator<Item = Pair>>(pairs: I) -> Self {
        let mut all: Vec<Pair> = pairs.into_iter().collect();
        all.reverse();
        // Stable: the one that came last stands first.
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|later, first| later.0 == first.0);
        let mut made = Self::new();
        made.set(all);
        made
    }
}

impl Extend<Pair> for Pairs {
    fn extend<I: IntoIterator<Item = Pair>>(&mut self, pairs: I) {
        let before = self.take();
        *self = before.into_iter().chain(pairs).collect();
    }
}

impl<const N: usize> From<[Pair; N]> for Pairs {
    fn from(pairs: [Pair; N]) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<BTreeMap<String, String>> for Pairs {
    fn from(pairs: BTreeMap<String, String>) -> Self {
        pairs.into_iter().collect()
    }
}

impl From<Pairs> for BTreeMap<String, String> {
    fn from(pairs: Pairs) -> Self {
        pairs.into_iter().collect()
    }
}

/// # Panics
/// There is no such key.
impl Index<&str> for Pairs {
    type Output = String;

    fn index(&self, key: &str) -> &String {
        let place = self.find(key).unwrap_or_else(|_| panic!("there is no key {key:?}"));
        &self.all()[place].1
    }
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(|pairs: BTreeMap<String, String>| pairs.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(String, String),
        Remove(String),
        Extend(Vec<Pair>),
        Retain(String),
        Share,
    }

    fn text() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["", "a", "b", "c", "ü", "zone"]).prop_map(str::to_owned)
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (text(), text()).prop_map(|(key, value)| Step::Insert(key, value)),
            text().prop_map(Step::Remove),
            prop::collection::vec((text(), text()), 0..4).prop_map(Step::Extend),
            text().prop_map(Step::Retain),
            Just(Step::Share),
        ]
    }

    proptest! {
        #[test]
        fn they_are_what_a_map_would_be(steps in prop::collection::vec(step(), 0..40)) {
            let (mut pairs, mut map) = (Pairs::new(), BTreeMap::new());
            let mut shared = Vec::new();
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        let before = pairs.insert(key.clone(), value.clone());
                        prop_assert_eq!(before, map.insert(key, value));
                    }
                    Step::Remove(key) => prop_assert_eq!(pairs.remove(&key), map.remove(&key)),
                    Step::Extend(more) => {
                        pairs.extend(more.clone());
                        map.extend(more);
                    }
                    Step::Retain(value) => {
                        pairs.retain(|_, own| *own != value);
                        map.retain(|_, own| *own != value);
                    }
                    Step::Share => shared.push((pairs.clone(), map.clone())),
                }
                prop_assert!(pairs.iter().eq(map.iter()));
                prop_assert_eq!((pairs.len(), pairs.is_empty()), (map.len(), map.is_empty()));
                prop_assert_eq!(pairs.get("zone"), map.get("zone"));
                prop_assert_eq!(pairs.contains_key("b"), map.contains_key("b"));
                let own = map.iter().filter(|(key, _)| key.starts_with('z'));
                prop_assert!(pairs.beginning_with("z").eq(own));
            }
            // What was cloned before did not change with it.
            for (pairs, map) in shared {
                prop_assert_eq!(&pairs, &Pairs::from(map.clone()));
                let text = serde_json::to_string(&pairs).unwrap();
                prop_assert_eq!(&text, &serde_json::to_string(&map).unwrap());
                prop_assert_eq!(serde_json::from_str::<Pairs>(&text).unwrap(), pairs);
            }
        }
    }
}
