//! Services that Consul lists and cannot be asked for.
//!
//! A service's instances are read from `v1/health/service/{name}` and from nowhere else, so the
//! name has to survive as a path, while Consul registers any text. What happens (seen on 1.8.7):
//!
//! - It answers 301 where the path, its escapes decoded, is not the one that Go's `path.Clean`
//!   leaves: with a segment `.` or `..`, or an empty one that is not the last (`/`, `/a`, `a//b`).
//!   Such a name is never asked for, as the answer would be about something else.
//! - It answers 400 where the path has characters that Go calls not printable (U+202E, U+00A0):
//!   only the answer tells. It is believed for names that are more than [`is_ordinary`], and not
//!   for a service that was read before: those fail, as with any other fault.
//!
//! Either way the service is left out with a warning. As an error it would end every watch of the
//! registry, for the sake of one name that anybody may register.

use std::collections::{BTreeMap, HashSet};

use parking_lot::Mutex;
use tracing::warn;

/// Beyond this many, names are left out silently.
const MOST_REPORTED: usize = 1000;

/// The services left out of one registry.
#[derive(Debug)]
pub(crate) struct Unreadable {
    registry: String,
    // Those that a read was refused for.
    refused: Mutex<HashSet<String>>,
    reported: Mutex<HashSet<String>>,
}

impl Unreadable {
    pub(crate) fn new(registry: &str) -> Self {
        let registry = registry.to_owned();
        Self { registry, refused: Mutex::default(), reported: Mutex::default() }
    }

    /// Forgets refusals of services that are not listed any more: should they come back, they are
    /// asked for again.
    pub(crate) fn keep<T>(&self, listed: &BTreeMap<String, T>) {
        self.refused.lock().retain(|name| listed.contains_key(name));
    }

    /// Whether the service is left out; if so, that was said.
    pub(crate) fn has(&self, name: &str) -> bool {
        if is_path(name) {
            return self.refused.lock().contains(name);
        }
        self.report(name, "no path leads to a service of this name");
        true
    }

    /// Leaves out a service whose read was answered 400, if it is the name that can be blamed.
    pub(crate) fn refuse(&self, name: &str) {
        if is_ordinary(name) {
            return;
        }
        self.refused.lock().insert(name.to_owned());
        self.report(name, "consul refuses to look for a service of this name (400)");
    }

    fn report(&self, name: &str, reason: &str) {
        let mut reported = self.reported.lock();
        if reported.len() < MOST_REPORTED && reported.insert(name.to_owned()) {
            // Escaped, since such names are made to confuse whoever reads them.
            let name = format!("{name:?}");
            warn!(
                config.name = self.registry,
                service.name = name,
                reason,
                "a service is left out"
            );
        }
    }
}

/// Whether the name, as the end of a path, stays what it is.
pub(crate) fn is_path(name: &str) -> bool {
    let (parents, last) = name.rsplit_once('/').unwrap_or(("-", name));
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    !is_dots(last) && !parents.split('/').any(|segment| segment.is_empty() || is_dots(segment))
}

/// Whether it has only characters that no server and no proxy can mind.
fn is_ordinary(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_go_would_clean_is_no_path() {
        for name in [
            ".",
            "..",
            "/",
            "//",
            "/a",
            "a//b",
            "a//",
            "../catalog",
            "a/../b",
            "a/./b",
            "a/..",
            "a/.",
            "./a",
        ] {
            assert!(!is_path(name), "{name}");
        }
        for name in ["web", "...", "a/b", "a/", "a/b/", "..a", "a..", ".a/b.", "%2e%2e", "a b"] {
            assert!(is_path(name), "{name}");
        }
    }

    #[test]
    fn a_refusal_is_believed_of_odd_names_while_they_are_listed() {
        let unreadable = Unreadable::new("test");
        let odd = "u\u{202E}x";
        assert!(!unreadable.has(odd));
        unreadable.refuse(odd);
        unreadable.refuse("web-1.Example_2");
        assert!(unreadable.has(odd));
        assert!(!unreadable.has("web-1.Example_2"));
        unreadable.keep(&BTreeMap::from([(odd.to_owned(), ())]));
        assert!(unreadable.has(odd));
        unreadable.keep(&BTreeMap::<String, ()>::new());
        assert!(!unreadable.has(odd));
    }
}
