//! What lies in `deploy/` asks for metrics that there are.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::metrics::{families, scrape};

/// Labels that Prometheus adds, and those of its own series.
const ADDED: [&str; 5] = ["instance", "job", "le", "alertname", "alertstate"];
const WORDS: [&str; 8] = ["and", "or", "unless", "offset", "bool", "on", "ignoring", "atan2"];

/// A metric that an expression asks for, and the labels it is asked for with.
type Selector = (String, BTreeSet<String>);

/// The metrics of an expression, and the labels of its `by (..)` and the like.
fn selectors(expression: &str) -> (Vec<Selector>, BTreeSet<String>) {
    // Without what stands in quotes: every second part.
    let bare: String = expression.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let word = |c: char| c.is_alphanumeric() || "_:$".contains(c);
    let (mut found, mut grouped): (Vec<Selector>, _) = (Vec::new(), BTreeSet::new());
    let mut rest = bare.as_str();
    let mut before = "";
    // The bracket we are in, and whether it holds labels to group by.
    let mut open: Vec<(char, bool)> = Vec::new();
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !word(c)).unwrap_or(rest.len()).max(first.len_utf8());
        let (token, after) = rest.split_at(end);
        match (first, open.last().copied()) {
            ('{' | '[', _) => open.push((first, false)),
            ('(', _) => {
                let groups = ["by", "without", "on", "ignoring", "group_left", "group_right"];
                open.push(('(', groups.contains(&before)));
            }
            ('}' | ']' | ')', _) => drop(open.pop()),
            (c, _) if !word(c) || c.is_ascii_digit() => {}
            (_, Some(('{', _))) => drop(found.last_mut().unwrap().1.insert(token.to_owned())),
            (_, Some(('[', _))) => {}
            (_, Some(('(', true))) => drop(grouped.insert(token.to_owned())),
            // Functions, and what sums up.
            _ if ["(", "by ", "by(", "without"]
                .iter()
                .any(|next| after.trim_start().starts_with(next)) => {}
            _ if ["by", "without"].contains(&token) => {}
            _ if WORDS.contains(&token) => {}
            _ => found.push((token.to_owned(), BTreeSet::new())),
        }
        if !token.trim().is_empty() {
            before = token;
        }
        rest = after;
    }
    (found, grouped)
}

#[test]
fn metrics_are_found_in_expressions() {
    let names = |set: &[&str]| set.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let (found, grouped) = selectors(
        "histogram_quantile(0.99, sum by (route, le) (rate(a_bucket{i=~\"$x\", b!=\"{(\"}[5m]))) > 0.5 * c offset 10m \
         and on (d) e{} == 1",
    );
    let expected: Vec<Selector> = vec![
        ("a_bucket".to_owned(), names(&["i", "b"])),
        ("c".to_owned(), names(&[])),
        ("e".to_owned(), names(&[])),
    ];
    assert_eq!((found, grouped), (expected, names(&["route", "le", "d"])));
}

/// Every text under one of these keys.
fn texts<'a>(value: &'a Value, keys: &[&str], found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(text) if keys.contains(&key.as_str()) => found.push(text),
                    _ => texts(value, keys, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, keys, found)),
        _ => {}
    }
}

fn load(path: &str) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboards_ask_for_metrics_that_there_are() {
    let families = families(&scrape().await);
    let (alerts, dashboard) =
        (load("deploy/prometheus/alerts.yml"), load("deploy/grafana/hub-registry.json"));
    let mut asked = BTreeSet::new();
    for (file, content, least) in [("alerts", &alerts, 16), ("dashboard", &dashboard, 50)] {
        let mut expressions = Vec::new();
        texts(content, &["expr"], &mut expressions);
        assert!(expressions.len() >= least, "{file}: {}", expressions.len());
        for expression in expressions {
            let (selectors, grouped) = selectors(expression);
            assert!(!selectors.is_empty(), "{file}: {expression}");
            let mut known: BTreeSet<&str> = ADDED.into();
            for (name, labels) in &selectors {
                // Of Prometheus itself.
                if name == "up" {
                    continue;
                }
                let family = families.get(name.as_str()).or_else(|| {
                    let suffix = ["_bucket", "_sum", "_count"];
                    let base = suffix.iter().find_map(|end| name.strip_suffix(end))?;
                    families.get(base).filter(|family| family.kind == "histogram")
                });
                let family = family.unwrap_or_else(|| panic!("{file}: no {name}: {expression}"));
                known.extend(family.labels.iter().map(String::as_str));
                for label in labels {
                    assert!(
                        family.labels.contains(label) || ADDED.contains(&label.as_str()),
                        "{file}: {name} has no label {label}: {expression}"
                    );
                }
                asked.insert(name.clone());
            }
            for label in &grouped {
                assert!(known.contains(label.as_str()), "{file}: no label {label}: {expression}");
            }
        }
    }
    assert!(asked.len() >= 40, "{asked:?}");
}

#[test]
fn alerts_lead_to_what_to_do() {
    let operations = std::fs::read_to_string("docs/operations.md").unwrap();
    let heads: BTreeSet<String> = operations
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>()
        })
        .map(|title| title.replace(' ', "-"))
        .collect();
    let alerts = load("deploy/prometheus/alerts.yml");
    let mut links = Vec::new();
    texts(&alerts, &["runbook_url"], &mut links);
    let rules = alerts["groups"][0]["rules"].as_array().unwrap().len();
    assert_eq!(links.len(), rules, "each alert says what to do");
    for link in links {
        let (file, head) = link.split_once('#').unwrap();
        assert!(Path::new(file).exists() && heads.contains(head), "{link}: {heads:?}");
    }
}
