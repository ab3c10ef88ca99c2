//! How one start of a server looks: the same for all kinds.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::java::Jvm;
use super::network::Far;
use super::options::{Login, ServerKind, ServerOptions};
use super::{consul, eureka, java, mariadb, nacos, postgres};

/// A command line.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<String>,
}

impl Plan {
    /// The same in the network of another process.
    fn within(self, far: Far) -> Self {
        let mut arguments: Vec<_> =
            ["--target", &far.process.to_string(), "--net", "--"].map(str::to_owned).into();
        arguments.push(text(&self.program));
        arguments.extend(self.arguments);
        Self { program: "nsenter".into(), arguments }
    }
}

/// What a start is made from, and what does not change when the server is started again.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) kind: ServerKind,
    pub(super) options: ServerOptions,
    /// The HTTP port comes first, then those of [`Setup::extra_ports`].
    pub(super) ports: Vec<u16>,
    pub(super) data: PathBuf,
}

impl Setup {
    /// The port of the API.
    pub(super) fn http_port(&self) -> u16 {
        self.ports[0]
    }

    /// The path before that of every call.
    pub(super) fn path(&self) -> &'static str {
        match self.kind {
            ServerKind::Consul => "",
            ServerKind::Eureka => "/eureka",
            ServerKind::Nacos => "/nacos",
            ServerKind::Postgres | ServerKind::MariaDb => "",
        }
    }

    /// Where it is reached from here.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.options.far.map_or(Ipv4Addr::LOCALHOST, |far| far.address)
    }

    /// Where its API listens.
    pub(super) fn listens(&self) -> Ipv4Addr {
        self.options.far.map_or(Ipv4Addr::LOCALHOST, |_| Ipv4Addr::UNSPECIFIED)
    }

    /// Where the API is.
    pub(super) fn base_url(&self) -> String {
        format!("http://{}:{}{}", self.address(), self.http_port(), self.path())
    }

    /// The address of the database, of a database server.
    pub(super) fn dsn(&self) -> Option<String> {
        match self.kind {
            ServerKind::Postgres => Some(postgres::dsn(self)),
            ServerKind::MariaDb => Some(mariadb::dsn(self)),
            _ => None,
        }
    }

    /// The credentials that are needed, if any are.
    pub(super) fn login(&self) -> Option<Login> {
        let always = self.dsn().is_some();
        (always || self.options.login).then(|| Login::of(self.kind))
    }

    /// The command line; the error is the reason why there is none.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        let mut plan = match self.kind {
            ServerKind::Consul => consul::plan(self),
            ServerKind::Eureka => self.java("eureka", 256, &[], eureka::arguments(self)),
            ServerKind::Nacos => {
                self.java("nacos", 512, &nacos::properties(self), nacos::arguments(self))
            }
            ServerKind::Postgres => postgres::plan(self),
            ServerKind::MariaDb => mariadb::plan(self),
        }?;
        plan.arguments.extend(self.options.arguments.iter().cloned());
        Ok(match self.options.far {
            Some(far) => plan.within(far),
            None => plan,
        })
    }

    fn java(
        &self,
        name: &str,
        heap: u32,
        properties: &[String],
        arguments: Vec<String>,
    ) -> Result<Plan, String> {
        let jvm = match self.options.production {
            true => Jvm::Measured,
            false => Jvm::Brief { heap },
        };
        java::plan(name, jvm, properties, arguments)
    }

    /// Whether it serves now.
    pub(super) async fn is_ready(&self, client: &reqwest::Client) -> bool {
        match self.kind {
            ServerKind::Consul => consul::is_ready(self, client).await,
            ServerKind::Eureka => eureka::is_ready(self, client).await,
            ServerKind::Nacos => nacos::is_ready(self, client).await,
            ServerKind::Postgres => postgres::is_ready(self).await,
            ServerKind::MariaDb => mariadb::is_ready(self).await,
        }
    }

    /// The distances from the HTTP port of the other ports that the server takes.
    pub(super) fn extra_ports(kind: ServerKind) -> &'static [i32] {
        match kind {
            ServerKind::Consul => consul::EXTRA_PORTS,
            ServerKind::Eureka | ServerKind::Postgres | ServerKind::MariaDb => &[],
            ServerKind::Nacos => nacos::EXTRA_PORTS,
        }
    }
}

/// A path as an argument of a command line.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
