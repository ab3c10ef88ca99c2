//! The instances of a service as most ask for them, written once per change of it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::atomic;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use dashmap::Entry;
use hub_registry_core::{ServiceKey, carry};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::Face;
use super::call::GROUP_END;
use super::lists::Look;
use super::render;
use crate::access::Caller;
use crate::catalog::{Row, ServiceView};

/// How many services' answers are kept.
const MAX_KEPT: usize = 100_000;
/// How long a client may keep the list before it asks again, in milliseconds.
const CACHE_MILLIS: u32 = 10_000;

/// What there is of a service at a revision of it.
#[derive(Debug)]
pub(super) struct Hosts {
    key: ServiceKey,
    /// `None`: nobody is there.
    view: Option<Arc<ServiceView>>,
    revision: i64,
    /// Rises with every change: clients drop a list that is not newer than what they have.
    time: i64,
    all: OnceLock<Bytes>,
    healthy: OnceLock<Bytes>,
    info: OnceLock<Box<RawValue>>,
}

/// How the name of a service is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// `GROUP@@NAME`: by HTTP.
    Grouped,
    /// `NAME`: by gRPC.
    Bare,
}

impl Hosts {
    fn new(key: &ServiceKey, view: Option<&Arc<ServiceView>>, revision: i64, time: i64) -> Self {
        Self {
            key: key.clone(),
            view: view.cloned(),
            revision,
            time,
            all: OnceLock::new(),
            healthy: OnceLock::new(),
            info: OnceLock::new(),
        }
    }

    /// Those that are enabled, or healthy besides.
    pub(super) fn written(&self, healthy_only: bool) -> Bytes {
        let made = if healthy_only { &self.healthy } else { &self.all };
        let bytes = made.get_or_init(|| {
            let value = self.value(&[], healthy_only, false);
            serde_json::to_vec(&value).unwrap_or_default().into()
        });
        bytes.clone()
    }

    /// Those of these clusters; of all where none is named.
    /// `carried`: with what Nacos has no word for.
    pub(super) fn value(&self, clusters: &[&str], healthy_only: bool, carried: bool) -> Value {
        self.list(Name::Grouped, clusters, healthy_only, carried)
    }

    /// The same as gRPC says it.
    pub(super) fn info(
        &self,
        clusters: &[&str],
        healthy_only: bool,
        carried: bool,
    ) -> Cow<'_, RawValue> {
        let made = || {
            let value = self.list(Name::Bare, clusters, healthy_only, carried);
            // What came out of JSON values is JSON.
            to_raw_value(&value).unwrap_or_else(|_| RawValue::NULL.to_owned())
        };
        if clusters.is_empty() && !healthy_only && !carried {
            return Cow::Borrowed(self.info.get_or_init(made));
        }
        Cow::Owned(made())
    }

    /// Whether so few of those that are asked for are healthy, as clients are told it, that all are said
    /// to be (`ServiceUtil.doSelectInstances`). Where no threshold is set, never.
    fn is_protected(&self, rows: &[&Arc<Row>]) -> bool {
        let healthy = rows.iter().filter(|row| render::is_healthy(&row.instance)).count();
        let view = self.view.as_ref();
        let share = view.and_then(|view| view.against_threshold(healthy, rows.len()));
        share.is_some_and(Ordering::is_le)
    }

    /// Those that are asked for, and whether all of them are said to be healthy.
    fn chosen(&self, clusters: &[&str], healthy_only: bool) -> (Vec<&Arc<Row>>, bool) {
        let rows = self.view.iter().flat_map(|view| &view.rows);
        let rows = rows.filter(|row| {
            let instance = &row.instance;
            render::is_enabled(instance)
                && (clusters.is_empty() || clusters.contains(&render::cluster(instance)))
        });
        let mut rows: Vec<_> = rows.collect();
        let protected = self.is_protected(&rows);
        rows.retain(|row| !healthy_only || protected || render::is_healthy(&row.instance));
        (rows, protected)
    }

    fn list(&self, name: Name, clusters: &[&str], healthy_only: bool, carried: bool) -> Value {
        let (rows, protected) = self.chosen(clusters, healthy_only);
        let rows = rows.into_iter();
        let hosts = rows.map(|row| {
            let mut host = render::host(row, protected);
            if carried {
                let all = carry::besides(&row.instance).into_iter();
                host.metadata.extend(all.map(|(key, value)| (key.to_owned(), value)));
            }
            host
        });
        let hosts: Vec<_> = hosts.collect();
        let name = match name {
            Name::Grouped => format!("{}{GROUP_END}{}", self.key.group, self.key.name),
            Name::Bare => self.key.name.to_string(),
        };
        json!({
            "name": name, "groupName": self.key.group, "clusters": clusters.join(","),
            "cacheMillis": CACHE_MILLIS, "hosts": hosts, "lastRefTime": self.time,
            "checksum": "", "allIPs": false, "reachProtectionThreshold": protected, "valid": true,
        })
    }
}

impl Face {
    /// What there is of a service that was found.
    pub(super) fn hosts(&self, caller: &Caller, key: &ServiceKey, found: &Look) -> Arc<Hosts> {
        let place = (caller.tenant().clone(), key.clone());
        // What is kept is what those see who may; and anybody may ask for any name.
        if found.view.is_none() {
            // Before it is known whether there is a list: one that is made from now on is later.
            let now = self.clock.now_ms();
            let now = now.max(self.time.fetch_max(now, atomic::Ordering::AcqRel));
            if !found.is_visible || !self.hosts.contains_key(&place) {
                return Arc::new(Hosts::new(key, None, found.revision, now));
            }
        }
        if self.hosts.len() >= MAX_KEPT {
            self.hosts.clear();
        }
        let made = |before: i64| {
            let time = self.clock.now_ms().max(before + 1);
            Arc::new(Hosts::new(key, found.view.as_ref(), found.revision, time))
        };
        // Under the lock of its entry, so that no two lists have one time, and no older one the later.
        match self.hosts.entry(place) {
            Entry::Vacant(place) => {
                let emptied = self.time.load(atomic::Ordering::Acquire);
                Arc::clone(&place.insert(made(emptied)))
            }
            Entry::Occupied(mut place) => {
                let known = place.get();
                if known.revision < found.revision {
                    let time = known.time;
                    place.insert(made(time));
                }
                Arc::clone(place.get())
            }
        }
    }
}
