//! Following by delta, with a full fetch whenever in doubt.
//!
//! A delta holds the last change of every instance that changed within three minutes, and the
//! hash of the whole registry. That hash only counts states, so two opposite changes can hide
//! each other: hence a full fetch every five minutes at the latest, and whenever a look came so
//! late that changes may have been missed.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use hub_registry_core::watch::poll_if_changed;
use hub_registry_core::{ChangeStream, Error, ErrorKind, Result, Scope, ServiceKey, ServiceState};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::client::{Client, From};
use crate::convert::{self, Registered, Registrations, Rules};
use crate::driver::Settings;
use crate::wire::{Application, Applications};

const OPERATION: &str = "watch";
/// Hash collisions live at most this long.
const FULL_EVERY: Duration = Duration::from_secs(300);
/// The server forgets changes after 180 s (`eureka.server.retentionTimeInMSInDeltaQueue`) and
/// serves a delta that is up to 30 s old.
const DELTA_REACH: Duration = Duration::from_secs(120);
/// Ids remembered as warned about.
const MAX_WARNED: usize = 10_000;

/// Follows one Eureka.
pub(crate) fn watch(
    client: Client,
    rules: Rules,
    settings: &Settings,
    scope: Scope,
    unshown: Arc<Unshown>,
) -> ChangeStream {
    let mirror = Mirror {
        client,
        rules,
        use_delta: settings.use_delta,
        scope,
        unshown,
        apps: BTreeMap::new(),
        states: BTreeMap::new(),
        loaded: None,
    };
    let mirror = Arc::new(Mutex::new(mirror));
    // A little early, so that with the default a server that refuses is noticed within 5 s.
    let pause = settings.poll_interval * 9 / 10;
    poll_if_changed(pause, move || {
        let mirror = Arc::clone(&mirror);
        async move { mirror.lock().await.look().await }
    })
}

/// A copy of one Eureka's registry.
struct Mirror {
    client: Client,
    rules: Rules,
    use_delta: bool,
    scope: Scope,
    unshown: Arc<Unshown>,
    apps: BTreeMap<String, Registrations>,
    // What `apps` says of each; rebuilt for the ones that changed.
    states: BTreeMap<String, ServiceState>,
    loaded: Option<Loaded>,
}

/// When and from where the copy was made.
struct Loaded {
    address: String,
    full: Instant,
    good: Instant,
    no_delta: bool,
}

impl Mirror {
    /// The services in the scope, if any of them may have changed.
    async fn look(&mut self) -> Result<Option<Vec<ServiceState>>> {
        let changed = match self.delta().await? {
            Delta::Applied(changed) => changed,
            Delta::Useless(newer) => {
                self.full(newer).await?;
                true
            }
        };
        if !changed {
            return Ok(None);
        }
        let states = self.states.values();
        let wanted = states.filter(|state| self.scope.contains(&state.key));
        // Applications whose names differ in nothing but what lower case folds share a service.
        let mut services: BTreeMap<ServiceKey, ServiceState> = BTreeMap::new();
        for state in wanted {
            match services.get_mut(&state.key) {
                Some(same) => {
                    let both = same.instances.iter().chain(&state.instances).cloned();
                    *same = ServiceState::new(state.key.clone(), both);
                }
                None => {
                    services.insert(state.key.clone(), state.clone());
                }
            }
        }
        Ok(Some(services.into_values().collect()))
    }

    async fn delta(&mut self) -> Result<Delta> {
        let now = Instant::now();
        let Some(loaded) = &mut self.loaded else {
            return Ok(Delta::Useless(None));
        };
        let fresh = now - loaded.full < FULL_EVERY && now - loaded.good < DELTA_REACH;
        if !self.use_delta || loaded.no_delta || !fresh {
            return Ok(Delta::Useless(None));
        }
        let Some(delta) = self.client.delta().await? else {
            debug!("no delta: full fetches from now on");
            loaded.no_delta = true;
            return Ok(Delta::Useless(None));
        };
        same(&loaded.address, &delta.address)?;
        if delta.content.hash.is_none() {
            return Ok(Delta::Useless(None));
        }
        let changes = self.changes(delta.content)?;
        let changed = self.apply(changes.list.iter());
        if changes.hash != hash(&self.apps) {
            debug!(hash = %changes.hash, "the delta does not lead to the server's state");
            return Ok(Delta::Useless(Some(changes)));
        }
        if let Some(loaded) = &mut self.loaded {
            loaded.good = now;
        }
        Ok(Delta::Applied(changed))
    }

    async fn full(&mut self, newer: Option<Changes>) -> Result<()> {
        let asked = Instant::now();
        let From { address, content } = self.client.full().await?;
        if let Some(loaded) = &self.loaded {
            same(&loaded.address, &address)?;
        }
        let mut apps: BTreeMap<String, Registrations> = BTreeMap::new();
        for application in content.application.into_iter().flatten() {
            let (app, all) = self
                .rules
                .application(application)
                .map_err(|problem| self.client.senseless(OPERATION, &problem))?;
            apps.entry(app).or_default().extend(all);
        }
        apps.retain(|_, all| !all.is_empty());
        self.apps = apps;
        // The server caches both answers, each for itself, so this list may be older than the
        // delta that asked for it: then what the delta told is still to be put on top.
        if let Some(newer) = newer {
            let before = self.apps.clone();
            self.apply(newer.list.iter());
            if hash(&self.apps) != newer.hash {
                self.apps = before;
            }
        }
        let names: Vec<_> = self.apps.keys().cloned().collect();
        self.states.clear();
        for app in names {
            self.rebuild(&app);
        }
        let old = self.loaded.take();
        // A periodic full fetch is also the occasion to try again whether there are deltas.
        let due = |old: &Loaded| asked - old.full >= FULL_EVERY;
        let keep = old.as_ref().is_some_and(|old| old.no_delta && !due(old));
        self.loaded = Some(Loaded {
            full: match &old {
                Some(old) if keep => old.full,
                _ => asked,
            },
            address,
            good: asked,
            no_delta: keep,
        });
        Ok(())
    }

    fn changes(&self, delta: Applications) -> Result<Changes> {
        let mut list = Vec::new();
        for Application { name, instance } in delta.application.into_iter().flatten() {
            for info in instance {
                let gone = info.action_type.as_deref() == Some("DELETED");
                let one = Application { name: name.clone(), instance: vec![info] };
                let (app, all) = self
                    .rules
                    .application(one)
                    .map_err(|problem| self.client.senseless(OPERATION, &problem))?;
                let all = all.into_iter();
                list.extend(all.map(|(id, one)| (app.clone(), id, (!gone).then_some(one))));
            }
        }
        let hash = delta.hash.unwrap_or_default();
        Ok(Changes { list, hash })
    }

    /// Applies changes in their order; whether they made a difference.
    fn apply<'a>(&mut self, changes: impl Iterator<Item = &'a One>) -> bool {
        let mut touched = HashSet::new();
        for (app, id, one) in changes {
            let all = self.apps.entry(app.clone()).or_default();
            let different = match one {
                Some(one) => all.insert(id.clone(), one.clone()).as_ref() != Some(one),
                None => all.remove(id).is_some(),
            };
            if different {
                touched.insert(app);
            }
            if all.is_empty() {
                self.apps.remove(app);
            }
        }
        for app in &touched {
            self.rebuild(app);
        }
        !touched.is_empty()
    }

    fn rebuild(&mut self, app: &str) {
        let Some(all) = self.apps.get(app) else {
            self.states.remove(app);
            return;
        };
        self.unshown.note(app, all);
        if let Some(key) = self.rules.service(app, all) {
            self.states.insert(app.to_owned(), convert::state(key, all));
        }
    }
}

/// An application, an id, and what became of it: `None`, it was removed.
type One = (String, String, Option<Registered>);

struct Changes {
    list: Vec<One>,
    hash: String,
}

enum Delta {
    /// The copy is as the server is now; whether that is something new.
    Applied(bool),
    /// Everything must be fetched. The changes were readable, but do not fit the copy.
    Useless(Option<Changes>),
}

/// Another server of the list is another copy of the registry: its state is no change of the one
/// followed so far, so the watch begins anew.
fn same(before: &str, now: &str) -> Result<()> {
    if before == now {
        return Ok(());
    }
    let problem = format!("{before} was left for {now}");
    Err(Error::new(ErrorKind::Unreachable, OPERATION, problem))
}

/// `STATUS_count_` over the sorted states (`Applications.getReconcileHashCode`).
fn hash(apps: &BTreeMap<String, Registrations>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in apps.values().flat_map(BTreeMap::values) {
        *counts.entry(&one.status).or_default() += 1;
    }
    let parts = counts.iter();
    parts.map(|(state, count)| format!("{state}_{count}_")).collect()
}

/// The registrations that cannot be shown: each is warned about once.
#[derive(Debug)]
pub(crate) struct Unshown {
    registry: String,
    warned: StdMutex<HashSet<String>>,
}

impl Unshown {
    pub(crate) fn new(registry: &str) -> Self {
        Self { registry: registry.to_owned(), warned: StdMutex::default() }
    }

    pub(crate) fn note(&self, app: &str, all: &Registrations) {
        for (id, one) in all {
            let Err(problem) = &one.instance else {
                continue;
            };
            let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
            if warned.len() < MAX_WARNED && warned.insert(format!("{app}/{id}")) {
                let registry = &self.registry;
                warn!(registry.name = %registry, app, instance.id = %id, problem = %problem, "an instance cannot be shown and is left out");
            }
        }
    }
}

#[cfg(test)]
mod tests;
