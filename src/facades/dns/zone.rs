//! From what is asked for to addresses and ports: the view, as a zone.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use hub_registry_core::{GroupName, ServiceName, TenantId};

use super::question::Wanted;
use crate::access::{Caller, Visible};
use crate::catalog::{Found, GroupChoice, Row, ServiceView, Snapshot, View};
use crate::native::Native;

/// One instance that traffic may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Its address, or its name.
    pub(super) host: Target,
    /// Its port.
    pub(super) port: u16,
    /// Its share of traffic; 100 is the usual.
    pub(super) weight: u16,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Address(IpAddr),
    Name(String),
}

/// What of a service is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its IPv4 addresses; its IPv6 addresses; both. Where it has no addresses at all: a name.
    V4,
    V6,
    Addresses,
    /// Its addresses or names, and ports.
    Services,
    /// What no service has.
    Other,
}

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// These, in random order; `more`: and others that were not taken. None: it is there, and has
    /// nothing of the kind.
    Places { places: Vec<Place>, more: bool },
    /// Nobody knows it, or none of it can be used.
    Nothing,
    /// A registry that might know it was never heard, or several groups hold the name: neither is
    /// to be told as "there is none".
    Unclear,
}

/// Where names are looked up.
pub(super) trait Lookup {
    /// The revision of what is known.
    fn revision(&self) -> i64;

    /// At most so many instances of the first reading that means a service.
    fn find(&self, readings: &[Wanted], kind: Kind, most: usize) -> Outcome;
}

/// The view as those see it who ask by DNS, which has no credentials.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) view: View,
    pub(super) native: Arc<Native>,
    pub(super) caller: Caller,
}

impl Lookup for Zone {
    fn revision(&self) -> i64 {
        self.view.snapshot(self.tenant()).revision
    }

    fn find(&self, readings: &[Wanted], kind: Kind, most: usize) -> Outcome {
        // Before the snapshot is taken, which then has what each source said.
        let is_whole = self.view.unloaded(self.tenant()).is_empty();
        let snapshot = self.view.snapshot(self.tenant());
        let visible = self.native.visible(&self.caller);
        let none = if is_whole { Outcome::Nothing } else { Outcome::Unclear };
        for wanted in readings {
            match self.service(&snapshot, wanted, &visible) {
                Found::One(view) => {
                    return places(&view, wanted.tag.as_deref(), kind, most).unwrap_or(none);
                }
                Found::Ambiguous(_) => return Outcome::Unclear,
                Found::Several(_) | Found::Unknown => {}
            }
        }
        none
    }
}

impl Zone {
    /// By its name as it is written, else by one that differs in case only.
    fn service(&self, snapshot: &Arc<Snapshot>, wanted: &Wanted, visible: &Visible) -> Found {
        let exact = ServiceName::parse(&wanted.service).ok();
        let exact = exact.filter(|name| snapshot.services.contains_key(name));
        let named = |name: &ServiceName| {
            let group = match &wanted.group {
                None => GroupChoice::Unsaid,
                Some(group) => match group_of(snapshot, name, group, visible) {
                    Some(group) => GroupChoice::Named(group),
                    None => return None,
                },
            };
            let found = self.view.look(self.tenant(), name, &group, visible).found;
            (!matches!(found, Found::Unknown)).then_some(found)
        };
        if let Some(found) = exact.as_ref().and_then(named) {
            return found;
        }
        let others = snapshot.named(&wanted.service);
        others.iter().find_map(named).unwrap_or(Found::Unknown)
    }

    fn tenant(&self) -> &TenantId {
        self.caller.tenant()
    }
}

/// The group of this name that may be seen.
fn group_of(
    snapshot: &Snapshot,
    name: &ServiceName,
    text: &str,
    visible: &Visible,
) -> Option<GroupName> {
    let groups = snapshot.services.get(name)?;
    let names = || groups.iter().map(|(group, _)| group).filter(|group| visible.sees(group));
    let exact = names().find(|group| group.as_str() == text);
    exact.or_else(|| names().find(|group| group.as_str().eq_ignore_ascii_case(text))).cloned()
}

/// Whether so few of those that are up may be used that health is no help.
fn is_lifted(view: &ServiceView) -> bool {
    let count = |lifted| view.rows.iter().filter(|row| row.is_usable(lifted)).count();
    view.against_threshold(count(false), count(true)) == Some(Ordering::Less)
}

/// None: it has nothing that can be used.
fn places(view: &ServiceView, tag: Option<&str>, kind: Kind, most: usize) -> Option<Outcome> {
    let lifted = is_lifted(view);
    let tagged = |row: &Row| {
        let has = |tag: &str| row.instance.tags.iter().any(|own| own.eq_ignore_ascii_case(tag));
        tag.is_none_or(has)
    };
    let usable = || view.rows.iter().filter(|row| row.is_usable(lifted) && tagged(row));
    usable().next()?;
    let address = |row: &Row| row.key().host.as_str().parse::<IpAddr>().ok();
    let is_named = || usable().all(|row| address(row).is_none());
    let of_kind: Vec<&Row> = match kind {
        Kind::Other => Vec::new(),
        Kind::Services => usable().map(|row| &**row).collect(),
        Kind::V4 | Kind::V6 | Kind::Addresses if is_named() => {
            usable().take(1).map(|row| &**row).collect()
        }
        Kind::V4 | Kind::V6 | Kind::Addresses => {
            let fits = |address: IpAddr| match kind {
                Kind::V4 => address.is_ipv4(),
                Kind::V6 => address.is_ipv6(),
                _ => true,
            };
            usable().filter(|row| address(row).is_some_and(fits)).map(|row| &**row).collect()
        }
    };
    let more = of_kind.len() > most;
    let mut rows = fastrand::choose_multiple(of_kind, most);
    // Whoever takes the first is spread over all.
    fastrand::shuffle(&mut rows);
    Some(Outcome::Places { places: rows.into_iter().map(place).collect(), more })
}

fn place(row: &Row) -> Place {
    let key = row.key();
    let host = match key.host.as_str().parse() {
        Ok(address) => Target::Address(address),
        Err(_) => Target::Name(key.host.to_string()),
    };
    let weight = u16::try_from(row.instance.weight.get()).unwrap_or(u16::MAX);
    Place { host, port: key.port, weight }
}
