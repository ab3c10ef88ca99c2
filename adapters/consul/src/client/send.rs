//! Calls that change something.

use hub_registry_core::http::{Call, HttpClient};
use hub_registry_core::{ErrorKind, Result, ServiceName};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use super::{Client, refused};
use crate::wire::Check;

impl Client {
    /// The query that names the datacenter, for calls that say in their body what else is where.
    pub(crate) fn datacenter(&self) -> Vec<(&'static str, &str)> {
        self.settings.datacenter()
    }

    /// The query that says where: datacenter, namespace, partition.
    pub(crate) fn places(&self) -> Vec<(&'static str, &str)> {
        let settings = &self.settings;
        let places = [("ns", &settings.namespace), ("partition", &settings.partition)];
        let named = places.into_iter().filter_map(|(key, name)| Some((key, name.as_deref()?)));
        self.datacenter().into_iter().chain(named).collect()
    }

    /// The checks of a service's instances.
    pub(crate) async fn checks_of(
        &self,
        operation: &'static str,
        service: &ServiceName,
    ) -> Result<Vec<Check>> {
        let path = format!("/v1/health/checks/{}", HttpClient::segment(service.as_str()));
        let answer = self.http.send(Call::get(operation, &path).query(&self.places())).await?;
        refused(answer)?.json()
    }

    /// A PUT that says yes or no.
    pub(crate) async fn put(
        &self,
        operation: &'static str,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<()> {
        let call = Call::post(operation, path, body).method(Method::PUT).query(query);
        let answer = self.http.send(call).await?;
        // A transaction (`v1/txn`) that was not done is a conflict, for whatever reason.
        let text = String::from_utf8_lossy(&answer.body);
        if answer.status == StatusCode::CONFLICT && text.contains("Permission denied") {
            return Err(answer.error(ErrorKind::Forbidden, "was refused"));
        }
        refused(answer).map(drop)
    }
}
