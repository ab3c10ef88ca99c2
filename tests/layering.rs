//! The table of who may import whom, held against the sources.
#![allow(clippy::unwrap_used, missing_docs, reason = "test code")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// From the rim to the middle: a module may use those on its own floor and on the floors below.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["app"],
    &["api", "facades", "cli"],
    &["federation", "sync", "health"],
    &["native", "catalog", "balance"],
    &["events"],
    &["access"],
    &["storage"],
    &["model", "config", "vault", "telemetry", "process", "task", "clock", "error", "http"],
];

fn floor(module: &str) -> usize {
    FLOORS
        .iter()
        .position(|floor| floor.contains(&module))
        .unwrap_or_else(|| panic!("{module} is on no floor: add it to the table"))
}

fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut todo = vec![root.join(dir)];
    let mut files = Vec::new();
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

/// Without comments, so that a doc link is no import.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

fn module_of(path: &Path) -> String {
    let second = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    second.trim_end_matches(".rs").to_owned()
}

/// The first words after each `crate::`.
fn imports(line: &str) -> Vec<String> {
    line.match_indices("crate::")
        .map(|(at, word)| {
            let rest = &line[at + word.len()..];
            rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
        })
        .collect()
}

#[test]
fn nobody_imports_upwards() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        for line in code(&text) {
            for import in imports(line).iter().filter(|import| !import.is_empty()) {
                if floor(import) < floor(&module) {
                    wrong.push(format!("{}: {}", path.display(), line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports that run upwards:\n{}", wrong.join("\n"));
}

#[test]
fn each_thing_is_done_in_its_one_place() {
    let rules: &[(&str, &[&str])] = &[
        ("tokio::spawn(", &["src/task.rs"]),
        ("Utc::now(", &["src/clock.rs"]),
        ("std::env::var", &["src/config/env.rs"]),
        ("sqlx::query(", &["src/storage/sql/"]),
        ("hub_registry_consul", &["src/app.rs", "src/facades/consul/"]),
        ("hub_registry_eureka", &["src/app.rs", "src/facades/eureka/"]),
        ("hub_registry_nacos", &["src/app.rs", "src/facades/nacos/"]),
        ("anyhow", &["src/main.rs", "src/app.rs"]),
    ];
    let mut wrong = Vec::new();
    for (path, text) in sources("src") {
        for (word, places) in rules {
            let allowed = places.iter().any(|place| path.starts_with(place));
            if !allowed && code(&text).any(|line| line.contains(word)) {
                wrong.push(format!("{}: {word}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "out of place:\n{}", wrong.join("\n"));
}

#[test]
fn a_face_shares_the_wire_with_its_adapter_and_nothing_else() {
    let mut wrong = Vec::new();
    for (path, text) in sources("src/facades") {
        for kind in ["consul", "eureka", "nacos"] {
            let name = format!("hub_registry_{kind}");
            let wire = format!("{name}::wire");
            let lines = code(&text).filter(|line| line.contains(&name) && !line.contains(&wire));
            wrong.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    assert!(wrong.is_empty(), "more than the wire:\n{}", wrong.join("\n"));
}

#[test]
fn the_adapters_do_not_reach_into_the_server_or_each_other() {
    for adapter in ["core", "consul", "eureka", "nacos", "testkit"] {
        let manifest = format!("adapters/{adapter}/Cargo.toml");
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&manifest));
        let text = text.unwrap();
        let dependencies = text.split("[dev-dependencies]").next().unwrap();
        let used: Vec<_> = dependencies
            .lines()
            .filter(|line| line.starts_with("hub-registry"))
            .filter(|line| !line.starts_with("hub-registry-core"))
            .collect();
        assert!(used.is_empty(), "{manifest} uses {used:?}");
    }
}

#[test]
fn files_stay_small() {
    let mut sizes = BTreeMap::new();
    for dir in ["src", "adapters", "tests"] {
        for (path, text) in sources(dir) {
            sizes.insert(path, text.lines().count());
        }
    }
    let long: Vec<_> = sizes.iter().filter(|(_, lines)| **lines > 600).collect();
    assert!(long.is_empty(), "over 600 lines: {long:?}");
}
