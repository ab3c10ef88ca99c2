//! One route at work: looks at what changed, writes what that asks for, and renews what is written.

mod taken;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hub_registry_core::{Capability, Error, ErrorKind, InstanceKey, Registry, ServiceKey};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::beats::Beats;
use super::budget::Budget;
use super::decide::Act;
use super::ends::Ends;
use super::ledger::{Copied, Ledger};
use super::look::Look;
use super::queue::{Action, Queue};
use super::report::{Done, Report};
use super::route::{Mode, Route};
use crate::catalog::{Catalog, Changed};
use crate::model::external::Orphan;

/// Calls to the target under way at once.
const PARALLEL: usize = 16;
/// Most that is written, or renewed, before it is looked at what changed meanwhile.
const BATCH: usize = 64;
/// After a failure the target is left alone for this long, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));
/// After one that trying again does not mend.
const REFUSED: Duration = Duration::from_secs(30);

/// What a worker needs from the house.
#[derive(Clone, Debug)]
pub(super) struct House {
    pub(super) catalog: Catalog,
    pub(super) ledger: Arc<Ledger>,
    pub(super) ends: Arc<dyn Ends>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Worker {
    house: House,
    route: Arc<Route>,
    report: Arc<Report>,
    target: Option<(Arc<dyn Registry>, Capability)>,
    dirty: BTreeSet<ServiceKey>,
    thorough: bool,
    queue: Queue,
    beats: Beats,
    budget: Budget,
    /// Not before this is written, or connected, again.
    ready_at: Instant,
    pause: Duration,
    /// Not before this is renewed again: what cannot be written keeps nobody from being renewed.
    renew_at: Instant,
    full_at: Instant,
    asked: Vec<oneshot::Sender<()>>,
    /// Somebody wants everything to be compared now.
    hurry: Arc<Hurry>,
}

/// Who wants everything to be compared now.
#[derive(Debug, Default)]
pub(super) struct Hurry {
    waiting: parking_lot::Mutex<Vec<oneshot::Sender<()>>>,
    notify: Notify,
}

impl Hurry {
    /// Has everything compared; the answer comes when what that asks for was written or refused.
    pub(super) fn ask(&self) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().push(tell);
        self.notify.notify_one();
        told
    }
}

impl Worker {
    pub(super) fn new(
        house: House,
        route: Arc<Route>,
        report: Arc<Report>,
        hurry: Arc<Hurry>,
    ) -> Self {
        let now = Instant::now();
        Self {
            house,
            route,
            report,
            target: None,
            dirty: BTreeSet::new(),
            thorough: false,
            queue: Queue::default(),
            beats: Beats::default(),
            budget: Budget::default(),
            ready_at: now,
            pause: PAUSE.0,
            renew_at: now,
            full_at: now,
            asked: Vec::new(),
            hurry,
        }
    }

    /// Works until it is dropped, or until nothing is left of a rule that ended.
    pub(super) async fn run(mut self) {
        let follower = self.house.catalog.follow(&self.route.tenant);
        loop {
            if self.target.is_none() && Instant::now() >= self.ready_at {
                self.connect().await;
            }
            if Instant::now() >= self.full_at {
                self.compare_all();
            }
            self.look().await;
            if self.queue.is_empty() && self.target.is_some() {
                for tell in self.asked.drain(..) {
                    // Whoever asked may have gone.
                    tell.send(()).ok();
                }
                if self.route.mode() == Mode::Ended && self.copies() == 0 {
                    return;
                }
            }
            self.report.stands(self.copies(), self.queue.late(Instant::now()));
            let ready = self.target.is_some();
            let write_at = self.queue.next().filter(|_| ready).map(|at| at.max(self.ready_at));
            let beat_at = self.beats.next().filter(|_| ready).map(|at| at.max(self.renew_at));
            let connect_at = (!ready).then_some(self.ready_at);
            let wake = [write_at, beat_at, connect_at, Some(self.full_at)];
            let wake = wake.into_iter().flatten().min().unwrap_or(self.full_at);
            let hurry = Arc::clone(&self.hurry);
            tokio::select! {
                () = hurry.notify.notified() => {
                    self.asked.append(&mut hurry.waiting.lock());
                    self.full_at = Instant::now();
                }
                changed = follower.changed() => self.note(changed),
                () = tokio::time::sleep_until(wake) => {
                    self.renew().await;
                    self.write().await;
                }
            }
        }
    }

    async fn connect(&mut self) {
        match self.house.ends.connect(&self.route.tenant, &self.route.to.id).await {
            Ok(registry) if registry.capability().register => {
                let capability = registry.capability();
                self.target = Some((registry, capability));
                let (now, every) = (Instant::now(), capability.heartbeat_every);
                for (key, _) in self
                    .house
                    .ledger
                    .select(&self.route.key(), usize::MAX, |_| capability.heartbeat)
                {
                    // What a run before wrote may be about to expire.
                    self.beats.put(key, now + every.mul_f64(fastrand::f64() / 4.0));
                }
                self.full_at = now;
            }
            Ok(_) => self.failed(&Error::unsupported("register")),
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &Error) {
        let Route { from, to, tenant, .. } = &*self.route;
        tracing::warn!(%error, tenant.id = %tenant, from = from.name, to = to.name,
            "copying failed, will try again");
        self.report.failed(error);
        let refused = matches!(
            error.kind(),
            ErrorKind::Unauthorized | ErrorKind::Forbidden | ErrorKind::Unsupported
        );
        if refused {
            // The credentials may have changed meanwhile.
            self.target = None;
        }
        let pause = if refused { REFUSED } else { self.pause };
        self.pause = (self.pause * 2).min(PAUSE.1);
        self.ready_at = Instant::now() + pause.mul_f64(0.75 + fastrand::f64() / 4.0);
    }

    fn succeeded(&mut self) {
        self.pause = PAUSE.0;
    }

    /// Everything is looked at anew, and for what others did, too.
    fn compare_all(&mut self) {
        self.full_at = Instant::now() + self.route.interval;
        let Some(look) = self.looker() else { return };
        self.dirty = look.services();
        self.thorough = true;
        self.report.compared();
    }

    fn looker(&self) -> Option<Look<'_>> {
        let (_, capability) = self.target.as_ref()?;
        Some(Look {
            catalog: &self.house.catalog,
            ledger: &self.house.ledger,
            route: &self.route,
            capability: *capability,
            thorough: self.thorough,
        })
    }

    /// A change at the source, or of what the target shows: names tell which services it is about.
    fn note(&mut self, changed: Changed) {
        if changed.states {
            // A source that answers again has said what changed; what waited for it is looked at.
            self.full_at = self.full_at.min(Instant::now() + Duration::from_millis(200));
        }
        let Changed { services, .. } = changed;
        for key in services {
            let sources = self.route.sources(&key);
            let concerns = |key: &ServiceKey| self.route.part(key).is_some();
            self.dirty.extend(sources.filter(concerns));
        }
    }

    /// Finds out what the changed services ask for.
    async fn look(&mut self) {
        let Some(look) = self.looker() else { return };
        let now = Instant::now();
        let asked: Vec<_> =
            self.dirty.iter().map(|key| (key.clone(), look.service(key, now))).collect();
        self.dirty.clear();
        let thorough = std::mem::take(&mut self.thorough);
        let mut yielded = Vec::new();
        let mut skipped = Vec::new();
        for (service, asked) in asked {
            if !asked.unknown {
                self.queue.replace(&service, asked.actions);
            }
            skipped.extend(asked.skipped);
            yielded.extend(asked.yielded);
        }
        let yielded = self.confirmed(yielded).await;
        for (key, why) in &yielded {
            tracing::info!(copy = %key, why, to = self.route.to.name, "a copy is ours no more");
            self.beats.forget(key);
        }
        self.report.skipped(&skipped, thorough);
        let gone: Vec<_> = yielded.into_iter().map(|(key, _)| key).collect();
        self.save(Vec::new(), &gone).await;
    }

    fn copies(&self) -> usize {
        self.house.ledger.count(&self.route.key())
    }

    /// Whether it is on disk.
    async fn save(&mut self, puts: Vec<(InstanceKey, Copied)>, gone: &[InstanceKey]) -> bool {
        let Route { tenant, to, .. } = &*self.route;
        match self.house.ledger.save(tenant, &to.id, puts, gone).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, to = to.name, "cannot write down what is copied, will try again");
                self.ready_at = Instant::now() + PAUSE.1;
                false
            }
        }
    }

    /// Writes the most urgent of what waits.
    async fn write(&mut self) {
        let began = Instant::now();
        let Some((target, capability)) = self.target.clone().filter(|_| began >= self.ready_at)
        else {
            return;
        };
        if !self.looker().is_some_and(|look| look.target_is_current()) {
            // When it is, everything is compared again.
            self.ready_at = began + Duration::from_secs(1);
            return;
        }
        // Woken for something else.
        let due = self.queue.due(began);
        if due == 0 {
            return;
        }
        let copies = self.copies();
        let count = BATCH.min((self.route.rate as usize / 4).max(1));
        let removals = self.budget.left(copies, began);
        let actions = self.queue.take(count, removals, began);
        if actions.is_empty() {
            // What waits are removals beyond the budget.
            self.ready_at = began + Duration::from_secs(1);
            self.report.waits_for_budget(due);
            return;
        }
        let took = actions.len();
        let actions = self.still_own(actions);
        let (actions, taken) = match self.not_taken(&target, actions, capability.ids).await {
            Ok(outcome) => outcome,
            Err(error) => return self.failed(&error),
        };
        if !self.save(Vec::new(), &taken).await {
            actions.into_iter().for_each(|action| self.queue.put(action));
            return;
        }
        let puts = actions.iter().filter_map(|action| self.ledger_row(action, None)).collect();
        if !self.save(puts, &[]).await {
            actions.into_iter().for_each(|action| self.queue.put(action));
            return;
        }
        let mut outcomes = stream::iter(actions.into_iter().map(|action| {
            let target = Arc::clone(&target);
            async move {
                let outcome = match &action.copy {
                    Some((packed, _)) => target.register(&packed.instance).await,
                    None => target.deregister(&action.key).await,
                };
                (action, outcome)
            }
        }))
        .buffer_unordered(PARALLEL)
        .collect::<Vec<_>>()
        .await;
        outcomes.sort_by(|(a, _), (b, _)| a.key.cmp(&b.key));
        let (mut puts, mut gone, mut failure) = (Vec::new(), Vec::new(), None);
        let now = Instant::now();
        for (action, outcome) in outcomes {
            match outcome {
                Ok(()) => {
                    self.report.wrote(&action, now);
                    match action.act {
                        Act::Deregister => {
                            if !action.on_demand {
                                self.budget.spend(now);
                            }
                            self.beats.forget(&action.key);
                            gone.push(action.key);
                        }
                        Act::Register | Act::Update => {
                            if capability.heartbeat {
                                let first =
                                    capability.heartbeat_every.mul_f64(0.5 + fastrand::f64() / 2.0);
                                self.beats.put(action.key.clone(), now + first);
                            }
                            puts.extend(self.ledger_row(&action, Some(now)));
                        }
                    }
                }
                Err(error) if is_refusal(error.kind()) => {
                    // The target does not take it. It is asked again with the next comparison.
                    self.report.refused(&action, &error);
                    tracing::warn!(%error, copy = %action.key, to = self.route.to.name,
                        "the target does not take this copy");
                }
                Err(error) => {
                    let mut action = action;
                    action.failed(now);
                    self.queue.put(action);
                    failure = Some(error);
                }
            }
        }
        self.save(puts, &gone).await;
        match failure {
            Some(error) => self.failed(&error),
            None => {
                self.succeeded();
                let took = Duration::from_secs(1) * took as u32 / self.route.rate;
                self.ready_at = self.ready_at.max(began + took);
            }
        }
    }

    /// These without what would change or remove a copy of another route's, or none of ours.
    fn still_own(&self, actions: Vec<Action>) -> Vec<Action> {
        let way = self.route.key();
        let own = |action: &Action| match action.act {
            Act::Register => !self.house.ledger.is_of_another(&way, &action.key),
            Act::Update | Act::Deregister => self.house.ledger.get(&way, &action.key).is_some(),
        };
        actions.into_iter().filter(own).collect()
    }

    /// The row of a copy that was written, or is about to be: then it has no print, so that one
    /// whose outcome nobody knows is written again.
    fn ledger_row(
        &self,
        action: &Action,
        written_at: Option<Instant>,
    ) -> Option<(InstanceKey, Copied)> {
        let (packed, print) = action.copy.as_ref()?;
        let copied = Copied {
            from: self.route.from.id.clone(),
            original: action.original.clone(),
            print: written_at.map(|_| print.clone()).unwrap_or_default(),
            orphan: self.route.part(&action.original).map_or(Orphan::Expire, |p| p.orphan),
            lost: packed.lost.clone(),
            written_at,
        };
        Some((action.key.clone(), copied))
    }

    /// Renews the copies that are due, all of them.
    async fn renew(&mut self) {
        while let Some((target, capability)) = self.target.clone() {
            let now = Instant::now();
            let due = match now >= self.renew_at {
                true => self.beats.due(now, BATCH),
                false => Vec::new(),
            };
            if due.is_empty() {
                return;
            }
            let way = self.route.key();
            let own = due.into_iter().filter(|key| self.house.ledger.get(&way, key).is_some());
            let outcomes: Vec<_> = stream::iter(own.collect::<Vec<_>>().into_iter().map(|key| {
                let target = Arc::clone(&target);
                async move {
                    let outcome = target.heartbeat(&key).await;
                    (key, outcome)
                }
            }))
            .buffer_unordered(PARALLEL)
            .collect()
            .await;
            let mut failure = None;
            for (key, outcome) in outcomes {
                let next = match outcome {
                    Ok(()) => {
                        self.report.beat(Done::Well);
                        now + capability.heartbeat_every
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        self.report.beat(Done::Unknown);
                        self.write_anew(&key).await;
                        now + capability.heartbeat_every
                    }
                    Err(error) => {
                        self.report.beat(Done::Badly);
                        failure = Some(error);
                        now + PAUSE.1
                    }
                };
                self.beats.put(key, next);
            }
            if let Some(error) = failure {
                self.renew_at = Instant::now() + PAUSE.0;
                self.failed(&error);
            }
        }
    }

    /// The target does not know this copy any more.
    async fn write_anew(&mut self, key: &InstanceKey) {
        let Some(copied) = self.house.ledger.get(&self.route.key(), key) else { return };
        let copied = Copied { print: String::new(), ..copied };
        self.dirty.insert(copied.original.clone());
        // Another print than any: what it was written from counts as changed.
        self.save(vec![(key.clone(), copied)], &[]).await;
    }
}

/// Whether the target would say the same again.
fn is_refusal(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Protocol)
}

impl Route {
    /// The services at the source whose copies may be this service, and itself.
    fn sources<'r>(&'r self, key: &'r ServiceKey) -> impl Iterator<Item = ServiceKey> + 'r {
        let all = self.parts.iter().flat_map(|part| &part.groups);
        let mapped = all.filter(|(_, to)| **to == key.group);
        let own = self.from.default_group.clone();
        let groups = mapped.map(|(from, _)| from.clone()).chain([key.group.clone(), own]);
        let groups: BTreeSet<_> = groups.collect();
        groups.into_iter().map(|group| ServiceKey::new(group, key.name.clone()))
    }
}

/// Lets go of the copies that no rule is about any more, where they are to stay.
pub(super) async fn keep(ledger: &Ledger, route: &Route) {
    let kept = ledger.select(&route.key(), usize::MAX, |copied| {
        copied.orphan == Orphan::Keep && route.mode_of(&copied.original) == Mode::Ended
    });
    let kept: Vec<_> = kept.into_iter().map(|(key, _)| key).collect();
    if kept.is_empty() {
        return;
    }
    let Route { tenant, from, to, .. } = route;
    tracing::info!(
        copies = kept.len(),
        from = from.name,
        to = to.name,
        "a rule ended: its copies stay, and are the hub's no more"
    );
    if let Err(error) = ledger.save(tenant, &to.id, Vec::new(), &kept).await {
        tracing::warn!(%error, "cannot write down that copies stay, will try again");
    }
}
