//! `database`: where the hub keeps its own rows.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::dsn::Dsn;
use super::keys::Key;
use super::rule::Rule;

/// The kind of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DatabaseType {
    /// A file of our own.
    #[default]
    Sqlite,
    /// MySQL or MariaDB.
    Mysql,
    /// PostgreSQL.
    Postgres,
}

impl DatabaseType {
    /// The words in the file.
    pub const WORDS: [&'static str; 3] = ["sqlite", "mysql", "postgres"];

    /// The kind of this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Sqlite, Self::Mysql, Self::Postgres].into_iter().find(|kind| kind.as_str() == word)
    }

    /// The word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for DatabaseType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The hub's own database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// The kind; after loading always that of `dsn`.
    #[serde(rename = "type")]
    pub kind: DatabaseType,
    /// The address, with its password.
    pub dsn: Dsn,
    /// How many connections at most.
    pub max_open_conns: u32,
    /// How many of them are kept when idle.
    pub max_idle_conns: u32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            kind: DatabaseType::default(),
            dsn: Dsn::default(),
            max_open_conns: 10,
            max_idle_conns: 5,
        }
    }
}

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "database.type",
        Rule::OneOf(&DatabaseType::WORDS),
        "The kind of database; taken from the dsn when left out.",
    ),
    Key::new(
        "database.dsn",
        Rule::Dsn,
        "The address: a file (./data/registry.db, sqlite://PATH, file:PATH), a URL \
         (mysql://USER:PASSWORD@HOST:PORT/NAME, postgres://...) or the form of Go's drivers \
         (USER:PASSWORD@tcp(HOST:PORT)/NAME?...). A relative path starts at the working directory.",
    ),
    Key::new(
        "database.maxOpenConns",
        Rule::Integer { min: 1, max: 10_000 },
        "How many connections are open at most.",
    ),
    Key::new(
        "database.maxIdleConns",
        Rule::Integer { min: 0, max: 10_000 },
        "How many of them are kept when idle; not above maxOpenConns. For database servers.",
    ),
];
