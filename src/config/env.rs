//! The environment, and the only place that reads it.

use std::collections::BTreeMap;
use std::fmt;

/// What a service manager says, by its own names (`sd_notify(3)`).
const SERVICE_MANAGER: &[&str] = &["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The variables that concern the hub, from the process or from a test.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, String>);

impl Env {
    /// The environment of this process.
    #[must_use]
    pub fn process() -> Self {
        // `vars` would panic on a foreign variable that is not UTF-8.
        std::env::vars_os()
            .map(|(name, value)| {
                (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
            })
            .collect()
    }

    /// A variable; one that is empty counts as not set, since that is how compose files and
    /// charts hand over what nobody filled in.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables that begin so, with the rest of their names; empty ones left out.
    pub(super) fn with_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.filter_map(move |(name, value)| {
            Some((name.as_str(), name.strip_prefix(prefix)?, value.as_str()))
        })
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        // Kubernetes and others put much into the environment that is no business of ours.
        let named = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let ours = |name: &str| {
            name.starts_with("REGISTRY_") || name == "NO_COLOR" || SERVICE_MANAGER.contains(&name)
        };
        Self(named.filter(|(name, _): &(String, String)| ours(name)).collect())
    }
}

/// The names alone: a value may be a password.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
