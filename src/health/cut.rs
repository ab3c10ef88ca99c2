//! Whether so many instances give no answer together that it is more likely the hub that is cut off from
//! them; pure.
//!
//! - Counted is who is **silent**: whatever the hub asked it last, or by a check that may remove it, no
//!   answer of its own came. Who answers, however badly, can be reached. Of whom nothing is **known** counts
//!   on neither side: it was not asked yet, it answered longer ago than `max`, or the hub itself cannot ask.
//! - **A hold** begins where more are silent than self-preservation believes, of one tenant or of all
//!   together. It ends when nobody is silent any more and somebody answers, or when half or more have
//!   answered for `max`, since then it is not the hub that is cut off. What a tenant's own hold of so long
//!   explains is no matter of all together, as long as half of the others answer.
//! - Who was silent for `max`, and for as long as it takes to ask the others, without a hold is **believed**
//!   to be gone, until it answers; so is who is silent still when a hold ended by time and there were so
//!   many as begin one. From then on it counts on neither side.
//! - Who was removed while silent counts as silent for `max`, unless it was believed to be gone.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use hub_registry_core::TenantId;
use tokio::time::Instant;

use crate::model::names::InstanceId;
use crate::native::Preservation;

/// Those of a tenant that the hub asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Who answered of its own.
    pub(super) answering: Vec<InstanceId>,
    pub(super) silent: Vec<InstanceId>,
    /// Of whom nothing is known now.
    pub(super) unknown: Vec<InstanceId>,
    /// The longest time between two questions to one of them.
    pub(super) slowest: Duration,
}

/// One tenant's, or everybody's.
type Whose = Option<TenantId>;

/// How many are silent, of how many, and of how many nothing is known.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    silent: usize,
    of: usize,
    unknown: usize,
}

impl Share {
    fn with(self, other: Self) -> Self {
        Self {
            silent: self.silent + other.silent,
            of: self.of + other.of,
            unknown: self.unknown + other.unknown,
        }
    }

    /// Whether half or more answer.
    fn answers(self) -> bool {
        2 * self.silent <= self.of && !self.is_unknown()
    }

    /// Whether nothing is known of anybody.
    fn is_unknown(self) -> bool {
        self.of == 0 && self.unknown > 0
    }

    fn is_over(self, rules: &Preservation) -> bool {
        rules.is_over(self.silent, self.of)
    }
}

/// What an operator is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Note {
    Began { whose: Whose, silent: usize, of: usize },
    Ended { whose: Whose, silent: usize, of: usize },
}

#[derive(Clone, Copy, Debug)]
struct Held {
    since: Instant,
    /// The last look at which less than half answered; before there was one, the first.
    half: Instant,
}

#[derive(Debug, Default)]
pub(super) struct Cuts {
    held: HashMap<Whose, Held>,
    /// Those whose last hold ended at this look.
    freed: HashSet<TenantId>,
    /// Since when it is silent, without a hold.
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
        self.follow(tenants, now);
        let before: HashSet<_> = tenants.keys().filter(|one| self.holds(one)).cloned().collect();
        let (mut notes, mut in_all, mut others) = (Vec::new(), Share::default(), false);
        for (tenant, asked) in tenants {
            let share = self.share(tenant, asked);
            let whose = Some(tenant.clone());
            let note = self.judge(&whose, share, share.is_over(rules), rules, now);
            if note.as_ref().is_some_and(|note| matches!(note, Note::Ended { .. })) {
                self.believe_after(tenant, asked, share, rules);
            }
            notes.extend(note);
            let explained = self.held.get(&whose).is_some_and(|it| it.since + rules.max <= now);
            others |= explained;
            if !explained {
                in_all = in_all.with(self.share(tenant, asked));
            }
        }
        let over = in_all.is_over(rules) || others && in_all.silent > 0 && !in_all.answers();
        let note = self.judge(&None, in_all, over, rules, now);
        let ended = note.as_ref().is_some_and(|note| matches!(note, Note::Ended { .. }));
        notes.extend(note);
        for (tenant, asked) in tenants {
            if ended && !self.held.contains_key(&Some(tenant.clone())) {
                self.believe_after(tenant, asked, in_all, rules);
            }
            if self.holds(tenant) {
                self.silent.extend(asked.silent.iter().map(|id| (*id, now)));
                continue;
            }
            let time = rules.max + asked.slowest;
            let long =
                |id: &&InstanceId| self.silent.get(*id).is_some_and(|since| *since + time <= now);
            let long: Vec<_> = asked.silent.iter().filter(long).copied().collect();
            self.believed.extend(long);
        }
        self.freed = before.into_iter().filter(|one| !self.holds(one)).collect();
        notes
    }

    /// The process was paused: nobody was asked meanwhile.
    pub(super) fn paused(&mut self, now: Instant) {
        self.silent.values_mut().for_each(|since| *since = now);
        self.held.values_mut().for_each(|held| held.half = now);
    }

    /// Forgets who answers, and what is over.
    fn follow(&mut self, tenants: &BTreeMap<TenantId, Asked>, now: Instant) {
        let silent: HashSet<_> = tenants.values().flat_map(|one| &one.silent).copied().collect();
        let unknown: HashSet<_> = tenants.values().flat_map(|one| &one.unknown).copied().collect();
        self.believed.retain(|id| silent.contains(id) || unknown.contains(id));
        self.silent.retain(|id, _| silent.contains(id));
        for id in silent {
            self.silent.entry(id).or_insert(now);
        }
        self.removed.retain(|(_, until)| *until > now);
        self.held.retain(|whose, _| whose.as_ref().is_none_or(|one| tenants.contains_key(one)));
    }

    fn share(&self, tenant: &TenantId, asked: &Asked) -> Share {
        let gone = self.removed.iter().filter(|(whose, _)| whose == tenant).count();
        let believed = asked.silent.iter().filter(|id| self.believed.contains(id)).count();
        let silent = asked.silent.len() - believed + gone;
        Share { silent, of: silent + asked.answering.len(), unknown: asked.unknown.len() }
    }

    fn judge(
        &mut self,
        whose: &Whose,
        share: Share,
        over: bool,
        rules: &Preservation,
        now: Instant,
    ) -> Option<Note> {
        let (whose, Share { silent, of, .. }) = (whose.clone(), share);
        let Some(held) = self.held.get_mut(&whose) else {
            if !over {
                return None;
            }
            self.held.insert(whose.clone(), Held { since: now, half: now });
            return Some(Note::Began { whose, silent, of });
        };
        if !share.answers() {
            held.half = now;
        }
        // However few are left: they come back one after the other.
        let goes_on = over || silent > 0 || share.is_unknown();
        if goes_on && held.half + rules.max > now {
            return None;
        }
        self.held.remove(&whose);
        Some(Note::Ended { whose, silent, of })
    }

    /// A hold ended: if that was by time, who is silent still is gone.
    fn believe_after(
        &mut self,
        tenant: &TenantId,
        asked: &Asked,
        share: Share,
        rules: &Preservation,
    ) {
        if share.is_over(rules) {
            self.believed.extend(&asked.silent);
            self.removed.retain(|(whose, _)| whose != tenant);
        }
    }

    /// Whether silence of this tenant's is not believed.
    pub(super) fn holds(&self, tenant: &TenantId) -> bool {
        self.held.contains_key(&None) || self.held.contains_key(&Some(tenant.clone()))
    }

    /// Whether that is so since this look: what was found before it may be of the hold.
    pub(super) fn frees(&self, tenant: &TenantId) -> bool {
        self.freed.contains(tenant)
    }

    /// Whether it is believed to be gone.
    pub(super) fn believes(&self, id: InstanceId) -> bool {
        self.believed.contains(&id)
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
