//! A client of a registry that runs as a program: it is told lines, and answers with JSON.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, timeout};

use crate::hub::Hub;

/// How long a client may take to see a change: some ask every second.
pub(super) const SOON: Duration = Duration::from_secs(20);
/// How long one that was killed may be there: three leases.
const GONE: Duration = Duration::from_secs(60);
/// How long one may take to start: it may be a JVM.
const START: Duration = Duration::from_secs(60);

/// A program in Java of this class, in `NAME.jar` and what it needs of `NAME-lib`.
pub(super) fn java(name: &str, class: &str, installed: &Path) -> Command {
    let path = [installed.join(format!("{name}.jar")), installed.join(format!("{name}-lib/*"))];
    let path = path.map(|path| path.display().to_string()).join(":");
    let mut command = Command::new("java");
    command.args(["-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", &path]);
    command.arg(format!("hub.registry.client.{class}"));
    command
}

/// Of the programs in `tests/clients/REGISTRY`, the one in this language, with what it needs from
/// where `tests/servers/install` put it.
pub(super) fn program(registry: &str, language: &str, installed: &Path) -> Command {
    let programs = Path::new("tests/clients").join(registry);
    let libraries = installed.join(format!("{registry}-clients"));
    match language {
        "python" => {
            let mut command = Command::new(libraries.join("python/bin/python"));
            command.arg(programs.join("client.py"));
            command
        }
        "javascript" => {
            let mut command = Command::new("node");
            command.arg(programs.join("client.js"));
            command.env("NODE_PATH", libraries.join("node_modules"));
            command
        }
        _ => Command::new(libraries.join("client")),
    }
}

/// A client that runs.
pub(super) struct Client {
    /// What it is written in; also the service it is.
    pub(super) name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    pub(super) async fn start(name: &'static str, mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut client = Self { name, child, input, lines: BufReader::new(output).lines() };
        let ready = timeout(START, client.answer()).await;
        assert_eq!(ready.unwrap_or_default(), json!({ "ready": true }), "{name}");
        client
    }

    /// Its next answer; what it logs in between is passed over.
    pub(super) async fn answer(&mut self) -> Value {
        loop {
            let line = self.lines.next_line().await.unwrap();
            let line = line.unwrap_or_else(|| panic!("{} has ended", self.name));
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    /// Tells it a line; its answer.
    pub(super) async fn say(&mut self, line: &str) -> Value {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        input.flush().await.unwrap();
        timeout(SOON, self.answer()).await.unwrap_or_else(|_| panic!("{}: {line}", self.name))
    }

    /// Looks until it sees what is expected of a service.
    pub(super) async fn until(
        &mut self,
        name: &str,
        expected: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        let end = Instant::now() + SOON;
        loop {
            let answer = self.say(&format!("find {name}")).await;
            let found = answer["found"].as_array().unwrap().clone();
            if expected(&found) {
                return found;
            }
            assert!(Instant::now() < end, "{} sees of {name}: {answer}", self.name);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What it was told last of a service that it watches, once that is as expected.
    pub(super) async fn seen(&mut self, name: &str, expected: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let seen = self.say(&format!("seen {name}")).await["seen"].clone();
            if expected(&seen) {
                return seen;
            }
            assert!(Instant::now() < end, "{} was told of {name}: {seen}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// It finds itself, ends as a client does that was told to, and is gone at once: what the hub
    /// answers at this path is then as expected.
    pub(super) async fn finds_itself_and_leaves(
        mut self,
        hub: &Hub,
        path: &str,
        is_gone: impl Fn(u16, &Value) -> bool,
    ) {
        let name = self.name;
        self.until(name, |found| found.len() == 1).await;
        drop(self.input.take());
        let ended = timeout(SOON, self.child.wait()).await;
        assert!(ended.is_ok(), "{name} does not end");
        let (status, body) = ask(hub, path).await;
        assert!(is_gone(status, &body), "{name}, {path}: {status} {body}");
    }
}

async fn ask(hub: &Hub, path: &str) -> (u16, Value) {
    let request = hub.client.get(hub.url(path)).header("accept", "application/json");
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Asks the hub until the answer is as expected.
pub(super) async fn asked(hub: &Hub, path: &str, expected: impl Fn(u16, &Value) -> bool) {
    let end = Instant::now() + GONE;
    loop {
        let (status, body) = ask(hub, path).await;
        if expected(status, &body) {
            return;
        }
        assert!(Instant::now() < end, "{path}: {status} {body}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
