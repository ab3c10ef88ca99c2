use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::api::{ApiSettings, Need, Route, description, route_table};
use crate::api::{groups, instances, services};
use crate::config::Config;

fn table() -> Vec<Route> {
    route_table(&settings())
}

fn settings() -> ApiSettings {
    ApiSettings::from(&Config::default())
}

fn made() -> Value {
    description(&settings())
}

/// Every operation: path, method, description.
fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_ascii_uppercase().parse().unwrap();
            all.push((path.as_str(), method, operation));
        }
    }
    all
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let document = made();
    let key = |path: &str, method: &Method| (path.to_owned(), method.to_string());
    let described: BTreeSet<_> =
        operations(&document).iter().map(|(path, method, _)| key(path, method)).collect();
    let table = table();
    let routed: BTreeSet<_> = table.iter().map(|route| key(route.path, &route.method)).collect();
    assert_eq!(described, routed);
    assert_eq!(routed.len(), table.len(), "a route is there twice");
}

#[test]
fn each_operation_says_what_it_needs_and_is_named_once() {
    let document = made();
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        let what = format!("{method} {path}");
        let table = table();
        let route = table.iter().find(|route| route.path == path && route.method == method);
        let security = match route.unwrap().need {
            Need::Nothing => json!([]),
            Need::Right(action) => json!([{ "bearer": [action.as_str()] }]),
        };
        assert_eq!(operation["security"], security, "{what}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{what}: its id is taken");
        let params = operation["parameters"].as_array().into_iter().flatten();
        let in_path: Vec<_> = params
            .filter(|param| param["in"] == "path")
            .map(|param| format!("{{{}}}", param["name"].as_str().unwrap()))
            .collect();
        let variables: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
        assert_eq!(in_path, variables, "{what}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with('2')), "{what}: no answer");
        let summary = operation["summary"].as_str().unwrap();
        assert!(!summary.ends_with('.') && summary.len() < 80, "{what}: {summary}");
    }
}

#[test]
fn what_is_referred_to_is_there_and_nothing_else() {
    fn collect(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(to)) = map.get("$ref") {
                    found.insert(to.clone());
                }
                map.values().for_each(|value| collect(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| collect(value, found)),
            _ => {}
        }
    }
    let document = made();
    let mut used = BTreeSet::new();
    collect(&document, &mut used);
    let there: BTreeSet<_> = ["schemas", "responses", "parameters"]
        .into_iter()
        .flat_map(|kind| {
            let names = document["components"][kind].as_object().unwrap().keys();
            names.map(move |name| format!("#/components/{kind}/{name}"))
        })
        .collect();
    assert_eq!(used, there);
}

/// The readers of bodies have lists of their fields; the document has the same ones.
#[test]
fn bodies_have_the_fields_that_are_read() {
    let document = made();
    let bodies = groups::describe::bodies()
        .into_iter()
        .chain(services::describe::bodies())
        .chain(instances::describe::bodies());
    for (name, read) in bodies {
        let schema = &document["components"]["schemas"][name];
        let described: BTreeSet<_> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, read.into_iter().collect(), "{name}");
        assert_eq!(schema["additionalProperties"], false, "{name}");
    }
}

#[test]
fn examples_are_of_the_shape_they_illustrate() {
    fn check(document: &Value, place: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                let schema = map.get("schema").unwrap_or(value);
                let one = map.get("example");
                let several = map.get("examples").and_then(Value::as_array);
                for example in one.into_iter().chain(several.into_iter().flatten()) {
                    let mut root = schema.clone();
                    root["components"] = document["components"].clone();
                    let validator = jsonschema::options()
                        .should_validate_formats(true)
                        .build(&root)
                        .unwrap_or_else(|error| panic!("{place}: {error}"));
                    if let Err(error) = validator.validate(example) {
                        panic!("{place}: {example} {error}");
                    }
                }
                for (key, value) in map.iter().filter(|(key, _)| !key.starts_with("example")) {
                    check(document, &format!("{place}/{key}"), value);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    check(document, &format!("{place}/{index}"), item);
                }
            }
            _ => {}
        }
    }
    let document = made();
    check(&document, "", &document);
}
