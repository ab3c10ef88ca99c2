//! The instances of a service as most ask for them, written once per change of it.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dashmap::Entry;
use hub_registry_core::{ServiceKey, TenantId};
use serde_json::{Value, json};

use super::Face;
use super::call::GROUP_END;
use super::render;
use crate::catalog::ServiceView;

/// How many services' answers are kept.
const MAX_KEPT: usize = 100_000;
/// How long a client may keep the list before it asks again, in milliseconds.
const CACHE_MILLIS: u32 = 10_000;

#[derive(Debug)]
pub(super) struct Hosts {
    view: Arc<ServiceView>,
    /// Rises with every change: clients drop a list that is not newer than what they have.
    time: i64,
    all: OnceLock<Bytes>,
    healthy: OnceLock<Bytes>,
}

impl Hosts {
    /// Those that are enabled, or healthy besides.
    pub(super) fn written(&self, healthy_only: bool) -> Bytes {
        let made = if healthy_only { &self.healthy } else { &self.all };
        let bytes = made.get_or_init(|| {
            let value = self.value(&[], healthy_only);
            serde_json::to_vec(&value).unwrap_or_default().into()
        });
        bytes.clone()
    }

    /// Those of these clusters; of all where none is named.
    pub(super) fn value(&self, clusters: &[&str], healthy_only: bool) -> Value {
        let protected = self.view.is_protected();
        let rows = self.view.rows.iter().filter(|row| {
            let instance = &row.instance;
            render::is_enabled(instance)
                && (clusters.is_empty() || clusters.contains(&render::cluster(instance)))
                && (!healthy_only || protected || render::is_healthy(instance))
        });
        let hosts: Vec<_> = rows.map(|row| render::host(row, protected)).collect();
        list(&self.view.key, &clusters.join(","), json!(hosts), (self.time, protected))
    }
}

/// A list as clients read it.
pub(super) fn list(
    key: &ServiceKey,
    clusters: &str,
    hosts: Value,
    (time, protected): (i64, bool),
) -> Value {
    json!({
        "name": format!("{}{GROUP_END}{}", key.group, key.name), "groupName": key.group,
        "clusters": clusters, "cacheMillis": CACHE_MILLIS, "hosts": hosts, "lastRefTime": time,
        "checksum": "", "allIPs": false, "reachProtectionThreshold": protected, "valid": true,
    })
}

impl Face {
    pub(super) fn hosts(&self, tenant: &TenantId, view: &Arc<ServiceView>) -> Arc<Hosts> {
        let key = (tenant.clone(), view.key.clone());
        if self.hosts.len() >= MAX_KEPT {
            self.hosts.clear();
        }
        let made = |before: i64| {
            let time = self.clock.now_ms().max(before + 1);
            let (all, healthy) = (OnceLock::new(), OnceLock::new());
            Arc::new(Hosts { view: Arc::clone(view), time, all, healthy })
        };
        // Under the lock of its entry, so that no two lists have one time, and no older one the later.
        match self.hosts.entry(key) {
            Entry::Vacant(place) => Arc::clone(&place.insert(made(0))),
            Entry::Occupied(mut place) => {
                let known = place.get();
                if known.view.revision < view.revision {
                    let time = known.time;
                    place.insert(made(time));
                }
                Arc::clone(place.get())
            }
        }
    }
}
