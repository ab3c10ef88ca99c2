//! A Nacos with its nasty rules, in this process: HTTP, and gRPC with pushes. It is a 2.2 until it
//! is told to be [another](Version).
//!
//! Kept from the real ones (Java Nacos 1.4.6, 2.2.4, 3.0.3):
//! - queries, subscriptions and pushes leave disabled instances out, and call everyone healthy at
//!   or under the protect threshold; only the catalog tells the truth;
//! - pushes come half a second late, many changes in one;
//! - over gRPC a register replaces what the connection had in the service, a batch replaces the
//!   list, a deregister takes all of it, whatever address it names;
//! - a gRPC client's instances go with its connection;
//! - an unknown service has no instances, and that is no error; a service that lost its last
//!   instance stays listed;
//! - what each version has of the others' calls, and its words for what it has not.
//!
//! Left out: beats and their expiry, persistent instances, clusters of servers, the configuration
//! half.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::fault::{Fault, FaultProxy};
use super::nacos_grpc::{self, Payload};
use super::nacos_http;

/// nacos-sdk asks again after six times this, and only then lets go of what was unsubscribed. The
/// real server says 10,000.
const CACHE_MILLIS: u64 = 1000;
/// How late pushes come.
const PUSH_DELAY: Duration = Duration::from_millis(500);

/// Which Nacos the stub is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Without gRPC; the token comes as a bearer; a cluster that was there once stays.
    V1_4,
    /// 2.0 to 2.2.0: the calls of 1.4. A service that nobody looked at yet has no clusters.
    V2_0,
    /// From 2.2.1 on a service can be read whole.
    #[default]
    V2_2,
    /// 3.0 and 3.1: the lists of the older ones are refused. A login is for lists only.
    V3_0,
    /// 3.2: nothing of the older ones is left but a login.
    V3_2,
}

/// A running stub; it stops when dropped.
#[derive(Debug)]
pub struct NacosStub {
    shared: Arc<Shared>,
    http: FaultProxy,
    grpc: FaultProxy,
    serving: Vec<JoinHandle<()>>,
}

impl NacosStub {
    /// Starts it on free loopback ports.
    ///
    /// # Panics
    /// When there are none.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let router = nacos_http::router(Arc::clone(&shared));
        let (http_address, http_serving) = serve_http(router).await;
        let (grpc_address, grpc_serving) = nacos_grpc::serve(Arc::clone(&shared)).await;
        // Clients find the gRPC port above the HTTP port: the kernel gives ports in no order.
        let (http, grpc) = loop {
            let (http, grpc) =
                (FaultProxy::start(http_address).await, FaultProxy::start(grpc_address).await);
            if http.port() < grpc.port() {
                break (http, grpc);
            }
        };
        Self { shared, http, grpc, serving: vec![http_serving, grpc_serving] }
    }

    /// Starts one of this version.
    ///
    /// # Panics
    /// When there are no ports.
    pub async fn of(version: Version) -> Self {
        let stub = Self::start().await;
        stub.become_version(version).await;
        stub
    }

    /// It is replaced by another version, which has its data: an upgrade without a stop.
    pub async fn become_version(&self, version: Version) {
        self.shared.lock().version = version;
        let grpc = if version == Version::V1_4 { Fault::Refuse } else { Fault::None };
        self.grpc.set(grpc).await;
    }

    /// The version it is.
    #[must_use]
    pub fn version(&self) -> Version {
        self.shared.lock().version
    }

    /// The HTTP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.http.port()
    }

    /// How far above it the gRPC port is.
    #[must_use]
    pub fn grpc_offset(&self) -> u16 {
        self.grpc.port() - self.http.port()
    }

    /// Makes a fault on the HTTP port.
    pub async fn http_fault(&self, fault: Fault) {
        self.http.set(fault).await;
    }

    /// Makes a fault on the gRPC port.
    pub async fn grpc_fault(&self, fault: Fault) {
        self.grpc.set(fault).await;
    }

    /// The server dies: every connection is cut, and it forgets everything.
    pub async fn down(&self) {
        self.http.set(Fault::Refuse).await;
        self.grpc.set(Fault::Refuse).await;
        self.shared.lock().services.clear();
    }

    /// It starts again, empty.
    pub async fn up(&self) {
        self.http.set(Fault::None).await;
        self.become_version(self.version()).await;
    }

    /// From now on calls need a login with this name and password.
    pub fn require_login(&self, username: &str, password: &str) {
        let mut state = self.shared.lock();
        state.login = Some((username.to_owned(), password.to_owned()));
    }

    /// Takes back every access token, as a restart with a new key does.
    pub fn revoke_tokens(&self) {
        self.shared.lock().tokens.clear();
    }

    /// At or under this share of healthy instances all of the service are *called* healthy.
    pub fn protect(&self, group: &str, name: &str, threshold: f64) {
        let key = (group.to_owned(), name.to_owned());
        let mut state = self.shared.lock();
        state.services.entry(key).or_default().protect_threshold = Some(threshold);
    }

    /// No page holds more than this.
    pub fn cap_pages(&self, size: usize) {
        self.shared.lock().page_cap = Some(size);
    }

    /// Lists the service no more.
    pub fn forget_service(&self, group: &str, name: &str) {
        let key = (group.to_owned(), name.to_owned());
        self.shared.lock().services.remove(&key);
    }

    /// Right after the next list of one cluster the host of this address is in another.
    pub fn move_after_a_read(&self, ip: &str, cluster: &str) {
        self.shared.lock().moving = Some((ip.to_owned(), cluster.to_owned()));
    }

    /// How many services connected clients subscribe to.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        let state = self.shared.lock();
        state.connections.values().map(|c| c.subscribed.len()).sum()
    }

    /// How many gRPC clients are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.lock().connections.len()
    }

    /// How many HTTP calls came so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::Relaxed)
    }
}

impl Drop for NacosStub {
    fn drop(&mut self) {
        self.serving.iter().for_each(JoinHandle::abort);
    }
}

/// The cluster of a host.
pub(super) fn cluster_of(host: &Value) -> String {
    host["clusterName"].as_str().unwrap_or("DEFAULT").to_owned()
}

async fn serve_http(router: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, serving)
}

/// Group and name.
pub(super) type Key = (String, String);

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    pub(super) calls: AtomicUsize,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) services: BTreeMap<Key, Service>,
    pub(super) connections: HashMap<String, Connection>,
    pub(super) login: Option<(String, String)>,
    pub(super) tokens: HashSet<String>,
    pub(super) page_cap: Option<usize>,
    pub(super) version: Version,
    moving: Option<(String, String)>,
    issued: usize,
}

/// What the clients published; one entry per client, as in the real server.
#[derive(Debug, Default)]
pub(super) struct Service {
    pub(super) published: BTreeMap<String, Vec<Value>>,
    /// Whether anybody looked at it yet, a push counts: before, it has no clusters.
    pub(super) seen: bool,
    /// Every cluster there ever was.
    clusters: BTreeSet<String>,
    last_ref_time: u64,
    protect_threshold: Option<f64>,
    push_due: bool,
}

/// A gRPC client.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) subscribed: HashSet<Key>,
    pub(super) pushes: mpsc::Sender<Payload>,
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces what the client published in the service; nothing: takes it away.
    pub(super) fn publish(self: &Arc<Self>, key: Key, client: &str, hosts: Vec<Value>) {
        {
            let mut state = self.lock();
            let service = state.services.entry(key.clone()).or_default();
            service.clusters.extend(hosts.iter().map(cluster_of));
            if hosts.is_empty() {
                service.published.remove(client);
            } else {
                service.published.insert(client.to_owned(), hosts);
            }
            service.last_ref_time += 1;
        }
        self.push_later(key);
    }

    /// The connection is gone, and all that it published.
    pub(super) fn disconnect(self: &Arc<Self>, connection: &str) {
        let left: Vec<_> = {
            let mut state = self.lock();
            state.connections.remove(connection);
            let with_it = state
                .services
                .iter()
                .filter(|(_, service)| service.published.contains_key(connection));
            with_it.map(|(key, _)| key.clone()).collect()
        };
        for key in left {
            self.publish(key, connection, Vec::new());
        }
    }

    /// Pushes the service to its subscribers, once, soon.
    pub(super) fn push_later(self: &Arc<Self>, key: Key) {
        if let Some(service) = self.lock().services.get_mut(&key)
            && std::mem::replace(&mut service.push_due, true)
        {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(PUSH_DELAY).await;
            let mut state = this.lock();
            if let Some(service) = state.services.get_mut(&key) {
                service.push_due = false;
                service.seen = true;
            }
            let push = nacos_grpc::push(&state.service_info(&key));
            for connection in state.connections.values() {
                if connection.subscribed.contains(&key) {
                    // A client that does not read loses the push, as with the real one.
                    connection.pushes.try_send(push.clone()).ok();
                }
            }
        });
    }
}

impl State {
    /// The truth: every instance.
    pub(super) fn hosts(&self, key: &Key) -> Vec<Value> {
        let published = self.services.get(key).map(|service| &service.published);
        published.into_iter().flat_map(BTreeMap::values).flatten().cloned().collect()
    }

    /// The clusters of a service, as the version knows them; `None` when it is unknown.
    pub(super) fn clusters(&self, key: &Key) -> Option<BTreeSet<String>> {
        let service = self.services.get(key)?;
        Some(match self.version {
            Version::V1_4 => service.clusters.clone(),
            _ if service.seen => self.hosts(key).iter().map(cluster_of).collect(),
            _ => BTreeSet::new(),
        })
    }

    /// Moves the host that is to be moved now.
    pub(super) fn move_host(&mut self) {
        let Some((ip, cluster)) = self.moving.take() else {
            return;
        };
        for service in self.services.values_mut() {
            for host in service.published.values_mut().flatten().filter(|host| host["ip"] == ip) {
                host["clusterName"] = json!(cluster);
            }
        }
    }

    /// Somebody looked at the service.
    pub(super) fn see(&mut self, key: &Key) {
        if let Some(service) = self.services.get_mut(key) {
            service.seen = true;
        }
    }

    /// What queries, subscriptions and pushes say.
    pub(super) fn service_info(&self, key: &Key) -> Value {
        let service = self.services.get(key);
        let mut hosts = self.hosts(key);
        let healthy = hosts.iter().filter(|host| host["healthy"] == true).count();
        let threshold = service.and_then(|service| service.protect_threshold);
        let forged = threshold
            .is_some_and(|threshold| healthy as f64 <= threshold * hosts.len().max(1) as f64);
        hosts.retain(|host| host["enabled"] == true);
        if forged {
            for host in &mut hosts {
                host["healthy"] = json!(true);
            }
        }
        let (group, name) = key;
        json!({
            "name": name, "groupName": group, "clusters": "", "cacheMillis": CACHE_MILLIS,
            "hosts": hosts, "lastRefTime": service.map_or(0, |service| service.last_ref_time),
            "checksum": "", "allIPs": false, "reachProtectionThreshold": forged, "valid": true,
        })
    }

    /// A new access token.
    pub(super) fn issue(&mut self) -> String {
        self.issued += 1;
        let token = format!("token-{}", self.issued);
        self.tokens.insert(token.clone());
        token
    }
}
