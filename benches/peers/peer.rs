//! The other registries: how each is started and filled, and what a client of it sends.

use std::process::Stdio;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use hub_registry_testkit::servers::{self, Server, ServerKind, ServerOptions};
use tokio::process::{Child, Command};

use crate::hub::{Size, address, free_port};
use crate::wrk::{Call, Load};

/// How a client that is not renewed stays for the whole run, in Nacos.
const NACOS_METADATA: &str = "%7B%22version%22%3A%221.4.2%22%2C%22zone%22%3A%22z1%22%2C%22preserved.heart.beat.timeout%22%3A%2236000000%22%2C%22preserved.ip.delete.timeout%22%3A%2236000000%22%7D";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Consul,
    Nacos,
    Eureka,
    RNacos,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Consul, Self::Nacos, Self::Eureka, Self::RNacos];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Consul => "consul",
            Self::Nacos => "nacos",
            Self::Eureka => "eureka",
            Self::RNacos => "r-nacos",
        }
    }

    /// What is asked to find a service.
    pub(crate) fn read(self, service: u32) -> Call {
        match self {
            Self::Consul => Call::get(format!("/v1/health/service/service-{service}?passing")),
            Self::Nacos | Self::RNacos => Call::get(format!(
                "/nacos/v1/ns/instance/list?serviceName=service-{service}&healthyOnly=true"
            )),
            Self::Eureka => Call::get(format!("/eureka/apps/SERVICE-{service}"))
                .with("accept", "application/json"),
        }
    }

    /// A registration; `{s}`, `{host}` and `{n}` as in [`Load::Next`].
    pub(crate) fn register(self) -> Call {
        match self {
            Self::Consul => Call::new(
                "PUT",
                "/v1/catalog/register",
                r#"{"Node":"node-{host}","Address":"{host}","Service":{"ID":"service-{s}-{host}","Service":"service-{s}","Address":"{host}","Port":8080,"Meta":{"version":"1.4.2","zone":"z1"},"Tags":["blue"]}}"#,
            ),
            Self::Nacos | Self::RNacos => Call::new(
                "POST",
                format!(
                    "/nacos/v1/ns/instance?serviceName=service-{{s}}&ip={{host}}&port=8080&ephemeral=true&metadata={NACOS_METADATA}"
                ),
                "",
            ),
            Self::Eureka => Call::new(
                "POST",
                "/eureka/apps/SERVICE-{s}",
                r#"{"instance":{"instanceId":"service-{s}-{host}","hostName":"{host}","app":"SERVICE-{s}","ipAddr":"{host}","vipAddress":"service-{s}","status":"UP","port":{"$":8080,"@enabled":"true"},"securePort":{"$":443,"@enabled":"false"},"dataCenterInfo":{"@class":"com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo","name":"MyOwn"},"leaseInfo":{"renewalIntervalInSecs":30,"durationInSecs":36000},"metadata":{"version":"1.4.2","zone":"z1"}}}"#,
            ),
        }
    }

    /// A heartbeat of a registered instance; Consul's is that of an agent, which has its own way.
    pub(crate) fn heartbeat(self, service: u32, host: u32) -> Option<Call> {
        let host = address(host);
        match self {
            Self::Consul => None,
            Self::Nacos | Self::RNacos => {
                let beat = format!(
                    "%7B%22ip%22%3A%22{host}%22%2C%22port%22%3A8080%2C%22serviceName%22%3A%22DEFAULT_GROUP%40%40service-{service}%22%7D"
                );
                Some(Call::new(
                    "PUT",
                    format!(
                        "/nacos/v1/ns/instance/beat?serviceName=service-{service}&ip={host}&port=8080&beat={beat}"
                    ),
                    "",
                ))
            }
            Self::Eureka => Some(Call::new(
                "PUT",
                format!("/eureka/apps/SERVICE-{service}/service-{service}-{host}"),
                "",
            )),
        }
    }
}

#[derive(Debug)]
enum Process {
    Known(Box<Server>),
    /// It and the folder that is removed after it.
    Own {
        child: Box<Child>,
        _folder: tempfile::TempDir,
    },
}

/// One that runs.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    process: Process,
}

impl Peer {
    /// Nothing, if it is not on this machine.
    pub(crate) async fn start(kind: Kind) -> Option<Self> {
        let known = match kind {
            Kind::Consul => ServerKind::Consul,
            Kind::Nacos => ServerKind::Nacos,
            Kind::Eureka => ServerKind::Eureka,
            Kind::RNacos => return Self::start_rnacos().await,
        };
        if let Some(reason) = servers::missing(known) {
            println!("{} is not measured: {reason}", kind.name());
            return None;
        }
        let mut options = ServerOptions::default().as_in_production();
        if kind == Kind::Consul {
            // All clients come from one address here.
            options = options.with_argument("-hcl=limits { http_max_conns_per_client = 2000 }");
        }
        let server = match kind {
            // One of a cluster of one: on disk, and not in development mode.
            Kind::Consul => servers::start_cluster(known, 1, options).await.unwrap().remove(0),
            _ => servers::start(known, options).await.unwrap(),
        };
        let port = server.http_port();
        Some(Self { kind, port, process: Process::Known(Box::new(server)) })
    }

    async fn start_rnacos() -> Option<Self> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (port, grpc, console) = (free_port(), free_port(), free_port());
        let child = Command::new("rnacos")
            .env("RNACOS_HTTP_PORT", port.to_string())
            .env("RNACOS_GRPC_PORT", grpc.to_string())
            .env("RNACOS_HTTP_CONSOLE_PORT", console.to_string())
            .env("RNACOS_DATA_DIR", folder.path())
            .env("RUST_LOG", "warn")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let Ok(child) = child else {
            println!("r-nacos is not measured: there is no `rnacos` on the PATH");
            return None;
        };
        let peer = Self {
            kind: Kind::RNacos,
            port,
            process: Process::Own { child: Box::new(child), _folder: folder },
        };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..300 {
            let url =
                format!("http://127.0.0.1:{port}/nacos/v1/ns/service/list?pageNo=1&pageSize=1");
            if client.get(url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Some(peer);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("r-nacos does not start");
    }

    pub(crate) fn process(&self) -> u32 {
        match &self.process {
            Process::Known(server) => server.process_id().unwrap(),
            Process::Own { child, .. } => child.id().unwrap(),
        }
    }

    /// Registers so many, and waits until a read shows them.
    pub(crate) async fn fill(&self, (services, each): Size) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let template = self.kind.register();
        let all = (0..each).flat_map(|host| (0..services).map(move |service| (service, host)));
        let put = |(service, host): (u32, u32)| {
            let filled = |text: &str| {
                text.replace("{s}", &service.to_string()).replace("{host}", &address(host))
            };
            let mut call = template.clone();
            (call.path, call.body) = (filled(&call.path), filled(&call.body));
            let (client, port) = (client.clone(), self.port);
            async move {
                let answer = call.send(&client, port).await;
                assert!(answer.status().is_success(), "{call:?}: {}", answer.status());
            }
        };
        stream::iter(all).for_each_concurrent(16, put).await;
        let last = address(each - 1);
        for _ in 0..600 {
            let answer = self.kind.read(services - 1).send(&client, self.port).await;
            if answer.text().await.unwrap().contains(&format!("\"{last}\"")) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} does not show what was registered", self.kind.name());
    }

    /// Registrations of instances that are not there yet.
    pub(crate) fn registrations(&self, services: u32, first: u32) -> Load {
        Load::Next { call: self.kind.register(), services, first }
    }
}
