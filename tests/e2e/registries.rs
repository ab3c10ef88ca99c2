//! The three real registries, written to with their own plain HTTP APIs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, EurekaOptions, Server, ServerKind, ServerOptions};
use serde_json::{Value, json};

/// How often Eureka refreshes what it answers, in this suite.
pub(crate) const EUREKA_CACHE: Duration = Duration::from_millis(200);

pub(crate) struct Registries {
    pub consul: Server,
    pub nacos: Server,
    pub eureka: Server,
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
        let (consul, nacos, eureka) = (consul.unwrap(), nacos.unwrap(), eureka.unwrap());
        Some(Self { consul, nacos, eureka, known: BTreeMap::new() })
    }

    pub(crate) async fn put(&mut self, kind: &'static str, service: &str, host: &str, port: u16) {
        self.known.insert((kind, service.to_owned(), host.to_owned(), port), ());
        self.write(kind, service, host, port, "1").await;
    }

    fn writer(&self, kind: &'static str) -> Writer {
        let server = match kind {
            "CONSUL" => &self.consul,
            "NACOS" => &self.nacos,
            _ => &self.eureka,
        };
        Writer::new(kind, server.base_url())
    }

    /// The same again, with this version in its metadata.
    pub(crate) async fn write(
        &self,
        kind: &'static str,
        service: &str,
        host: &str,
        port: u16,
        version: &str,
    ) {
        self.writer(kind).register(service, host, port, version).await;
    }

    pub(crate) async fn remove(
        &mut self,
        kind: &'static str,
        service: &str,
        host: &str,
        port: u16,
    ) {
        self.known.remove(&(kind, service.to_owned(), host.to_owned(), port));
        self.writer(kind).remove(service, host, port).await;
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
    pub(crate) async fn clients_return(&self, kind: &'static str) {
        let writer = self.writer(kind);
        for (of, service, host, port) in self.known.keys() {
            if *of == kind {
                writer.register(service, host, *port, "1").await;
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

/// The word of a configuration for a kind of registry.
pub(crate) fn word(kind: ServerKind) -> &'static str {
    match kind {
        ServerKind::Consul => "CONSUL",
        ServerKind::Nacos => "NACOS",
        ServerKind::Eureka => "EUREKA",
        ServerKind::Postgres | ServerKind::MariaDb => panic!("{kind} is no registry"),
    }
}

/// What the clients of one registry do, by its own plain HTTP API.
#[derive(Clone)]
pub(crate) struct Writer {
    kind: &'static str,
    base: String,
    http: reqwest::Client,
}

impl Writer {
    pub(crate) fn new(kind: &'static str, base: String) -> Self {
        Self { kind, base, http: reqwest::Client::builder().no_proxy().build().unwrap() }
    }

    /// One of a Consul that asks for a token.
    pub(crate) fn with_token(base: String, token: &str) -> Self {
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("x-consul-token", token.parse().unwrap());
        let client = reqwest::Client::builder().no_proxy().default_headers(headers);
        let http = client.build().unwrap();
        Self { kind: "CONSUL", base, http }
    }

    /// An instance that lives for an hour without a heartbeat, with this in its metadata.
    pub(crate) async fn register(&self, service: &str, host: &str, port: u16, version: &str) {
        let (http, base) = (&self.http, &self.base);
        let request = match self.kind {
            "CONSUL" => {
                let id = format!("{service}-{host}-{port}");
                let body = json!({
                    "ID": id, "Name": service, "Address": host, "Port": port,
                    "Tags": ["blue"], "Meta": { "version": version },
                    "Check": { "TTL": "3600s", "Status": "passing" },
                });
                http.put(format!("{base}/v1/agent/service/register")).json(&body)
            }
            "NACOS" => {
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
                http.post(format!("{base}/v1/ns/instance")).query(&query)
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
                http.post(format!("{base}/apps/{}", service.to_uppercase())).json(&body)
            }
        };
        self.done(request, service).await;
    }

    pub(crate) async fn remove(&self, service: &str, host: &str, port: u16) {
        let (http, base) = (&self.http, &self.base);
        let request = match self.kind {
            "CONSUL" => {
                let id = format!("{service}-{host}-{port}");
                http.put(format!("{base}/v1/agent/service/deregister/{id}"))
            }
            "NACOS" => {
                let port = port.to_string();
                let query = [("serviceName", service), ("ip", host), ("port", &port)];
                http.delete(format!("{base}/v1/ns/instance")).query(&query)
            }
            _ => {
                let (app, id) = (service.to_uppercase(), format!("{host}:{service}:{port}"));
                http.delete(format!("{base}/apps/{app}/{id}"))
            }
        };
        self.done(request, service).await;
    }

    /// What its clients see of a service: addresses, and the versions in their metadata.
    pub(crate) async fn list(&self, service: &str) -> BTreeMap<(String, u16), String> {
        let (http, base) = (&self.http, &self.base);
        let (request, list, fields) = match self.kind {
            "CONSUL" => (
                http.get(format!("{base}/v1/health/service/{service}")),
                "",
                ["/Service/Address", "/Service/Port", "/Service/Meta/version"],
            ),
            "NACOS" => (
                http.get(format!("{base}/v1/ns/instance/list")).query(&[("serviceName", service)]),
                "/hosts",
                ["/ip", "/port", "/metadata/version"],
            ),
            _ => (
                http.get(format!("{base}/apps/{}", service.to_uppercase()))
                    .header("accept", "application/json"),
                "/application/instance",
                ["/ipAddr", "/port/$", "/metadata/version"],
            ),
        };
        let answer = request.send().await.unwrap();
        // Eureka's way to say that there is none.
        if answer.status() == 404 {
            return BTreeMap::new();
        }
        let body: Value = answer.error_for_status().unwrap().json().await.unwrap();
        let list = body.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
        let one = |instance: &Value| {
            let [host, port, version] = fields.map(|field| instance.pointer(field));
            let port = port.and_then(Value::as_u64).unwrap_or_default();
            let text = |value: Option<&Value>| {
                value.and_then(Value::as_str).unwrap_or_default().to_owned()
            };
            ((text(host), u16::try_from(port).unwrap()), text(version))
        };
        list.iter().map(one).collect()
    }

    /// A heartbeat of a client: whether the registry knows it. `None`: there is no such answer.
    pub(crate) async fn beat(&self, service: &str, host: &str, port: u16) -> Option<bool> {
        let (http, base) = (&self.http, &self.base);
        if self.kind == "NACOS" {
            // Without the instance itself, as clients beat after their first: with it Nacos would
            // register it by itself.
            let port = port.to_string();
            let query = [("serviceName", service), ("ip", host), ("port", &port)];
            let request = http.put(format!("{base}/v1/ns/instance/beat")).query(&query);
            let answer: Value = request.send().await.ok()?.json().await.ok()?;
            return match answer["code"].as_u64()? {
                10_200 => Some(true),
                20_404 => Some(false),
                _ => None,
            };
        }
        assert_eq!(self.kind, "EUREKA", "an agent of Consul keeps its services itself");
        let (app, id) = (service.to_uppercase(), format!("{host}:{service}:{port}"));
        let request = http.put(format!("{base}/apps/{app}/{id}"));
        let request = request.query(&[("status", "UP"), ("lastDirtyTimestamp", "1700000000000")]);
        match request.send().await.ok()?.status().as_u16() {
            200 => Some(true),
            404 => Some(false),
            _ => None,
        }
    }

    async fn done(&self, request: reqwest::RequestBuilder, service: &str) {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let refused = async || answer.text().await;
        assert!(
            status.is_success(),
            "{} refused {service}: {status} {:?}",
            self.kind,
            refused().await
        );
    }

    /// Whether the answers of a Eureka have come to show this version of a service's only instance.
    /// One that is made while it is told of a change can stay in its cache without it, until the
    /// next change or for 180 s (`ResponseCacheImpl`: a load that ends after the invalidation).
    pub(crate) async fn shows(&self, service: &str, version: &str) -> bool {
        if self.kind != "EUREKA" {
            return true;
        }
        for path in ["apps", "apps/delta"] {
            let request = self.http.get(format!("{}/{path}", self.base));
            let request = request.header("accept", "application/json");
            let answer: Value = request.send().await.unwrap().json().await.unwrap();
            let apps = answer["applications"]["application"].as_array().cloned();
            let app = apps.into_iter().flatten().find(|app| {
                app["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(service))
            });
            let shown = app.map(|app| app["instance"][0]["metadata"]["version"].clone());
            if shown != Some(json!(version)) {
                return false;
            }
        }
        true
    }

    /// The hosts the registry itself lists of a service.
    pub(crate) async fn hosts(&self, service: &str) -> BTreeSet<String> {
        let (http, base) = (&self.http, &self.base);
        let (request, list, host) = match self.kind {
            "CONSUL" => {
                (http.get(format!("{base}/v1/catalog/service/{service}")), "", "/ServiceAddress")
            }
            "NACOS" => {
                let request = http.get(format!("{base}/v1/ns/instance/list"));
                (request.query(&[("serviceName", service)]), "/hosts", "/ip")
            }
            _ => {
                let request = http.get(format!("{base}/apps/{}", service.to_uppercase()));
                let request = request.header("accept", "application/json");
                (request, "/application/instance", "/ipAddr")
            }
        };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let list = answer.pointer(list).and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().map(|one| one.pointer(host).unwrap().as_str().unwrap().to_owned()).collect()
    }
}
