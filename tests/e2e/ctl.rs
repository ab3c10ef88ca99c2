//! The command line against a running hub: the real binary on both sides.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::hub::Hub;

pub(crate) struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub(crate) fn ctl(server: &str, line: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry-server"));
    command.args(["ctl", "--server", server]).args(line).stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub(crate) async fn said(mut command: Command) -> Said {
    let output = command.output().await.unwrap();
    Said {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

pub(crate) async fn done(hub: &Hub, line: &[&str]) -> String {
    let said = said(ctl(&hub.url(""), line)).await;
    assert_eq!(said.code, 0, "{line:?}: {}", said.err);
    said.out
}

const REGISTER: [&str; 8] =
    ["instances", "register", "--service", "web", "--host", "10.0.0.1", "--port", "80"];

#[tokio::test]
async fn the_life_of_an_instance_on_the_command_line() {
    let hub = Hub::start().await;
    let made = done(&hub, &[&REGISTER[..], &["--metadata", "zone=a", "-o", "json"]].concat()).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["instanceId"].as_str().unwrap().to_owned();

    let table = done(&hub, &["services", "instances", "web"]).await;
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("GROUP") && lines.len() == 2, "{table}");
    assert!(lines[1].contains("10.0.0.1") && lines[1].ends_with(&id), "{table}");
    assert!(!table.contains(['│', '\x1b']), "no borders and colours in a pipe: {table}");

    done(&hub, &["instances", "set-status", &id, "--status", "out_of_service"]).await;
    done(&hub, &["instances", "set-health", &id, "--health", "HEALTHY"]).await;
    done(&hub, &["instances", "update", &id, "--weight", "7"]).await;
    let yaml = done(&hub, &["instances", "get", &id, "-o", "yaml"]).await;
    for line in ["instanceStatus: OUT_OF_SERVICE", "healthStatus: HEALTHY", "weightValue: 7"] {
        assert!(yaml.contains(line), "{yaml}");
    }
    let list: Value =
        serde_json::from_str(&done(&hub, &["services", "list", "-o", "json"]).await).unwrap();
    assert_eq!(list["services"][0]["serviceName"], "web");

    assert!(done(&hub, &["instances", "deregister", &id]).await.contains("deregistered"));
    let gone = said(ctl(&hub.url(""), &["instances", "get", &id])).await;
    assert_eq!((gone.code, &*gone.out), (3, ""), "{}", gone.err);
    assert!(gone.err.contains("no such instance (404"), "{}", gone.err);
    assert!(done(&hub, &["services", "instances", "web"]).await.contains("(none)"));
}

#[tokio::test]
async fn refusals_are_told_with_the_rule_and_a_code() {
    let hub = Hub::start().await;
    let refused = said(ctl(&hub.url(""), &[&REGISTER[..6], &["--port", "0"]].concat())).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("portNumber must be a whole number"), "{}", refused.err);
    let wrong = said(ctl(&hub.url(""), &["instances", "regster"])).await;
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    let away = said(ctl("http://127.0.0.1:9", &["services", "list"])).await;
    assert_eq!(away.code, 4, "{}", away.err);
    assert!(away.err.contains("http://127.0.0.1:9 does not answer"), "{}", away.err);

    let config = json!({ "configName": "closed", "registryType": "CONSUL",
        "serverAddress": "127.0.0.1:9", "activeFlag": "N" });
    assert_eq!(hub.post("/api/v1/external/configs", &config).await.0, 201);
    let test = said(ctl(&hub.url(""), &["external", "test", "closed"])).await;
    assert_eq!(test.code, 1, "{}{}", test.out, test.err);
    assert!(test.out.contains("failed at"), "{}", test.out);
}

#[tokio::test]
async fn tokens_come_from_options_files_and_the_environment() {
    let hub = Hub::with_config("security:\n  enabled: true\n").await;
    let token = hub.command(&["token", "create", "--user", "me", "--role", "reader"]).await;
    let line = ["groups", "list"];
    let none = said(ctl(&hub.url(""), &line)).await;
    assert_eq!(none.code, 1);
    assert!(none.err.contains("REGISTRY_TOKEN"), "{}", none.err);
    let mut from_environment = ctl(&hub.url(""), &line);
    from_environment.env("REGISTRY_TOKEN", &token);
    assert_eq!(said(from_environment).await.code, 0);
    let file = hub.dir.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let path = file.display().to_string();
    done(&hub, &["groups", "list", "--token-file", &path]).await;
    let write =
        said(ctl(&hub.url(""), &["groups", "create", "--name", "a", "--token", &token])).await;
    assert_eq!(write.code, 1, "a reader makes no groups: {}", write.err);
    assert!(!write.err.contains(&token));
}

#[tokio::test]
async fn watching_shows_each_change_of_a_service() {
    let hub = Hub::start().await;
    done(&hub, &REGISTER).await;
    let line = ["services", "instances", "web", "--watch", "--changes", "2", "-o", "json"];
    let mut command = ctl(&hub.url(""), &line);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let line = line.expect("a line in time").unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(next().await["count"], 1);
    let mut second = REGISTER;
    second[7] = "81";
    done(&hub, &second).await;
    assert_eq!(next().await["count"], 2);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn the_configuration_is_checked_and_printed() {
    let hub = Hub::start().await;
    assert_eq!(hub.command(&["check-config"]).await, "OK");
    let yaml = hub.command(&["print-config"]).await;
    assert!(yaml.contains(&format!("port: {}", hub.port)), "{yaml}");
    let sources = hub.command(&["print-config", "--sources"]).await;
    let of = |key: &str| sources.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    assert!(of("server.http.port ").contains("registry.yaml:3"), "{sources}");
    assert!(of("server.http.host ").ends_with("default"), "{sources}");
    assert!(hub.command(&["completions", "bash"]).await.contains("registry-server"));

    let broken = hub.dir.path().join("broken.yaml");
    std::fs::write(&broken, "server:\n  http:\n    prt: 1\nlog:\n  level: loud\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_registry-server"));
    command.arg("check-config").arg("-config").arg(&broken);
    let wrong = said(command).await;
    assert_eq!(wrong.code, 2);
    for part in ["broken.yaml:3", "broken.yaml:5", "server.http.prt", "log.level"] {
        assert!(wrong.err.contains(part), "{}", wrong.err);
    }
}
