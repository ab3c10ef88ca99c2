//! The HTTP server and its handlers: one file per noun, every route in [`router`].

mod authenticate;
mod body;
mod discovery;
mod error;
mod external;
mod extract;
mod gate;
mod health;
mod instances;
mod middleware;
mod params;
mod router;
mod routes;
mod serve;
mod services;
mod state;
mod tokens;

pub use gate::Gate;
pub use router::{metrics_router, route_table, router};
pub use routes::{Need, Route};
pub use serve::{Limits, serve};
pub use state::{Api, ApiSettings};
