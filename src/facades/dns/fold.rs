//! Names, whatever their case.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hub_registry_core::ServiceName;
use tokio::time::Instant;

use crate::catalog::Snapshot;

/// A list of names is used so long: to make it costs as much as there are services.
const USED: Duration = Duration::from_secs(1);

/// The names of a tenant by their lower-case form; made when a name is asked for that is not there
/// as it is written, and then at most once a second.
#[derive(Debug, Default)]
pub(super) struct Folded(ArcSwapOption<List>);

#[derive(Debug)]
struct List {
    made: Instant,
    revision: i64,
    names: HashMap<String, Vec<ServiceName>>,
}

impl Folded {
    /// The names that are this one but for their case, sorted. A name that came within the last
    /// second may be missing.
    pub(super) fn names(&self, snapshot: &Snapshot, text: &str) -> Vec<ServiceName> {
        let list = self.0.load_full().filter(|list| list.is_good_for(snapshot));
        let list = list.unwrap_or_else(|| {
            let list = Arc::new(List::of(snapshot));
            self.0.store(Some(Arc::clone(&list)));
            list
        });
        list.names.get(&text.to_ascii_lowercase()).cloned().unwrap_or_default()
    }
}

impl List {
    fn of(snapshot: &Snapshot) -> Self {
        let mut names: HashMap<String, Vec<ServiceName>> = HashMap::new();
        for name in snapshot.services.keys() {
            names.entry(name.as_str().to_ascii_lowercase()).or_default().push(name.clone());
        }
        names.values_mut().for_each(|same| same.sort());
        Self { made: Instant::now(), revision: snapshot.revision, names }
    }

    fn is_good_for(&self, snapshot: &Snapshot) -> bool {
        self.revision == snapshot.revision || self.made.elapsed() < USED
    }
}
