//! `ctl events` against a running hub, and one that is killed.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::ctl::{ctl, done, said};
use crate::events::{log, register};
use crate::hub::Hub;

const SOON: Duration = Duration::from_secs(20);

struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(hub: &Hub, more: &[&str]) -> Self {
        let line = [&["events", "--watch"], more].concat();
        let mut command = ctl(&hub.url(""), &line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = tokio::time::timeout(SOON, self.lines.next_line()).await;
        line.expect("a line in time").unwrap().expect("a line")
    }

    async fn event(&mut self) -> Value {
        serde_json::from_str(&self.line().await).unwrap()
    }

    /// Ctrl-C; the exit code and what was said.
    async fn interrupt(self) -> (Option<i32>, String) {
        let id = self.child.id().unwrap().to_string();
        Command::new("kill").args(["-INT", &id]).status().await.unwrap();
        let output = tokio::time::timeout(SOON, self.child.wait_with_output()).await;
        let output = output.expect("it ends").unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }
}

async fn followed(hub: &Hub) {
    let followers = |_, text: &Value| {
        text.as_str().unwrap().contains("hub_registry_event_subscribers{transport=\"sse\"} 1\n")
    };
    hub.until("/metrics", SOON, followers).await;
}

#[tokio::test]
async fn what_happened_is_listed_in_each_form() {
    let hub = Hub::start().await;
    for port in 1..=5 {
        register(&hub, "web", port).await;
    }
    let table = done(&hub, &["events", "--type", "INSTANCE_REGISTER", "--limit", "2"]).await;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("TIME") && lines.len() == 4, "{table}");
    assert!(lines[2].contains("10.0.0.1") && lines[2].contains("INSTANCE_REGISTER"), "{table}");
    assert_eq!(lines[3], "(2 of 5: --limit, --since)");
    let json = done(&hub, &["events", "--service", "web", "-o", "json"]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["events"].as_array().unwrap(), &log(&hub, "&serviceName=web").await);
    let since = json["events"][3]["id"].as_str().unwrap();
    let yaml = done(&hub, &["events", "--since", since, "-o", "yaml"]).await;
    assert!(yaml.contains("portNumber: 5") && !yaml.contains("portNumber: 1\n"), "{yaml}");
    assert!(done(&hub, &["events", "--group", "none"]).await.contains("(none)"));
}

#[tokio::test]
async fn watching_goes_on_after_a_kill_without_a_gap_and_ends_with_ctrl_c() {
    let mut hub = Hub::start().await;
    register(&hub, "before", 1).await;
    let start = log(&hub, "").await.last().unwrap()["id"].as_str().unwrap().to_owned();
    let mut watching = Watching::start(&hub, &["-o", "json"]);
    followed(&hub).await;
    register(&hub, "web", 1).await;
    assert_eq!(watching.event().await["eventType"], "SERVICE_CREATE");
    assert_eq!(watching.event().await["portNumber"], 1);
    hub.kill().await;
    hub.run().await;
    // It may not be back yet.
    register(&hub, "web", 2).await;
    assert_eq!(watching.event().await["portNumber"], 2);
    hub.kill().await;
    let mut seen = Vec::new();
    hub.run().await;
    for port in 3..=20 {
        register(&hub, "web", port).await;
        seen.push(watching.event().await);
    }
    assert_eq!(seen, log(&hub, &format!("&afterId={start}")).await[3..]);
    let last = seen.last().unwrap()["id"].as_str().unwrap().to_owned();
    let (code, error) = watching.interrupt().await;
    assert_eq!(code, Some(130), "{error}");
    assert!(
        error.contains("trying again") && error.contains(&format!("--since {last}")),
        "{error}"
    );
}

#[tokio::test]
async fn watching_shows_rows_and_documents_and_ends_after_so_many() {
    let hub = Hub::start().await;
    register(&hub, "web", 1).await;
    let since = log(&hub, "").await[0]["id"].as_str().unwrap().to_owned();
    let line = ["events", "--watch", "--changes", "2", "--since", &since];
    let rows = done(&hub, &line).await;
    assert_eq!(rows.lines().count(), 2, "{rows}");
    assert!(rows.contains("INSTANCE_REGISTER") && rows.contains("10.0.0.1"), "{rows}");
    let yaml = done(&hub, &[&line[..], &["-o", "yaml"]].concat()).await;
    assert_eq!(yaml.matches("---\n").count(), 2, "{yaml}");
    // What cannot be told is said.
    let future = ["events", "--watch", "--changes", "1", "--since", "9007199254740991"];
    assert!(done(&hub, &future).await.starts_with("RESYNC: "));
    let json = done(&hub, &[&future[..], &["-o", "json"]].concat()).await;
    assert!(json.starts_with("{\"eventType\":\"RESYNC\""), "{json}");
}

#[tokio::test]
async fn exit_codes_say_why_nothing_is_followed() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let token = hub.command(&["token", "create", "--user", "me", "--role", "writer"]).await;
    let watch = ["events", "--watch"];
    let none = said(ctl(&hub.url(""), &watch)).await;
    assert_eq!(none.code, 1, "{}", none.err);
    let away = said(ctl("http://127.0.0.1:9", &watch)).await;
    assert_eq!(away.code, 4, "{}", away.err);
    for (more, code) in [
        (&["--limit", "1"][..], 2),
        (&["--from", "2026-01-01T00:00:00Z"], 2),
        (&["--since", "x"], 1),
        (&["--type", "NONSENSE"], 1),
    ] {
        let line = [&watch[..], more, &["--token", &token]].concat();
        let refused = said(ctl(&hub.url(""), &line)).await;
        assert_eq!(refused.code, code, "{more:?}: {}", refused.err);
        assert!(refused.out.is_empty());
    }
    let off = Hub::with_config("event:\n  enabled: false\n").await;
    assert_eq!(said(ctl(&off.url(""), &watch)).await.code, 3);

    // A credential that ends, ends it.
    let register = ["instances", "register", "--service", "web", "--host", "h", "--port", "80"];
    done(&hub, &[&register[..], &["--token", &token]].concat()).await;
    let mut watching = Watching::start(&hub, &["--token", &token, "--since", "0"]);
    while !watching.line().await.contains("INSTANCE_REGISTER") {}
    let tokens = hub.command(&["token", "list"]).await;
    let id = tokens.lines().find(|line| line.contains("  me  ")).unwrap();
    hub.command(&["token", "revoke", id.split(' ').next().unwrap()]).await;
    let output = tokio::time::timeout(SOON * 2, watching.child.wait_with_output()).await;
    let output = output.expect("it ends").unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("the credential is unknown or has ended"), "{error}");
}
