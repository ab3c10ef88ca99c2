//! Damaged answers of a Eureka: never a panic, and no instance is dropped without a word.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

use hub_registry_eureka::wire::{Application, read_application, read_applications};
use hub_registry_testkit::mutate::{Mutator, beginnings, rounds};
use serde_json::{Value, json};

const APPS: &[u8] = include_bytes!("data/apps.eureka-2.0.5.json");
const DELTA: &[u8] = include_bytes!("data/delta.eureka-2.0.5.json");
const EMPTY: &[u8] = include_bytes!("data/apps-empty.eureka-2.0.5.json");
const APP: &[u8] = include_bytes!("data/app-stock.eureka-2.0.5.json");

/// The same in the forms of other servers: a list of one as the one, numbers as texts.
fn odd() -> Vec<u8> {
    let mut body: Value = serde_json::from_slice(APPS).unwrap();
    for app in body["applications"]["application"].as_array_mut().unwrap() {
        let instances = app["instance"].as_array_mut().unwrap();
        for instance in instances.iter_mut() {
            let port = instance["port"]["$"].to_string();
            instance["port"] = json!({"@enabled": true, "$": port});
            instance["overriddenstatus"] = instance["overriddenStatus"].take();
        }
        if instances.len() == 1 {
            app["instance"] = instances.remove(0);
        }
    }
    body.to_string().into_bytes()
}

fn count(apps: &[Application]) -> usize {
    apps.iter().map(|app| app.instance.len()).sum()
}

/// How many there are where one may stand for a list of one.
fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(_) => vec![value],
        _ => Vec::new(),
    }
}

#[test]
fn a_cut_answer_is_never_a_list() {
    for answer in [APPS, DELTA, EMPTY, &odd(), APP] {
        for cut in beginnings(answer) {
            assert!(read_applications(cut).is_err(), "{}", cut.len());
            assert!(read_application(cut).is_err(), "{}", cut.len());
        }
    }
}

#[test]
fn what_is_read_of_a_damaged_answer_is_all_that_is_in_it() {
    let mut mutator = Mutator::new(None);
    let (odd, mut read, mut all) = (odd(), 0, 0);
    for _ in 0..rounds() {
        for answer in [APPS, DELTA, EMPTY, &odd] {
            let bytes = mutator.any(answer);
            all += 1;
            let Ok(apps) = read_applications(&bytes) else { continue };
            // What nobody looks at may be no text at all.
            let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
            read += 1;
            let there = many(&value["applications"]["application"]);
            let there: usize = there.into_iter().map(|app| many(&app["instance"]).len()).sum();
            let found = count(apps.application.as_deref().unwrap_or_default());
            assert_eq!(found, there, "{}", String::from_utf8_lossy(&bytes));
        }
        let bytes = mutator.any(APP);
        all += 1;
        let Ok(app) = read_application(&bytes) else { continue };
        let Ok(value) = serde_json::from_slice::<Value>(&bytes) else { continue };
        read += 1;
        assert_eq!(app.instance.len(), many(&value["application"]["instance"]).len());
    }
    println!("{read} of {all} damaged answers could be read");
    assert!(read > 0);
}
