//! A registry in memory: the reference the contract suite measures every other one against.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::capability::Capability;
use crate::change::{Change, ChangeStream, ServiceState};
use crate::error::{Error, ErrorKind, Result};
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::registry::{Registry, RegistryInfo, RegistryKind, Scope};
use crate::watch::diff;

/// How often a quiet watch says that it still looks.
const IDLE: Duration = Duration::from_secs(5);

type Services = BTreeMap<ServiceKey, BTreeMap<InstanceKey, Instance>>;

/// A registry in memory. Clones share their content.
#[derive(Clone, Debug)]
pub struct Memory {
    info: RegistryInfo,
    services: Arc<Mutex<Services>>,
    // Counts changes and wakes the watches; `false` in the second place: the registry "is down".
    version: watch::Sender<(u64, bool)>,
}

impl Memory {
    /// An empty registry.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let info = RegistryInfo {
            kind: RegistryKind::System,
            name: name.to_owned(),
            endpoints: vec!["memory".to_owned()],
        };
        Self { info, services: Arc::default(), version: watch::Sender::new((1, true)) }
    }

    /// Makes every call fail and every watch end with an error, or work again.
    pub fn set_up(&self, up: bool) {
        self.version.send_modify(|(count, state)| {
            *count += 1;
            *state = up;
        });
    }

    /// Removes a service with all its instances.
    pub fn remove_service(&self, key: &ServiceKey) {
        self.services.lock().remove(key);
        self.changed();
    }

    fn changed(&self) {
        self.version.send_modify(|(count, _)| *count += 1);
    }

    fn check_up(&self, operation: &'static str) -> Result<()> {
        if self.version.borrow().1 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unreachable, operation, "switched off"))
    }

    fn states(&self, scope: &Scope) -> Vec<ServiceState> {
        let services = self.services.lock();
        let wanted = services.iter().filter(|(key, _)| scope.contains(key));
        wanted.map(|(key, all)| ServiceState::new(key.clone(), all.values().cloned())).collect()
    }
}

#[async_trait]
impl Registry for Memory {
    fn info(&self) -> &RegistryInfo {
        &self.info
    }

    fn capability(&self) -> Capability {
        Capability {
            push: true,
            register: true,
            heartbeat: true,
            heartbeat_every: Duration::from_secs(10),
            groups: true,
            weight: true,
            tags: true,
            empty_services: true,
            case_sensitive: true,
            settle: Duration::from_secs(30),
            ..Capability::default()
        }
    }

    async fn ping(&self) -> Result<()> {
        self.check_up("ping")
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        self.check_up("list services")?;
        Ok(self.services.lock().keys().filter(|key| scope.contains(key)).cloned().collect())
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        self.check_up("list instances")?;
        let services = self.services.lock();
        Ok(services.get(service).map_or_else(Vec::new, |all| all.values().cloned().collect()))
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        let (memory, version) = (self.clone(), self.version.subscribe());
        let known: Option<BTreeMap<ServiceKey, Vec<Arc<Instance>>>> = None;
        let state = (memory, version, scope, known, Vec::new(), false);
        stream::unfold(
            state,
            |(memory, mut version, scope, mut known, mut ready, failed)| async move {
                if failed {
                    return None;
                }
                loop {
                    if let Some(change) = ready.pop() {
                        return Some((Ok(change), (memory, version, scope, known, ready, false)));
                    }
                    if known.is_some() {
                        let changed = tokio::time::timeout(IDLE, version.changed()).await.is_ok();
                        if !changed {
                            ready.push(Change::Unchanged);
                            continue;
                        }
                    }
                    version.mark_unchanged();
                    if let Err(error) = memory.check_up("watch") {
                        return Some((Err(error), (memory, version, scope, known, ready, true)));
                    }
                    let states = memory.states(&scope);
                    match &mut known {
                        Some(known) => ready = diff(known, states),
                        None => {
                            let all = states.iter().map(|s| (s.key.clone(), s.instances.clone()));
                            known = Some(all.collect());
                            ready.push(Change::Reset(states));
                        }
                    }
                    ready.reverse();
                }
            },
        )
        .boxed()
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.check_up("register")?;
        let key = instance.key.clone();
        self.services.lock().entry(key.service.clone()).or_default().insert(key, instance.clone());
        self.changed();
        Ok(())
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.check_up("deregister")?;
        if let Some(all) = self.services.lock().get_mut(&instance.service) {
            all.remove(instance);
        }
        self.changed();
        Ok(())
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.check_up("heartbeat")?;
        let services = self.services.lock();
        let known: BTreeSet<_> =
            services.get(&instance.service).into_iter().flat_map(|all| all.keys()).collect();
        if known.contains(instance) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "heartbeat", format!("no instance {instance}")))
    }
}
