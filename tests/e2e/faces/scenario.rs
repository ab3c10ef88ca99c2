//! Requests and what is expected of their answers, run against a real server and against the hub.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

/// How long a real server may take to show what was done: its answers come out of caches.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    name: String,
    request: Request,
    expect: Expected,
    hub: Option<Expected>,
    because: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    accept: Option<String>,
    /// `X-Eureka-Accept`.
    size: Option<String>,
    json: Option<Value>,
    xml: Option<String>,
    body: Option<String>,
    #[serde(rename = "type")]
    content_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    status: u16,
    #[serde(rename = "type")]
    content_type: Option<String>,
    body: Option<Value>,
    text: Option<String>,
    #[serde(default)]
    contains: Vec<String>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The real server, in its own time.
    Real,
    /// The hub, at once.
    Hub,
}

/// The steps of a file.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let text = std::fs::read_to_string(path).unwrap();
    let steps: Vec<Step> = serde_saphyr::from_str(&text).unwrap();
    for step in &steps {
        assert_eq!(
            step.hub.is_some(),
            step.because.is_some(),
            "{}: a difference has a reason",
            step.name
        );
    }
    steps
}

/// Runs them all; what did not go as expected.
pub(super) async fn run(steps: &[Step], base: &str, side: Side) -> Vec<String> {
    let client = Client::builder().no_proxy().build().unwrap();
    let mut wrong = Vec::new();
    for step in steps {
        let expected = step.hub.as_ref().filter(|_| side == Side::Hub).unwrap_or(&step.expect);
        let end = Instant::now() + PATIENCE;
        let reads = step.request.method == "GET";
        loop {
            let problem = step.request.send(&client, base).await.problem(expected);
            let Some(problem) = problem else { break };
            if side == Side::Hub || !reads || Instant::now() > end {
                wrong.push(format!("{}: {problem}", step.name));
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    wrong
}

struct Answer {
    status: StatusCode,
    content_type: String,
    text: String,
}

impl Request {
    async fn send(&self, client: &Client, base: &str) -> Answer {
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let mut request = client.request(method, format!("{base}/{}", self.path));
        if let Some(accept) = &self.accept {
            request = request.header(header::ACCEPT, accept);
        }
        if let Some(size) = &self.size {
            request = request.header("x-eureka-accept", size);
        }
        if let Some(json) = &self.json {
            request = request.json(json);
        }
        let typed =
            |kind: &Option<String>| kind.clone().unwrap_or_else(|| "application/xml".to_owned());
        if let Some(body) = self.xml.as_ref().or(self.body.as_ref()) {
            request =
                request.header(header::CONTENT_TYPE, typed(&self.content_type)).body(body.clone());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let kind = answer.headers().get(header::CONTENT_TYPE);
        let content_type = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        Answer { status, content_type, text: answer.text().await.unwrap() }
    }
}

impl Answer {
    fn problem(&self, expected: &Expected) -> Option<String> {
        let shown: String = self.text.chars().take(600).collect();
        if self.status.as_u16() != expected.status {
            return Some(format!("{}, not {}: {shown}", self.status, expected.status));
        }
        if let Some(kind) = &expected.content_type
            && !self.content_type.starts_with(kind)
        {
            return Some(format!("{}, not {kind}", self.content_type));
        }
        if expected.text.as_ref().is_some_and(|text| *text != self.text) {
            return Some(format!("says {shown:?}"));
        }
        if let Some(missing) = expected.contains.iter().find(|part| !self.text.contains(*part)) {
            return Some(format!("without {missing:?}: {shown}"));
        }
        let body = expected.body.as_ref()?;
        match serde_json::from_str(&self.text) {
            Err(error) => Some(format!("no JSON ({error}): {shown}")),
            Ok(got) => difference(body, &got, "").map(|what| format!("{what}: {shown}")),
        }
    }
}

/// Where what is expected is not there; more may be there, but not in lists.
pub(super) fn difference(expected: &Value, got: &Value, path: &str) -> Option<String> {
    match (expected, got) {
        (Value::Object(expected), Value::Object(got)) => {
            expected.iter().find_map(|(key, value)| {
                let got = got.get(key).unwrap_or(&Value::Null);
                difference(value, got, &format!("{path}/{key}"))
            })
        }
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                return Some(format!("{path} has {} entries, not {}", got.len(), expected.len()));
            }
            let lacks = |one: &&Value| !got.iter().any(|got| difference(one, got, "").is_none());
            expected.iter().find(lacks).map(|one| format!("{path} has no {one}"))
        }
        _ if expected == got => None,
        _ => Some(format!("{path} is {got}, not {expected}")),
    }
}
