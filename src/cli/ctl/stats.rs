//! `ctl stats`

use super::verb::{Noun, Shows, Verb, Watched};

const fn stats(name: &'static str, about: &'static str, path: &'static str) -> Verb {
    Verb {
        name,
        about,
        route: ("GET", path),
        takes: &[],
        shows: Shows::Fields,
        watched: Watched::No,
    }
}

/// `ctl stats`
pub(super) const NOUN: Noun = Noun {
    name: "stats",
    about: "How much there is, and how it fares",
    verbs: &[
        stats("totals", "Shows the numbers in all", "/api/v1/stats"),
        stats("instances", "Shows instances by what they are", "/api/v1/stats/instances"),
        stats("health", "Shows how healthy the instances are", "/api/v1/stats/health"),
    ],
};
