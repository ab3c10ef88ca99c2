//! What can be said about a server before it starts.

use std::fmt;
use std::time::Duration;

use super::database;
use super::network::Far;

/// Which registry or database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// Consul 1.8.7: one agent in development mode.
    Consul,
    /// Spring Cloud's Eureka server, one node without peers.
    Eureka,
    /// Java Nacos 2.2.4, its naming half, standalone.
    Nacos,
    /// PostgreSQL, whichever version is installed.
    Postgres,
    /// MariaDB, which stands for MySQL too.
    MariaDb,
}

impl fmt::Display for ServerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consul => "consul",
            Self::Eureka => "eureka",
            Self::Nacos => "nacos",
            Self::Postgres => "postgresql",
            Self::MariaDb => "mariadb",
        })
    }
}

/// Credentials that a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Login {
    /// The user's name; empty for Consul, which has none.
    pub user: &'static str,
    /// The password; for Consul the token with all rights.
    pub password: &'static str,
}

impl Login {
    /// What a server of this kind accepts when it is started with [`ServerOptions::with_login`].
    #[must_use]
    pub fn of(kind: ServerKind) -> Self {
        let (user, password) = match kind {
            // A UUID, as all of Consul's tokens.
            ServerKind::Consul => ("", "7e57ed00-0000-4000-8000-0000c0ffee00"),
            ServerKind::Eureka => ("tester", "eureka-password"),
            // The one that comes with its database.
            ServerKind::Nacos => ("nacos", "nacos"),
            // These always want some.
            ServerKind::Postgres | ServerKind::MariaDb => (database::USER, database::PASSWORD),
        };
        Self { user, password }
    }
}

/// How a server is to be started. The default is open to everyone and has the server's own timing.
#[derive(Clone, Debug, Default)]
pub struct ServerOptions {
    pub(super) login: bool,
    pub(super) eureka: EurekaOptions,
    pub(super) arguments: Vec<String>,
    pub(super) far: Option<Far>,
    pub(super) production: bool,
    /// The HTTP ports of a cluster, when it is one, and the place among them of this server.
    pub(super) cluster: Option<(Vec<u16>, usize)>,
}

impl ServerOptions {
    /// Every request must bring the credentials of [`Login::of`]. Consul then answers reads without
    /// a token with empty lists, not with an error.
    #[must_use]
    pub fn with_login(mut self) -> Self {
        self.login = true;
        self
    }

    /// Eureka's timing; the other servers ignore it.
    #[must_use]
    pub fn with_eureka(mut self, eureka: EurekaOptions) -> Self {
        self.eureka = eureka;
        self
    }

    /// As one would be run to be measured: a JVM with its optimising compiler, its usual collector
    /// and a gigabyte of heap. Otherwise it has what a server needs that lives for minutes.
    #[must_use]
    pub fn as_in_production(mut self) -> Self {
        self.production = true;
        self
    }

    /// In another network, where it listens on every address.
    #[must_use]
    pub fn with_far(mut self, far: Far) -> Self {
        self.far = Some(far);
        self
    }

    /// One more argument of the server's command line. It comes last and so wins over an earlier
    /// one of the same name: `--eureka.instance.x=y`, `--nacos.x=y`, `-hcl=...`, `--max-connections=5`.
    #[must_use]
    pub fn with_argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }
}

/// Eureka's timing; what is `None` is left as Eureka has it.
#[derive(Clone, Debug, Default)]
pub struct EurekaOptions {
    /// How often the read-only response cache is renewed; Eureka's own is 30 s.
    pub cache_interval: Option<Duration>,
    /// How often expired leases are looked for; Eureka's own is 60 s.
    pub eviction_interval: Option<Duration>,
    /// Whether leases are kept when many expire at once; Eureka's own is yes.
    pub self_preservation: Option<bool>,
    /// How long a node that got nothing from its peers refuses reads (403) after its start, as it
    /// does in a cluster; a lone node does not.
    pub warm_up: Option<Duration>,
}

impl EurekaOptions {
    /// A change shows within a fifth of a second, an expired lease is gone within a second, and
    /// nothing is preserved.
    #[must_use]
    pub fn quick() -> Self {
        Self {
            cache_interval: Some(Duration::from_millis(200)),
            eviction_interval: Some(Duration::from_secs(1)),
            self_preservation: Some(false),
            warm_up: None,
        }
    }
}

/// What becomes of a server's data when it is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// It finds what it had on disk. Consul in development mode has there its own services and
    /// checks, not the catalog; Eureka has nothing; Nacos has its persistent instances;
    /// databases have everything.
    Kept,
    /// It starts as if for the first time.
    Wiped,
}
