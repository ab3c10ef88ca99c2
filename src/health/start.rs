//! What others see of the checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::{GroupName, TenantId};
use parking_lot::Mutex;

use super::board::{Board, LastCheck};
use super::checker::Checker;
use super::judge::Rules;
use super::numbers::{CheckNumbers, Numbers, Standing};
use super::probe::Probe;
use super::reaper::Reaper;
use super::target::{Defaults, Target};
use crate::config::HealthCheckConfig;
use crate::model::names::CheckKey;
use crate::native::{Native, ToCheck};
use crate::task::TaskGroup;
use crate::telemetry::metrics::Metrics;

/// What can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether anything is checked.
    pub enabled: bool,
    /// What counts where a service says nothing of its own.
    pub defaults: Defaults,
    /// How many checks may be under way at once.
    pub places: usize,
    pub(super) rules: Rules,
}

impl From<&HealthCheckConfig> for Settings {
    fn from(config: &HealthCheckConfig) -> Self {
        Self {
            enabled: config.enabled,
            defaults: Defaults::from(config),
            places: config.concurrent_checks as usize,
            rules: Rules {
                unhealthy: config.unhealthy_threshold,
                healthy: config.healthy_threshold,
                damping: config.flap_damping,
            },
        }
    }
}

/// The checks of native instances.
#[derive(Debug)]
pub struct HealthChecks {
    settings: Settings,
    pub(super) board: Board,
    pub(super) numbers: Numbers,
    pub(super) standing: Mutex<Standing>,
    removals_held: Mutex<BTreeMap<TenantId, usize>>,
}

impl HealthChecks {
    /// Checks whatever `native` holds that is to be checked, and removes whoever asked to be after so long
    /// a time, until the tasks are told to stop; a check under way is dropped then.
    #[must_use]
    pub fn start(
        native: Arc<Native>,
        probe: Arc<dyn Probe>,
        settings: Settings,
        metrics: Metrics,
        tasks: &TaskGroup,
    ) -> Arc<Self> {
        let standing = Standing { places: settings.places, ..Standing::default() };
        let checks = Arc::new(Self {
            settings,
            board: Board::default(),
            numbers: Numbers::default(),
            standing: Mutex::new(standing),
            removals_held: Mutex::default(),
        });
        // Clients speak for their own whether or not the hub asks.
        let reaper = Reaper::new(Arc::clone(&native), Arc::clone(&checks), metrics.clone());
        tasks.spawn_until_stopped(reaper.run());
        if settings.enabled {
            let checker = Checker::new(native, probe, settings, metrics, Arc::clone(&checks));
            tasks.spawn_until_stopped(checker.run());
        }
        checks
    }

    /// Whether anything is checked.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.settings.enabled
    }

    /// What the last check of an instance found, by its own check or one that it brought with it;
    /// `None` before the first since the start.
    #[must_use]
    pub fn last(&self, key: CheckKey) -> Option<LastCheck> {
        self.board.get(&key).map(|last| last.clone())
    }

    /// All that is asked of an instance, how often and how long, and by which check.
    pub(super) fn targets(&self, of: &ToCheck) -> Vec<(Option<Arc<str>>, Target)> {
        Target::all(of, self.settings.defaults)
    }

    /// How the checks of a tenant fare, in the groups that `sees` says.
    #[must_use]
    pub fn numbers(&self, tenant: &TenantId, sees: impl Fn(&GroupName) -> bool) -> CheckNumbers {
        self.numbers.of(tenant, sees)
    }

    /// For how many critical checks of a tenant no instance is removed, since too many are silent together
    /// to be believed; half a minute old at most.
    #[must_use]
    pub fn removals_held(&self, tenant: &TenantId) -> usize {
        self.removals_held.lock().get(tenant).copied().unwrap_or_default()
    }

    pub(super) fn set_removals_held(&self, held: BTreeMap<TenantId, usize>) {
        *self.removals_held.lock() = held;
    }

    /// How the checker stands, over all tenants; a few seconds old at most.
    #[must_use]
    pub fn standing(&self) -> Standing {
        *self.standing.lock()
    }
}
