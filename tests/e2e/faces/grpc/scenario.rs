//! Steps of several connections, run against a real server and against the hub.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::scenario::difference;
use super::client::Client;

/// How long a real server may take to show what was done.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    name: String,
    /// The connection; it begins with its first step.
    client: String,
    /// A request of this type, with this body.
    ask: Option<String>,
    #[serde(default)]
    body: Value,
    /// Said on the stream.
    say: Option<String>,
    /// A push of this type is waited for.
    push: Option<String>,
    /// The connection ends.
    #[serde(default)]
    ends: bool,
    /// It does not say who it is.
    #[serde(default)]
    bare: bool,
    expect: Option<Expected>,
    hub: Option<Expected>,
    because: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    #[serde(rename = "type")]
    kind: Option<String>,
    body: Value,
}

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

/// Runs them all; what did not go as expected. `reads`: what may be asked again until it is there.
pub(super) async fn run(steps: &[Step], port: u16, is_hub: bool) -> Vec<String> {
    let mut clients: HashMap<String, Client> = HashMap::new();
    let mut wrong = Vec::new();
    for step in steps {
        if step.ends {
            clients.remove(&step.client);
            continue;
        }
        if !clients.contains_key(&step.client) {
            let client = if step.bare {
                Client::connect(port, true).await
            } else {
                Client::start(port).await
            };
            clients.insert(step.client.clone(), client);
        }
        let client = clients.get_mut(&step.client).unwrap();
        if let Some(problem) = step.problem(client, is_hub).await {
            wrong.push(format!("{}: {problem}", step.name));
        }
    }
    wrong
}

impl Step {
    async fn problem(&self, client: &mut Client, is_hub: bool) -> Option<String> {
        let expected = self.hub.as_ref().filter(|_| is_hub).or(self.expect.as_ref());
        let body = if self.body.is_null() { json!({}) } else { self.body.clone() };
        if let Some(kind) = &self.say {
            client.say(kind, &body);
        }
        if let Some(kind) = &self.ask {
            let end = Instant::now() + PATIENCE;
            loop {
                let (answered, answer) = client.ask(kind, body.clone()).await;
                let problem = expected.and_then(|expected| expected.problem(&answered, &answer))?;
                let reads = matches!(kind.as_str(), "ServiceQueryRequest" | "ServiceListRequest");
                if is_hub || !reads || Instant::now() > end {
                    return Some(problem);
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        let wanted = self.push.as_ref()?;
        let fits = |kind: &str, body: &Value| {
            kind == wanted && expected.is_none_or(|expected| expected.problem(kind, body).is_none())
        };
        client.pushed(fits).await.err().map(|last| format!("was not pushed; last: {last}"))
    }
}

impl Expected {
    fn problem(&self, kind: &str, body: &Value) -> Option<String> {
        if self.kind.as_ref().is_some_and(|expected| expected != kind) {
            return Some(format!("{kind}: {body}"));
        }
        difference(&self.body, body, "").map(|what| format!("{what}: {body}"))
    }
}
