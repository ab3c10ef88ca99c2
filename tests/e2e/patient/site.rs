//! A registry as its own clients write and read it, past the hub: with weights, and with the marks
//! of copies.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use hub_registry_core::{GroupName, Host, InstanceKey, ServiceKey, ServiceName, carry};
use hub_registry_testkit::servers::{self, EurekaOptions, Server, ServerKind, ServerOptions};
use serde_json::{Value, json};

use crate::proofs::is_long;
use crate::registries::word;

/// What a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub host: String,
    pub port: u16,
    pub version: String,
    pub weight: u32,
}

impl Row {
    pub(crate) fn new(host: &str, port: u16, version: &str) -> Self {
        Self { host: host.to_owned(), port, version: version.to_owned(), weight: 1 }
    }
}

/// What is read of it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub row: Row,
    /// The hub whose copy it says to be.
    pub owner: Option<String>,
    /// All that the registry says.
    pub raw: Value,
}

/// One registry.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub kind: ServerKind,
    pub address: String,
    base: String,
    pub http: reqwest::Client,
}

/// The node in Consul's catalog that clients are written on. No agent has it, so that nothing but
/// these requests touches them.
const NODE: &str = "clients";

impl Site {
    pub(crate) fn of(server: &Server) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let (address, base) = (server.address().to_string(), server.base_url());
        Self { kind: server.kind(), address, base, http }
    }

    /// A server of this kind, that answers from short caches.
    pub(crate) async fn start(kind: ServerKind) -> (Server, Self) {
        let mut options = ServerOptions::default().with_eureka(EurekaOptions::quick());
        if is_long() {
            options = options.as_in_production();
        }
        if kind == ServerKind::Consul {
            // Elsewhere a hub and the clients of a registry do not share one address.
            options = options.with_argument("-hcl=limits { http_max_conns_per_client = 2000 }");
        }
        let server = servers::start(kind, options).await.unwrap();
        let site = Self::of(&server);
        (server, site)
    }

    /// A Consul that has its catalog on disk.
    pub(crate) async fn start_on_disk() -> (Server, Self) {
        let one = servers::start_cluster(ServerKind::Consul, 1, ServerOptions::default()).await;
        let server = one.unwrap().remove(0);
        let site = Self::of(&server);
        (server, site)
    }

    /// The word for it in what a test prints.
    pub(crate) fn name(&self) -> String {
        self.kind.to_string()
    }

    /// The body that makes a hub read it.
    pub(crate) fn config(&self, name: &str) -> Value {
        let specific = match self.kind {
            ServerKind::Eureka => json!({ "pollInterval": "1s" }),
            _ => json!({}),
        };
        json!({
            "configName": name, "registryType": word(self.kind), "serverAddress": self.address,
            "retryInterval": 200, "specificConfig": specific,
        })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) async fn put(&self, service: &str, row: &Row) {
        let Row { host, port, version, weight } = row;
        match self.kind {
            ServerKind::Consul => {
                let body = json!({
                    "Address": host, "Port": port, "Tags": ["blue"],
                    "Meta": { "version": version },
                    "Weights": { "Passing": weight, "Warning": 1 },
                });
                self.put_consul(service, &id(service, host, *port), body, "passing").await;
            }
            ServerKind::Nacos => {
                let metadata = json!({ "version": version });
                let more = [("weight", weight.to_string())];
                self.put_nacos(service, host, *port, metadata, &more).await;
            }
            _ => {
                let more = json!({ "metadata": { "version": version } });
                self.put_eureka(service, host, *port, more).await;
            }
        }
    }

    /// Writes a service of this id and its check into the catalog.
    pub(crate) async fn put_consul(&self, service: &str, id: &str, fields: Value, state: &str) {
        let mut fields = fields;
        (fields["ID"], fields["Service"]) = (json!(id), json!(service));
        let body = json!({
            "Node": NODE, "Address": "127.0.0.1", "Service": fields,
            "Check": {
                "Node": NODE, "CheckID": format!("service:{id}"), "Name": "alive", "ServiceID": id,
                "Status": state,
            },
        });
        self.done(self.http.put(self.url("/v1/catalog/register")).json(&body)).await;
    }

    /// Registers an instance that lives for an hour without a heartbeat.
    pub(crate) async fn put_nacos(
        &self,
        service: &str,
        host: &str,
        port: u16,
        metadata: Value,
        more: &[(&str, String)],
    ) {
        let mut metadata = metadata;
        for key in ["preserved.heart.beat.timeout", "preserved.ip.delete.timeout"] {
            metadata[key] = json!("3600000");
        }
        let query = [
            ("serviceName", service.to_owned()),
            ("ip", host.to_owned()),
            ("port", port.to_string()),
            ("metadata", metadata.to_string()),
        ];
        let request = self.http.post(self.url("/v1/ns/instance")).query(&query).query(more);
        self.done(request).await;
    }

    /// The same in a Eureka.
    pub(crate) async fn put_eureka(&self, service: &str, host: &str, port: u16, more: Value) {
        let app = service.to_uppercase();
        let mut instance = json!({
            "instanceId": id(service, host, port), "hostName": host, "ipAddr": host, "app": app,
            "vipAddress": service, "status": "UP",
            "port": { "$": port, "@enabled": "true" },
            "securePort": { "$": 443, "@enabled": "false" },
            "dataCenterInfo": {
                "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn",
            },
            "leaseInfo": { "renewalIntervalInSecs": 30, "durationInSecs": 3600 },
            "lastDirtyTimestamp": "1700000000000",
        });
        for (key, value) in more.as_object().unwrap() {
            instance[key] = value.clone();
        }
        let url = self.url(&format!("/apps/{app}"));
        self.done(self.http.post(url).json(&json!({ "instance": instance }))).await;
    }

    pub(crate) async fn remove(&self, service: &str, host: &str, port: u16) {
        let id = id(service, host, port);
        let request = match self.kind {
            ServerKind::Consul => {
                let body = json!({ "Node": NODE, "ServiceID": id });
                self.http.put(self.url("/v1/catalog/deregister")).json(&body)
            }
            ServerKind::Nacos => {
                let port = port.to_string();
                let query = [("serviceName", service), ("ip", host), ("port", &port)];
                self.http.delete(self.url("/v1/ns/instance")).query(&query)
            }
            _ => {
                let app = service.to_uppercase();
                self.http.delete(self.url(&format!("/apps/{app}/{id}")))
            }
        };
        self.done(request).await;
    }

    async fn done(&self, request: reqwest::RequestBuilder) {
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let refused = async || answer.text().await;
        assert!(status.is_success(), "{}: {status} {:?}", self.kind, refused().await);
    }

    /// What its clients see of a service, in the order of addresses; `None`: it does not answer.
    pub(crate) async fn look(&self, service: &str) -> Option<Vec<Seen>> {
        let path = match self.kind {
            ServerKind::Consul => format!("/v1/health/service/{service}"),
            ServerKind::Nacos => format!("/v1/ns/instance/list?serviceName={service}"),
            _ => format!("/apps/{}", service.to_uppercase()),
        };
        self.read(&path).await
    }

    /// The same past the cache of a Eureka: an answer that is made while a registration comes in
    /// can stay without it for 180 s (`ResponseCacheImpl`). What is asked for by its id comes from
    /// no cache. `rows`: what may be there, besides what the cache has.
    pub(crate) async fn look_again(&self, service: &str, rows: &[Row]) -> Option<Vec<Seen>> {
        let listed = self.look(service).await?;
        if self.kind != ServerKind::Eureka {
            return Some(listed);
        }
        let listed = listed.iter().filter_map(|one| one.raw["instanceId"].as_str());
        let mut ids: BTreeSet<_> = listed.map(str::to_owned).collect();
        for row in rows {
            ids.extend([id(service, &row.host, row.port), copy_id(service, row)]);
        }
        let app = service.to_uppercase();
        let reads = ids.into_iter().map(|id| {
            let path = format!("/apps/{app}/{id}");
            async move { self.read(&path).await }
        });
        let reads: Vec<_> = stream::iter(reads).buffer_unordered(8).collect().await;
        let mut all = reads.into_iter().collect::<Option<Vec<_>>>()?.concat();
        all.sort_by(|a, b| a.row.cmp(&b.row));
        Some(all)
    }

    async fn read(&self, path: &str) -> Option<Vec<Seen>> {
        let request = self.http.get(self.url(path)).header("accept", "application/json");
        let answer = request.send().await.ok()?;
        // Eureka's way to say that there is none.
        if answer.status() == 404 && self.kind == ServerKind::Eureka {
            return Some(Vec::new());
        }
        let body: Value = answer.error_for_status().ok()?.json().await.ok()?;
        let mut all: Vec<_> = self.instances(&body).into_iter().map(|one| self.seen(one)).collect();
        all.sort_by(|a: &Seen, b| a.row.cmp(&b.row));
        Some(all)
    }

    fn instances<'b>(&self, body: &'b Value) -> Vec<&'b Value> {
        let list = |value: &'b Value| value.as_array().into_iter().flatten();
        match self.kind {
            ServerKind::Consul => list(body).collect(),
            ServerKind::Nacos => list(&body["hosts"]).collect(),
            _ => {
                let apps = body.get("application").into_iter();
                let listed = apps.flat_map(|app| list(&app["instance"]));
                listed.chain(body.get("instance")).collect()
            }
        }
    }

    fn seen(&self, raw: &Value) -> Seen {
        let (fields, metadata) = match self.kind {
            ServerKind::Consul => {
                (["/Service/Address", "/Service/Port", "/Service/Weights/Passing"], "/Service/Meta")
            }
            ServerKind::Nacos => (["/ip", "/port", "/weight"], "/metadata"),
            // It has no weights: that of a copy travels in hundredths.
            _ => (["/ipAddr", "/port/$", "/metadata/fed-weight"], "/metadata"),
        };
        let [host, port, weight] = fields.map(|field| raw.pointer(field).unwrap_or(&Value::Null));
        let text = |key: &str| raw.pointer(&format!("{metadata}/{key}")).and_then(Value::as_str);
        let weight = match weight.as_str() {
            Some(hundredths) => hundredths.parse::<f64>().unwrap() / 100.0,
            None => weight.as_f64().unwrap_or(1.0),
        };
        let row = Row {
            host: host.as_str().unwrap_or_default().to_owned(),
            port: u16::try_from(port.as_u64().unwrap_or_default()).unwrap(),
            version: text("version").unwrap_or_default().to_owned(),
            weight: weight.round() as u32,
        };
        Seen { row, owner: text("fed-owner").map(str::to_owned), raw: raw.clone() }
    }

    /// What its clients see of these services, where this may be.
    pub(crate) async fn all(
        &self,
        services: &BTreeMap<String, Vec<Row>>,
    ) -> Option<BTreeMap<String, Vec<Row>>> {
        let look = |(service, rows): (&String, &Vec<Row>)| {
            let (service, rows) = (service.clone(), rows.clone());
            async move {
                let seen = self.look_again(&service, &rows).await?;
                Some((service, seen.into_iter().map(|one| one.row).collect()))
            }
        };
        let all: Vec<_> =
            stream::iter(services.iter().map(look)).buffer_unordered(16).collect().await;
        all.into_iter().collect()
    }
}

/// The id of the copy of this.
fn copy_id(service: &str, row: &Row) -> String {
    let name = ServiceName::parse(service).unwrap();
    let service = ServiceKey::new(GroupName::default_group(), name);
    let host = Host::parse(&row.host).unwrap();
    carry::copy_id(&InstanceKey { service, host, port: row.port })
}

/// The id of a client's own registration.
pub(crate) fn id(service: &str, host: &str, port: u16) -> String {
    format!("{service}-{host}-{port}")
}
