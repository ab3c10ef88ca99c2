//! The three real registries, written to with their own plain HTTP APIs.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, EurekaOptions, Server, ServerKind, ServerOptions};
use serde_json::{Value, json};

/// How often Eureka refreshes what it answers, in this suite.
pub(crate) const EUREKA_CACHE: Duration = Duration::from_millis(200);

pub(crate) struct Registries {
    pub consul: Server,
    pub nacos: Server,
    pub eureka: Server,
    http: reqwest::Client,
    // What clients hold on to, so that they can register it again.
    known: BTreeMap<(&'static str, String, String, u16), ()>,
}

impl Registries {
    /// Starts all three; `None`, visibly, where one cannot be (a failure in CI).
    pub(crate) async fn start() -> Option<Self> {
        let kinds = [ServerKind::Consul, ServerKind::Nacos, ServerKind::Eureka];
        // All are asked, so that every missing one is named.
        if kinds.map(servers::require) != [true; 3] {
            return None;
        }
        let quick = ServerOptions::default().with_eureka(EurekaOptions::quick());
        let (consul, nacos, eureka) = tokio::join!(
            servers::start(ServerKind::Consul, ServerOptions::default()),
            servers::start(ServerKind::Nacos, ServerOptions::default()),
            servers::start(ServerKind::Eureka, quick),
        );
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (consul, nacos, eureka) = (consul.unwrap(), nacos.unwrap(), eureka.unwrap());
        Some(Self { consul, nacos, eureka, http, known: BTreeMap::new() })
    }

    pub(crate) async fn put(&mut self, kind: &'static str, service: &str, host: &str, port: u16) {
        self.known.insert((kind, service.to_owned(), host.to_owned(), port), ());
        self.write(kind, service, host, port, "1").await;
    }

    /// The same again, with this version in its metadata.
    pub(crate) async fn write(
        &self,
        kind: &str,
        service: &str,
        host: &str,
        port: u16,
        version: &str,
    ) {
        let request = match kind {
            "CONSUL" => {
                let id = format!("{service}-{host}-{port}");
                let body = json!({
                    "ID": id, "Name": service, "Address": host, "Port": port,
                    "Tags": ["blue"], "Meta": { "version": version },
                    "Check": { "TTL": "3600s", "Status": "passing" },
                });
                self.http
                    .put(format!("{}/v1/agent/service/register", self.consul.base_url()))
                    .json(&body)
            }
            "NACOS" => {
                // An ephemeral instance without beats, given an hour.
                let metadata = json!({
                    "version": version,
                    "preserved.heart.beat.timeout": "3600000",
                    "preserved.ip.delete.timeout": "3600000",
                });
                let query = [
                    ("serviceName", service.to_owned()),
                    ("ip", host.to_owned()),
                    ("port", port.to_string()),
                    ("metadata", metadata.to_string()),
                ];
                self.http.post(format!("{}/v1/ns/instance", self.nacos.base_url())).query(&query)
            }
            _ => {
                let body = json!({ "instance": {
                    "instanceId": format!("{host}:{service}:{port}"), "hostName": host, "ipAddr": host,
                    "app": service.to_uppercase(), "vipAddress": service, "status": "UP",
                    "port": { "$": port, "@enabled": "true" },
                    "securePort": { "$": 443, "@enabled": "false" },
                    "dataCenterInfo": {
                        "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
                    },
                    "leaseInfo": { "renewalIntervalInSecs": 30, "durationInSecs": 3600 },
                    "metadata": { "version": version },
                    "lastDirtyTimestamp": "1700000000000",
                }});
                let app = service.to_uppercase();
                self.http.post(format!("{}/apps/{app}", self.eureka.base_url())).json(&body)
            }
        };
        let answer = request.send().await.unwrap();
        let status = answer.status();
        assert!(
            status.is_success(),
            "{kind} refused {service}: {status} {:?}",
            answer.text().await
        );
    }

    pub(crate) async fn remove(
        &mut self,
        kind: &'static str,
        service: &str,
        host: &str,
        port: u16,
    ) {
        self.known.remove(&(kind, service.to_owned(), host.to_owned(), port));
        let request = match kind {
            "CONSUL" => {
                let id = format!("{service}-{host}-{port}");
                self.http
                    .put(format!("{}/v1/agent/service/deregister/{id}", self.consul.base_url()))
            }
            "NACOS" => {
                let port = port.to_string();
                let query = [("serviceName", service), ("ip", host), ("port", &port)];
                self.http.delete(format!("{}/v1/ns/instance", self.nacos.base_url())).query(&query)
            }
            _ => {
                let (app, id) = (service.to_uppercase(), format!("{host}:{service}:{port}"));
                self.http.delete(format!("{}/apps/{app}/{id}", self.eureka.base_url()))
            }
        };
        assert!(request.send().await.unwrap().status().is_success());
    }

    pub(crate) fn server(&mut self, kind: &str) -> &mut Server {
        match kind {
            "CONSUL" => &mut self.consul,
            "NACOS" => &mut self.nacos,
            _ => &mut self.eureka,
        }
    }

    /// Starts a killed one again, empty, on the same port.
    pub(crate) async fn return_empty(&mut self, kind: &str) {
        self.server(kind).restart(Data::Wiped).await.unwrap();
    }

    /// What its clients do when they notice: they register again.
    pub(crate) async fn clients_return(&self, kind: &str) {
        for (of, service, host, port) in self.known.keys() {
            if *of == kind {
                self.write(kind, service, host, *port, "1").await;
            }
        }
    }

    /// The body that makes the hub read it.
    pub(crate) fn config(&mut self, kind: &str) -> Value {
        let address = self.server(kind).address().to_string();
        let specific = match kind {
            "CONSUL" => json!({ "priority": 1 }),
            "NACOS" => json!({ "priority": 2 }),
            _ => json!({ "priority": 3, "pollInterval": "1s" }),
        };
        json!({
            "configName": kind.to_lowercase(), "registryType": kind, "serverAddress": address,
            "specificConfig": specific, "retryInterval": 200,
        })
    }
}
