//! From a definition of a service to a registration with the hub.
//!
//! | ours | Consul's |
//! |---|---|
//! | group, service | `Name`, or `GROUP--NAME` |
//! | host | `Address`, else where the request comes from, as with an agent beside the client |
//! | port, tags | `Port`, `Tags` |
//! | metadata | `Meta` |
//! | weight | `Weights.Passing` x 100 |
//! | what decides on its health | its checks, the worst of them ([`check_definition`]); or nothing |
//! | removal | never, or after a check's `DeregisterCriticalServiceAfter` |

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use hub_registry_core::{InstanceKey, InstanceStatus, Pairs, ServiceKey, Weight};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::call::{Answered, Refused};
use super::check_definition::{self, CheckDefinition};
use super::maintenance;
use super::render::term;
use crate::error::Error;
use crate::model::check::{Check, Checks};
use crate::model::instance::NativeInstance;
use crate::model::names::reachable_host;
use crate::model::registration::Registration;
use crate::model::terms;
use crate::model::words::{Flag, HealthCheckType};

/// Consul's own bounds of metadata (`agent/structs/structs.go`).
const MAX_META: (usize, usize, usize) = (64, 128, 512);

/// A service as clients define it; keys in whatever case, with or without underscores.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Definition {
    #[serde(deserialize_with = "or_default")]
    pub(super) id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    tags: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    address: String,
    #[serde(deserialize_with = "or_default")]
    port: i64,
    #[serde(deserialize_with = "or_default")]
    meta: BTreeMap<String, String>,
    weights: Option<Weights>,
    #[serde(deserialize_with = "or_default")]
    enabletagoverride: bool,
    #[serde(deserialize_with = "or_default")]
    taggedaddresses: BTreeMap<String, Tagged>,
    check: Option<CheckDefinition>,
    #[serde(deserialize_with = "or_default")]
    checks: Vec<CheckDefinition>,
    #[serde(deserialize_with = "or_default")]
    kind: String,
    #[serde(deserialize_with = "or_default")]
    connect: Connect,
}

/// What a service has to do with a mesh.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Connect {
    #[serde(deserialize_with = "or_default")]
    native: bool,
    sidecarservice: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Weights {
    #[serde(deserialize_with = "or_default")]
    passing: i64,
    #[serde(deserialize_with = "or_default")]
    warning: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tagged {
    address: String,
    port: i64,
}

pub(super) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a definition.
///
/// # Errors
/// It is no JSON, or a field is of another type: 400, as the real server's.
pub(super) fn read(body: &[u8]) -> Answered<Definition> {
    let mut definition: Definition = decode(body)?;
    if definition.name.is_empty() {
        return Err(Refused::bad("Missing service name"));
    }
    if definition.id.is_empty() {
        definition.id.clone_from(&definition.name);
    }
    Ok(definition)
}

/// Reads what clients define, whatever the case of its keys.
///
/// # Errors
/// It is no JSON, or a field is of another type.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Answered<T> {
    let bad = |error: serde_json::Error| {
        let shown: String = error.to_string().chars().take(300).collect();
        Refused::bad(format!("Request decode failed: {shown}"))
    };
    let value: Value = serde_json::from_slice(body).map_err(bad)?;
    serde_json::from_value(folded(value)).map_err(bad)
}

/// Keys as this reader has them. What stands under `Meta`, and the names of addresses, are the
/// client's own.
fn folded(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let key: String =
                    key.chars().filter(|c| *c != '_').collect::<String>().to_ascii_lowercase();
                let value = match (key.as_str(), value) {
                    ("meta" | "header", value) => value,
                    ("taggedaddresses", Value::Object(all)) => Value::Object(
                        all.into_iter().map(|(tag, address)| (tag, folded(address))).collect(),
                    ),
                    (_, value) => folded(value),
                };
                (key, value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(folded).collect()),
        other => other,
    }
}

/// A definition that was read: what it says of the service, and which checks it names.
#[derive(Debug)]
pub(super) struct Defined {
    registration: Registration,
    checks: Vec<Check>,
}

impl Defined {
    /// Reads what it says.
    ///
    /// # Errors
    /// 400, with the field and the rule.
    pub(super) fn of(
        service: ServiceKey,
        new: Definition,
        peer: IpAddr,
        now: DateTime<Utc>,
    ) -> Answered<Self> {
        check_meta(&new.meta)?;
        if !new.kind.is_empty() || new.connect.native || new.connect.sidecarservice.is_some() {
            return Err(Refused::bad("Kind and Connect must be empty: the hub is no service mesh"));
        }
        let address = if new.address.is_empty() { peer.to_string() } else { new.address };
        let host = reachable_host("Address", &address)?;
        let port = u16::try_from(new.port).ok().filter(|port| *port > 0);
        let port = port.ok_or_else(|| {
            Refused::bad(format!("Port must be from 1 to 65535, not {}", new.port))
        })?;
        let mut native = Pairs::new();
        let mut say = |key: &str, value: String| native.insert(key.to_owned(), value);
        say(term::ID, new.id.clone());
        say(term::AGENT, peer.to_string());
        if new.enabletagoverride {
            say(term::TAG_OVERRIDE, "true".to_owned());
        }
        for (tag, other) in new.taggedaddresses {
            say(&format!("{}{tag}", term::ADDRESS), format!("{}:{}", other.address, other.port));
        }
        let Weights { passing, warning } =
            new.weights.unwrap_or(Weights { passing: 1, warning: 1 });
        check_weights(passing, warning)?;
        if warning != 1 {
            say(term::WARNING, warning.to_string());
        }
        let passing = passing.min(i64::from(Weight::MAX / 100));
        // An empty one is none there; in a list it is a mistake.
        let one = new.check.filter(|check| *check != CheckDefinition::default());
        let defined: Vec<_> = one.into_iter().chain(new.checks).collect();
        let alone = defined.len() == 1;
        let mut checks = Vec::with_capacity(defined.len());
        for (place, check) in defined.into_iter().enumerate() {
            // As an agent names them (`agent/agent.go`, `addServiceInternal`).
            let id = match alone {
                true => format!("service:{}", new.id),
                false => format!("service:{}:{}", new.id, place + 1),
            };
            let name = || format!("Service '{}' check", new.name);
            checks.push(check.with(id, name).check(now, peer)?);
        }
        let registration = Registration {
            weight: Some(Weight::new(u32::try_from(passing).unwrap_or(1) * 100)),
            tags: Some(new.tags),
            metadata: Some(new.meta.into()),
            ephemeral: Some(Flag::No),
            native: Some(native),
            ..Registration::new(InstanceKey { service, host, port })
        };
        Ok(Self { registration, checks })
    }

    /// The ids of the checks that it names.
    pub(super) fn names(&self) -> Vec<String> {
        self.checks.iter().map(|check| check.id.clone()).collect()
    }

    /// The address that it says.
    pub(super) fn key(&self) -> &InstanceKey {
        &self.registration.key
    }

    /// The registration of a service that is registered as `before`: its status stays, and its checks,
    /// of which a maintenance of its own is one, unless those that are defined here are to `replace` them.
    /// Of another service that has its address nothing stays; of what is `there` by another way what an
    /// operator said of it.
    ///
    /// # Errors
    /// It has too many checks.
    pub(super) fn over(
        self,
        before: Option<&NativeInstance>,
        there: Option<&NativeInstance>,
        replace: bool,
    ) -> Result<Registration, Error> {
        let Self { mut registration, checks: defined } = self;
        let had = before.map_or(Checks::NONE, NativeInstance::checks);
        let mut checks = if replace { Checks::default() } else { had.clone() };
        for check in defined {
            check_definition::add(&mut checks, check, had)?;
        }
        let native = registration.native.get_or_insert_default();
        checks.write(native);
        let plain = there.filter(|there| {
            let is_out = there.status == InstanceStatus::OutOfService;
            let said = is_out || there.native.contains_key(terms::OVERRIDDEN);
            said && !there.native.contains_key(term::ID)
        });
        let down = before.filter(|before| before.status != InstanceStatus::Up);
        let known = down.or(plain).or(before);
        let said = |term: &str| known.and_then(|known| known.native.get(term)).cloned();
        // Where it has no reason it is what was out of use before its agent was.
        let own = said(terms::MAINTENANCE);
        let ends = replace && own.as_ref().is_some_and(|reason| !reason.is_empty());
        for (term, said) in [
            (terms::MAINTENANCE, own.filter(|_| !ends)),
            (terms::NODE_MAINTENANCE, said(terms::NODE_MAINTENANCE)),
            (terms::OVERRIDDEN, said(terms::OVERRIDDEN)),
        ] {
            native.extend(said.map(|said| (term.to_owned(), said)));
        }
        registration.status = Some(match known {
            Some(_) if ends => maintenance::status_without(native),
            Some(known) => known.status,
            None => InstanceStatus::Up,
        });
        let none = checks.is_empty();
        registration.check =
            Some(if none { HealthCheckType::None } else { HealthCheckType::Checks });
        registration.health = Some(checks.health());
        Ok(registration)
    }
}

/// `agent/structs/structs.go`, `ValidateWeights`.
fn check_weights(passing: i64, warning: i64) -> Answered<()> {
    let wrong = match (passing, warning) {
        (..=0, _) => "Passing must be greater than 0",
        (_, ..=-1) => "Warning must be greater or equal than 0",
        (0x1_0000.., _) | (_, 0x1_0000..) => "DNS Weight must be between 0 and 65535",
        _ => return Ok(()),
    };
    Err(Refused::bad(format!("Invalid Weights: {wrong}")))
}

fn check_meta(meta: &BTreeMap<String, String>) -> Answered<()> {
    let (most, longest_key, longest) = MAX_META;
    let bad = |text: String| Err(Refused::bad(format!("Invalid Service Meta: {text}")));
    if meta.len() > most {
        return bad(format!("Node metadata cannot contain more than {most} key/value pairs"));
    }
    for (key, value) in meta {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let shown: String = key.chars().take(60).collect();
        if key.is_empty() || key.len() > longest_key || !key.bytes().all(legal) {
            return bad(format!(
                "Couldn't load metadata pair ({shown:?}): key must match [A-Za-z0-9_-]{{1,{longest_key}}}"
            ));
        }
        if key.starts_with("consul-") {
            return bad(format!(
                "Couldn't load metadata pair ({shown:?}): key prefix 'consul-' is reserved"
            ));
        }
        if value.len() > longest {
            return bad(format!(
                "Couldn't load metadata pair ({shown:?}): value is longer than {longest} bytes"
            ));
        }
    }
    Ok(())
}
