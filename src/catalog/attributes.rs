//! What the native registry knows of a service beyond its instances.

use std::cmp::Ordering;

use crate::balance::Strategy;

/// Settings of a service that change how it is answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes {
    /// How `select` picks.
    pub strategy: Strategy,
    /// 0 to 1: under this healthy share the health filter is lifted. 0: never.
    pub protect_threshold: f64,
}

impl Attributes {
    /// How the share of so many well ones of all compares with `protect_threshold`; `None`: that is not
    /// set, or there are none.
    pub(super) fn against_threshold(&self, well: usize, all: usize) -> Option<Ordering> {
        let is_set = self.protect_threshold > 0.0 && all > 0;
        // A share is rounded as the figure that somebody wrote, and a product is not.
        is_set.then(|| (well as f64 / all as f64).total_cmp(&self.protect_threshold))
    }
}
