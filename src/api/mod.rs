//! The HTTP server and its handlers: one file per noun, every route in [`router`]. What a route
//! takes and answers stands beside its handler, in `NOUN/describe.rs`; `openapi` says how.

mod authenticate;
mod body;
mod checks;
mod copies;
mod discovery;
mod docs;
mod error;
mod events;
mod explain;
mod external;
mod extract;
mod gate;
mod groups;
mod health;
mod instances;
mod json_body;
mod load;
mod middleware;
mod migrations;
mod names;
mod openapi;
mod ops;
mod params;
mod places;
mod pulse;
mod removals;
mod router;
mod routes;
mod scrape;
mod serve;
mod services;
mod sort;
mod state;
mod stats;
mod stream;
mod tagged;
mod tokens;

pub use gate::Gate;
pub use places::Places;
pub use pulse::pulse;
pub use router::{description, metrics_router, route_table, router};
pub use routes::{Need, Route};
pub use serve::{Serving, serve};
pub use state::{Api, ApiSettings, Parts};
