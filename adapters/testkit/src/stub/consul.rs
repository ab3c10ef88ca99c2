//! A stub Consul: catalog, health and agent calls of one node, with blocking reads.
//!
//! It keeps the rules of a real 1.8.7 that hurt clients: a check is critical until somebody says
//! otherwise, names are looked up without regard to case, an index from the future is held for the
//! whole wait, and what a token may not read is hidden without an error. What a real server does
//! only in bad hours is switched on with [`StubConsul::rules`].

mod agent;
mod catalog;
mod reads;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, put};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::fault::{Fault, FaultProxy};

/// Bad hours to switch on.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Answers say that there is no leader (`X-Consul-KnownLeader: false`).
    pub no_leader: bool,
    /// Every answer is a 500 "No cluster leader".
    pub leader_lost: bool,
    /// Every answer is a 429.
    pub rate_limited: bool,
    /// `Tags`, `Meta` and `Checks` are `null` when empty.
    pub null_lists: bool,
    /// The node has no `serfHealth` check, as one written by `catalog/register`.
    pub no_node_check: bool,
    /// Lists are empty, as for a token without rights.
    pub hide_all: bool,
    /// Answers of `health/service` come from the streaming backend.
    pub streaming: bool,
}

#[derive(Clone, Debug, Default)]
struct Data {
    index: u64,
    names_index: u64,
    checks_index: u64,
    services: BTreeMap<String, Registered>,
    // The index of the last removal: that of a service which is not there.
    extinction: u64,
    rules: Rules,
}

#[derive(Clone, Debug)]
struct Registered {
    name: String,
    // `Service` of a health answer.
    service: Value,
    // Its own checks, by id.
    checks: BTreeMap<String, Value>,
    index: u64,
}

type Shared = Arc<watch::Sender<Data>>;

/// A running stub on a free loopback port, until it is dropped.
#[derive(Debug)]
pub struct StubConsul {
    data: Shared,
    proxy: FaultProxy,
    serving: JoinHandle<()>,
}

impl StubConsul {
    /// Starts one that knows only itself.
    ///
    /// # Panics
    /// When there is no free loopback port.
    pub async fn start() -> Self {
        let data = Arc::new(watch::Sender::new(fresh(Rules::default())));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&data));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { data, proxy: FaultProxy::start(address).await, serving }
    }

    /// The address it listens on, up or down.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.proxy.address()
    }

    /// Dies: what is open is reset, and so is what comes.
    pub async fn down(&self) {
        self.proxy.set(Fault::Refuse).await;
    }

    /// Is back on the same port, with its data.
    pub async fn up(&self) {
        self.proxy.set(Fault::None).await;
    }

    /// Makes a fault in front of it.
    pub async fn fault(&self, fault: Fault) {
        self.proxy.set(fault).await;
    }

    /// Changes the rules; whoever waits is answered by the new ones.
    pub fn rules(&self, change: impl FnOnce(&mut Rules)) {
        self.data.send_modify(|data| {
            change(&mut data.rules);
            data.index += 1;
            (data.names_index, data.checks_index) = (data.index, data.index);
            for service in data.services.values_mut() {
                service.index = data.index;
            }
        });
    }

    /// Loses all data and begins its index anew, as a restarted `-dev` server does. Nobody who
    /// waits is told.
    pub fn forget(&self) {
        self.data.send_if_modified(|data| {
            *data = fresh(data.rules.clone());
            false
        });
    }
}

impl Drop for StubConsul {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn fresh(rules: Rules) -> Data {
    let service = serde_json::json!({
        "ID": "consul", "Service": "consul", "Tags": [], "Address": "", "Meta": {},
        "Port": 8300, "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": false,
    });
    let own = Registered { name: "consul".to_owned(), service, checks: BTreeMap::new(), index: 10 };
    Data {
        index: 10,
        names_index: 10,
        checks_index: 10,
        services: BTreeMap::from([("consul".to_owned(), own)]),
        extinction: 1,
        rules,
    }
}

fn router(data: Shared) -> Router {
    Router::new()
        .route("/v1/status/leader", get(reads::leader))
        .route("/v1/catalog/services", get(reads::services))
        .route("/v1/health/service/{name}", get(reads::health))
        .route("/v1/health/state/any", get(reads::checks))
        .route("/v1/acl/token/self", get(reads::token))
        .route("/v1/agent/service/register", put(agent::register))
        .route("/v1/agent/service/deregister/{id}", put(agent::deregister))
        .route("/v1/agent/service/maintenance/{id}", put(agent::maintenance))
        .route("/v1/agent/check/update/{id}", put(agent::update))
        .route("/v1/txn", put(catalog::transaction))
        .route("/v1/catalog/deregister", put(catalog::deregister))
        .with_state(data)
}
