//! Consul's HTTP API over the view: an unmodified client of Consul registers with the hub as with
//! an agent, and finds and watches what any registry knows.
//!
//! It is served under `/v1` on the main port, and on a port of its own if one is configured. The
//! rules are those of Consul 1.8; where this face differs, docs/decisions/0033 says why.
//!
//! | module | what |
//! |---|---|
//! | `call` | who asks, what for, and how long it may wait |
//! | `catalog`, `health` | what there is |
//! | `agent`, `checks` | what clients say of themselves, and their checks |
//! | `status` | what is said of the hub itself |
//! | `services` | the names of all services, with their tags |
//! | `entries` | answers about one service, made beforehand |
//! | `render`, `register` | from rows to entries, and from definitions to registrations |
//! | `filter` | `?filter=` |
//! | `places` | where instances are whose ids clients name |

mod agent;
mod call;
mod catalog;
mod check_definition;
mod checks;
mod entries;
mod filter;
#[cfg(any(fuzzing, test))]
pub(in crate::facades) mod fuzzing;
mod health;
mod maintenance;
mod places;
mod register;
mod render;
mod services;
mod status;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, StatusCode, header};
use axum::routing::{any, get, put};
use dashmap::DashMap;
use hub_registry_core::{ServiceKey, TenantId};
use tokio_util::sync::CancellationToken;

use self::call::{Answered, Call, Refused, read};
use self::entries::Entries;
use self::places::Places;
use self::services::Lists;
use crate::facades::Doors;
use crate::facades::turns::Turns;
use crate::task::TaskGroup;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the data centre.
    pub datacenter: String,
    /// The tenant, where it is not the credential that says it.
    pub tenant: Option<TenantId>,
}

#[derive(Debug)]
struct Face {
    doors: Doors,
    settings: Settings,
    services: Lists,
    entries: DashMap<(TenantId, ServiceKey), Arc<Entries>>,
    places: Places,
    /// One after the other for those who register one service id, and who take one check id.
    turns: Turns,
    check_turns: Turns,
    stopping: CancellationToken,
}

impl Deref for Face {
    type Target = Doors;

    fn deref(&self) -> &Doors {
        &self.doors
    }
}

/// The routes. Who waits for a value is answered when `tasks` are told to stop.
pub fn router(doors: Doors, settings: Settings, tasks: &TaskGroup) -> Router {
    let face = Arc::new(Face {
        doors,
        settings,
        services: Lists::default(),
        entries: DashMap::new(),
        places: Places::default(),
        turns: Turns::default(),
        check_turns: Turns::default(),
        stopping: tasks.stop_signal(),
    });
    // Ids may have slashes, which clients do not escape: an agent takes all that follows.
    let v1 = Router::new()
        .route("/catalog/services", get(catalog::services))
        .route("/catalog/service/{name}", get(catalog::service))
        .route("/catalog/nodes", get(catalog::nodes))
        .route("/catalog/node/{name}", get(catalog::node))
        .route("/catalog/node-services/{name}", get(catalog::node_services))
        .route("/catalog/datacenters", get(catalog::datacenters))
        .route("/health/service/{name}", get(health::service))
        .route("/health/checks/{name}", get(health::checks))
        .route("/health/state/{state}", get(health::state))
        .route("/health/node/{name}", get(health::node))
        .route("/agent/self", get(status::agent))
        .route("/agent/members", get(status::members))
        .route("/status/leader", get(status::leader))
        .route("/status/peers", get(status::peers))
        .route("/agent/services", get(agent::services))
        .route("/agent/service/{*id}", get(agent::service))
        .route("/agent/service/register", put(agent::register))
        .route("/agent/service/deregister/{*id}", put(agent::deregister))
        .route("/agent/service/maintenance/{*id}", put(maintenance::service))
        .route("/agent/maintenance", put(maintenance::node))
        .route("/agent/health/service/id/{*id}", get(agent::health_by_id))
        .route("/agent/health/service/name/{name}", get(agent::health_by_name))
        .route("/agent/checks", get(checks::list))
        .route("/agent/check/register", put(checks::register))
        .route("/agent/check/deregister/{*id}", put(checks::deregister))
        .route("/agent/check/pass/{*id}", put(checks::pass))
        .route("/agent/check/warn/{*id}", put(checks::warn))
        .route("/agent/check/fail/{*id}", put(checks::fail))
        .route("/agent/check/update/{*id}", put(checks::update))
        .route("/kv", any(no_values))
        .route("/kv/", any(no_values))
        .route("/kv/{*key}", any(no_values))
        .route("/{*path}", any(unserved));
    Router::new().nest("/v1", v1).with_state(face)
}

/// What the hub does not serve: 404 as Consul says it, with the words of later ones, for 1.8 has none.
/// Who asks is looked at first, as with what is served.
async fn unserved(_: Call) -> Refused {
    const TEXT: &str = "Invalid URL path: not a recognized HTTP API endpoint";
    Refused::new(StatusCode::NOT_FOUND, TEXT)
}

/// The hub keeps no values: who reads one is told that there is none, as Spring's configuration
/// expects it, and who waits for one waits: without an index, or answered at once, templates of
/// consul-template are never written or ask all the time.
async fn no_values(State(face): State<Arc<Face>>, method: Method, call: Call) -> Answered {
    if method != Method::GET {
        return Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "the hub keeps no values"));
    }
    if let Some(blocking) = call.blocking()? {
        tokio::select! {
            () = face.stopping.cancelled() => {}
            () = tokio::time::sleep(blocking.wait) => {}
        }
    }
    let mut answer = read(1, true, "");
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer.headers_mut().remove(header::CONTENT_TYPE);
    Ok(answer)
}
