//! Defaults, then the file, then the environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::file::{self, Entry};
use super::problem::{ConfigError, Origin, Origins, Problem};
use super::{Args, Config, Env, keys};

/// The variables with short names, and what they set.
pub(super) const SHORT_NAMES: &[(&str, &str)] = &[
    ("REGISTRY_DB_DSN", "database.dsn"),
    ("REGISTRY_HTTP_PORT", "server.http.port"),
    ("REGISTRY_LOG_LEVEL", "log.level"),
];

/// The configuration of a start: `--config`, else `REGISTRY_CONFIG_FILE`, else no file; the
/// environment over it; and all of it checked.
///
/// # Errors
/// Everything that is wrong, each with file and line or variable, key and rule.
pub fn load(args: &Args, env: &Env) -> Result<Config, ConfigError> {
    let named = env.get("REGISTRY_CONFIG_FILE").map(Path::new);
    let mut layers = Layers::default();
    if let Some(path) = args.config.as_deref().or(named) {
        let (entries, problems) = file::read(path)?;
        layers.problems.extend(problems);
        entries.into_iter().for_each(|entry| layers.put(entry));
    }
    layers.environment(env);
    layers.finish()
}

#[derive(Default)]
pub(super) struct Layers {
    values: BTreeMap<&'static str, Value>,
    origins: Origins,
    problems: Vec<Problem>,
}

impl Layers {
    fn put(&mut self, Entry { key, origin, value }: Entry) {
        // Go's YAML reader leaves the default where nothing is written; so do we.
        if value.is_null() && !key.optional {
            return;
        }
        let accepted = if value.is_null() { Ok(value) } else { key.rule.accept(value) };
        match accepted {
            Ok(value) => {
                self.values.insert(key.path, value);
                self.origins.insert(key.path, origin);
            }
            Err(message) => self.problem(Some(origin), key.path, message),
        }
    }

    fn environment(&mut self, env: &Env) {
        let mut seen: BTreeMap<&'static str, (&str, &str)> = BTreeMap::new();
        let short = SHORT_NAMES
            .iter()
            .filter_map(|(name, path)| Some((*name, (*path).to_owned(), env.get(name)?)));
        let long = env
            .with_prefix("REGISTRY__")
            .map(|(name, rest, value)| (name, rest.replace("__", "."), value));
        for (name, path, value) in short.chain(long) {
            let origin = Some(Origin::Environment(Arc::from(name)));
            let Some(key) = keys::find_ignoring_case(&path) else {
                self.problem(origin, "", unknown_variable(&path));
                continue;
            };
            if let Some((other, first)) = seen.insert(key.path, (name, value))
                && first != value
            {
                self.problem(origin, key.path, format!("{other} sets it to another value"));
                continue;
            }
            let origin = Origin::Environment(Arc::from(name));
            self.put(Entry { key, origin, value: key.rule.read(value) });
        }
    }

    fn finish(mut self) -> Result<Config, ConfigError> {
        let mut root = Value::Object(Map::new());
        for (path, value) in self.values {
            let mut place = &mut root;
            for name in path.split('.') {
                place = &mut place[name];
            }
            *place = value;
        }
        let mut config: Config = match serde_json::from_value(root) {
            Ok(config) => config,
            Err(error) => {
                let message = error.to_string();
                self.problems.push(Problem { origin: None, key: String::new(), message });
                return Err(ConfigError { problems: self.problems });
            }
        };
        let overridden = matches!(
            (self.origins.get("database.type"), self.origins.get("database.dsn")),
            (Some(Origin::File { .. }), Some(Origin::Environment(_)))
        );
        // The type in a shipped file must not stand in the way of a DSN from the environment.
        if overridden || !self.origins.contains("database.type") {
            config.database.kind = config.database.dsn.database();
        }
        config.origins = self.origins;
        if let Err(error) = config.check() {
            self.problems.extend(error.problems);
        }
        if self.problems.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError { problems: self.problems })
        }
    }

    fn problem(&mut self, origin: Option<Origin>, key: &str, message: String) {
        self.problems.push(Problem { origin, key: key.to_owned(), message });
    }
}

fn unknown_variable(path: &str) -> String {
    let mut section = "";
    // The deepest section that the name still fits tells which keys were meant.
    for key in keys::all() {
        for (end, _) in key.path.match_indices('.') {
            let prefix = &key.path[..end];
            let fits = path.get(..end).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
            if fits && path[end..].starts_with('.') && end > section.len() {
                section = prefix;
            }
        }
    }
    let names = keys::children(section).join(", ").to_ascii_uppercase();
    let place = format!("REGISTRY__{section}").replace('.', "__").to_ascii_uppercase();
    let place = if section.is_empty() { place } else { format!("{place}__") };
    format!("there is no such key; behind {place} may stand {names}")
}
