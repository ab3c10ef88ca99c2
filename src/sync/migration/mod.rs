//! Moving services from one registry to another, step by step, and back.
//!
//! ```text
//! PLANNED ─ MIRROR ─ DUAL ─ CUTOVER ─ DRAIN ─ DONE
//!           copies   both   readers   what is left
//!           one way  ways   see the   at the source
//!                           target    is waited for
//!                           first
//! ```
//!
//! A migration is nothing but rules for the engine and a word to the view: which services are
//! copied which way, and whose word counts first. Each step changes these, and so can be taken
//! back. What a step does to copies the engine does, with all its care.
//!
//! | file | what |
//! |---|---|
//! | `book` | the migrations, in memory as on disk |
//! | `plan` | what a migration asks of the engine and of the view; pure |
//! | `parity` | how equal source and target are; pure |
//! | `gate` | what must be true before a step; pure |
//! | `watch` | parity over time |
//! | `bridge` | steps, taken and taken back |

mod book;
mod bridge;
mod gate;
mod parity;
mod plan;
mod watch;

pub use book::{Book, Migration};
pub use bridge::report::{Leftover, Report};
pub use bridge::{Asked, Bridge, Step};
pub use gate::Gate;
pub use parity::{Difference, Parity, Place, ServiceParity, Totals};
pub use watch::Sample;
