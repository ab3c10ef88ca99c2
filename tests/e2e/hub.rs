//! A running `registry-server` with its own folder and ports.

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::described;

/// Where ports are looked for, and how many.
const FIRST_PORT: u16 = 7000;
const PORTS: u16 = 4000;
/// How long a start may take.
const START: Duration = Duration::from_secs(30);

pub(crate) struct Hub {
    pub dir: tempfile::TempDir,
    pub port: u16,
    pub client: reqwest::Client,
    environment: Vec<(&'static str, &'static str)>,
    child: Option<Child>,
}

impl Hub {
    /// A server on an empty folder.
    pub(crate) async fn start() -> Self {
        Self::with_config("").await
    }

    /// The same with more configuration, YAML.
    pub(crate) async fn with_config(more: &str) -> Self {
        Self::with(more, &[]).await
    }

    /// The same with variables in its environment.
    pub(crate) async fn with_environment(variables: &[(&'static str, &'static str)]) -> Self {
        Self::with("", variables).await
    }

    /// Both.
    pub(crate) async fn with(more: &str, variables: &[(&'static str, &'static str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = format!(
            "server:\n  http:\n    port: {port}\n  metrics:\n    port: null\n\
             database:\n  dsn: {}\nlog:\n  format: text\n{more}",
            dir.path().join("registry.db").display(),
        );
        std::fs::write(dir.path().join("registry.yaml"), config).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let environment = variables.to_vec();
        let mut hub = Self { dir, port, client, environment, child: None };
        hub.run().await;
        hub
    }

    /// Starts the process and waits until it lets requests in.
    pub(crate) async fn run(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        let child = Command::new(server())
            .arg("-config")
            .arg(self.dir.path().join("registry.yaml"))
            .current_dir(self.dir.path())
            .envs(self.environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let end = Instant::now() + START;
        loop {
            // 401 is an answer of a server that has loaded everything.
            let answer = self.client.get(self.url("/api/v1/services")).send().await;
            let up = |status: StatusCode| status.is_success() || status == StatusCode::UNAUTHORIZED;
            if answer.is_ok_and(|answer| up(answer.status())) {
                return;
            }
            let ended = self.child.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "no start: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The end of its log, each line cut short.
    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().rev().take(30).collect();
        let cut = |line: &&str| line.chars().take(240).collect::<String>();
        lines.iter().rev().map(cut).collect::<Vec<_>>().join("\n")
    }

    /// Runs a command of the binary with this server's configuration; its standard output.
    pub(crate) async fn command(&self, arguments: &[&str]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_registry-server"))
            .arg("--config")
            .arg(self.dir.path().join("registry.yaml"))
            .args(arguments)
            .current_dir(self.dir.path())
            .envs(self.environment.iter().copied())
            .output()
            .await
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// SIGKILL, as a crash.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().await.unwrap();
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id().unwrap()
    }

    /// Waits until the process has ended; its exit code.
    pub(crate) async fn ended(&mut self, within: Duration) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let status = tokio::time::timeout(within, child.wait()).await;
        status.unwrap_or_else(|_| panic!("no end: {}", self.log())).unwrap().code()
    }

    /// Sends this signal, as `-STOP`.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().unwrap().to_string();
        Command::new("kill").args([signal, &id]).status().await.unwrap();
    }

    /// SIGTERM, as an operator; the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().unwrap();
        let id = child.id().unwrap().to_string();
        Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        let status = tokio::time::timeout(Duration::from_secs(40), child.wait()).await;
        status.expect("SIGTERM ends the server").unwrap().code()
    }

    /// One request; its answer is held against the description of the API.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (StatusCode, Value) {
        let mut request = self.client.request(method.clone(), self.url(path));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap_or_else(|e| panic!("{path}: {e}; {}", self.log()));
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.unwrap();
        described::check(&method, path, status, &headers, &text);
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.send(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.send(Method::PUT, path, Some(body)).await
    }

    /// Asks until the answer satisfies.
    pub(crate) async fn until(
        &self,
        path: &str,
        within: Duration,
        satisfied: impl Fn(StatusCode, &Value) -> bool,
    ) -> Duration {
        let start = Instant::now();
        loop {
            let (status, body) = self.get(path).await;
            if satisfied(status, &body) {
                return start.elapsed();
            }
            assert!(
                start.elapsed() < within,
                "{path} not as expected within {within:?}: {status} {body:#}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The value of a metric line that begins so.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let (_, text) = self.get("/metrics").await;
        let text = text.as_str().unwrap().to_owned();
        let found = text.lines().find_map(|l| l.strip_prefix(line)).unwrap_or("0");
        found.trim().parse().unwrap()
    }
}

/// The server that is tested: another build of it for measurements.
fn server() -> OsString {
    let other = std::env::var_os("HUB_REGISTRY_SERVER");
    other.unwrap_or_else(|| env!("CARGO_BIN_EXE_registry-server").into())
}

/// A port that is free together with the one above it by 1000, where a hub answers clients of Nacos.
/// Of each two thousand the lower half, so that no hub's other port is the main one of another; and
/// below those that the system gives to connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| AtomicU16::new(std::process::id() as u16));
    for _ in 0..PORTS {
        let place = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST_PORT + place / 1000 * 2000 + place % 1000;
        let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(port) && is_free(port + 1000) {
            return port;
        }
    }
    panic!("no free port");
}
