//! By the catalog.

use hub_registry_core::{Instance, InstanceKey, Result};
use serde_json::{Value, json};

use super::{Id, Words, service};
use crate::client::Client;
use crate::driver::Settings;

/// The node written to unless the settings name one.
const NODE: &str = "hub-registry";
/// What a node must have and no instance of ours is called at.
const ADDRESS: &str = "127.0.0.1";

#[derive(Debug)]
pub(crate) struct Catalog {
    node: String,
    namespace: Option<String>,
    partition: Option<String>,
}

impl Catalog {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            node: settings.write.node.clone().unwrap_or_else(|| NODE.to_owned()),
            namespace: settings.namespace.clone(),
            partition: settings.partition.clone(),
        }
    }

    /// One transaction (`PUT v1/txn`): nobody sees the service without its check, or out of
    /// service and not so marked.
    pub(super) async fn register(&self, client: &Client, instance: &Instance) -> Result<()> {
        let (id, words) = (Id::of(&instance.key), Words::of(instance));
        let name = instance.key.service.name.as_str();
        let mut one = service(&id, instance);
        one["Service"] = json!(name);
        let node = json!({
            "Node": self.node,
            "Address": ADDRESS,
            // Nobody's agent has it: consul-esm and the UI know such nodes by this pair.
            "Meta": {"external-node": "true", "external-probe": "false"},
        });
        let check = |check_id: String, label: &str, status: &str| {
            json!({
                "Node": self.node,
                "CheckID": check_id,
                "Name": label,
                "Status": status,
                "ServiceID": id.0,
                "ServiceName": name,
            })
        };
        let maintenance = check(id.maintenance(), "Service Maintenance Mode", "critical");
        let verb = if words.maintenance { "set" } else { "delete" };
        let operations = json!([
            {"Node": {"Verb": "set", "Node": self.placed(node)}},
            {"Service": {"Verb": "set", "Node": self.node, "Service": self.placed(one)}},
            {"Check": {"Verb": "set", "Check": self.placed(check(id.check(), "as copied", words.check))}},
            {"Check": {"Verb": verb, "Check": self.placed(maintenance)}},
        ]);
        client.put("register", "/v1/txn", &client.datacenter(), &operations).await
    }

    pub(super) async fn deregister(&self, client: &Client, key: &InstanceKey) -> Result<()> {
        // One that is not there is no error.
        let body = json!({"Node": self.node, "ServiceID": Id::of(key).0});
        let path = "/v1/catalog/deregister";
        client.put("deregister", path, &client.datacenter(), &self.placed(body)).await
    }

    /// With the namespace and partition, which do not go by the query here.
    fn placed(&self, mut body: Value) -> Value {
        for (key, place) in [("Namespace", &self.namespace), ("Partition", &self.partition)] {
            if let Some(place) = place {
                body[key] = json!(place);
            }
        }
        body
    }
}
