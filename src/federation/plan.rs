//! What must be done to make the running sources equal to the rows. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::RegistryKind;

use super::SourceKey;
use crate::error::Error;
use crate::model::external::ExternalConfig;

/// What a row asks for.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// Run this.
    Run(Arc<ExternalConfig>),
    /// It is active but breaks a rule.
    Invalid {
        /// Its name.
        name: String,
        /// Its kind, if that much is right.
        kind: Option<RegistryKind>,
        /// The rule.
        error: Error,
    },
    /// It is switched off.
    Off,
}

/// One thing to do.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Start a source that does not run.
    Start(Arc<ExternalConfig>),
    /// Take over what does not touch the connection.
    Adopt(Arc<ExternalConfig>),
    /// Connect anew, keeping what is shown until the new connection's first full read.
    Reconnect {
        /// The new settings.
        config: Arc<ExternalConfig>,
        /// It is another registry: its first full read replaces everything.
        other_registry: bool,
    },
    /// Stop and take its instances out of the view.
    Stop {
        /// The row is still there, switched off.
        row_exists: bool,
    },
    /// Leave what runs, and say what is wrong with the row.
    Complain {
        /// The row's name.
        name: String,
        /// Its kind, if that much is right.
        kind: Option<RegistryKind>,
        /// The rule.
        error: Error,
    },
}

/// The steps from `running` to `wanted`; equal ones need none. A row that is not there any more
/// is one to stop.
#[must_use]
pub(super) fn plan(
    running: &BTreeMap<SourceKey, Arc<ExternalConfig>>,
    wanted: &BTreeMap<SourceKey, Wanted>,
) -> Vec<(SourceKey, Step)> {
    let mut steps = Vec::new();
    for key in running.keys().filter(|key| !wanted.contains_key(*key)) {
        steps.push((key.clone(), Step::Stop { row_exists: false }));
    }
    for (key, wanted) in wanted {
        let step = match (running.get(key), wanted) {
            (None, Wanted::Off) => continue,
            (None, Wanted::Run(config)) => Step::Start(Arc::clone(config)),
            (Some(_), Wanted::Off) => Step::Stop { row_exists: true },
            (_, Wanted::Invalid { name, kind, error }) => {
                Step::Complain { name: name.clone(), kind: *kind, error: error.clone() }
            }
            (Some(now), Wanted::Run(config)) if now == config => continue,
            (Some(now), Wanted::Run(config)) if now.connects_like(config) => {
                Step::Adopt(Arc::clone(config))
            }
            (Some(now), Wanted::Run(config)) => Step::Reconnect {
                config: Arc::clone(config),
                other_registry: now.identity() != config.identity(),
            },
        };
        steps.push((key.clone(), step));
    }
    steps
}

/// Whether so many rows are gone at once that a second look is wanted before acting on it.
#[must_use]
pub(super) fn is_suspicious(
    running: &BTreeMap<SourceKey, Arc<ExternalConfig>>,
    wanted: &BTreeMap<SourceKey, Wanted>,
) -> bool {
    let lost = running.keys().filter(|key| !wanted.contains_key(*key)).count();
    lost >= 2 && lost * 2 > running.len()
}

/// What runs when all is done: a row that breaks a rule leaves what ran.
pub(super) fn to_run(
    running: &BTreeMap<SourceKey, Arc<ExternalConfig>>,
    wanted: &BTreeMap<SourceKey, Wanted>,
) -> BTreeMap<SourceKey, Arc<ExternalConfig>> {
    let config = |(key, wanted): (&SourceKey, &Wanted)| match wanted {
        Wanted::Run(config) => Some((key.clone(), Arc::clone(config))),
        Wanted::Invalid { .. } => running.get(key).map(|config| (key.clone(), Arc::clone(config))),
        Wanted::Off => None,
    };
    wanted.iter().filter_map(config).collect()
}
