//! The hub's terms for what travels in metadata.

mod regroup;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};

use crate::capability::Capability;
use crate::carry;
use crate::change::{Change, ChangeStream, ServiceState};
use crate::error::{Error, ErrorKind, Result};
use crate::id::GroupName;
use crate::instance::{Instance, InstanceKey, ServiceKey};
use crate::look::Presence;
use crate::mapping::FieldMapping;
use crate::registry::{Registry, RegistryInfo, Scope};
use regroup::Regroup;

/// Under this key of [`Instance::native`] an instance that was moved into another group keeps its
/// own.
pub const HOME_GROUP: &str = "group";

/// Values that do not fit their fields are told this often.
const MOST_TOLD: usize = 20;
/// How much of such a value, in characters.
const EXCERPT: usize = 40;

/// Reads the [carry keys](carry) out of each instance and applies a [`FieldMapping`].
///
/// A mapping into groups moves single instances, so that one service of the registry can be
/// several of the hub's, and several one. Each of the hub's is told of whole all the same.
#[derive(Debug)]
pub struct Mapped {
    inner: Arc<dyn Registry>,
    terms: Arc<Terms>,
}

/// How instances are read.
#[derive(Debug)]
struct Terms {
    registry: String,
    mapping: FieldMapping,
    told: AtomicUsize,
}

impl Mapped {
    /// A registry read in these terms.
    #[must_use]
    pub fn new(inner: Arc<dyn Registry>, mapping: FieldMapping) -> Self {
        let registry = inner.info().name.clone();
        let terms = Terms { registry, mapping, told: AtomicUsize::new(0) };
        Self { inner, terms: Arc::new(terms) }
    }

    /// The instances of one of the registry's own services, in the hub's terms.
    async fn read(&self, home: &ServiceKey) -> Result<Vec<Instance>> {
        let instances = self.inner.instances(home).await?;
        let read = instances.into_iter().map(|instance| {
            let mut instance = Arc::new(instance);
            self.terms.read(&mut instance);
            Arc::unwrap_or_clone(instance)
        });
        Ok(read.collect())
    }
}

impl Terms {
    fn read(&self, instance: &mut Arc<Instance>) {
        carry::take(instance);
        // A copy is in the hub's terms already.
        if self.mapping.is_empty() || instance.mark.is_some() {
            return;
        }
        let home = instance.key.service.group.clone();
        self.mapping.apply(instance, |misfit| {
            if self.told.fetch_add(1, Ordering::Relaxed) < MOST_TOLD {
                let value: String = misfit.value.chars().take(EXCERPT).collect();
                let (path, field) = (misfit.path, misfit.field);
                tracing::warn!(
                    config.name = self.registry,
                    path,
                    field,
                    ?value,
                    "fieldMapping: a value does not fit its field, which stays as it was"
                );
            }
        });
        if home != instance.key.service.group {
            let native = &mut Arc::make_mut(instance).native;
            native.insert(HOME_GROUP.to_owned(), home.to_string());
        }
    }

    fn read_change(&self, mut change: Change) -> Change {
        change.instances_mut().for_each(|instance| self.read(instance));
        change
    }
}

/// The instance under the key that its registry knows it by.
fn at_home(instance: &Arc<Instance>) -> Arc<Instance> {
    let home = instance.native.get(HOME_GROUP).and_then(|group| GroupName::parse(group).ok());
    let mut instance = Arc::clone(instance);
    if let Some(group) = home {
        Arc::make_mut(&mut instance).key.service.group = group;
    }
    instance
}

#[async_trait]
impl Registry for Mapped {
    fn info(&self) -> &RegistryInfo {
        self.inner.info()
    }

    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }

    async fn services(&self, scope: &Scope) -> Result<Vec<ServiceKey>> {
        if !self.terms.mapping.regroups() {
            return self.inner.services(scope).await;
        }
        // Groups are known from the instances only, all of which a watch begins with.
        match self.watch(scope.clone()).next().await {
            Some(Ok(Change::Reset(states))) => {
                Ok(states.into_iter().map(|state| state.key).collect())
            }
            Some(Err(error)) => Err(error),
            _ => {
                let problem = "a watch did not begin with everything";
                Err(Error::new(ErrorKind::Protocol, "list services", problem))
            }
        }
    }

    async fn instances(&self, service: &ServiceKey) -> Result<Vec<Instance>> {
        if !self.terms.mapping.regroups() {
            return self.read(service).await;
        }
        let homes = self.inner.services(&Scope::all()).await?;
        let mut all = Vec::new();
        for home in homes.iter().filter(|home| home.name == service.name) {
            let mut part = self.read(home).await?;
            part.retain(|instance| instance.key.service == *service);
            all.append(&mut part);
        }
        Ok(ServiceState::new(service.clone(), all).into_instances())
    }

    async fn look_again(&self, missing: &[Arc<Instance>]) -> Result<Vec<Presence>> {
        if !self.terms.mapping.regroups() {
            return self.inner.look_again(missing).await;
        }
        let at_home: Vec<_> = missing.iter().map(at_home).collect();
        self.inner.look_again(&at_home).await
    }

    fn watch(&self, scope: Scope) -> ChangeStream {
        let terms = Arc::clone(&self.terms);
        if !terms.mapping.regroups() {
            let changes = self.inner.watch(scope);
            return changes.map(move |change| change.map(|c| terms.read_change(c))).boxed();
        }
        let changes = self.inner.watch(scope.in_any_group());
        let state = (changes, terms, Regroup::default(), VecDeque::new());
        let told =
            stream::unfold(state, |(mut changes, terms, mut regroup, mut ready)| async move {
                loop {
                    if let Some(change) = ready.pop_front() {
                        return Some((Ok(change), (changes, terms, regroup, ready)));
                    }
                    match changes.next().await? {
                        Ok(change) => ready.extend(regroup.take(terms.read_change(change))),
                        Err(error) => return Some((Err(error), (changes, terms, regroup, ready))),
                    }
                }
            });
        super::filtered::narrowed(told.boxed(), scope)
    }

    async fn register(&self, instance: &Instance) -> Result<()> {
        self.inner.register(instance).await
    }

    async fn deregister(&self, instance: &InstanceKey) -> Result<()> {
        self.inner.deregister(instance).await
    }

    async fn heartbeat(&self, instance: &InstanceKey) -> Result<()> {
        self.inner.heartbeat(instance).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::memory::Memory;
    use crate::{Host, ServiceName};

    fn service(group: &str) -> ServiceKey {
        ServiceKey::new(GroupName::parse(group).unwrap(), ServiceName::parse("web").unwrap())
    }

    fn instance(port: u16, pairs: &[(&str, &str)]) -> Instance {
        let host = Host::parse("10.0.0.1").unwrap();
        let service = service("home");
        let mut instance = Instance::new(InstanceKey { service, host, port });
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        instance.metadata.extend(pairs);
        instance
    }

    fn mapping(pairs: &[(&str, &str)]) -> FieldMapping {
        let pairs: BTreeMap<_, _> =
            pairs.iter().map(|(path, field)| ((*path).to_owned(), (*field).to_owned())).collect();
        FieldMapping::new(&pairs, [GroupName::parse("prod").unwrap()]).unwrap()
    }

    #[tokio::test]
    async fn reads_and_watches_speak_the_same_terms() {
        let memory = Memory::new("m");
        memory.register(&instance(1, &[("w", "30"), ("fed-tags", "a")])).await.unwrap();
        let copy = [("w", "40"), ("fed-owner", "hub"), ("fed-src", "c")];
        memory.register(&instance(2, &copy)).await.unwrap();
        let mapped = Mapped::new(Arc::new(memory), mapping(&[("metadata.w", "weightValue")]));
        let read = mapped.instances(&service("home")).await.unwrap();
        assert_eq!(read[0].weight.get(), 30);
        assert_eq!(*read[0].tags, ["a"]);
        assert_eq!(read[1].mark.as_ref().map(|mark| mark.owner.as_str()), Some("hub"));
        assert_eq!(read[1].weight.get(), 100, "a copy is in the hub's terms already");
        let first = mapped.watch(Scope::all()).next().await.unwrap().unwrap();
        let Change::Reset(states) = first else { panic!("{first:?}") };
        assert!(states[0].instances.iter().map(|i| &**i).eq(&read));
    }

    #[tokio::test]
    async fn a_mapping_into_groups_moves_single_instances() {
        let memory = Memory::new("m");
        for (port, team) in [(1, "prod"), (2, "elsewhere"), (3, "prod")] {
            memory.register(&instance(port, &[("team", team)])).await.unwrap();
        }
        let mapped =
            Mapped::new(Arc::new(memory.clone()), mapping(&[("metadata.team", "groupName")]));
        let both = [service("home"), service("prod")];
        assert_eq!(mapped.services(&Scope::all()).await.unwrap(), both);
        let prod = Scope::new(&[], &[], vec![GroupName::parse("prod").unwrap()]);
        assert_eq!(mapped.services(&prod).await.unwrap(), both[1..]);
        for (service, ports) in both.iter().zip([vec![2], vec![1, 3]]) {
            let read = mapped.instances(service).await.unwrap();
            assert_eq!(read.iter().map(|i| i.key.port).collect::<Vec<_>>(), ports);
            assert!(read.iter().all(|i| i.key.service == *service));
        }
        let moved = &mapped.instances(&both[1]).await.unwrap()[0];
        assert_eq!(moved.native[HOME_GROUP], "home");

        let mut there = mapped.instances(&both[1]).await.unwrap();
        there[1].key.port = 9;
        let missing: Vec<_> = there.into_iter().map(Arc::new).collect();
        let found = mapped.look_again(&missing).await.unwrap();
        assert_eq!(found, [Presence::Listed, Presence::Absent]);

        let mut watch = mapped.watch(prod);
        let first = watch.next().await.unwrap().unwrap();
        assert!(matches!(&first, Change::Reset(s) if s.len() == 1), "{first:?}");
        memory.register(&instance(1, &[("team", "elsewhere")])).await.unwrap();
        let mut next = Change::Unchanged;
        while next == Change::Unchanged {
            next = watch.next().await.unwrap().unwrap();
        }
        assert!(matches!(&next, Change::Put(s) if s.instances.len() == 1), "{next:?}");
        memory.set_up(false);
        watch.next().await.unwrap().expect_err("the inner error");
        assert!(watch.next().await.is_none());
    }
}
