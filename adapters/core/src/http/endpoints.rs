//! Several addresses of one registry.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A list of base URLs, one of which is in use. Whoever meets a dead one moves on to the next.
#[derive(Debug)]
pub struct Endpoints {
    urls: Vec<String>,
    current: AtomicUsize,
}

impl Endpoints {
    /// The list, the first in use.
    #[must_use]
    pub fn new(urls: Vec<String>) -> Self {
        Self { urls, current: AtomicUsize::new(0) }
    }

    /// The one in use, with its number for [`Self::move_on`]; an empty list gives an empty URL.
    #[must_use]
    pub fn current(&self) -> (usize, &str) {
        let number = self.current.load(Ordering::Relaxed);
        (number, self.urls.get(number).map_or("", String::as_str))
    }

    /// Leaves the address `number`, if it is still the one in use: of several callers that failed
    /// at the same address only one moves the list on.
    pub fn move_on(&self, number: usize) {
        let next = (number + 1) % self.urls.len().max(1);
        // The loser of the exchange has nothing to do: somebody moved on already.
        self.current.compare_exchange(number, next, Ordering::Relaxed, Ordering::Relaxed).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_failure_moves_on() {
        let endpoints = Endpoints::new(vec!["a".to_owned(), "b".to_owned()]);
        let (number, _) = endpoints.current();
        endpoints.move_on(number);
        endpoints.move_on(number);
        assert_eq!(endpoints.current(), (1, "b"));
        endpoints.move_on(1);
        assert_eq!(endpoints.current(), (0, "a"));
    }
}
