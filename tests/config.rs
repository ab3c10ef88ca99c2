//! The shipped example and the documentation say what the code does.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use hub_registry::api::{ApiSettings, description};
use hub_registry::config::{Args, Config, Env, keys, load};
use serde_json::Value;

const EXAMPLE: &str = "configs/registry.yaml.example";
const TABLE: &str = "docs/configuration.md";
const DESCRIPTION: &str = "docs/openapi.json";

fn read(path: &Path) -> Config {
    let args = Args { config: Some(path.to_owned()), ..Args::default() };
    load(&args, &Env::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The defaults as the example has them: it listens everywhere, as the image must.
fn expected() -> Config {
    let mut config = Config::default();
    config.server.http.host = "0.0.0.0".to_owned();
    config.server.metrics.host = "0.0.0.0".to_owned();
    config.security.enabled = Some(true);
    config
}

#[test]
fn the_example_holds_the_defaults() {
    let example = read(Path::new(EXAMPLE));
    assert_eq!(example.to_yaml().unwrap(), expected().to_yaml().unwrap());
}

/// Keys that are commented out have no blank behind the `#`; prose has one.
#[test]
fn the_example_has_every_key() {
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| match line.split_once('#') {
            Some((indent, rest)) if rest.starts_with(char::is_alphabetic) => {
                format!("{indent}{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.yaml");
    std::fs::write(&path, uncommented).unwrap();

    let example = read(&path);
    assert_eq!(example.to_yaml().unwrap(), expected().to_yaml().unwrap());
    let missing: Vec<_> = keys::all().filter(|key| !example.origins.contains(key.path)).collect();
    assert!(missing.is_empty(), "{EXAMPLE} lacks {missing:?}");
}

#[test]
fn every_field_has_a_key() {
    let mut fields = Vec::new();
    leaves("", &serde_json::to_value(Config::default()).unwrap(), &mut fields);
    fields.sort();
    let mut paths: Vec<_> = keys::all().map(|key| key.path.to_owned()).collect();
    paths.sort();
    assert_eq!(fields, paths);
}

#[test]
fn the_table_in_the_documentation_is_up_to_date() {
    up_to_date(TABLE, &table());
}

#[test]
fn the_description_of_the_api_is_up_to_date() {
    let description = description(&ApiSettings::from(&Config::default()));
    up_to_date(DESCRIPTION, &format!("{description:#}\n"));
}

/// Whether the committed file is what the code says, or makes it so.
fn up_to_date(file: &str, text: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some_and(|value| value == "1") {
        std::fs::write(file, text).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(
        committed == text,
        "{file} is not what the code says: run the tests with UPDATE_DOCS=1"
    );
}

fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(&path, value, found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

const INTRODUCTION: &str = "\
# Configuration

<!-- Written by tests/config.rs from src/config: change it there and run the tests with UPDATE_DOCS=1. -->

Three layers, the later wins: the defaults below, a YAML file, the environment.

- The file is the one of `--config FILE` (or `-config FILE`), else of `REGISTRY_CONFIG_FILE`; with
  neither there is none. `configs/registry.yaml.example` has every key. A key that is left out, or
  has nothing behind its colon, has its default.
- Every key has a variable: `REGISTRY__`, then its path in any case with `__` for the dots, as
  `REGISTRY__SERVER__HTTP__PORT`. Three have a short one too: `REGISTRY_DB_DSN`,
  `REGISTRY_HTTP_PORT`, `REGISTRY_LOG_LEVEL`. A variable that is empty counts as not set; a list is
  written with commas; `null` is null.
- Durations are written as Go does: `500ms`, `30s`, `1m30s`.
- An unknown key, an unknown `REGISTRY__` variable or a value that breaks its rule stops the start.
  All of them are named at once, each with its file and line or its variable, and what is allowed.
- A password in `database.dsn` is shown as `***` wherever the hub writes it.

| key | default | allowed | what |
|---|---|---|---|
";

fn table() -> String {
    let defaults = serde_json::to_value(Config::default()).unwrap();
    let mut text = INTRODUCTION.to_owned();
    for key in keys::all() {
        let default = key.path.split('.').fold(&defaults, |place, name| &place[name]);
        let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        let (path, allowed, about) = (key.path, key.allowed(), key.about);
        text.push_str(&format!("| `{path}` | `{default}` | {allowed} | {about} |\n"));
    }
    text
}
