//! The server under load: the real binary on a folder of its own.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

pub(crate) struct Hub {
    pub(crate) port: u16,
    client: reqwest::Client,
    // Ended and removed with this value.
    _child: Child,
    _folder: tempfile::TempDir,
}

impl Hub {
    /// On this database, or on a SQLite file.
    pub(crate) async fn start(dsn: Option<&str>) -> Self {
        // Where the checkout is, not where temporary files are: that may be memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let file = folder.path().join("registry.db");
        let dsn = dsn.map_or_else(|| file.display().to_string(), str::to_owned);
        let port = {
            let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let child = Command::new(env!("CARGO_BIN_EXE_registry-server"))
            .env("REGISTRY_DB_DSN", dsn)
            .env("REGISTRY_HTTP_PORT", port.to_string())
            .env("REGISTRY__SERVER__METRICS__PORT", "null")
            .env("REGISTRY_LOG_LEVEL", "warn")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let hub = Self { port, client, _child: child, _folder: folder };
        for _ in 0..600 {
            let answer = hub.client.get(hub.url("/api/v1/services")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return hub;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no start");
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Some ids of instances.
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
        ids
    }
}
