//! Every key, its rule and what it does: the checks, the environment and the documentation all
//! read this one table.

pub use super::rule::Rule;
use super::{
    database, event, external, facades, health_check, log, registry, retention, security, server,
};

/// One key of the configuration.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its place in the file, as `server.http.port`.
    pub path: &'static str,
    /// What its value may be.
    pub rule: Rule,
    /// Whether it may be `null`.
    pub optional: bool,
    /// What it does, in a sentence.
    pub about: &'static str,
}

impl Key {
    pub(super) const fn new(path: &'static str, rule: Rule, about: &'static str) -> Self {
        Self { path, rule, optional: false, about }
    }

    pub(super) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// The variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("REGISTRY__{}", self.path.replace('.', "__").to_ascii_uppercase())
    }

    /// What the value may be, in words.
    #[must_use]
    pub fn allowed(&self) -> String {
        let null = if self.optional { ", or null" } else { "" };
        format!("{}{null}", self.rule)
    }
}

/// All keys, section by section in the order of the file.
pub fn all() -> impl Iterator<Item = &'static Key> {
    [
        server::KEYS,
        security::KEYS,
        database::KEYS,
        registry::KEYS,
        external::KEYS,
        facades::KEYS,
        health_check::KEYS,
        event::KEYS,
        retention::KEYS,
        log::KEYS,
    ]
    .into_iter()
    .flatten()
}

/// The key of this path.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path == path)
}

/// The key of this path, upper and lower case taken as the same.
#[must_use]
pub fn find_ignoring_case(path: &str) -> Option<&'static Key> {
    all().find(|key| key.path.eq_ignore_ascii_case(path))
}

/// The names that may stand directly under a section; the empty path is the whole file.
#[must_use]
pub fn children(section: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = Vec::new();
    for key in all() {
        let rest = match section {
            "" => Some(key.path),
            _ => key.path.strip_prefix(section).and_then(|rest| rest.strip_prefix('.')),
        };
        let Some(name) = rest.and_then(|rest| rest.split('.').next()) else {
            continue;
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
