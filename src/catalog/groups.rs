//! The services of one name.

use std::sync::Arc;

use hub_registry_core::GroupName;

use super::snapshot::ServiceView;

/// The services of one name, each in a group of its own, in the order of groups. Most names are in
/// one group, so there is room for no more than there are. A clone shares them.
#[derive(Clone, Debug, Default)]
pub struct Groups(Arc<[Arc<ServiceView>]>);

impl Groups {
    fn find(&self, group: &GroupName) -> Result<usize, usize> {
        self.0.binary_search_by(|view| view.key.group.cmp(group))
    }

    /// The one in this group.
    #[must_use]
    pub fn get(&self, group: &GroupName) -> Option<&Arc<ServiceView>> {
        self.find(group).ok().map(|place| &self.0[place])
    }

    /// Whether this group has one.
    #[must_use]
    pub fn contains_key(&self, group: &GroupName) -> bool {
        self.find(group).is_ok()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each service.
    pub fn values(&self) -> impl Iterator<Item = &Arc<ServiceView>> {
        self.0.iter()
    }

    /// Each service with its group.
    pub fn iter(&self) -> impl Iterator<Item = (&GroupName, &Arc<ServiceView>)> {
        self.0.iter().map(|view| (&view.key.group, view))
    }

    /// The same with this service, or none, in the group.
    pub(super) fn with(&self, group: &GroupName, view: Option<Arc<ServiceView>>) -> Self {
        let (before, after) = match self.find(group) {
            Ok(place) => (&self.0[..place], &self.0[place + 1..]),
            Err(place) => self.0.split_at(place),
        };
        Self(before.iter().cloned().chain(view).chain(after.iter().cloned()).collect())
    }
}
