//! Nacos' protocols over the view: its clients register with the hub and find what any registry
//! knows.
//!
//! HTTP, which clients of 1.x and the open API speak, is served under `/nacos` on the main port, and
//! on a port of its own if one is configured; gRPC, which clients of 2.x and later speak, on a port
//! above it by 1000. The rules are those of Nacos 2.2; where this face differs, docs/decisions/0034
//! and 0035 say why.
//!
//! | module | what |
//! |---|---|
//! | `call` | who asks, and what for |
//! | `version` | how the three versions of the API write an answer |
//! | `instances`, `beat` | what clients say of themselves |
//! | `lists` | what there is |
//! | `login` | tokens |
//! | `config` | that there are no configurations |
//! | `hosts` | the instances of a service, written once per change |
//! | `render`, `register` | from rows to hosts, and from what is said to registrations |
//! | `udp` | pushes to clients of 1.x |
//! | `ports` | where they are waited for |
//! | [`grpc`] | clients of 2.x and later |

mod beat;
mod call;
mod config;
#[cfg(any(fuzzing, test))]
pub(in crate::facades) mod fuzzing;
pub mod grpc;
mod hosts;
mod instances;
mod lists;
mod login;
mod ports;
mod register;
mod render;
mod udp;
mod version;

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::{any, get, post, put};
use axum::{Extension, Router};
use dashmap::DashMap;
use hub_registry_core::{ServiceKey, TenantId};
use tokio_util::sync::CancellationToken;

use self::call::{Call, Needs};
use self::hosts::Hosts;
pub use self::ports::Ports;
use self::version::{Code, Version};
use crate::access::Action;
use crate::facades::Doors;
use crate::facades::turns::Turns;
use crate::task::TaskGroup;

#[derive(Debug)]
struct Face {
    doors: Doors,
    hosts: DashMap<(TenantId, ServiceKey), Arc<Hosts>>,
    turns: Turns,
    holders: grpc::Holders,
    pulse: grpc::Pulse,
    /// The last time of an empty list of what is not kept: never ahead of the clock.
    time: AtomicI64,
    subscribers: udp::Subscribers,
    stopping: CancellationToken,
}

impl Deref for Face {
    type Target = Doors;

    fn deref(&self) -> &Doors {
        &self.doors
    }
}

/// The face; a clone is the same one.
#[derive(Clone, Debug)]
pub struct Nacos(Arc<Face>);

impl Nacos {
    /// The face over what is behind these doors. `pushes`: the host that those by UDP come from.
    #[must_use]
    pub fn new(doors: Doors, pushes: Option<&str>, tasks: &TaskGroup) -> Self {
        let (subscribers, orders) = udp::Subscribers::new();
        let face = Arc::new(Face {
            doors,
            hosts: DashMap::new(),
            turns: Turns::default(),
            holders: grpc::Holders::default(),
            pulse: grpc::Pulse::default(),
            time: AtomicI64::new(0),
            subscribers,
            stopping: tasks.stop_signal(),
        });
        if let Some(host) = pushes {
            let (pushes, host, group) = (Arc::clone(&face), host.to_owned(), tasks.clone());
            tasks.spawn(async move { udp::run(pushes, host, orders, &group).await });
        }
        Self(face)
    }

    /// The routes of its HTTP API whose requests do not wait.
    pub fn router(&self) -> Router {
        router(Arc::clone(&self.0))
    }

    /// The one whose requests do, for as long as they say.
    pub fn waiting(&self) -> Router {
        // Which configurations is said in a form.
        let listen = post(config::listen).layer(Extension(Needs(Action::Read)));
        Router::new().route("/nacos/v1/cs/configs/listener", listen).with_state(Arc::clone(&self.0))
    }
}

fn router(face: Arc<Face>) -> Router {
    let mut router = Router::new();
    for path in ["/v1/ns/instance", "/v2/ns/instance", "/v3/client/ns/instance"] {
        let one = get(instances::get)
            .post(instances::register)
            .put(instances::update)
            .patch(instances::patch)
            .delete(instances::deregister);
        router = router.route(path, one).route(&format!("{path}/list"), get(lists::instances));
    }
    for path in ["/v1/auth/login", "/v1/auth/users/login", "/v3/auth/user/login"] {
        router = router.route(path, post(login::login));
    }
    let router = router
        .route("/v1/ns/instance/beat", put(beat::beat))
        .route("/v2/ns/instance/beat", put(beat::beat))
        .route("/v1/ns/service/list", get(lists::services))
        .route("/v2/ns/service/list", get(lists::services))
        .route("/v1/ns/catalog/services", get(lists::catalog))
        .route("/v1/ns/catalog/instances", get(lists::catalog_instances))
        .route("/v2/ns/catalog/instances", get(lists::catalog_instances))
        .route("/v1/ns/catalog/service", get(lists::catalog_service))
        .route("/v1/ns/operator/metrics", get(lists::metrics))
        .route("/v1/console/server/state", get(lists::state))
        .route("/v1/cs/configs", get(config::get))
        .route("/{*path}", any(unserved));
    Router::new().nest("/nacos", router).with_state(face)
}

/// A path of Nacos' that is not served, in whatever version.
async fn unserved(uri: Uri, _: Call) -> Response {
    let text = "no such path: the hub serves what clients of Nacos ask (docs/faces.md)";
    Version::of(uri.path()).refusal(StatusCode::NOT_FOUND, Code::NoResource, text)
}
