//! By the agent.

use std::collections::HashMap;

use hub_registry_core::{Error, ErrorKind, Instance, InstanceKey, Result};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Id, Words, service};
use crate::client::Client;

/// A copy whose heartbeats stay away is critical after this,
const TTL: &str = "30s";
/// and removed after this more; Consul takes no less than a minute.
const REMOVED: &str = "1m";

#[derive(Debug, Default)]
pub(crate) struct Agent {
    // A heartbeat tells the state again: a check that is not told about turns critical.
    written: Mutex<HashMap<InstanceKey, Words>>,
}

impl Agent {
    pub(super) async fn register(&self, client: &Client, instance: &Instance) -> Result<()> {
        let (id, words) = (Id::of(&instance.key), Words::of(instance));
        let mut body = service(&id, instance);
        body["Name"] = json!(instance.key.service.name.as_str());
        body["Check"] = json!({
            "CheckID": id.check(),
            "Name": "as copied",
            "TTL": TTL,
            "Status": words.check,
            "DeregisterCriticalServiceAfter": REMOVED,
        });
        client.put("register", "/v1/agent/service/register", &client.places(), &body).await?;
        // A second registration keeps the status of a check that is there (seen on 1.8.7).
        tell(client, &id, words).await?;
        let path = format!("/v1/agent/service/maintenance/{id}");
        let mut query = client.places();
        query.push(("enable", if words.maintenance { "true" } else { "false" }));
        client.put("register", &path, &query, &Value::Null).await?;
        self.written.lock().insert(instance.key.clone(), words);
        Ok(())
    }

    pub(super) async fn deregister(&self, client: &Client, key: &InstanceKey) -> Result<()> {
        self.written.lock().remove(key);
        let path = format!("/v1/agent/service/deregister/{}", Id::of(key));
        match client.put("deregister", &path, &client.places(), &Value::Null).await {
            // 1.8 says 200 for an unknown one, later versions 404.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            outcome => outcome,
        }
    }

    pub(super) async fn heartbeat(&self, client: &Client, key: &InstanceKey) -> Result<()> {
        let known = self.written.lock().get(key).copied();
        let words = match known {
            Some(words) => words,
            // Written by a run before this one: its state goes on.
            None => self.recall(client, key).await?,
        };
        let outcome = tell(client, &Id::of(key), words).await;
        outcome.map_err(|error| {
            // 1.8 answers 500 to an unknown check, later versions 404.
            let unknown = error.to_string().contains("does not have associated TTL");
            match unknown {
                true => Error::new(ErrorKind::NotFound, "heartbeat", error.to_string()),
                false => error,
            }
        })
    }
}

impl Agent {
    async fn recall(&self, client: &Client, key: &InstanceKey) -> Result<Words> {
        let id = Id::of(key);
        let checks = client.checks_of("heartbeat", &key.service.name).await?;
        let mut own = checks.into_iter().filter(|check| check.check_id == id.check());
        let Some(check) = own.next() else {
            return Err(Error::new(ErrorKind::NotFound, "heartbeat", format!("no instance {key}")));
        };
        let check = if check.status == "passing" { "passing" } else { "critical" };
        let words = Words { check, maintenance: false };
        self.written.lock().insert(key.clone(), words);
        Ok(words)
    }
}

async fn tell(client: &Client, id: &Id, words: Words) -> Result<()> {
    let path = format!("/v1/agent/check/update/{}", id.check());
    client.put("heartbeat", &path, &client.places(), &json!({"Status": words.check})).await
}
