//! Names by their lower-case form, for protocols that do not tell case apart.

use std::sync::Arc;

use hub_registry_core::ServiceName;
use rpds::HashTrieMapSync;

/// The names that are not in lower case, by what they are in lower case. Most names are: they are
/// found as they are.
#[derive(Clone, Debug, Default)]
pub(super) struct Folded(HashTrieMapSync<String, Arc<[ServiceName]>>);

impl Folded {
    /// The names of this lower-case form that are not it.
    pub(super) fn of(&self, lower: &str) -> &[ServiceName] {
        self.0.get(lower).map_or(&[], |names| names)
    }

    pub(super) fn insert(&mut self, name: &ServiceName) {
        let Some(lower) = folded(name) else { return };
        let known = self.of(&lower);
        if !known.contains(name) {
            let names = known.iter().cloned().chain([name.clone()]).collect();
            self.0.insert_mut(lower, names);
        }
    }

    pub(super) fn remove(&mut self, name: &ServiceName) {
        let Some(lower) = folded(name) else { return };
        let others: Arc<[_]> =
            self.of(&lower).iter().filter(|other| *other != name).cloned().collect();
        if others.is_empty() {
            self.0.remove_mut(&lower);
        } else {
            self.0.insert_mut(lower, others);
        }
    }
}

/// The lower-case form, if the name is another.
fn folded(name: &ServiceName) -> Option<String> {
    let text = name.as_str();
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return None;
    }
    let lower = text.to_lowercase();
    (lower != text).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_are_found_by_any_of_them() {
        let name = |text| ServiceName::parse(text).unwrap();
        let mut folded = Folded::default();
        for text in ["Web", "WEB", "Web", "web", "über", "ÜBER"] {
            folded.insert(&name(text));
        }
        assert_eq!(folded.of("web"), [name("Web"), name("WEB")]);
        assert_eq!(folded.of("über"), [name("ÜBER")]);
        folded.remove(&name("Web"));
        folded.remove(&name("web"));
        assert_eq!(folded.of("web"), [name("WEB")]);
        folded.remove(&name("WEB"));
        assert!(folded.of("web").is_empty() && folded.0.size() == 1);
    }
}
