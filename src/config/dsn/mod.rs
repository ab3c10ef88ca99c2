//! The database address, in every form that people paste.

use std::fmt;
use std::path::PathBuf;

use hub_registry_core::Secret;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::database::DatabaseType;

mod parse;
#[cfg(test)]
mod tests;

/// A database address. `Debug`, `Display` and `Serialize` mask the password.
#[derive(Clone, PartialEq, Eq)]
pub enum Dsn {
    /// A SQLite database.
    Sqlite(SqliteDsn),
    /// A database server.
    Server(ServerDsn),
}

/// A SQLite database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteDsn {
    /// The file; `None` is a database in memory.
    pub path: Option<PathBuf>,
    /// What stood behind the `?`, in its order.
    pub parameters: Vec<(String, String)>,
}

/// A database server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerDsn {
    /// MySQL or PostgreSQL.
    pub kind: DatabaseType,
    /// The user, empty when not given.
    pub user: String,
    /// The password, empty when not given.
    pub password: Secret,
    /// The host, an IPv6 address without brackets; or the path of a socket, which begins with `/`.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The name of the database.
    pub database: String,
    /// What stood behind the `?`, in its order.
    pub parameters: Vec<(String, String)>,
}

impl Dsn {
    /// Reads an address: a URL, the form of Go's MySQL and PostgreSQL drivers, or a file.
    ///
    /// # Errors
    /// What is wrong, in words that do not repeat the address, since it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::dsn(text)
    }

    /// The kind of database it leads to.
    #[must_use]
    pub const fn database(&self) -> DatabaseType {
        match self {
            Self::Sqlite(_) => DatabaseType::Sqlite,
            Self::Server(server) => server.kind,
        }
    }
}

impl Default for Dsn {
    fn default() -> Self {
        let path = Some(PathBuf::from("./data/registry.db"));
        Self::Sqlite(SqliteDsn { path, parameters: Vec::new() })
    }
}

impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters = match self {
            Self::Sqlite(sqlite) => {
                match &sqlite.path {
                    Some(path) => write!(f, "{}", path.display())?,
                    None => f.write_str("sqlite::memory:")?,
                }
                &sqlite.parameters
            }
            Self::Server(server) => {
                write!(f, "{server}")?;
                &server.parameters
            }
        };
        for (index, (name, value)) in parameters.iter().enumerate() {
            let secret = name.contains("pass") || name.contains("secret");
            let value = if secret { "***" } else { value };
            write!(f, "{}{name}={}", if index == 0 { '?' } else { '&' }, escape(value))?;
        }
        Ok(())
    }
}

/// Without its parameters.
impl fmt::Display for ServerDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.kind)?;
        if !self.user.is_empty() || !self.password.is_empty() {
            f.write_str(&escape(&self.user))?;
            if !self.password.is_empty() {
                f.write_str(":***")?;
            }
            f.write_str("@")?;
        }
        if self.host.starts_with('/') {
            f.write_str(&escape(&self.host))?;
        } else if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        write!(f, "/{}", escape(&self.database))
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if " %/?#@:&=[]".contains(c) {
            escaped.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

impl Serialize for Dsn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Dsn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}
