//! Writing copies into Nacos, as ephemeral instances by HTTP.
//!
//! Nacos keeps one client for each address that is registered so, and any number of them for a
//! service: a copy is renewed, updated and removed by itself. By gRPC a connection has one entry
//! for a service, and each write replaces all the others (`EphemeralClientOperationServiceImpl`).
//!
//! | ours | Nacos |
//! |---|---|
//! | service, group, address | the same |
//! | status, health | `enabled` says both: a heartbeat makes an instance healthy again whatever was written (`ClientBeatProcessorV2`) |
//! | weight 100 | weight 1.0 |
//! | metadata | metadata, with [`LEASE`] |

use std::collections::BTreeMap;

use hub_registry_core::http::Answer;
use hub_registry_core::{
    Error, ErrorKind, HealthStatus, Instance, InstanceKey, InstanceStatus, Result,
};
use reqwest::Method;
use serde_json::json;

use super::NacosClient;
use super::dialect::Dialect;

/// How long a copy lives without a heartbeat, in milliseconds, said in its metadata: Nacos' own 5,
/// 15 and 30 s would need a request for each copy every 5 s.
pub(crate) const LEASE: [(&str, &str); 3] = [
    ("preserved.heart.beat.interval", "15000"),
    ("preserved.heart.beat.timeout", "45000"),
    ("preserved.ip.delete.timeout", "90000"),
];

impl NacosClient {
    /// Registers the copy, or updates it in place.
    pub(crate) async fn register(&self, instance: &Instance) -> Result<()> {
        let takes_traffic =
            instance.status == InstanceStatus::Up && instance.health != HealthStatus::Unhealthy;
        let mut metadata: BTreeMap<&str, &str> = LEASE.into();
        metadata.extend(instance.metadata.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let weight = (f64::from(instance.weight.get()) / 100.0).to_string();
        let (enabled, metadata) = (takes_traffic.to_string(), json!(metadata).to_string());
        let more = [
            ("weight", weight.as_str()),
            ("enabled", &enabled),
            ("healthy", "true"),
            ("metadata", &metadata),
        ];
        self.change(Method::POST, "register", &instance.key, &more).await
    }

    /// Removes the copy; Nacos says yes for one that is not there.
    pub(crate) async fn deregister(&self, key: &InstanceKey) -> Result<()> {
        self.change(Method::DELETE, "deregister", key, &[]).await
    }

    /// Renews the copy.
    pub(crate) async fn heartbeat(&self, key: &InstanceKey) -> Result<()> {
        let dialect = self.dialect().await?;
        let known = match self.beat(dialect, key).await {
            Err(error) => self.beat(self.another(dialect, error).await?, key).await?,
            Ok(known) => known,
        };
        if known {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, "heartbeat", format!("no instance {key}")))
    }

    async fn beat(&self, dialect: Dialect, key: &InstanceKey) -> Result<bool> {
        let (method, path, more) = dialect.beat_call();
        let more: Vec<_> = more.into_iter().collect();
        dialect.beaten(self.of_instance(dialect, method, ("heartbeat", path), key, &more).await?)
    }

    async fn change(
        &self,
        method: Method,
        operation: &'static str,
        key: &InstanceKey,
        more: &[(&str, &str)],
    ) -> Result<()> {
        let once = async |dialect: Dialect| {
            let call = (operation, dialect.instance_path());
            dialect.done(self.of_instance(dialect, method.clone(), call, key, more).await?)
        };
        let dialect = self.dialect().await?;
        match once(dialect).await {
            Err(error) => once(self.another(dialect, error).await?).await,
            done => done,
        }
    }

    /// A call about one ephemeral instance.
    async fn of_instance(
        &self,
        dialect: Dialect,
        method: Method,
        call: (&'static str, &str),
        key: &InstanceKey,
        more: &[(&str, &str)],
    ) -> Result<Answer> {
        let (names, port) = (dialect.names(&key.service), key.port.to_string());
        let mut parameters: Vec<_> =
            names.iter().map(|(name, value)| (*name, value.as_str())).collect();
        parameters.extend([
            ("namespaceId", self.namespace.as_str()),
            ("ip", key.host.as_str()),
            ("port", &port),
            ("ephemeral", "true"),
        ]);
        parameters.extend_from_slice(more);
        self.send(dialect, method, call, &parameters).await
    }
}
