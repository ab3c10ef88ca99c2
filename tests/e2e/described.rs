//! Every answer of every test against the description of the API: its status, its media type and
//! each of its fields.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The description, with objects that have no fields but those it names.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::from_str(include_str!("../../docs/openapi.json")).unwrap();
    close(&mut document);
    document
});

type Validators = HashMap<String, Arc<Validator>>;

static VALIDATORS: LazyLock<Mutex<Validators>> = LazyLock::new(Mutex::default);

/// Readers must take fields that are new to them, so that the description leaves objects open. An
/// answer of today has no field that is not described today.
fn close(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("type") == Some(&json!("object")) {
                map.entry("additionalProperties").or_insert(json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// Holds an answer against the description; paths nobody described are no matter of it.
pub(crate) fn check(
    method: &Method,
    path: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &str,
) {
    let path = path.split('?').next().unwrap_or_default();
    let Some(template) = template(path) else { return };
    let method = if method == Method::HEAD {
        "get".to_owned()
    } else {
        method.as_str().to_ascii_lowercase()
    };
    let operation = &DOCUMENT["paths"][template][&method];
    if operation.is_null() {
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {template}: {body}");
        return;
    }
    let what = format!("{method} {template} {}", status.as_u16());
    let answer = resolved(&operation["responses"][status.as_str()]);
    assert!(answer.is_object(), "{what} is not described: {body}");
    for (name, header) in answer["headers"].as_object().into_iter().flatten() {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        let optional = template.ends_with("/instances") && name == "ETag";
        assert!(value.is_some() || optional, "{what} lacks {name}, which is described: {header}");
    }
    let Some(content) = answer["content"].as_object() else {
        assert!(body.is_empty(), "{what} has a body that is not described: {body}");
        return;
    };
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    let described = content.iter().find(|(name, _)| media(name) == media(given));
    let Some((name, content)) = described else {
        panic!("{what} is {given}, which is not described: {body}");
    };
    if body.is_empty() || !media(name).ends_with("json") {
        return;
    }
    let value: Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{what}: {e}: {body}"));
    let errors: Vec<_> = validator(&format!("{what} {name}"), &content["schema"])
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{what} is not as described: {errors:#?}\n{value:#}");
}

/// The path as the description writes it; words go before variables.
fn template(path: &str) -> Option<&'static str> {
    let parts: Vec<_> = path.split('/').collect();
    let is_variable = |part: &str| part.starts_with('{');
    let fits = |template: &&String| {
        let mut of = template.split('/');
        let same = parts.iter().all(|part| {
            of.next().is_some_and(|of| is_variable(of) && !part.is_empty() || of == *part)
        });
        same && of.next().is_none()
    };
    let all = DOCUMENT["paths"].as_object().unwrap().keys();
    let variables =
        |template: &&String| template.split('/').filter(|part| is_variable(part)).count();
    all.filter(fits).min_by_key(variables).map(String::as_str)
}

fn resolved(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(to) => DOCUMENT.pointer(&to[1..]).unwrap(),
        None => value,
    }
}

fn validator(key: &str, schema: &Value) -> Arc<Validator> {
    let mut all = VALIDATORS.lock().unwrap();
    let made = all.entry(key.to_owned()).or_insert_with(|| {
        let mut root = schema.clone();
        root["components"] = DOCUMENT["components"].clone();
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&root).unwrap_or_else(|error| panic!("{key}: {error}")))
    });
    Arc::clone(made)
}

mod tests {
    use reqwest::header::{ETAG, HeaderValue};

    use super::*;

    fn answer(path: &str, status: u16, media: &'static str, body: &Value) {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        headers.insert(ETAG, HeaderValue::from_static("W/\"1\""));
        let status = StatusCode::from_u16(status).unwrap();
        check(&Method::GET, path, status, &headers, &body.to_string());
    }

    fn groups() -> Value {
        let group = json!({
            "groupName": "a", "sources": ["native"], "serviceCount": 0, "instanceCount": 0,
            "addTime": "2026-01-31T12:00:00.000Z",
        });
        json!({ "groups": [group], "count": 1, "partial": false })
    }

    const PATH: &str = "/api/v1/groups?page=1";
    const JSON: &str = "application/json";

    #[test]
    fn what_is_as_described_passes() {
        answer(PATH, 200, JSON, &groups());
        // Words go before variables, and what is not described is no matter of this.
        assert_eq!(
            template("/api/v1/external/configs/test"),
            Some("/api/v1/external/configs/test")
        );
        assert_eq!(template("/api/v1/groups/x"), Some("/api/v1/groups/{groupName}"));
        answer("/nowhere", 404, JSON, &json!({}));
    }

    #[test]
    #[should_panic(expected = "is not as described")]
    fn a_field_too_many_is_found() {
        let mut body = groups();
        body["groups"][0]["colour"] = json!("red");
        answer(PATH, 200, JSON, &body);
    }

    #[test]
    #[should_panic(expected = "is not as described")]
    fn a_field_too_few_is_found() {
        let mut body = groups();
        body.as_object_mut().unwrap().remove("partial");
        answer(PATH, 200, JSON, &body);
    }

    #[test]
    #[should_panic(expected = "is not as described")]
    fn a_time_that_is_none_is_found() {
        let mut body = groups();
        body["groups"][0]["addTime"] = json!("yesterday");
        answer(PATH, 200, JSON, &body);
    }

    #[test]
    #[should_panic(expected = "is not described")]
    fn another_status_is_found() {
        answer(PATH, 418, JSON, &json!({}));
    }

    #[test]
    #[should_panic(expected = "which is not described")]
    fn another_media_type_is_found() {
        answer(PATH, 200, "text/html", &json!({}));
    }

    #[test]
    #[should_panic(expected = "lacks ETag")]
    fn a_missing_header_is_found() {
        check(&Method::GET, PATH, StatusCode::OK, &HeaderMap::new(), "");
    }
}
