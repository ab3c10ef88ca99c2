use std::collections::BTreeSet;

use serde_json::json;

use super::verb::{Kind, Shows};
use super::*;

fn said(line: &[&str]) -> ArgMatches {
    parser().try_get_matches_from([&["ctl"], line].concat()).unwrap_or_else(|e| panic!("{e}"))
}

fn asked(line: &[&str]) -> Result<Request, Failure> {
    let said = said(line);
    let (verb, said) = chosen(&said).unwrap();
    request(verb, said)
}

#[test]
fn the_command_line_is_sound() {
    parser().debug_assert();
}

/// Each verb is a route, and each of its options something that the route takes.
#[test]
fn verbs_are_as_the_api_is_described() {
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json")).unwrap();
    let schema = |body: &Value| match body["$ref"].as_str() {
        Some(to) => document.pointer(&to[1..]).unwrap().clone(),
        None => body.clone(),
    };
    for verb in NOUNS.iter().flat_map(|noun| noun.verbs) {
        let (method, path) = verb.route;
        let operation = &document["paths"][path][method.to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        let params = operation["parameters"].as_array().into_iter().flatten();
        let query: BTreeSet<_> =
            params.filter(|p| p["in"] == "query").filter_map(|p| p["name"].as_str()).collect();
        let body = schema(&operation["requestBody"]["content"]["application/json"]["schema"]);
        for take in verb.takes {
            match take.place {
                verb::Place::Query => assert!(query.contains(take.field), "{path} {}", take.field),
                verb::Place::Body => {
                    let field = take.field.split('.').fold(body.clone(), |within, name| {
                        schema(&schema(&within)["properties"][name])
                    });
                    assert!(!field.is_null(), "{path} {}", take.field);
                    if let (Kind::Word(words), Some(known)) = (take.kind, field["enum"].as_array())
                    {
                        let known = |word: &&str| known.iter().any(|one| one == word);
                        assert!(words.iter().all(known), "{path} {}", take.field);
                    }
                }
            }
        }
        if let Shows::Rows(list, columns) | Shows::Progress(list, columns) = verb.shows {
            let answer =
                schema(&operation["responses"]["200"]["content"]["application/json"]["schema"]);
            let row = schema(&answer["properties"][list]["items"]);
            for (title, place) in columns {
                let first = place.trim_start_matches('/').split('/').next().unwrap();
                assert!(row["properties"][first].is_object(), "{path} {title} {place}");
            }
        }
    }
}

#[test]
fn options_become_parameters_and_fields() {
    let list = asked(&["services", "list", "--group", "*", "--healthy-only"]).unwrap();
    assert_eq!((list.method, &*list.path), ("GET", "/api/v1/services"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(list.query, [pair("groupName", "*"), pair("healthyOnly", "true")]);
    assert_eq!(list.body, None);

    let line = ["instances", "register", "--service", "a", "--host", "10.0.0.1", "--port", "80"];
    let more = ["--metadata", "zone=a", "--metadata", "v=1=2", "--tag", "x", "--check", "none"];
    let register = asked(&[&line[..], &more].concat()).unwrap();
    let body = json!({
        "serviceName": "a", "hostAddress": "10.0.0.1", "portNumber": 80, "tags": ["x"],
        "metadata": { "zone": "a", "v": "1=2" }, "healthCheckType": "NONE",
    });
    assert_eq!(register.body, Some(body));

    let get = asked(&["groups", "get", "a/b ü"]).unwrap();
    assert_eq!(get.path, "/api/v1/groups/a%2Fb%20%C3%BC");
    let wrong = asked(&[&line[..], &["--metadata", "zone"]].concat()).unwrap_err();
    assert_eq!((wrong.code(), wrong.to_string().contains("KEY=VALUE")), (2, true));
}

#[test]
fn files_are_read_as_yaml_or_json_and_options_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| {
        let path = folder.path().join("body");
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let path = file("serviceName: a\nhostAddress: h\nportNumber: 1\nmetadata:\n  n: '1'\n");
    let one = asked(&["instances", "register", "-f", &path, "--port", "2"]).unwrap();
    assert_eq!(one.body.unwrap()["portNumber"], 2);
    let path = file(r#"[{"serviceName":"a"},{"serviceName":"b"}]"#);
    let many = asked(&["instances", "register", "-f", &path]).unwrap();
    assert_eq!(many.path, "/api/v1/instances/batch");
    assert_eq!(many.body.unwrap()["instances"].as_array().unwrap().len(), 2);
    let path = file("just text");
    let none = asked(&["instances", "register", "-f", &path]).unwrap_err();
    assert_eq!(none.code(), 2);
}

#[test]
fn values_are_written_in_a_line() {
    let cell = output::cell;
    assert_eq!(cell(&json!(["a", "b"])), "a,b");
    assert_eq!(cell(&json!({ "k": "v", "n": 1 })), "k=v,n=1");
    assert_eq!(cell(&json!([{ "a": 1 }])), "1 entries (-o yaml)");
    assert_eq!((cell(&Value::Null), cell(&json!(""))), ("-".to_owned(), "-".to_owned()));
    assert_eq!(cell(&json!("a\x1b[31m\nb")), "a [31m b");
}

#[test]
fn events_need_no_verb_and_their_options_are_the_log_s() {
    let line = ["events", "--type", "SERVICE_CREATE", "--type", "SERVICE_DELETE", "--since", "7-0"];
    let list = asked(&[&line[..], &["--watch"]].concat()).unwrap();
    assert_eq!((list.method, &*list.path), ("GET", "/api/v1/events"));
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [
        pair("eventType", "SERVICE_CREATE"),
        pair("eventType", "SERVICE_DELETE"),
        pair("afterId", "7-0"),
    ];
    assert_eq!(list.query, expected);
}
