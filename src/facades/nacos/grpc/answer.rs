//! What a client asks, and is answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hub_registry_core::{GroupName, ServiceKey, ServiceName};
use serde_json::json;

use super::connection::{Asker, Connection};
use super::message::{
    self, Info, NO_CONFIG, NO_HANDLER, Nothing, Payload, Said, UNREGISTERED, answer, failed,
    refusal,
};
use super::push::{MAX_TOPICS, Order, Wanted};
use crate::access::{Action, Caller};
use crate::error::{Error, ErrorCode, Result};
use crate::facades::nacos::Face;
use crate::facades::nacos::call::{GROUP_END, tenant};
use crate::facades::nacos::lists::{Look, Unheard, clusters_of, cut};
use crate::facades::nacos::register::{Stay, address};
use crate::model::instance::{NativeInstance, Registration};
use crate::model::names::InstanceId;
use crate::model::terms::CONNECTION;

/// How many names are answered at once, where it is not said.
const PAGE: usize = 10;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Check,
    Health,
    Instance,
    Batch,
    Persistent,
    Subscribe,
    Query,
    List,
    ReadConfig,
    ListenConfig,
    /// Writing or removing a configuration.
    WriteConfig(&'static str),
}

impl Ask {
    fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "ServerCheckRequest" => Self::Check,
            "HealthCheckRequest" => Self::Health,
            "InstanceRequest" => Self::Instance,
            "BatchInstanceRequest" => Self::Batch,
            "PersistentInstanceRequest" => Self::Persistent,
            "SubscribeServiceRequest" => Self::Subscribe,
            "ServiceQueryRequest" => Self::Query,
            "ServiceListRequest" => Self::List,
            "ConfigQueryRequest" => Self::ReadConfig,
            "ConfigBatchListenRequest" => Self::ListenConfig,
            "ConfigPublishRequest" => Self::WriteConfig("ConfigPublishResponse"),
            "ConfigRemoveRequest" => Self::WriteConfig("ConfigRemoveResponse"),
            _ => return None,
        })
    }

    /// The type of its answer.
    const fn answer(self) -> &'static str {
        match self {
            Self::Check => "ServerCheckResponse",
            Self::Health => "HealthCheckResponse",
            Self::Instance | Self::Persistent => "InstanceResponse",
            Self::Batch => "BatchInstanceResponse",
            Self::Subscribe => "SubscribeServiceResponse",
            Self::Query => "QueryServiceResponse",
            Self::List => "ServiceListResponse",
            Self::ReadConfig => "ConfigQueryResponse",
            Self::ListenConfig => "ConfigChangeBatchListenResponse",
            Self::WriteConfig(answer) => answer,
        }
    }
}

/// A request of a connection.
struct Request<'a> {
    connection: &'a Arc<Connection>,
    payload: &'a Payload,
    /// A proxy says that it passed it on.
    forwarded: bool,
    said: Said,
}

/// The answer to a request that comes outside of the stream.
pub(super) async fn unary(
    connection: &Arc<Connection>,
    payload: &Payload,
    forwarded: bool,
) -> Payload {
    connection.hears();
    let metrics = &connection.face.metrics.nacos;
    let said = match payload.read() {
        Ok(said) => said,
        Err(error) => {
            metrics.asked("other", false);
            return failed(None, &error);
        }
    };
    let id = said.request_id.clone();
    let id = id.as_deref();
    let Some(ask) = Ask::of(payload.kind()) else {
        metrics.asked("other", false);
        let kind: String = payload.kind().chars().take(100).collect();
        return refusal(
            "ErrorResponse",
            id,
            NO_HANDLER,
            &format!("RequestHandler Not Found: {kind}"),
        );
    };
    if ask != Ask::Check && !connection.is_set_up() {
        metrics.asked(ask.answer(), false);
        return refusal("ErrorResponse", id, UNREGISTERED, "Connection is unregistered.");
    }
    let outcome = Request { connection, payload, forwarded, said }.answered(ask, id).await;
    metrics.asked(ask.answer(), outcome.is_ok());
    match outcome {
        Ok(answer) => answer,
        // Clients that read this log in again.
        Err(error) if matches!(error.code, ErrorCode::Unauthorized | ErrorCode::Forbidden) => {
            refusal(ask.answer(), id, 403, &error.message)
        }
        Err(error) => failed(id, &error),
    }
}

impl Request<'_> {
    async fn answered(self, ask: Ask, id: Option<&str>) -> Result<Payload> {
        let kind = ask.answer();
        match ask {
            Ask::Check => {
                let more = json!({
                    "connectionId": self.connection.id, "supportAbilityNegotiation": true,
                });
                Ok(answer(kind, id, more))
            }
            Ask::Health => Ok(answer(kind, id, Nothing {})),
            Ask::Instance | Ask::Batch | Ask::Persistent => {
                let what = self.said.what.clone();
                self.write(ask).await?;
                Ok(answer(kind, id, json!({ "type": what })))
            }
            Ask::Subscribe | Ask::Query => self.instances(ask, id).await,
            Ask::List => self.names(id).await,
            Ask::ReadConfig => {
                self.asker(Action::Read).await?;
                Ok(refusal(kind, id, NO_CONFIG, "config data not exist"))
            }
            Ask::ListenConfig => {
                self.asker(Action::Read).await?;
                Ok(answer(kind, id, json!({ "changedConfigs": [] })))
            }
            Ask::WriteConfig(_) => {
                self.asker(Action::Write).await?;
                Ok(refusal(kind, id, 500, "this server keeps services, and no configurations"))
            }
        }
    }

    async fn asker(&self, action: Action) -> Result<Asker> {
        let tenant = tenant(self.said.namespace.as_deref().unwrap_or_default())?;
        self.connection.asker(self.payload, tenant, self.forwarded, action).await
    }

    fn group(&self) -> Result<GroupName> {
        match self.said.group_name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => group(name),
            None => Ok(GroupName::default_group()),
        }
    }

    /// The service: `GROUP@@NAME`, or a name and a group.
    fn service(&self) -> Result<ServiceKey> {
        let said = self.said.service_name.as_deref().unwrap_or_default();
        let (group, name) = match said.split_once(GROUP_END) {
            Some((of, name)) => (group(of)?, name),
            None => (self.group()?, said),
        };
        let name = ServiceName::parse(name)
            .map_err(|error| bad(format!("Param 'serviceName': {}", error.rule)))?;
        Ok(ServiceKey::new(group, name))
    }

    /// Registers or removes.
    async fn write(mut self, ask: Ask) -> Result<()> {
        let asker = self.asker(Action::Write).await?;
        let service = self.service()?;
        let registers = match self.said.what.as_deref() {
            Some("registerInstance" | "batchRegisterInstance") => true,
            Some("deregisterInstance") => false,
            other => {
                let shown: String = other.unwrap_or_default().chars().take(100).collect();
                return Err(bad(format!("Unsupported request type {shown}")));
            }
        };
        let connection = self.connection;
        let required = |name: &str| bad(format!("Param '{name}' is required."));
        let said = match ask {
            // None of them is said by an empty list.
            Ask::Batch => self.said.instances.take().ok_or_else(|| required("instances"))?,
            _ => vec![self.said.instance.take().ok_or_else(|| required("instance"))?],
        };
        if ask != Ask::Persistent && !registers {
            // All of the service that it has, whatever address is said.
            return connection.publish(asker, service, Vec::new()).await;
        }
        let stay = match ask {
            Ask::Persistent => Stay::Persistent,
            _ => Stay::Connected(connection.id.clone()),
        };
        let all = said.into_iter().map(|instance| {
            let ip = instance.ip.as_deref().unwrap_or_default();
            let key = address(service.clone(), ip, instance.port)?;
            instance.told().registration(key, stay.clone())
        });
        let all = all.collect::<Result<Vec<Registration>>>()?;
        if ask != Ask::Persistent {
            return connection.publish(asker, service, all).await;
        }
        for one in all {
            connection.face.persist(&asker.caller, one, registers).await?;
        }
        Ok(())
    }

    /// The instances of a service, and pushes from now on if it is subscribed to.
    async fn instances(self, ask: Ask, id: Option<&str>) -> Result<Payload> {
        let asker = self.asker(Action::Read).await?;
        let service = self.service()?;
        let clusters = if ask == Ask::Query { &self.said.cluster } else { &self.said.clusters };
        let clusters: Vec<String> =
            clusters_of(clusters.as_deref().unwrap_or_default())?.map(str::to_owned).collect();
        let connection = self.connection;
        let found = connection.face.find(&asker.caller, &service);
        if ask == Ask::Subscribe {
            let order = match self.said.subscribe.unwrap_or(false) {
                // Also of what is not known: it is pushed when it is.
                true => {
                    if connection.subscriptions.load(Ordering::Relaxed) >= MAX_TOPICS {
                        return Err(bad(format!(
                            "a connection subscribes to {MAX_TOPICS} services at most"
                        )));
                    }
                    let namespace = self.said.namespace.clone().unwrap_or_default();
                    let (asker, clusters) = (asker.clone(), clusters.clone());
                    Order::Subscribe(Wanted { asker, namespace, clusters }, service.clone())
                }
                false => Order::Unsubscribe((asker.tenant().clone(), service.clone())),
            };
            let over = |_| Error::unavailable("the connection has ended");
            connection.orders.send(order).await.map_err(over)?;
        }
        let found = match found {
            Ok(found) => found,
            // Whoever wants no more is not to ask again.
            Err(_) if ask == Ask::Subscribe && self.said.subscribe != Some(true) => Look::nothing(),
            Err(error) => return Err(unheard(error)),
        };
        let hosts = connection.face.hosts(&asker.caller, &service, &found);
        let clusters: Vec<_> = clusters.iter().map(String::as_str).collect();
        let healthy = ask == Ask::Query && self.said.healthy_only.unwrap_or(false);
        if ask == Ask::Query || self.said.subscribe == Some(true) {
            found.is_whole(&clusters).map_err(unheard)?;
        }
        let info = hosts.info(&clusters, healthy, connection.is_told_carried());
        Ok(answer(ask.answer(), id, Info { service_info: &info }))
    }

    /// The names of a group's services.
    async fn names(self, id: Option<&str>) -> Result<Payload> {
        let asker = self.asker(Action::Read).await?;
        let face = &self.connection.face;
        let mut names = face.names(&asker.caller, &self.group()?).map_err(unheard)?;
        let count = names.len();
        let number =
            |said: Option<i64>, usual| said.map_or(usual, |n| usize::try_from(n).unwrap_or(0));
        cut(&mut names, number(self.said.page_no, 1), number(self.said.page_size, PAGE));
        Ok(answer(Ask::List.answer(), id, json!({ "count": count, "serviceNames": names })))
    }
}

impl Face {
    /// Registers or removes what stays without a connection.
    async fn persist(&self, caller: &Caller, one: Registration, registers: bool) -> Result<()> {
        let _turn = self.turns.of((caller.tenant(), &one.key)).await;
        if registers {
            let outcome = self.native.register(caller, one).await;
            self.metrics.native.ended("register", outcome.is_ok());
            return outcome.map(drop);
        }
        let id = InstanceId::of(caller.tenant(), &one.key);
        // As by HTTP: what is not there is removed.
        let still = |instance: &NativeInstance| !instance.native.contains_key(CONNECTION);
        let outcome = self.native.deregister_if(caller, id, still).await;
        self.metrics.native.ended("deregister", outcome.is_ok());
        outcome.map(drop)
    }
}

/// What comes on the stream: who the client is, and that it got what it was told.
pub(super) async fn streamed(connection: &Connection, payload: &Payload) -> Result<()> {
    connection.hears();
    let said = payload.read()?;
    let order = match payload.kind() {
        "ConnectionSetupRequest" => {
            connection.set_up(said.asks_for_carried());
            let version: String =
                said.client_version.unwrap_or_default().chars().take(100).collect();
            tracing::debug!(client = %connection.id, version, "a client of Nacos is connected");
            if said.ability_table.is_none() {
                return Ok(());
            }
            // It waits for it.
            Order::Say(message::set_up("1"))
        }
        "NotifySubscriberResponse" if said.result_code.is_none_or(|code| code == 200) => {
            Order::Acknowledged(said.request_id.unwrap_or_default())
        }
        _ => return Ok(()),
    };
    connection.orders.send(order).await.map_err(|_| Error::unavailable("the connection has ended"))
}

fn group(name: &str) -> Result<GroupName> {
    GroupName::parse(name).map_err(|error| bad(format!("Param 'groupName': {}", error.rule)))
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorCode::Invalid, text)
}

fn unheard(unheard: Unheard) -> Error {
    Error::unavailable(format!("not known, and never heard yet: {}", unheard.0))
}
