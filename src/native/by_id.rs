//! Instances by their ids.

use std::sync::Arc;

use rpds::HashTrieMapSync;

use super::sorted;
use crate::model::instance::NativeInstance;
use crate::model::names::InstanceId;

/// So many lists there are at most: ten instances or so are in each when there are many.
const LISTS: u64 = 1 << 14;

/// Instances by their ids. A clone costs nothing and does not see later changes.
///
/// In a map that shares its nodes each entry would take a hundred bytes; here it is the lists that
/// are shared, and an entry is its place in one.
#[derive(Clone, Debug, Default)]
pub(super) struct ById {
    lists: HashTrieMapSync<u64, List>,
    size: usize,
}

/// Sorted by id.
type List = Arc<Vec<Arc<NativeInstance>>>;

impl ById {
    /// How many.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The one of this id.
    pub(super) fn get(&self, id: InstanceId) -> Option<&Arc<NativeInstance>> {
        let list = self.lists.get(&id.spread(LISTS))?;
        find(list, id).ok().map(|place| &list[place])
    }

    /// Each of them.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<NativeInstance>> {
        self.lists.values().flat_map(|list| list.iter())
    }

    /// Adds or replaces one.
    pub(super) fn insert(&mut self, instance: Arc<NativeInstance>) {
        let list = instance.id.spread(LISTS);
        let Some(all) = self.lists.get_mut(&list) else {
            self.lists.insert_mut(list, Arc::new(vec![instance]));
            self.size += 1;
            return;
        };
        match find(all, instance.id) {
            Ok(place) => Arc::make_mut(all)[place] = instance,
            Err(place) => {
                sorted::insert(all, place, instance);
                self.size += 1;
            }
        }
    }

    /// Takes out the one of this id.
    pub(super) fn remove(&mut self, id: InstanceId) -> Option<Arc<NativeInstance>> {
        let list = id.spread(LISTS);
        let all = self.lists.get_mut(&list)?;
        let place = find(all, id).ok()?;
        let gone = Arc::make_mut(all).remove(place);
        if all.is_empty() {
            self.lists.remove_mut(&list);
        }
        self.size -= 1;
        Some(gone)
    }
}

fn find(list: &List, id: InstanceId) -> Result<usize, usize> {
    list.binary_search_by(|instance| instance.id.cmp(&id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hub_registry_core::{GroupName, Host, InstanceKey, ServiceKey, ServiceName, TenantId};

    use super::*;
    use crate::clock;
    use crate::model::audit::Audit;
    use crate::model::words::{ClientType, Flag, HealthCheckType};

    fn instance(port: u16) -> Arc<NativeInstance> {
        let tenant = TenantId::default_tenant();
        let service = ServiceKey::new(GroupName::default_group(), ServiceName::parse("s").unwrap());
        let key = InstanceKey { service, host: Host::parse("h").unwrap(), port };
        let (id, now) = (InstanceId::of(&tenant, &key), clock::at(0));
        Arc::new(NativeInstance {
            id,
            tenant,
            said: Arc::new(NativeInstance::unsaid(id, key, now)),
            client_id: None,
            client_version: None,
            client_type: ClientType::default(),
            last_heartbeat: None,
            last_health_check: None,
            check: HealthCheckType::Heartbeat,
            brought: None,
            lease_seconds: 30,
            ephemeral: Flag::Yes,
            audit: Audit::new(now, "me"),
        })
    }

    #[test]
    fn what_is_put_is_found_until_it_is_taken_out_and_a_clone_sees_none_of_it() {
        let all: Vec<_> = (1..=u16::MAX).map(instance).collect();
        let mut known = ById::default();
        all.iter().for_each(|one| known.insert(Arc::clone(one)));
        // Some lists have several: whoever replaces one puts none beside it.
        all[..9].iter().for_each(|one| known.insert(Arc::clone(one)));
        let before = known.clone();
        let (gone, stay) = all.split_at(50_000);
        for one in gone {
            assert!(known.remove(one.id).is_some_and(|gone| Arc::ptr_eq(&gone, one)));
            assert!(known.remove(one.id).is_none() && known.get(one.id).is_none());
        }
        for (map, held) in [(&before, &all[..]), (&known, stay)] {
            let ids: BTreeSet<_> = map.values().map(|one| one.id).collect();
            assert_eq!((map.size(), ids.len()), (held.len(), held.len()));
            assert!(held.iter().all(|one| map.get(one.id).is_some_and(|it| Arc::ptr_eq(it, one))));
        }
    }
}
