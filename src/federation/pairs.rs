//! Primaries and their standbys: looks at both, lets the [`Machine`] decide, and has the catalog show
//! what it decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use hub_registry_core::{RegistryKind, Scope};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::SourceKey;
use super::failover::{Machine, Moment, Primary, Standby, Step, Waits};
use super::status::{FailoverReport, StatusBoard};
use crate::catalog::{Catalog, Handover, SourceId, SourceState, StandIn};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::model::external::{ExternalConfig, Failover};
use crate::model::words::FailoverStatus;
use crate::telemetry::metrics::Metrics;

/// How often both are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// The longest an attempt may go without an answer before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(5);

/// A primary, its standby, and who serves.
#[derive(Debug)]
struct Pair {
    name: String,
    kind: RegistryKind,
    rules: Failover,
    scope: Scope,
    machine: Machine,
    waits_for: Waits,
    since: Option<DateTime<Utc>>,
    recovered: Option<DateTime<Utc>>,
    count: i64,
}

/// What was seen when a step was taken.
#[derive(Debug)]
struct Seen {
    before: FailoverStatus,
    by_operator: bool,
    primary: Primary,
    standby: Standby,
}

impl Seen {
    fn handover(&self, key: &SourceKey, pair: &Pair) -> Handover {
        Handover {
            source: pair.name.clone(),
            kind: pair.kind,
            id: key.1.clone(),
            standby: pair.rules.standby.clone(),
            before: self.before,
            after: pair.machine.phase().status(),
            by_operator: self.by_operator,
            instances: self.primary.instances,
            standby_instances: self.standby.instances,
        }
    }
}

/// What a restart goes on from, in the status row.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Details {
    standby: String,
    waits_for: Waits,
    by_operator: bool,
    // When the standby took the place, in milliseconds since 1970.
    flips: Vec<i64>,
}

/// All pairs.
#[derive(Debug)]
pub(super) struct Pairs {
    // `external.enableFailover`.
    enabled: bool,
    pairs: Mutex<BTreeMap<SourceKey, Pair>>,
    catalog: Catalog,
    board: Arc<StatusBoard>,
    clock: Clock,
    metrics: Metrics,
    origin: Instant,
}

impl Pairs {
    pub(super) fn new(
        enabled: bool,
        catalog: Catalog,
        board: Arc<StatusBoard>,
        clock: Clock,
        metrics: Metrics,
    ) -> Arc<Self> {
        let (pairs, origin) = (Mutex::default(), Instant::now());
        Arc::new(Self { enabled, pairs, catalog, board, clock, metrics, origin })
    }

    /// Makes the pairs those of these configurations. One that stays keeps who serves.
    pub(super) fn set(&self, wanted: &BTreeMap<SourceKey, Arc<ExternalConfig>>) {
        let mut pairs = self.pairs.lock();
        let with_standby = |key: &SourceKey| {
            wanted.get(key).and_then(|config| Some((config, config.failover.as_ref()?)))
        };
        let gone: Vec<_> =
            pairs.keys().filter(|key| with_standby(key).is_none()).cloned().collect();
        for key in gone {
            if let Some(pair) = pairs.remove(&key) {
                self.metrics.failovers.forget(key.1.as_str(), &pair.name);
            }
            self.catalog.set_stand_in(&key.0, &external(&key), None, None);
            if let Some(status) = self.board.get(&key) {
                status.set_failover(None);
            }
        }
        for (key, config) in wanted {
            let Some(rules) = &config.failover else { continue };
            let name = config.name.clone();
            let pair = pairs.entry(key.clone()).or_insert_with(|| self.begin(key, config, rules));
            if pair.name != name {
                self.metrics.failovers.forget(key.1.as_str(), &pair.name);
            }
            (pair.name, pair.rules, pair.scope) = (name, rules.clone(), config.scope());
            self.show(key, pair, None);
        }
    }

    fn begin(&self, key: &SourceKey, config: &ExternalConfig, rules: &Failover) -> Pair {
        let row = self.board.kept(key).unwrap_or_default();
        let details =
            row.failover_details.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let details: Details = details.unwrap_or_default();
        let (now, wall) = (self.now(), self.clock.now_ms());
        let flips = details.flips.iter().map(|flip| now - (wall - flip).max(0)).collect();
        let was_away = matches!(row.failover_status.as_deref(), Some("FAILOVER" | "RECOVERING"));
        let machine = if was_away && self.enabled {
            tracing::warn!(source = config.name, standby.id = %rules.standby,
                "the standby served before the restart, and goes on serving");
            Machine::away(details.by_operator, flips)
        } else {
            Machine::home(flips)
        };
        Pair {
            name: config.name.clone(),
            kind: config.spec.kind,
            rules: rules.clone(),
            scope: config.scope(),
            machine,
            waits_for: Waits::Nothing,
            since: None,
            recovered: None,
            count: 0,
        }
    }

    /// Has readers, the status row and the metrics see who serves, and tells of the step that led
    /// there.
    fn show(&self, key: &SourceKey, pair: &Pair, handover: Option<Handover>) {
        let phase = pair.machine.phase();
        let stand_in = StandIn {
            id: SourceId::External(pair.rules.standby.clone()),
            visible: pair.rules.standby_visible,
            serving: phase.is_away(),
            scope: pair.scope.clone(),
        };
        self.catalog.set_stand_in(&key.0, &external(key), Some(stand_in), handover);
        let (now, wall) = (self.now(), self.clock.now_ms());
        let details = Details {
            standby: pair.rules.standby.as_str().to_owned(),
            waits_for: pair.waits_for,
            by_operator: pair.machine.by_operator(),
            flips: pair.machine.flips().iter().map(|flip| wall - (now - flip)).collect(),
        };
        let report = FailoverReport {
            status: phase.status(),
            waits_for: pair.waits_for,
            standby: pair.rules.standby.clone(),
            auto: pair.rules.auto,
            hold_down: pair.machine.hold_down(&pair.rules, now),
            served_by: if phase.is_away() { pair.rules.standby.clone() } else { key.1.clone() },
            since: pair.since,
            recovered: pair.recovered,
            count: pair.count,
            by_operator: details.by_operator,
            details: serde_json::to_string(&details).unwrap_or_default(),
        };
        let status = self.board.entry(key, &pair.name, pair.kind.as_str());
        let helpless = pair.waits_for.is_helpless();
        self.metrics.failovers.set(key.1.as_str(), &pair.name, report.status, helpless);
        // The times of flips are reckoned anew each time; a millisecond is no change.
        let before = status.report().failover;
        let details = report.details.clone();
        if before.map(|before| FailoverReport { details, ..before }).as_ref() != Some(&report) {
            status.set_failover(Some(report));
        }
    }

    fn now(&self) -> Moment {
        i64::try_from(self.origin.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// Looks at all pairs until it is dropped; not at all with failover switched off.
    pub(super) async fn watch(self: Arc<Self>) {
        if !self.enabled {
            return;
        }
        loop {
            self.look();
            tokio::time::sleep(LOOK).await;
        }
    }

    fn look(&self) {
        let mut pairs = self.pairs.lock();
        let now = self.now();
        for (key, pair) in pairs.iter_mut() {
            let primary = self.primary(key, &pair.rules);
            let standby = self.standby(key, &pair.rules);
            let before = pair.machine.phase().status();
            if let Some(step) = pair.machine.look(&pair.rules, &primary, &standby, now) {
                self.stepped(
                    key,
                    pair,
                    step,
                    &Seen { before, by_operator: false, primary, standby },
                );
            }
            let waits_for = pair.machine.waits_for(&pair.rules, &primary, &standby, now);
            let waits_for = waits_for.unwrap_or(pair.waits_for);
            if waits_for != pair.waits_for {
                pair.waits_for = waits_for;
                if waits_for.is_helpless() {
                    tracing::warn!(source = pair.name, tenant.id = %key.0, waits_for = %waits_for,
                        standby.id = %pair.rules.standby, instances = primary.instances,
                        standby_instances = standby.instances,
                        "the source fails, and its standby cannot take its place");
                }
                self.show(key, pair, None);
            }
        }
    }

    fn primary(&self, key: &SourceKey, rules: &Failover) -> Primary {
        let attempts = self.board.get(key).map(|status| status.attempts()).unwrap_or_default();
        let patience = PATIENCE.min(rules.after / 2);
        let outage = attempts.outage(Instant::now(), patience).map(|outage| {
            let since = outage.since.saturating_duration_since(self.origin).as_millis();
            (i64::try_from(since).unwrap_or(i64::MAX), outage.attempts)
        });
        let figures = self.catalog.figures(&key.0, &external(key));
        Primary {
            outage,
            current: figures.is_some_and(|figures| figures.state.is_current()),
            good_reads: attempts.good(),
            held: figures.is_some_and(|figures| figures.held),
            instances: figures.map_or(0, |figures| figures.instances),
        }
    }

    fn standby(&self, key: &SourceKey, rules: &Failover) -> Standby {
        let id = SourceId::External(rules.standby.clone());
        self.catalog.figures(&key.0, &id).map_or_else(Standby::default, |figures| Standby {
            live: figures.state == SourceState::Live,
            current: figures.state.is_current(),
            instances: figures.instances,
        })
    }

    fn stepped(&self, key: &SourceKey, pair: &mut Pair, step: Step, seen: &Seen) {
        let (source, tenant) = (pair.name.as_str(), &key.0);
        let (standby_id, by_operator) = (&pair.rules.standby, seen.by_operator);
        let (instances, standby_instances) = (seen.primary.instances, seen.standby.instances);
        match step {
            Step::Away => {
                pair.since = Some(self.clock.now());
                pair.count += 1;
                let hold_down_s = pair.machine.hold_down(&pair.rules, self.now()).as_secs();
                tracing::warn!(source, tenant.id = %tenant, standby.id = %standby_id, instances,
                    standby_instances, hold_down_s, by_operator,
                    "FAILOVER: the standby serves in its place");
            }
            Step::Answers => tracing::info!(source, tenant.id = %tenant, standby.id = %standby_id,
                "the source answers again; its standby serves until it proved itself"),
            Step::Fails => tracing::warn!(source, tenant.id = %tenant, standby.id = %standby_id,
                "the source fails again; its standby goes on serving"),
            Step::Back => {
                pair.recovered = Some(self.clock.now());
                tracing::info!(source, tenant.id = %tenant, standby.id = %standby_id, instances,
                    standby_instances, by_operator,
                    "the source serves again; its standby steps back");
            }
        }
        self.metrics.failovers.stepped(key.1.as_str(), source, step.word());
        let handover = seen.handover(key, pair);
        self.show(key, pair, Some(handover));
        self.board.hurry();
    }

    /// An operator lets the standby serve; whether that is new.
    ///
    /// # Errors
    /// No standby; failover switched off; a standby that is not LIVE, unless `force`.
    pub(super) fn send_away(&self, key: &SourceKey, force: bool) -> Result<bool> {
        let mut pairs = self.pairs.lock();
        let pair = self.pair(&mut pairs, key)?;
        let seen = self.seen_by_operator(key, pair);
        let was_away = pair.machine.phase().is_away();
        if !seen.standby.live && !force && !was_away {
            let id = SourceId::External(pair.rules.standby.clone());
            let state = self.catalog.figures(&key.0, &id).map(|figures| figures.state);
            return Err(not_live("standby", pair.rules.standby.as_str(), state));
        }
        let changed = pair.machine.send_away(self.now());
        if changed && !was_away {
            self.stepped(key, pair, Step::Away, &seen);
        } else if changed {
            // It is away already, and from now on until an operator says otherwise.
            let handover = seen.handover(key, pair);
            self.show(key, pair, Some(handover));
        }
        Ok(changed)
    }

    /// An operator lets the primary serve again; whether that is new.
    ///
    /// # Errors
    /// No standby; failover switched off; a primary that is not LIVE, unless `force`.
    pub(super) fn call_back(&self, key: &SourceKey, force: bool) -> Result<bool> {
        let mut pairs = self.pairs.lock();
        let pair = self.pair(&mut pairs, key)?;
        let figures = self.catalog.figures(&key.0, &external(key));
        let state = figures.map(|figures| figures.state);
        if state != Some(SourceState::Live) && !force && pair.machine.phase().is_away() {
            return Err(not_live("primary", key.1.as_str(), state));
        }
        let seen = self.seen_by_operator(key, pair);
        let changed = pair.machine.call_back(self.now());
        if changed {
            self.stepped(key, pair, Step::Back, &seen);
        }
        Ok(changed)
    }

    fn seen_by_operator(&self, key: &SourceKey, pair: &Pair) -> Seen {
        Seen {
            before: pair.machine.phase().status(),
            by_operator: true,
            primary: self.primary(key, &pair.rules),
            standby: self.standby(key, &pair.rules),
        }
    }

    fn pair<'p>(
        &self,
        pairs: &'p mut BTreeMap<SourceKey, Pair>,
        key: &SourceKey,
    ) -> Result<&'p mut Pair> {
        if !self.enabled {
            return Err(Error::conflict("external.enableFailover is false: no standby serves"));
        }
        let none = || {
            Error::conflict(
                "it has no standby that counts: failoverEnabled is N, or it does not run",
            )
        };
        pairs.get_mut(key).ok_or_else(none)
    }
}

fn not_live(which: &str, id: &str, state: Option<SourceState>) -> Error {
    let state = state.unwrap_or(SourceState::Disconnected);
    let message = format!("the {which} is {state}, not LIVE; force=true does it all the same");
    Error::conflict(message).with_details(serde_json::json!({
        "code": "not_live", "configId": id, "state": state,
    }))
}

fn external(key: &SourceKey) -> SourceId {
    SourceId::External(key.1.clone())
}
