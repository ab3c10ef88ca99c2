//! The log: where it goes, what is in a line, and that nothing about it stops the server.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::hub::Hub;

const LONG: Duration = Duration::from_secs(30);
const LEVEL: &str = "/api/v1/ops/log-level";
const FILE: (&str, &str) = ("REGISTRY__LOG__FILE__PATH", "logs/registry.log");
const AS_JSON: (&str, &str) = ("REGISTRY__LOG__FORMAT", "json");

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    if path.extension().is_some_and(|ending| ending == "gz") {
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

/// Reads until it satisfies: the log is written by a thread of its own.
async fn until<T>(what: &str, read: impl Fn() -> T, satisfied: impl Fn(&T) -> bool) -> T {
    let end = Instant::now() + LONG;
    loop {
        let found = read();
        if satisfied(&found) {
            return found;
        }
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn every_line_of_a_request_has_its_id() {
    let hub = Hub::with("", &[FILE, AS_JSON, ("REGISTRY_LOG_LEVEL", "debug")]).await;
    let file = hub.dir.path().join("logs/registry.log");
    let body = json!({ "level": "debug" });
    let url = hub.url(&format!("{LEVEL}?"));
    let request = hub.client.put(url).header("x-request-id", "trace-4711").json(&body);
    let answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["x-request-id"].to_str().unwrap()),
        (200, "trace-4711")
    );
    let made = hub.client.get(hub.url("/api/v1/services?token=hidden")).send().await.unwrap();
    let made = made.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(made.len(), 16);

    let of = |id: &str| {
        let found = lines(&read(&file)).into_iter().filter(|line| line["request.id"] == id);
        found.collect::<Vec<_>>()
    };
    let first = until("the lines of the request", || of("trace-4711"), |l| l.len() >= 2).await;
    let messages: Vec<_> = first.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, ["the log level was changed", "request"]);
    assert_eq!(first[0]["by"], "system");
    let access = &first[1];
    assert_eq!(
        (&access["method"], &access["route"], &access["path"], &access["status"]),
        (&json!("PUT"), &json!(LEVEL), &json!(LEVEL), &json!(200))
    );
    assert!(
        access["took_us"].is_u64() && access["peer"].as_str().unwrap().starts_with("127.0.0.1:")
    );
    let second = until("the other request", || of(&made), |l| !l.is_empty()).await;
    assert_eq!(
        (&second[0]["status"], &second[0]["path"]),
        (&json!(400), &json!("/api/v1/services"))
    );
    assert!(!read(&file).contains("hidden") && !hub.log().contains("hidden"));
    // The same on standard output, which is written by another thread.
    let has_it = |log: &String| lines(log).iter().any(|line| line["request.id"] == "trace-4711");
    until("the line on standard output", || hub.log(), has_it).await;
}

#[tokio::test]
async fn the_level_is_changed_while_it_runs_and_for_a_time() {
    let hub = Hub::start().await;
    let (status, before) = hub.get(LEVEL).await;
    assert_eq!(
        (status.as_u16(), before),
        (200, json!({ "level": "info", "configured": "info", "until": null }))
    );
    assert!(!hub.log().contains("hub_registry::access"));
    let (status, state) =
        hub.put(LEVEL, &json!({ "level": "warn,hub_registry::access=debug", "for": "2s" })).await;
    assert_eq!(
        (status.as_u16(), &state["level"]),
        (200, &json!("warn,hub_registry::access=debug"))
    );
    assert!(state["until"].is_string());
    hub.get("/api/v1/groups").await;
    until("an access line", || hub.log(), |log| log.contains("route=/api/v1/groups")).await;
    hub.until(LEVEL, LONG, |_, state| state["level"] == "info" && state["until"].is_null()).await;
    until(
        "a word about it",
        || hub.log(),
        |log| log.contains("the configured log level counts again"),
    )
    .await;

    // Whoever turns it off leaves a trace.
    let (_, state) = hub.put(LEVEL, &json!({ "level": "OFF" })).await;
    assert_eq!(state["level"], "off");
    until("the trace", || hub.log(), |log| log.contains("before=info level=off")).await;
    // What a GET answers may be put back.
    let (status, _) = hub.put(LEVEL, &state).await;
    assert_eq!(status, 200);
    for (body, field) in [
        (json!({}), "level"),
        (json!({ "level": 3 }), "level"),
        (json!({ "level": "loud" }), "level"),
        (json!({ "level": "info,hyper=trace" }), "level"),
        (json!({ "level": "info", "for": "ten" }), "for"),
        (json!({ "level": "info", "for": "0s" }), "for"),
        (json!({ "level": "info", "for": 5 }), "for"),
        (json!({ "level": "info", "until": "x", "colour": 1 }), "colour"),
    ] {
        let (status, error) = hub.put(LEVEL, &body).await;
        assert_eq!(
            (status.as_u16(), &error["details"]["field"]),
            (400, &json!(field)),
            "{body} {error}"
        );
        assert!(error["details"]["rule"].is_string(), "{error}");
    }
}

#[tokio::test]
async fn files_are_bounded_and_lose_nothing_between_them() {
    let environment = [
        FILE,
        AS_JSON,
        ("REGISTRY__LOG__FILE__MAXSIZE", "8KiB"),
        ("REGISTRY__LOG__FILE__MAXTOTALSIZE", "1MB"),
        ("REGISTRY__LOG__FILE__MAXFILES", "1000"),
        ("REGISTRY__LOG__ACCESS", "true"),
    ];
    let hub = Hub::with("", &environment).await;
    let count = 400;
    for number in 0..count {
        let path = format!("/api/v1/services/none-{number}");
        assert_eq!(hub.send(Method::GET, &path, None).await.0, 404);
    }
    let folder = hub.dir.path().join("logs");
    let paths = || {
        let mut paths: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let seen = || -> BTreeSet<String> {
        // Between listing and reading a file may have been compressed.
        let texts = paths().into_iter().filter(|path| path.exists()).map(|path| read(&path));
        let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        let lines = lines.filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        lines.filter_map(|line| line["path"].as_str().map(str::to_owned)).collect()
    };
    let all = until("every request in some file", seen, |seen| {
        (0..count).all(|number| seen.contains(&format!("/api/v1/services/none-{number}")))
    });
    all.await;
    let compressed = |path: &std::path::PathBuf| path.to_string_lossy().ends_with(".log.gz");
    until("compressed files", paths, |paths| paths.iter().filter(|p| compressed(p)).count() > 5)
        .await;
    for path in paths() {
        if path.exists() && !compressed(&path) {
            assert!(std::fs::metadata(&path).map_or(0, |meta| meta.len()) <= 8192, "{path:?}");
        }
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.join("registry.log")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o640 & mode & 0o777);
    assert_eq!(mode & 0o007, 0);
}

#[tokio::test]
async fn what_logrotate_moved_away_is_begun_anew() {
    let hub = Hub::with("", &[FILE, ("REGISTRY__LOG__ACCESS", "true")]).await;
    let file = hub.dir.path().join("logs/registry.log");
    let moved = hub.dir.path().join("logs/registry.log.1");
    until("the first lines", || read(&file), |text| text.contains("ready")).await;
    std::fs::rename(&file, &moved).unwrap();
    hub.get("/api/v1/groups").await;
    until("the old file", || read(&moved), |text| text.contains("/api/v1/groups")).await;
    hub.signal("-HUP").await;
    until("a new file", || file.exists(), |exists| *exists).await;
    hub.get("/api/v1/stats").await;
    until("the new file", || read(&file), |text| text.contains("/api/v1/stats")).await;
    assert!(!read(&moved).contains("/api/v1/stats"));
}

#[tokio::test]
async fn a_full_disk_stops_nobody_and_is_told() {
    // Every write to it fails as on a full disk.
    let hub = Hub::with(
        "",
        &[("REGISTRY__LOG__FILE__PATH", "/dev/full"), ("REGISTRY_LOG_LEVEL", "debug")],
    )
    .await;
    for number in 0..50 {
        let body = json!({ "serviceName": format!("s{number}"), "hostAddress": "10.0.0.1", "portNumber": 80 });
        assert_eq!(hub.post("/api/v1/instances", &body).await.0, 201);
    }
    let lost = "hub_registry_log_lost_lines_total{place=\"file\",reason=\"write_failed\"}";
    assert!(hub.metric(lost).await > 50.0);
    let log = until("a word about it", || hub.log(), |log| log.contains("lines are lost")).await;
    assert_eq!(log.matches("the log cannot be written: lines are lost").count(), 1, "{log}");
}

#[tokio::test]
async fn standard_output_that_nobody_reads_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let port = crate::hub::free_port();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_registry-server"))
        .current_dir(folder.path())
        .env("REGISTRY_HTTP_PORT", port.to_string())
        .env("REGISTRY__SERVER__METRICS__PORT", "null")
        .env("REGISTRY_LOG_LEVEL", "trace")
        .env("REGISTRY__LOG__ACCESS", "true")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{port}/api/v1/services");
    let end = Instant::now() + LONG;
    while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
        assert!(Instant::now() < end, "no start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // A pipe holds 64 KiB.
    for _ in 0..3000 {
        assert!(client.get(&url).send().await.unwrap().status().is_success());
    }
    let id = child.id().unwrap().to_string();
    tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    let status = tokio::time::timeout(LONG, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_leaves_standard_output() {
    // A file stands where the folder should.
    let environment = [
        ("REGISTRY__LOG__FILE__PATH", "registry.yaml/registry.log"),
        ("REGISTRY__LOG__STDOUT", "false"),
    ];
    let hub = Hub::with("", &environment).await;
    let log = until("a warning", || hub.log(), |log| log.contains("cannot be written")).await;
    assert!(log.contains(
        "the log file cannot be written: standard output is used path=registry.yaml/registry.log"
    ));
    assert!(log.contains(" ready "), "{log}");
}

#[tokio::test]
async fn no_value_makes_a_line_of_its_own() {
    let forged = "evil\n2026-01-01T00:00:00Z ERROR hub: forged\r\u{1b}[31m\u{9b}1m\u{2028}{\"level\":\"ERROR\"}";
    for format in ["json", "text"] {
        let hub =
            Hub::with("", &[("REGISTRY__LOG__FORMAT", format), ("REGISTRY_LOG_LEVEL", "debug")])
                .await;
        let url = format!("sqlite://{}", hub.dir.path().join("registry.db").display());
        let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
        sqlx::query(
            "INSERT INTO HUB_REGISTRY_EXTERNAL_CONFIG (tenantId, configName, registryType, serverAddress)
             VALUES ('default', ?, 'CONSUL', ?)",
        )
        .bind(forged)
        .bind(forged)
        .execute(&pool)
        .await
        .unwrap();
        let log = until("a line about the row", || hub.log(), |log| log.contains("forged")).await;
        let is_bad = |c: char| c != '\n' && (c.is_control() || c == '\u{2028}');
        assert!(!log.contains(is_bad), "{log}");
        assert!(!log.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z")), "{log}");
        if format == "json" {
            lines(&log);
        }
    }
}
