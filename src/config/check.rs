//! The rules of a whole configuration, wherever its values come from.

use serde_json::Value;

use super::problem::{ConfigError, Problem};
use super::{Config, keys};

impl Config {
    /// Checks every value and how they fit together. What [`load`](super::load) returns has
    /// passed; a configuration that code made or changed may not.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        let mut problems = self.broken_values();
        let mut broken = |key: &str, message: String| {
            let origin = self.origins.get(key).cloned();
            problems.push(Problem { origin, key: key.to_owned(), message });
        };

        let database = &self.database;
        let (kind, found) = (database.kind, database.dsn.database());
        if kind != found {
            broken("database.type", format!("is {kind}, but database.dsn leads to {found}"));
        }
        if database.max_idle_conns > database.max_open_conns {
            let (idle, open) = (database.max_idle_conns, database.max_open_conns);
            let message = format!("{idle} is above database.maxOpenConns, which is {open}");
            broken("database.maxIdleConns", message);
        }

        let port = self.server.http.port;
        if port != 0 && self.server.metrics.port == Some(port) {
            let message = format!("{port} is the port of server.http too; use another, or null");
            broken("server.metrics.port", message);
        }

        if self.security.secrets_key.is_some() && self.security.secrets_key_file.is_some() {
            let message = "is set, and so is security.secretsKeyFile; use one of them".to_owned();
            broken("security.secretsKey", message);
        }

        let file = &self.log.file;
        if file.max_total_size < file.max_size {
            let (total, size) = (file.max_total_size, file.max_size);
            let message = format!("{total} is below log.file.maxSize, which is {size}");
            broken("log.file.maxTotalSize", message);
        }
        if !self.log.stdout && file.path.is_none() {
            let message = "is false, and there is no log.file.path: nothing would be written";
            broken("log.stdout", message.to_owned());
        }

        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// Each value against its own rule.
    fn broken_values(&self) -> Vec<Problem> {
        let Ok(all) = serde_json::to_value(self) else {
            return Vec::new();
        };
        let mut problems = Vec::new();
        for key in keys::all() {
            let value = key.path.split('.').fold(&all, |place, name| &place[name]);
            if matches!(value, Value::Null) && key.optional {
                continue;
            }
            if let Err(message) = key.rule.accept(value.clone()) {
                let origin = self.origins.get(key.path).cloned();
                problems.push(Problem { origin, key: key.path.to_owned(), message });
            }
        }
        problems
    }
}
