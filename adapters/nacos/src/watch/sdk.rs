//! The task that holds the nacos-sdk client and keeps its subscriptions as wanted.
//!
//! Each call of nacos-sdk has a bound and none is awaited by a watch: while its connection is
//! down they wait for it, for up to a minute.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hub_registry_core::ServiceKey;
use nacos_sdk::api::naming::{NamingChangeEvent, NamingEventListener, NamingService};
use tokio::time::{Instant, timeout};

use super::idle::Client;
use super::push::Wanted;
use crate::client::NacosClient;
use crate::driver::{PushServers, PushTarget};

/// Bound of one call.
const CALL: Duration = Duration::from_secs(5);
/// How often the connection is tried.
const PROBE: Duration = Duration::from_secs(5);
/// After so long without pushes it is looked whether the servers' names lead elsewhere by now. Each
/// client that is left for another stays behind for ever (see `idle`), so not at every hiccup.
const MOVED: Duration = Duration::from_secs(30);
/// Calls under way at once.
const PARALLEL: usize = 16;

/// A subscription. Not of a `dyn` listener: rustc cannot prove a future with such a pair `Send`.
pub(super) type Listener = (ServiceKey, Arc<Wake>);
type Listeners = HashMap<ServiceKey, Arc<Wake>>;

/// What it takes to begin.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) target: PushTarget,
    pub(super) client: Arc<NacosClient>,
    pub(super) name: String,
}

impl Start {
    #[expect(
        clippy::disallowed_methods,
        reason = "the unsubscribing must outlive the watch, whose drop cannot wait; the task ends \
                  with the registry"
    )]
    pub(super) fn run(self, wanted: Arc<Wanted>) {
        tokio::spawn(keep(self, wanted));
    }
}

async fn keep(start: Start, wanted: Arc<Wanted>) {
    let mut told = true;
    while let Some(servers) = servers(&start, &wanted, &mut told).await {
        let Some(client) = client(&start, &servers, &wanted).await else {
            return;
        };
        let stale = serve(&start, (&client, &servers), &wanted, &mut told).await;
        client.give_back(stale);
    }
}

/// Keeps the subscriptions as wanted until nobody wants any, or the servers are elsewhere. What
/// could not be unsubscribed.
async fn serve(
    start: &Start,
    (client, servers): (&Client, &PushServers),
    wanted: &Arc<Wanted>,
    told: &mut bool,
) -> Vec<Listener> {
    let naming = &client.naming;
    let mut stale = client.stale.clone();
    let mut have = Listeners::new();
    let mut lost = Instant::now();
    while !wanted.is_closed() {
        let live = probe(naming).await;
        if live && !stale.is_empty() {
            stale = unsubscribe(naming, stale).await;
        }
        if live && stale.is_empty() {
            synchronise(naming, wanted, &mut have).await;
        }
        set_live(start, wanted, live, told);
        if live {
            lost = Instant::now();
        } else if lost.elapsed() > MOVED {
            lost = Instant::now();
            if start.target.resolve().await.is_ok_and(|found| found != *servers) {
                break;
            }
        }
        timeout(PROBE, wanted.changed.notified()).await.ok();
    }
    stale.extend(have);
    unsubscribe(naming, stale).await
}

fn set_live(start: &Start, wanted: &Wanted, live: bool, told: &mut bool) {
    if *wanted.live.borrow() != live {
        wanted.live.send_replace(live);
    }
    if !live && *told {
        tracing::warn!(
            config.name = start.name,
            grpc.port = start.target.grpc_port,
            "nacos pushes do not come (is the gRPC port open?): services are polled instead"
        );
    }
    *told = live;
}

/// The servers' addresses, asked for until there are any; `None` when nobody wants them any more.
async fn servers(start: &Start, wanted: &Wanted, told: &mut bool) -> Option<PushServers> {
    while !wanted.is_closed() {
        match start.target.resolve().await {
            Ok(servers) => return Some(servers),
            Err(error) if *told => {
                let name = start.name.as_str();
                tracing::warn!(config.name = name, %error,
                    "nacos pushes do not come: services are polled instead");
                *told = false;
            }
            Err(_) => {}
        }
        timeout(PROBE, wanted.changed.notified()).await.ok();
    }
    None
}

/// Waits for the client, or for the end of whoever wants it.
async fn client(start: &Start, servers: &PushServers, wanted: &Wanted) -> Option<Client> {
    let mut taking = std::pin::pin!(Client::take(servers, &start.client));
    loop {
        tokio::select! {
            taken = &mut taking => match taken {
                Ok(client) => return Some(client),
                Err(error) => {
                    let error = start.client.mask(&error.to_string());
                    tracing::warn!(config.name = start.name, error,
                        "nacos-sdk does not start: services are polled instead");
                    return None;
                }
            },
            () = wanted.changed.notified() => {
                if wanted.is_closed() {
                    return None;
                }
            }
        }
    }
}

async fn probe(naming: &NamingService) -> bool {
    let answer = timeout(CALL, naming.get_service_list(1, 1, None)).await;
    answer.is_ok_and(|answer| answer.is_ok())
}

/// Subscribes what is new, unsubscribes what is wanted no more.
async fn synchronise(naming: &NamingService, wanted: &Arc<Wanted>, have: &mut Listeners) {
    let keys = wanted.keys();
    let gone = have.extract_if(|key, _| !keys.contains(key)).collect();
    // What does not succeed is tried again next time.
    have.extend(unsubscribe(naming, gone).await);
    let new: Vec<_> =
        keys.into_iter().filter(|key| is_plain(key) && !have.contains_key(key)).collect();
    let mut subscribed = stream::iter(new)
        .map(|key| async move {
            let listener = Arc::new(Wake { key: key.clone(), wanted: Arc::clone(wanted) });
            let (name, group) = names(&key);
            let call = naming.subscribe(name, group, Vec::new(), listener.clone());
            // Whatever comes of it, the subscription is in its redo list.
            timeout(CALL, call).await.ok();
            (key, listener)
        })
        .buffer_unordered(PARALLEL);
    while let Some((key, listener)) = subscribed.next().await {
        // What changed between the first read and the subscription was pushed to nobody.
        wanted.wake(&key);
        have.insert(key, listener);
    }
}

/// Gives back what could not be unsubscribed.
async fn unsubscribe(
    naming: &NamingService,
    services: Vec<(ServiceKey, Arc<Wake>)>,
) -> Vec<Listener> {
    stream::iter(services)
        .map(|(key, listener)| async move {
            let (name, group) = names(&key);
            let call = naming.unsubscribe(name, group, Vec::new(), listener.clone());
            let done = timeout(CALL, call).await;
            (!done.is_ok_and(|done| done.is_ok())).then_some((key, listener))
        })
        .buffer_unordered(PARALLEL)
        .filter_map(std::future::ready)
        .collect()
        .await
}

fn names(key: &ServiceKey) -> (String, Option<String>) {
    let (name, group) = (key.name.to_string(), key.group.to_string());
    (name, Some(group))
}

/// Whether nacos-sdk can be trusted with the name: its cache files (see `idle`) are not to
/// leave their folder, and `@@` would be taken for
/// a group. Others are polled.
pub(super) fn is_plain(key: &ServiceKey) -> bool {
    let plain = |text: &str| !text.contains(['/', '\\']) && !text.contains("@@");
    plain(key.name.as_str()) && plain(key.group.as_str())
}

/// Passes a push on.
pub(super) struct Wake {
    key: ServiceKey,
    wanted: Arc<Wanted>,
}

impl NamingEventListener for Wake {
    fn event(&self, _: Arc<NamingChangeEvent>) {
        self.wanted.wake(&self.key);
    }
}
