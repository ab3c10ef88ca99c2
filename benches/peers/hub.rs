//! The server that is measured: the real binary on a folder of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

/// Instances in one batch.
const BATCH: u32 = 1000;

pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) port: u16,
    pub(crate) client: reqwest::Client,
    child: Option<Child>,
    // Removed with this value, after the process ended.
    folder: tempfile::TempDir,
}

/// Services, instances of each.
pub(crate) type Size = (u32, u32);

impl Hub {
    /// On an empty SQLite file.
    pub(crate) async fn start() -> Self {
        // Where the checkout is, not where temporary files are: that may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut hub = Self { port: free_port(), client, child: None, folder };
        hub.run().await;
        hub
    }

    /// Starts the process; how long it took until it let requests in.
    pub(crate) async fn run(&mut self) -> Duration {
        let start = Instant::now();
        // Another build of the same source, to compare two.
        let other = std::env::var_os("HUB_REGISTRY_SERVER").map(PathBuf::from);
        let server = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_registry-server").into());
        let child = Command::new(server)
            .env("REGISTRY_DB_DSN", self.folder.path().join("registry.db"))
            .env("REGISTRY_HTTP_PORT", self.port.to_string())
            .env("REGISTRY__SERVER__METRICS__PORT", "null")
            .env("REGISTRY_LOG_LEVEL", "error")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        self.child = Some(child);
        while start.elapsed() < Duration::from_secs(120) {
            let answer = self.client.get(self.url("/ready")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return start.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no start");
    }

    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).unwrap()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Registers so many, with leases that outlive the run.
    pub(crate) async fn fill(&self, (services, each): Size) {
        self.fill_with((services, each), 36_000).await;
    }

    pub(crate) async fn fill_with(&self, (services, each): Size, lease_seconds: u32) {
        let all: Vec<_> = (0..services).flat_map(|s| (0..each).map(move |h| (s, h))).collect();
        for batch in all.chunks(BATCH as usize) {
            let instances: Vec<_> =
                batch.iter().map(|(s, h)| instance(*s, *h, lease_seconds)).collect();
            let url = self.url("/api/v1/instances/batch");
            let body = json!({ "instances": instances });
            let answer = self.client.post(url).json(&body).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            let results = answer["results"].as_array().unwrap_or_else(|| panic!("{answer}"));
            let failed = results.iter().find(|result| result.get("error").is_some());
            assert!(failed.is_none() && results.len() == batch.len(), "{failed:?}");
        }
    }

    /// Ids of so many instances.
    pub(crate) async fn ids(&self, count: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for page in 1.. {
            let url = self.url(&format!("/api/v1/instances?pageSize=1000&page={page}"));
            let answer: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
            let list = answer["instances"].as_array().unwrap();
            ids.extend(list.iter().map(|i| i["instanceId"].as_str().unwrap().to_owned()));
            if list.len() < 1000 || ids.len() >= count {
                break;
            }
        }
        ids.truncate(count);
        ids
    }
}

/// An instance of a service, as the hub's API takes it.
pub(crate) fn instance(service: u32, host: u32, lease_seconds: u32) -> Value {
    json!({
        "serviceName": format!("service-{service}"),
        "hostAddress": address(host),
        "portNumber": 8080,
        "leaseSeconds": lease_seconds,
        "metadata": { "version": "1.4.2", "zone": "z1" },
        "tags": ["blue"],
    })
}

pub(crate) fn address(host: u32) -> String {
    format!("10.{}.{}.{}", host >> 16 & 255, host >> 8 & 255, host & 255)
}

/// Processor time of a process so far, in seconds.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // After the name, which may hold anything: state is the first, utime the 12th, stime the 13th.
    let (_, rest) = stat.rsplit_once(')').unwrap();
    let fields: Vec<_> = rest.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // `sysconf(_SC_CLK_TCK)` is 100 on Linux.
    ticks as f64 / 100.0
}

/// Resident memory of a process, in megabytes.
pub(crate) fn resident_mb(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

pub(crate) fn signal(process: u32, name: &str) {
    let done = std::process::Command::new("kill")
        .args([&format!("-{name}"), &process.to_string()])
        .status();
    assert!(done.unwrap().success());
}
