//! Trying a configuration without adopting it: which step fails?

use std::sync::Arc;

use hub_registry_core::layers::Observer;
use hub_registry_core::{Error, Scope};
use serde::Serialize;
use tokio::time::Instant;

use super::connect::{Purpose, connect};
use super::drivers::Drivers;
use crate::model::external::ExternalConfig;

/// One step of a probe.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeStep {
    /// `login`, `ping` or `read`.
    pub step: &'static str,
    /// Whether it went well.
    pub ok: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The class of its error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// Its error, or what was found.
    pub message: String,
}

/// Tries login, ping and a full list of services, in this order, until one fails.
pub async fn probe(
    drivers: &Drivers,
    config: &ExternalConfig,
    observer: Arc<dyn Observer>,
) -> Vec<ProbeStep> {
    let mut steps = Vec::new();
    // One try each: a probe tells how things are now.
    let mut config = config.clone();
    config.spec.max_retries = 0;
    let start = Instant::now();
    let registry = match connect(drivers, &config, observer, Purpose::Reading).await {
        Ok(registry) => registry,
        Err(error) => {
            steps.push(failed("login", start, &error));
            return steps;
        }
    };
    steps.push(passed("login", start, "connected".to_owned()));
    let start = Instant::now();
    match registry.ping().await {
        Ok(()) => steps.push(passed("ping", start, "the registry answers".to_owned())),
        Err(error) => {
            steps.push(failed("ping", start, &error));
            return steps;
        }
    }
    let start = Instant::now();
    match registry.services(&Scope::all()).await {
        Ok(services) => steps.push(passed("read", start, format!("{} services", services.len()))),
        Err(error) => steps.push(failed("read", start, &error)),
    }
    steps
}

fn passed(step: &'static str, start: Instant, message: String) -> ProbeStep {
    ProbeStep { step, ok: true, took_ms: start.elapsed().as_millis() as u64, code: None, message }
}

fn failed(step: &'static str, start: Instant, error: &Error) -> ProbeStep {
    let (code, message) = (Some(error.kind().code()), error.to_string());
    ProbeStep { step, ok: false, took_ms: start.elapsed().as_millis() as u64, code, message }
}
