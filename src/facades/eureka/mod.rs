//! Eureka's protocol over the view: an unmodified client of Eureka registers with the hub and finds
//! what any registry knows.
//!
//! It is served under `/eureka` (Spring's base) and `/eureka/v2` (Netflix's), for the tenant of the
//! credential, and under `/eureka/t/{tenant}` for another. There is no cache of half a minute: what
//! is written is read. The rules are those of eureka-core 2; where this face differs,
//! docs/decisions/0031 says why.
//!
//! | module | what |
//! |---|---|
//! | `call` | who asks, what for, in which form |
//! | `read`, `write` | what is answered, and what is done |
//! | `replicate` | the same in batches, as Eurekas send it to each other |
//! | `list`, `app` | applications, and what changed of late |
//! | `render`, `register` | from rows to instances, and from instances to registrations |
//! | `form`, `xml`, `body` | from instances to bytes and back |

mod app;
mod body;
mod call;
mod form;
#[cfg(any(fuzzing, test))]
pub(in crate::facades) mod fuzzing;
mod list;
mod read;
mod register;
mod render;
mod replicate;
mod write;
mod xml;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, any, get, post, put};
use dashmap::DashMap;
use hub_registry_core::TenantId;

use self::app::App;
use self::call::Call;
use self::list::{List, Lists};
use self::write::Places;
use crate::access::Caller;
use crate::catalog::Snapshot;
use crate::facades::Doors;
use crate::facades::turns::Turns;

#[derive(Debug)]
struct Face {
    doors: Doors,
    lists: DashMap<TenantId, Arc<Lists>>,
    places: Places,
    turns: Turns,
}

impl Deref for Face {
    type Target = Doors;

    fn deref(&self) -> &Doors {
        &self.doors
    }
}

impl Face {
    /// The applications of a tenant as of now.
    fn list(&self, tenant: &TenantId) -> Arc<List> {
        let snapshot = self.view.snapshot(tenant);
        self.lists(tenant, &snapshot).all(&snapshot)
    }

    /// One of them, by its name in whatever case.
    fn app(&self, caller: &Caller, name: &str) -> Option<Arc<App>> {
        let snapshot = self.view.snapshot(caller.tenant());
        let visible = self.native.visible(caller);
        self.lists(caller.tenant(), &snapshot).app(&snapshot, &name.to_uppercase(), &visible)
    }

    fn lists(&self, tenant: &TenantId, snapshot: &Snapshot) -> Arc<Lists> {
        if let Some(known) = self.lists.get(tenant) {
            return Arc::clone(&known);
        }
        // Names of tenants are free: for those that have nothing there is nothing to keep.
        if snapshot.services.is_empty() {
            return Arc::default();
        }
        Arc::clone(&self.lists.entry(tenant.clone()).or_default())
    }
}

/// The routes.
pub fn router(doors: Doors) -> Router {
    let (lists, places, turns) = (DashMap::new(), Places::default(), Turns::default());
    let face = Face { doors, lists, places, turns };
    let mut router = Router::new();
    for base in ["/eureka", "/eureka/v2", "/eureka/t/{tenant}", "/eureka/t/{tenant}/v2"] {
        for (path, method) in routes() {
            // Clients ask with and without a slash at the end.
            let plain = format!("{base}/{path}");
            router = router.route(&format!("{plain}/"), method.clone()).route(&plain, method);
        }
    }
    router.route("/eureka/{*path}", any(unserved)).with_state(Arc::new(face))
}

/// A path that is not served: without a body, as by a Eureka.
async fn unserved(_: Call) -> StatusCode {
    StatusCode::NOT_FOUND
}

fn routes() -> Vec<(&'static str, MethodRouter<Arc<Face>>)> {
    vec![
        ("apps", get(read::apps)),
        ("apps/delta", get(read::delta)),
        ("apps/{app}", get(read::app).post(write::register)),
        ("apps/{app}/{id}", get(read::app_instance).put(write::heartbeat).delete(write::cancel)),
        ("apps/{app}/{id}/status", put(write::set_status).delete(write::clear_status)),
        ("apps/{app}/{id}/metadata", put(write::add_metadata)),
        ("instances/{id}", get(read::instance)),
        ("vips/{vip}", get(read::vip)),
        ("svips/{vip}", get(read::secure_vip)),
        ("peerreplication/batch", post(replicate::batch)),
    ]
}
