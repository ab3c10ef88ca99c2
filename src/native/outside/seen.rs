//! What the last look saw.

use std::collections::{BTreeMap, BTreeSet};

use crate::native::state::State;
use crate::storage::{NativeStore, Place, PlacePrint, Result, Tide};

/// At most so many services are read at once, unless their instances are too many.
const PLACES: usize = 64;
/// At most so many instances are read at once, unless a single service has more.
const INSTANCES: i64 = 2048;

pub(in crate::native) type Prints = BTreeMap<Place, PlacePrint>;

/// What a look saw before it read: what moves later, moves from here.
#[derive(Debug, Default)]
pub(in crate::native) struct Seen {
    pub(super) tide: Option<Tide>,
    /// Empty where the tide tells.
    pub(super) prints: Prints,
}

impl Seen {
    /// As it is now.
    pub(in crate::native) async fn now(store: &dyn NativeStore) -> Result<Self> {
        let tide = store.tide().await?;
        let prints = if tide.is_some() { Prints::new() } else { store.prints().await? };
        Ok(Self { tide, prints })
    }
}

/// The places whose rows may differ from what was seen. A group that moved takes its services
/// along: whether it counts decides on them.
pub(super) fn moved(before: &Prints, now: &Prints, state: &State) -> BTreeSet<Place> {
    let all = before.keys().chain(now.keys());
    let mut moved: BTreeSet<Place> =
        all.filter(|place| before.get(*place) != now.get(*place)).cloned().collect();
    let is_group = |place: &&Place| place.service_name.is_empty();
    let groups: BTreeSet<_> = moved.iter().filter(is_group).map(group_of).collect();
    if !groups.is_empty() {
        let within = |place: &Place| groups.contains(&group_of(place));
        let of_groups: Vec<_> =
            now.keys().cloned().chain(known(state)).filter(|place| within(place)).collect();
        moved.extend(of_groups);
    }
    moved
}

/// Every place there is, on disk or in the state.
pub(super) fn all(now: &Prints, state: &State) -> BTreeSet<Place> {
    now.keys().cloned().chain(known(state)).collect()
}

fn group_of(place: &Place) -> (String, String) {
    (place.tenant_id.clone(), place.group_name.clone())
}

fn known(state: &State) -> impl Iterator<Item = Place> {
    state.tenants().flat_map(|(id, tenant)| {
        let groups = tenant.groups.keys().chain(tenant.closed_groups()).map(|name| Place {
            tenant_id: id.to_string(),
            group_name: name.to_string(),
            service_name: String::new(),
        });
        let services = tenant.services.keys().chain(tenant.closed_services()).map(|key| Place {
            tenant_id: id.to_string(),
            group_name: key.group.to_string(),
            service_name: key.name.to_string(),
        });
        groups.chain(services)
    })
}

/// Places that are read together. Groups come last: one that is gone goes after its services.
pub(super) fn pages(places: BTreeSet<Place>, prints: &Prints) -> Vec<Vec<Place>> {
    let (groups, services): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|place| place.service_name.is_empty());
    let (mut pages, mut page, mut instances) = (Vec::new(), Vec::new(), 0);
    for place in services.into_iter().chain(groups) {
        let more = prints.get(&place).map_or(0, |print| print.count);
        if page.len() >= PLACES || (!page.is_empty() && instances + more > INSTANCES) {
            pages.push(std::mem::take(&mut page));
            instances = 0;
        }
        instances += more;
        page.push(place);
    }
    if !page.is_empty() {
        pages.push(page);
    }
    pages
}

/// How many instances there are.
pub(super) fn count(prints: &Prints) -> usize {
    let count: i64 = prints.values().map(|print| print.count).sum();
    usize::try_from(count).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(group: &str, service: &str) -> Place {
        Place {
            tenant_id: "t".to_owned(),
            group_name: group.to_owned(),
            service_name: service.to_owned(),
        }
    }

    fn prints(all: &[(&str, &str, i64, i64)]) -> Prints {
        let one = |(group, service, count, sum): &(&str, &str, i64, i64)| {
            let print = PlacePrint { row: Some(0), count: *count, instances: *sum };
            (place(group, service), print)
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn what_differs_moved_and_a_group_takes_its_services_along() {
        let before =
            prints(&[("g", "", 0, 0), ("g", "a", 1, 7), ("g", "b", 1, 7), ("h", "c", 1, 7)]);
        let moved = |now: &Prints| moved(&before, now, &State::default());
        assert!(moved(&before).is_empty());
        let mut now = before.clone();
        now.insert(place("g", "a"), PlacePrint { row: Some(0), count: 1, instances: 8 });
        now.remove(&place("h", "c"));
        now.insert(place("h", "new"), PlacePrint::default());
        assert_eq!(
            moved(&now).into_iter().collect::<Vec<_>>(),
            [place("g", "a"), place("h", "c"), place("h", "new")]
        );
        let mut now = before.clone();
        now.insert(place("g", ""), PlacePrint { row: Some(1), count: 0, instances: 0 });
        assert_eq!(
            moved(&now).into_iter().collect::<Vec<_>>(),
            [place("g", ""), place("g", "a"), place("g", "b")]
        );
    }

    #[test]
    fn pages_are_bounded_and_groups_are_last() {
        let mut all = prints(&[("g", "", 0, 0), ("g", "big", 5000, 0)]);
        for number in 0..130 {
            all.insert(place("g", &format!("s{number:03}")), PlacePrint::default());
        }
        let pages = pages(all.keys().cloned().collect(), &all);
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [1, 64, 64, 3]);
        assert_eq!(pages[0], [place("g", "big")]);
        assert_eq!(pages[3][2], place("g", ""));
    }
}
