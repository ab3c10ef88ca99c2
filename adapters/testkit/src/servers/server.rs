//! A real server from its start to its end.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use super::options::{Data, Login, ServerKind, ServerOptions};
use super::plan::Setup;
use super::ports;
use super::process::Process;

/// The slowest needs six seconds when it has two cores for itself.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often it is asked whether it serves.
const POLL: Duration = Duration::from_millis(50);
/// How long one such question may take.
const QUESTION: Duration = Duration::from_secs(5);
/// How much of the log an error shows.
const TAIL: usize = 30;
/// How many sets of ports are tried: another process can take a port that was just seen free.
const PORT_SETS: usize = 3;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is not installed.
    #[error("{kind} is missing: {reason}")]
    Missing {
        /// Which.
        kind: ServerKind,
        /// What is missing.
        reason: String,
    },
    /// Its folder, its ports or its process could not be had.
    #[error("{kind} cannot be started")]
    System {
        /// Which.
        kind: ServerKind,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before it served.
    #[error("{kind} ended during its start ({status}); its log ends:\n{log}")]
    Ended {
        /// Which.
        kind: ServerKind,
        /// How it ended.
        status: ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It runs and does not serve.
    #[error("{kind} does not serve after {PATIENCE:?}; its log ends:\n{log}")]
    Late {
        /// Which.
        kind: ServerKind,
        /// The end of its log.
        log: String,
    },
}

/// A server that was started. It is killed when this is dropped, and when the process that holds
/// this ends in any way; then its folder is removed.
#[derive(Debug)]
pub struct Server {
    setup: Setup,
    log: PathBuf,
    client: reqwest::Client,
    // Before `folder`, so that the process has ended when the folder is removed.
    process: Option<Process>,
    folder: TempDir,
}

impl Server {
    pub(super) async fn start(
        kind: ServerKind,
        options: ServerOptions,
    ) -> Result<Self, StartError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let mut server = Self::prepare(kind, options.clone())
                .map_err(|source| StartError::System { kind, source })?;
            match server.launch().await {
                Ok(()) => return Ok(server),
                Err(StartError::Ended { log, .. })
                    if tries < PORT_SETS
                        && log.to_lowercase().contains("address already in use") => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) async fn start_cluster(
        kind: ServerKind,
        count: usize,
        options: ServerOptions,
    ) -> Result<Vec<Self>, StartError> {
        let prepare = |_| Self::prepare(kind, options.clone());
        let servers: io::Result<Vec<_>> = (0..count).map(prepare).collect();
        let mut servers = servers.map_err(|source| StartError::System { kind, source })?;
        let ports: Vec<_> = servers.iter().map(Self::http_port).collect();
        for (place, server) in servers.iter_mut().enumerate() {
            server.setup.options.cluster = Some((ports.clone(), place));
        }
        // Together: none serves before the others are there.
        futures_util::future::try_join_all(servers.iter_mut().map(Self::launch)).await?;
        Ok(servers)
    }

    fn prepare(kind: ServerKind, options: ServerOptions) -> io::Result<Self> {
        let ports = ports::free(Setup::extra_ports(kind))
            .ok_or_else(|| io::Error::other("no free ports"))?;
        let folder = tempfile::Builder::new().prefix(&format!("hub-registry-{kind}-")).tempdir()?;
        let client = reqwest::Client::builder().no_proxy().timeout(QUESTION);
        Ok(Self {
            setup: Setup { kind, options, ports, data: folder.path().join("data") },
            log: folder.path().join("server.log"),
            client: client.build().map_err(io::Error::other)?,
            process: None,
            folder,
        })
    }

    /// Starts the process and waits until it serves.
    async fn launch(&mut self) -> Result<(), StartError> {
        let kind = self.setup.kind;
        let plan = self.setup.plan();
        let plan = plan.map_err(|reason| StartError::Missing { kind, reason })?;
        let process = std::fs::create_dir_all(&self.setup.data)
            .and_then(|()| Process::start(&plan, self.folder.path(), &self.log))
            .map_err(|source| StartError::System { kind, source })?;
        let process = self.process.insert(process);
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = process.ended() {
                self.process = None;
                let log = self.log_tail(TAIL);
                return Err(StartError::Ended { kind, status, log });
            }
            // While it starts, its ports may be another's; so only an answer of a process that
            // still lives afterwards counts.
            if self.setup.is_ready(&self.client).await && process.ended().is_none() {
                return Ok(());
            }
            if Instant::now() > end {
                self.process = None;
                let log = self.log_tail(TAIL);
                return Err(StartError::Late { kind, log });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Which it is.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.setup.kind
    }

    /// The port of its HTTP API, the same after each restart.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.setup.http_port()
    }

    /// The address of its HTTP API.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        (self.setup.address(), self.http_port()).into()
    }

    /// The path of its API: `/eureka`, `/nacos`, empty for the others.
    #[must_use]
    pub fn path(&self) -> &'static str {
        self.setup.path()
    }

    /// `http://address:port/path`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.setup.base_url()
    }

    /// The address of the database of a database server, as a configuration has it: PostgreSQL's as
    /// a URL, MariaDB's in the form of Go's driver. Empty for the others.
    #[must_use]
    pub fn dsn(&self) -> String {
        self.setup.dsn().unwrap_or_default()
    }

    /// The credentials that it wants, if it was started so that it wants any.
    #[must_use]
    pub fn login(&self) -> Option<Login> {
        self.setup.login()
    }

    /// The folder of its data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.setup.data
    }

    /// The id of its process, while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Kills it, so that it cannot say goodbye to anyone, and waits for its end.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await;
        }
    }

    /// Starts it again on the same ports and waits until it serves; kills it first if it runs.
    ///
    /// # Errors
    /// As for the first start.
    pub async fn restart(&mut self, data: Data) -> Result<(), StartError> {
        self.kill().await;
        if data == Data::Wiped {
            let kind = self.setup.kind;
            let wiped = match std::fs::remove_dir_all(&self.setup.data) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
            wiped.map_err(|source| StartError::System { kind, source })?;
        }
        self.launch().await
    }

    /// Freezes it: its connections stay open and nothing is answered any more.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn pause(&mut self) {
        let paused = self.running().pause().await;
        paused.unwrap_or_else(|error| panic!("{} is not paused: {error}", self.setup.kind));
    }

    /// Lets it go on after [`Server::pause`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn resume(&mut self) {
        let resumed = self.running().signal("CONT");
        resumed.unwrap_or_else(|error| panic!("{} is not resumed: {error}", self.setup.kind));
    }

    fn running(&mut self) -> &mut Process {
        let kind = self.setup.kind;
        let process = self.process.as_mut();
        process.unwrap_or_else(|| panic!("{kind} does not run"))
    }

    /// The last lines of what it printed.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}
