//! Copying instances from one registry to another, by the rules of the configurations.
//!
//! ```text
//! catalog ─ look (wanted, written, there) ─ decide ─ queue ─ worker ─ adapter.register / deregister
//!                    ledger (what we wrote, on disk) ┘              └ beats (leases)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `route` | the rules, resolved: which registries copy to which |
//! | `look` | what a service asks for |
//! | `decide` | the three-way comparison of one address; pure |
//! | `ledger` | what was written, and where |
//! | `queue`, `budget`, `beats` | what waits, how much may be removed, what is to be renewed |
//! | `worker` | one route at work |
//! | `engine` | which routes work |
//! | `report` | how they fare |
//! | [`migration`] | rules that follow a plan, step by step |
//!
//! What keeps it from doing harm:
//! - Only what is in the ledger is changed or removed, and a copy is in there before it is written.
//! - A source that does not answer changes nothing; what its guard holds back is still wanted.
//! - What somebody else registered, or copied, at the same address is left alone.
//! - A copy is never copied on: marked ones, whoever marked them, are no originals.

mod beats;
mod budget;
mod decide;
mod ends;
mod engine;
mod ledger;
mod look;
pub mod migration;
mod queue;
mod report;
mod route;
mod worker;

pub use decide::Act;
pub use ends::{Configs, Ends, RuleFigures};
pub use engine::{Engine, Parts, Planned, RouteStatus};
pub use report::RouteReport;
pub use route::{End, Mode, Part, Route, RouteKey, RuleOf, routes};
