//! What is to be done about one address. Pure: a three-way comparison of what the source has, what
//! was last written, and what the target shows.
//!
//! Only what is in the ledger is changed or removed. A mark in somebody's metadata keeps that row
//! from being copied, and does nothing else.

use hub_registry_core::Instance;
use hub_registry_core::carry::{self, Packed};
use std::sync::Arc;

/// Why a copy that is not in the ledger is left alone, whoever wrote it.
pub(super) const OTHERS_COPY: &str = "a copy that is not this hub's is there";

/// What is known of one address at the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// Who the hub is to other hubs.
    pub owner: &'a str,
    /// What the source has, and its print; nothing: it has none that is to be copied.
    pub wanted: Option<(&'a Packed, &'a str)>,
    /// The source says how it is now. Otherwise nothing of it is changed or removed.
    pub source_is_current: bool,
    /// What was last written.
    pub written: Option<Written<'a>>,
    /// What the target shows.
    pub there: Option<&'a Instance>,
    /// It is looked at for what others did to copies, too.
    pub thorough: bool,
    /// The target's instances have ids, and a copy is beside what a client registers.
    pub ids: bool,
}

/// What was last written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    /// The print of what it was made of.
    pub print: &'a str,
    /// So long ago that a target which does not show it has lost it.
    pub settled: bool,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    /// A copy that is not there.
    Register,
    /// One that is there otherwise.
    Update,
    /// One whose original is gone.
    Deregister,
}

impl Act {
    /// The word in answers and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "REGISTER",
            Self::Update => "UPDATE",
            Self::Deregister => "DEREGISTER",
        }
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Rest,
    /// Nothing, since it is not ours to do.
    Skip(&'static str),
    /// Nothing, and what was written counts as ours no more.
    Yield(&'static str),
    /// This.
    Do(Act, &'static str),
}

impl Case<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        match (self.wanted, self.written) {
            (None, None) => Verdict::Rest,
            (Some(_), None) => self.unwritten(),
            (Some(wanted), Some(written)) => self.known(wanted, written),
            (None, Some(_)) => self.gone(),
        }
    }

    fn unwritten(&self) -> Verdict {
        if !self.source_is_current {
            return Verdict::Skip("the source does not answer");
        }
        match self.there {
            None => Verdict::Do(Act::Register, "it is not there"),
            Some(there) if there.mark.is_some() => Verdict::Skip(OTHERS_COPY),
            Some(_) => Verdict::Skip("it is registered there itself"),
        }
    }

    fn known(&self, (packed, print): (&Packed, &str), written: Written<'_>) -> Verdict {
        if let Some(lost) = self.lost() {
            return lost;
        }
        if !self.source_is_current {
            return Verdict::Rest;
        }
        match self.there {
            // Not an update: somebody may have the address by now.
            None if written.print != print => Verdict::Do(Act::Register, "it is to be there"),
            Some(_) if written.print != print => Verdict::Do(Act::Update, "the original changed"),
            None if written.settled => Verdict::Do(Act::Register, "it is there no more"),
            Some(there) if self.thorough && written.settled && differs(packed, there) => {
                Verdict::Do(Act::Update, "somebody changed the copy")
            }
            None | Some(_) => Verdict::Rest,
        }
    }

    fn gone(&self) -> Verdict {
        if let Some(lost) = self.lost() {
            return lost;
        }
        if !self.source_is_current {
            return Verdict::Rest;
        }
        Verdict::Do(Act::Deregister, "the original is gone")
    }

    /// Why what is there is ours no more, if it is not. Where instances have ids a copy is known
    /// by its own; elsewhere by its mark alone, and one whose mark is gone belongs to whoever wrote
    /// it last: it is left alone, and expires if nobody renews it.
    fn lost(&self) -> Option<Verdict> {
        let there = self.there?;
        let itself = "it is registered there itself now";
        match there.mark.as_deref() {
            Some(mark) if mark.owner == self.owner => None,
            Some(_) => Some(Verdict::Yield("another hub took it over")),
            None if there.native_id.as_deref() == Some(&carry::copy_id(&there.key)) => None,
            // The copy is another instance, behind the client's own.
            None if self.ids => Some(Verdict::Do(Act::Deregister, itself)),
            None => Some(Verdict::Yield(itself)),
        }
    }
}

/// Whether a reader of the copy sees something else than of what was written. Registries add
/// metadata of their own.
fn differs(packed: &Packed, there: &Instance) -> bool {
    let written = read_back(packed);
    let has = |(key, value): (&String, &String)| there.metadata.get(key) == Some(value);
    (written.status, written.health) != (there.status, there.health)
        || written.weight != there.weight
        || written.protocol != there.protocol
        || written.context_path != there.context_path
        || written.tags != there.tags
        || !written.metadata.iter().all(has)
        || there.mark.is_none()
}

/// What a reader of the copy sees.
pub(super) fn read_back(packed: &Packed) -> Arc<Instance> {
    let mut copy = Instance { mark: None, ..packed.instance.clone() };
    copy.protocol = hub_registry_core::conventions::protocol(&copy.metadata);
    copy.context_path = hub_registry_core::conventions::context_path(&copy.metadata);
    let mut copy = Arc::new(copy);
    carry::take(&mut copy);
    copy
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{
        Capability, GroupName, HealthStatus, Host, InstanceKey, Mark, ServiceKey, ServiceName,
        Weight,
    };

    use super::*;

    fn original() -> Instance {
        let name = ServiceName::parse("web").unwrap();
        let service = ServiceKey::new(GroupName::default_group(), name);
        let host = Host::parse("10.0.0.1").unwrap();
        let mut instance = Instance::new(InstanceKey { service, host, port: 80 });
        instance.health = HealthStatus::Healthy;
        instance.metadata.insert("a".to_owned(), "1".to_owned());
        instance
    }

    fn packed(instance: &Instance) -> Packed {
        let (source, group, service, id) = (Some("c1".to_owned()), None, None, None);
        let mark = Mark { owner: "me".to_owned(), source, group, service, id };
        carry::pack(instance, &mark, Capability::default())
    }

    fn marked(owner: &str) -> Instance {
        let mut there = Instance::clone(&read_back(&packed(&original())));
        there.mark = Some(Box::new(Mark { owner: owner.to_owned(), ..*there.mark.unwrap() }));
        there
    }

    #[test]
    fn each_case_has_its_verdict() {
        use Act::{Deregister, Register, Update};
        let packed = packed(&original());
        let (ours, theirs, own) = (marked("me"), marked("you"), original());
        let mut by_id = original();
        by_id.native_id = Some(carry::copy_id(&by_id.key).into());
        let mut edited = marked("me");
        edited.weight = Weight::new(7);
        let written = |print, settled| Some(Written { print, settled });
        let (old, new, fresh) = (written("1", true), written("2", true), written("2", false));
        let wanted = Some((&packed, "2"));
        // wanted, current, written, there, thorough
        let cases: [(_, bool, _, Option<&Instance>, bool, Option<Act>); 20] = [
            (None, true, None, None, true, None),
            (None, true, None, Some(&own), true, None),
            (None, true, None, Some(&ours), true, None),
            (wanted, true, None, None, true, Some(Register)),
            (wanted, false, None, None, true, None),
            (wanted, true, None, Some(&own), true, None),
            (wanted, true, None, Some(&theirs), true, None),
            (wanted, true, None, Some(&ours), true, None),
            (wanted, true, old, Some(&ours), true, Some(Update)),
            (wanted, true, old, None, true, Some(Register)),
            (wanted, false, old, Some(&ours), true, None),
            (wanted, true, new, None, false, Some(Register)),
            (wanted, true, fresh, None, true, None),
            (wanted, true, new, Some(&ours), true, None),
            (wanted, true, new, Some(&edited), true, Some(Update)),
            (wanted, true, new, Some(&edited), false, None),
            (wanted, true, new, Some(&by_id), true, Some(Update)),
            (None, true, new, Some(&ours), false, Some(Deregister)),
            (None, true, new, None, false, Some(Deregister)),
            (None, false, new, Some(&ours), true, None),
        ];
        for (number, (wanted, source_is_current, written, there, thorough, act)) in
            cases.into_iter().enumerate()
        {
            let ids = true;
            let case =
                Case { owner: "me", wanted, source_is_current, written, there, thorough, ids };
            let verdict = case.verdict();
            let done = match verdict {
                Verdict::Do(act, _) => Some(act),
                _ => None,
            };
            assert_eq!(done, act, "case {number}: {verdict:?}");
        }
        for (there, ids, act) in [
            (&theirs, true, None),
            (&theirs, false, None),
            (&own, false, None),
            (&own, true, Some(Deregister)),
        ] {
            for wanted in [wanted, None] {
                let (source_is_current, written) = (true, new);
                let (there, thorough) = (Some(there), true);
                let case =
                    Case { owner: "me", wanted, source_is_current, written, there, thorough, ids };
                match (case.verdict(), act) {
                    (Verdict::Yield(_), None) => {}
                    (Verdict::Do(done, _), Some(act)) if done == act => {}
                    (other, _) => panic!("{other:?} and not {act:?}"),
                }
            }
        }
    }
}
