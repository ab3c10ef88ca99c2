//! Checks of native instances whose `healthCheckType` is HTTP, TCP, GRPC or CHECKS.
//!
//! ```text
//! native ── changed instances ──► checker: schedule ─► probe (bounded, judged addresses) ─► outcome
//!    ▲                                                                                        │
//!    └────────────── verdict: N failed, M passed, not flapping ◄── judge ◄────────────────────┘
//! ```
//!
//! | module | what |
//! |---|---|
//! | `target` | what is asked of an instance, how often and how long; pure |
//! | `schedule` | whose turn it is; pure |
//! | `judge` | from outcomes to a health: thresholds, flapping; pure |
//! | `outcome` | what a check can find |
//! | `probe` | asking: `connect`, `tcp`, `http`, `tls` |
//! | `checker` | the task that does it |
//! | `reaper`, `cut` | removes whose check was critical for as long as it asked for, unless the hub is cut off |
//! | `load` | whether so many checks at once are enough |
//! | `board`, `numbers`, `recent` | what the last check of each found; how they fare in all |

mod board;
mod checker;
mod cut;
mod judge;
mod load;
mod numbers;
mod outcome;
mod probe;
mod reaper;
mod recent;
mod schedule;
mod start;
mod target;
#[cfg(test)]
mod tests;

pub use board::LastCheck;
pub use numbers::{CheckNumbers, Late, Standing};
pub use outcome::{Outcome, Tone};
pub use probe::{NetworkProbe, Probe, TlsSettings};
pub use start::{HealthChecks, Settings};
pub use target::{Ask, Defaults, Request, Target, Thresholds, Trust};
