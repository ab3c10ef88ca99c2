//! `wrk`, driven: what it is to send, and what came of it.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;
use tokio::process::Command;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Call {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn new(
        method: &'static str,
        path: impl Into<String>,
        body: impl Into<String>,
    ) -> Self {
        let headers = Vec::new();
        let mut call = Self { method, path: path.into(), headers, body: body.into() };
        if !call.body.is_empty() {
            call.headers.push(("content-type", "application/json".to_owned()));
        }
        call
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) async fn send(&self, client: &reqwest::Client, port: u16) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{port}{}", self.path);
        let mut request = client.request(self.method.parse().unwrap(), url);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.clone()).send().await.unwrap()
    }

    /// As Lua's call that makes the bytes of it.
    fn lua(&self, text: impl Fn(&str) -> String) -> String {
        let Self { method, path, headers, body } = self;
        let mut table = String::new();
        for (name, value) in headers {
            write!(table, "[\"{name}\"] = {}, ", quoted(value)).unwrap();
        }
        format!("wrk.format(\"{method}\", {}, {{ {table} }}, {})", text(path), text(body))
    }
}

/// What is sent again and again.
#[derive(Clone, Debug)]
pub(crate) enum Load {
    /// One of these at random.
    Any(Vec<Call>),
    /// This one, each time for another instance, of so many services: `{s}` in path and body is the
    /// number of its service, `{host}` its address, `{n}` its number, counted from here.
    Next { call: Call, services: u32, first: u32 },
}

/// What came of it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Figures {
    /// Answers a second.
    pub(crate) rate: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Answers in all.
    pub(crate) count: u64,
}

/// Long strings of Lua know no escapes.
fn quoted(text: &str) -> String {
    assert!(!text.contains("]==]"));
    format!("[==[{text}]==]")
}

fn script(load: &Load) -> String {
    let mut lua = String::new();
    match load {
        Load::Any(calls) => {
            lua.push_str("local all = {}\ninit = function()\n");
            for call in calls {
                writeln!(lua, "all[#all + 1] = {}", call.lua(quoted)).unwrap();
            }
            lua.push_str("end\nrequest = function() return all[math.random(#all)] end\n");
        }
        Load::Next { call, services, first } => {
            let filled = |text: &str| match text.contains('{') {
                true => format!("(({}):gsub(\"{{(%l+)}}\", v))", quoted(text)),
                false => quoted(text),
            };
            write!(
                lua,
                "local n = {first}\nlocal v = {{}}\nlocal floor = math.floor\n\
                 request = function()\n\
                 local h = floor(n / {services})\n\
                 v.n = n\nv.s = n % {services}\n\
                 v.host = \"10.\" .. floor(h / 65536) % 256 .. \".\" .. floor(h / 256) % 256 .. \".\" .. h % 256\n\
                 n = n + 1\n\
                 return {}\nend\n",
                call.lua(filled)
            )
            .unwrap();
        }
    }
    lua.push_str(
        "done = function(summary, latency)\n\
         io.write(string.format(\"RESULT %d %d %d %d %d\\n\", summary.requests, summary.duration,\n\
         latency:percentile(50), latency:percentile(99), summary.errors.status\n\
         + summary.errors.connect + summary.errors.read + summary.errors.timeout))\nend\n",
    );
    lua
}

/// Sends the load for so long from so many connections.
///
/// # Panics
/// When one of the answers is an error.
pub(crate) async fn run(port: u16, load: &Load, connections: u32, seconds: u32) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("load.lua");
    std::fs::write(&file, script(load)).unwrap();
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{connections}"), &format!("-d{seconds}s"), "--timeout", "10s"])
        .arg("-s")
        .arg(&file)
        .arg(format!("http://127.0.0.1:{port}"))
        .kill_on_drop(true)
        .output()
        .await
        .expect("wrk is needed for this");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix("RESULT "));
    let line = line.unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
    let numbers: Vec<f64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
    let [requests, micros, p50, p99, errors] = numbers[..] else { panic!("{line}") };
    assert!(errors == 0.0, "{errors} of {requests} failed:\n{text}");
    let took = Duration::from_micros(micros as u64).as_secs_f64();
    let (p50_ms, p99_ms) = (p50 / 1000.0, p99 / 1000.0);
    Figures { rate: requests / took, p50_ms, p99_ms, count: requests as u64 }
}

/// The median of each figure.
pub(crate) fn median(all: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut sorted: Vec<_> = all.iter().map(figure).collect();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    Figures {
        rate: of(|one| one.rate),
        p50_ms: of(|one| one.p50_ms),
        p99_ms: of(|one| one.p99_ms),
        count: all.iter().map(|one| one.count).sum(),
    }
}
