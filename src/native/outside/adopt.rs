//! The keeper takes over what others wrote.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::compare::{Finding, What, as_known};
use crate::access::HUB;
use crate::error::Result;
use crate::model::audit::Audit;
use crate::model::group::NativeGroup;
use crate::model::instance::NativeInstance;
use crate::model::words::HealthCheckType;
use crate::native::draft::Draft;
use crate::native::keeper::Keeper;
use crate::native::pipeline::Batch;
use crate::native::repair::RowKey;
use crate::native::rows;
use crate::native::start::Shared;
use crate::storage::{NativeWrite, Place};

/// Why an instance is told to have left.
const GONE: &str = "its row was removed or deactivated in the table";

/// Rows that differ, for the keeper.
#[derive(Debug)]
pub(in crate::native) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) told: oneshot::Sender<Result<Adopted>>,
}

/// What became of them.
#[derive(Debug, Default)]
pub(in crate::native) struct Adopted {
    /// What took effect: the kind of the row, and whether it is there.
    pub(super) rows: Vec<(&'static str, bool)>,
    /// To be read again, since the hub wrote there meanwhile.
    pub(super) later: Vec<Place>,
}

/// The rows that the hub wrote while the tables were being read: what was read of them may be older.
#[derive(Debug, Default)]
pub(in crate::native) struct Meanwhile {
    /// The look they belong to.
    look: u64,
    rows: HashSet<RowKey>,
}

impl Meanwhile {
    /// These are on disk by now. A look that begins after this reads them.
    pub(in crate::native) fn wrote(&mut self, shared: &Shared, rows: impl Iterator<Item = RowKey>) {
        let look = shared.looking.load(Ordering::SeqCst);
        if look != self.look {
            self.rows = HashSet::new();
            self.look = look;
        }
        if look != 0 {
            self.rows.extend(rows);
        }
    }

    fn holds(&self, shared: &Shared, key: &RowKey) -> bool {
        self.look == shared.looking.load(Ordering::SeqCst) && self.rows.contains(key)
    }
}

impl Keeper {
    /// Plans what the tables say for the next commit, which tells of it. To be called when nothing is
    /// being written: what is known of the rows on disk is certain then.
    pub(in crate::native) fn adopt(&mut self, found: Found) {
        let Found { findings, told } = found;
        let planned = self.pipeline.rows();
        let mut batch = self.pipeline.planned.take().unwrap_or_else(|| Batch::new(self.draft()));
        let mut adopted = Adopted::default();
        for finding in findings {
            let key = finding.what.key();
            let ours = planned.contains(&key)
                || self.uncertain.contains(&key)
                || self.meanwhile.holds(&self.shared, &key);
            let outcome = match ours || self.is_planned(&batch, &finding.what) {
                true => Taken::Later,
                false => self.take(&mut batch.draft, &finding),
            };
            match outcome {
                Taken::Same => {}
                Taken::Row(row, there) => adopted.rows.push((row, there)),
                Taken::Later => adopted.later.push(finding.place),
            }
        }
        batch.joined(Box::new(move |error| {
            let outcome = error.map_or(Ok(adopted), |error| Err(error.clone()));
            // Fails when the watch has ended.
            drop(told.send(outcome));
        }));
        self.pipeline.planned = Some(batch);
    }

    /// Whether a request is about this instance.
    fn is_planned(&self, batch: &Batch, what: &What) -> bool {
        match what {
            What::Instance(it) | What::NoInstance(it) => {
                batch.draft.plans(it.id) || self.pipeline.plans(it.id)
            }
            _ => false,
        }
    }

    fn take(&self, draft: &mut Draft, finding: &Finding) -> Taken {
        let repairs = || finding.repairs.iter().cloned();
        match &finding.what {
            What::Group(group) => {
                draft.next.open_group(&group.tenant, &group.name);
                let before = draft.next.group(&group.tenant, &group.name).cloned();
                if before.as_ref() == Some(group) && finding.repairs.is_empty() {
                    return Taken::Same;
                }
                draft.writes.extend(repairs());
                draft.take_group(group, who(before.map(|it| it.audit.clone()), &group.audit));
                Taken::Row("group", true)
            }
            What::Service(service) => {
                draft.next.open_service(&service.tenant, &service.key);
                let before = draft.next.service(&service.tenant, &service.key);
                let before = before.map(|entry| Arc::clone(&entry.service));
                if before.as_ref() == Some(service) && finding.repairs.is_empty() {
                    return Taken::Same;
                }
                draft.writes.extend(repairs());
                draft.take_service(service, who(before.map(|it| it.audit.clone()), &service.audit));
                Taken::Row("service", true)
            }
            What::Instance(instance) => self.take_instance(draft, instance, &finding.repairs),
            What::NoInstance(instance) => {
                let Some(known) = draft.next.instance(&instance.tenant, instance.id).cloned()
                else {
                    return Taken::Same;
                };
                draft.drop_instance(&known, HUB, Some(GONE.to_owned()));
                Taken::Row("instance", false)
            }
            What::NoService(tenant, key) | What::ClosedService(tenant, key) => {
                let known = draft.next.service(tenant, key);
                if known.is_some_and(|entry| entry.instances().len() > 0) {
                    return Taken::Later;
                }
                let known = known.is_some();
                if known {
                    draft.drop_service(tenant, key, HUB);
                }
                match &finding.what {
                    What::ClosedService(..) => draft.next.close_service(tenant, key.clone()),
                    _ => draft.next.open_service(tenant, key),
                }
                if known { Taken::Row("service", false) } else { Taken::Same }
            }
            What::NoGroup(tenant, name) => {
                let services = draft.next.tenant(tenant).map(|it| it.services.keys());
                if services.is_some_and(|mut keys| keys.any(|key| key.group == *name)) {
                    return Taken::Later;
                }
                let known = draft.next.group(tenant, name).is_some();
                if known {
                    draft.drop_group(tenant, name, HUB);
                }
                draft.next.open_group(tenant, name);
                if known { Taken::Row("group", false) } else { Taken::Same }
            }
            What::ClosedGroup(group) => {
                let known = draft.next.group(&group.tenant, &group.name).is_some();
                if known {
                    draft.drop_group(&group.tenant, &group.name, HUB);
                }
                draft.next.close_group(NativeGroup::clone(group));
                if known { Taken::Row("group", false) } else { Taken::Same }
            }
        }
    }

    fn take_instance(
        &self,
        draft: &mut Draft,
        disk: &NativeInstance,
        repairs: &[NativeWrite],
    ) -> Taken {
        if draft.next.service(&disk.tenant, &disk.key.service).is_none() {
            // Its service has to wait, and so has it.
            return Taken::Later;
        }
        let before = draft.next.instance(&disk.tenant, disk.id).cloned();
        let mut instance = match &before {
            Some(before) => as_known(disk, before),
            None => disk.clone(),
        };
        draft.next.share(&mut instance);
        let mut stated = false;
        if let Some(before) = &before {
            if self.unwritten.contains_key(&disk.id) {
                // What leases made of it is newer than what is on disk.
                instance = instance.judged(before.health, before.last_health_check);
            }
            let brings = instance.check == HealthCheckType::Checks;
            if brings && self.rewritten.contains(&disk.id) {
                let mut checks = instance.checks().clone();
                checks.stand_as(before.checks());
                instance = instance.with_checks(checks);
            }
            instance.settle();
            // Who sets a health says so, as by the API; the next heartbeat does not take it back.
            stated = !brings
                && instance.health != before.health
                && instance.last_health_check == before.last_health_check;
            if stated {
                instance.last_health_check = Some(draft.now);
            }
            if instance == **before && repairs.is_empty() {
                return Taken::Same;
            }
        }
        match stated {
            true => {
                // The row that another id had goes first.
                let removes =
                    |write: &&NativeWrite| matches!(write, NativeWrite::DeleteInstance { .. });
                draft.writes.extend(repairs.iter().filter(removes).cloned());
                draft.writes.push(NativeWrite::PutInstance(rows::instance_row(&instance)));
            }
            false => draft.writes.extend(repairs.iter().cloned()),
        }
        let by = who(before.map(|it| it.audit.clone()), &instance.audit).to_owned();
        draft.take_instance(&Arc::new(instance), false, &by);
        Taken::Row("instance", true)
    }
}

enum Taken {
    /// It is as the state says.
    Same,
    Row(&'static str, bool),
    /// Not now.
    Later,
}

/// Who did it: whoever the row names, unless it names no other change than was known.
fn who(before: Option<Audit>, after: &Audit) -> &str {
    let known = before.is_some_and(|before| {
        (&before.edit_who, before.edit_time) == (&after.edit_who, after.edit_time)
    });
    if known { HUB } else { &after.edit_who }
}
