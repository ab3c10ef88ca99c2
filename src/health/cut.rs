//! Whether so many instances do not answer together that it is more likely the hub that is cut off
//! from them; pure.
//!
//! - Counted is who is **silent**: nothing came back when it was last asked, so that nobody can say whether
//!   it is there. Who answers that it is not well, or refuses the connection, can be reached.
//! - **A hold** begins where more are silent than self-preservation believes, of one tenant or of all
//!   together. It lasts at least as long as that; after `max` it ends all the same if more than half of
//!   them answer, since then it is not the hub that is cut off.
//! - Who was silent for `max` without a hold, or when one ended by time, is **believed** to be gone: it does
//!   not count for the next.

use std::collections::{BTreeMap, HashMap, HashSet};

use hub_registry_core::TenantId;
use tokio::time::Instant;

use crate::model::names::InstanceId;
use crate::native::Preservation;

/// Those of a tenant that the hub asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) all: usize,
    pub(super) silent: Vec<InstanceId>,
}

/// One tenant's, or everybody's.
type Whose = Option<TenantId>;

/// What an operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Began { whose: Whose, silent: usize, of: usize },
    Ended { whose: Whose, silent: usize, of: usize },
}

#[derive(Debug, Default)]
pub(super) struct Cuts {
    held: HashMap<Whose, Instant>,
    /// Since when it is silent.
    silent: HashMap<InstanceId, Instant>,
    believed: HashSet<InstanceId>,
    /// Whose silent instances were removed, and until when they count still: a loss piece by piece is one.
    removed: Vec<(TenantId, Instant)>,
}

impl Cuts {
    /// Looks who is silent.
    pub(super) fn look(
        &mut self,
        tenants: &BTreeMap<TenantId, Asked>,
        rules: &Preservation,
        now: Instant,
    ) -> Vec<Note> {
        let all: HashSet<_> = tenants.values().flat_map(|one| &one.silent).copied().collect();
        self.believed.retain(|id| all.contains(id));
        self.silent.retain(|id, _| all.contains(id));
        for id in all {
            self.silent.entry(id).or_insert(now);
        }
        self.removed.retain(|(_, until)| *until > now);
        self.held.retain(|whose, _| whose.as_ref().is_none_or(|one| tenants.contains_key(one)));

        let (mut notes, mut in_all) = (Vec::new(), (0, 0));
        for (tenant, asked) in tenants {
            let gone = self.removed.iter().filter(|(whose, _)| whose == tenant).count();
            let counts = |id: &&InstanceId| !self.believed.contains(*id);
            let silent = asked.silent.iter().filter(counts).count() + gone;
            let (silent, of) = (silent, asked.all + gone);
            in_all = (in_all.0 + silent, in_all.1 + of);
            notes.extend(self.judge(Some(tenant.clone()), &asked.silent, (silent, of), rules, now));
        }
        let silent: Vec<_> = tenants.values().flat_map(|one| one.silent.clone()).collect();
        notes.extend(self.judge(None, &silent, in_all, rules, now));
        let free = tenants.iter().filter(|(tenant, _)| !self.holds(tenant));
        let long = |id: &&InstanceId| {
            self.silent.get(*id).is_some_and(|since| now.duration_since(*since) >= rules.max)
        };
        let long = free.flat_map(|(_, asked)| asked.silent.iter().filter(long)).copied();
        let long: Vec<_> = long.collect();
        self.believed.extend(long);
        notes
    }

    fn judge(
        &mut self,
        whose: Whose,
        ids: &[InstanceId],
        (silent, of): (usize, usize),
        rules: &Preservation,
        now: Instant,
    ) -> Option<Note> {
        let over = rules.is_over(silent, of);
        match self.held.get(&whose) {
            None if over => {
                self.held.insert(whose.clone(), now);
                Some(Note::Began { whose, silent, of })
            }
            None => None,
            Some(since) => {
                let by_time = now.duration_since(*since) >= rules.max && 2 * silent <= of;
                if over && !by_time {
                    return None;
                }
                self.held.remove(&whose);
                if over {
                    self.believed.extend(ids);
                    self.removed
                        .retain(|(tenant, _)| whose.as_ref().is_some_and(|one| one != tenant));
                }
                Some(Note::Ended { whose, silent, of })
            }
        }
    }

    /// Whether silence of this tenant's is not believed.
    pub(super) fn holds(&self, tenant: &TenantId) -> bool {
        self.held.contains_key(&None) || self.held.contains_key(&Some(tenant.clone()))
    }

    /// A silent one was removed.
    pub(super) fn removed(
        &mut self,
        tenant: &TenantId,
        id: InstanceId,
        rules: &Preservation,
        now: Instant,
    ) {
        if !self.believed.contains(&id) {
            self.removed.push((tenant.clone(), now + rules.max));
        }
    }
}
