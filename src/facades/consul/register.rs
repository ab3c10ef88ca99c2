//! From a definition of a service to a registration with the hub.
//!
//! | ours | Consul's |
//! |---|---|
//! | group, service | `Name`, or `GROUP--NAME` |
//! | host | `Address`, else where the request comes from, as with an agent beside the client |
//! | port, tags | `Port`, `Tags` |
//! | metadata | `Meta` |
//! | weight | `Weights.Passing` x 100 |
//! | what decides on its health | the check: by heartbeats (TTL), HTTP, TCP or gRPC asked by the hub, or nothing |
//! | health | the check's `Status`, else critical, as an agent has it; what it was, if it was there |
//! | removal | never, or after `DeregisterCriticalServiceAfter` |

use std::collections::BTreeMap;
use std::net::IpAddr;

use hub_registry_core::{HealthStatus, InstanceKey, Pairs, ServiceKey, Weight, duration};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::call::{Answered, Refused};
use super::render::term;
use crate::model::instance::NativeInstance;
use crate::model::names::native_host;
use crate::model::registration::{MAX_LEASE_SECONDS, Registration};
use crate::model::terms::{CHECK_INTERVAL, CHECK_TIMEOUT, CHECK_URL};
use crate::model::words::{Flag, HealthCheckType};

/// Consul's own bounds of metadata (`agent/structs/structs.go`).
const MAX_META: (usize, usize, usize) = (64, 128, 512);
/// The least time a critical service stays (`agent/agent.go`).
const MIN_DEREGISTER: u64 = 60;

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
    check: Option<Check>,
    #[serde(deserialize_with = "or_default")]
    checks: Vec<Check>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Weights {
    passing: Option<i64>,
    warning: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tagged {
    address: String,
    port: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Check {
    #[serde(deserialize_with = "or_default")]
    checkid: String,
    #[serde(deserialize_with = "or_default")]
    name: String,
    #[serde(deserialize_with = "or_default")]
    notes: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    ttl: String,
    #[serde(deserialize_with = "or_default")]
    http: String,
    #[serde(deserialize_with = "or_default")]
    tcp: String,
    #[serde(deserialize_with = "or_default")]
    grpc: String,
    #[serde(deserialize_with = "or_default")]
    grpcusetls: bool,
    #[serde(deserialize_with = "or_default")]
    args: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    method: String,
    #[serde(deserialize_with = "or_default")]
    header: BTreeMap<String, Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    tlsskipverify: bool,
    #[serde(deserialize_with = "or_default")]
    interval: String,
    #[serde(deserialize_with = "or_default")]
    timeout: String,
    #[serde(deserialize_with = "or_default")]
    deregistercriticalserviceafter: String,
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
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
    let bad = |error: serde_json::Error| {
        let shown: String = error.to_string().chars().take(300).collect();
        Refused::bad(format!("Request decode failed: {shown}"))
    };
    let value: Value = serde_json::from_slice(body).map_err(bad)?;
    let mut definition: Definition = serde_json::from_value(folded(value)).map_err(bad)?;
    if definition.name.is_empty() {
        return Err(Refused::bad("Missing service name"));
    }
    if definition.id.is_empty() {
        definition.id.clone_from(&definition.name);
    }
    Ok(definition)
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

/// The registration. `before`: what is registered under the id.
///
/// # Errors
/// 400, with the field and the rule.
pub(super) fn registration(
    service: ServiceKey,
    new: Definition,
    peer: IpAddr,
    before: Option<&NativeInstance>,
) -> Answered<Registration> {
    check_meta(&new.meta)?;
    let address = if new.address.is_empty() { peer.to_string() } else { new.address };
    let host = native_host("Address", &address)?;
    let port = u16::try_from(new.port).ok().filter(|port| *port > 0);
    let port = port
        .ok_or_else(|| Refused::bad(format!("Port must be from 1 to 65535, not {}", new.port)))?;
    let mut native = Pairs::new();
    let mut say = |key: &str, value: String| native.insert(key.to_owned(), value);
    say(term::ID, new.id);
    say(term::AGENT, peer.to_string());
    if new.enabletagoverride {
        say(term::TAG_OVERRIDE, "true".to_owned());
    }
    for (tag, other) in new.taggedaddresses {
        say(&format!("{}{tag}", term::ADDRESS), format!("{}:{}", other.address, other.port));
    }
    let weights = new.weights.unwrap_or_default();
    if let Some(warning) = weights.warning.filter(|warning| *warning != 1) {
        say(term::WARNING, warning.to_string());
    }
    let passing = weights.passing.unwrap_or(1).clamp(0, i64::from(Weight::MAX / 100));
    let mut checks: Vec<_> = new.check.into_iter().chain(new.checks).collect();
    if checks.len() > 1 {
        return Err(Refused::bad("Checks: the hub takes one check for a service"));
    }
    let mut registration = Registration {
        weight: Some(Weight::new(u32::try_from(passing).unwrap_or(1) * 100)),
        tags: Some(new.tags),
        metadata: Some(new.meta.into()),
        check: Some(HealthCheckType::None),
        health: Some(HealthStatus::Unknown),
        ephemeral: Some(Flag::No),
        ..Registration::new(InstanceKey { service, host, port })
    };
    if let Some(check) = checks.pop() {
        checked(&mut registration, &mut native, check, before)?;
    }
    registration.native = Some(native);
    Ok(registration)
}

fn checked(
    registration: &mut Registration,
    native: &mut Pairs,
    check: Check,
    before: Option<&NativeInstance>,
) -> Answered<()> {
    let seconds = |field: &str, text: &str| {
        let parsed = duration::parse(text).ok().filter(|time| !time.is_zero());
        // Nothing is counted in less than seconds here.
        let parsed = parsed.map(|time| time.as_secs_f64().ceil() as u64);
        parsed.ok_or_else(|| {
            Refused::bad(format!("{field} {text:?} must be a duration, as 15s or 1m"))
        })
    };
    let mut say = |key: &str, value: String| {
        if !value.is_empty() {
            native.insert(key.to_owned(), value);
        }
    };
    let kind = match (&*check.ttl, &*check.http, &*check.tcp, &*check.grpc) {
        _ if !check.args.is_empty() => {
            let text = "Check: the hub runs no scripts; say TTL, HTTP, TCP or GRPC";
            return Err(Refused::bad(text));
        }
        (ttl, "", "", "") if !ttl.is_empty() => {
            let lease = seconds("TTL", ttl)?.min(u64::from(MAX_LEASE_SECONDS));
            registration.lease_seconds = u32::try_from(lease).ok();
            registration.check = Some(HealthCheckType::Heartbeat);
            "ttl"
        }
        ("", http, "", "") if !http.is_empty() => {
            let plain = matches!(&*check.method, "" | "GET" | "get");
            if !plain || !check.header.is_empty() || check.tlsskipverify {
                let text = "Check: the hub asks by GET, without headers, and verifies certificates";
                return Err(Refused::bad(text));
            }
            say(CHECK_URL, http.to_owned());
            registration.check = Some(HealthCheckType::Http);
            "http"
        }
        ("", "", "", grpc) if !grpc.is_empty() => {
            if check.tlsskipverify {
                return Err(Refused::bad("Check: the hub verifies certificates"));
            }
            let scheme = if check.grpcusetls { "grpcs" } else { "grpc" };
            say(CHECK_URL, format!("{scheme}://{grpc}"));
            registration.check = Some(HealthCheckType::Grpc);
            "grpc"
        }
        ("", "", tcp, "") if !tcp.is_empty() => {
            say(CHECK_URL, format!("tcp://{tcp}"));
            registration.check = Some(HealthCheckType::Tcp);
            "tcp"
        }
        _ => return Err(Refused::bad("Check must have just one of TTL, HTTP, TCP, GRPC")),
    };
    if kind != "ttl" {
        say(CHECK_INTERVAL, seconds("Interval", &check.interval)?.to_string());
        if !check.timeout.is_empty() {
            say(CHECK_TIMEOUT, seconds("Timeout", &check.timeout)?.to_string());
        }
    }
    say(term::CHECK_TYPE, kind.to_owned());
    say(term::CHECK_ID, check.checkid);
    say(term::CHECK_NAME, check.name);
    say(term::CHECK_NOTES, check.notes);
    if !check.deregistercriticalserviceafter.is_empty() {
        let after =
            seconds("DeregisterCriticalServiceAfter", &check.deregistercriticalserviceafter)?;
        say(term::DEREGISTER, after.max(MIN_DEREGISTER).to_string());
    }
    let known = before.filter(|before| before.native.contains_key(term::CHECK_TYPE));
    registration.health = Some(match (&*check.status, known) {
        ("passing", _) => HealthStatus::Healthy,
        ("warning", _) => {
            // What the hub asks itself either passes or does not.
            if kind == "ttl" {
                say(term::CHECK_STATUS, "warning".to_owned());
            }
            HealthStatus::Healthy
        }
        // Registering again says nothing of how it is.
        ("", Some(known)) => {
            let warns = known.native.get(term::CHECK_STATUS).filter(|_| kind == "ttl");
            say(term::CHECK_STATUS, warns.cloned().unwrap_or_default());
            known.health
        }
        ("critical" | "", _) => HealthStatus::Unhealthy,
        (other, _) => {
            let shown: String = other.chars().take(60).collect();
            return Err(Refused::bad(format!(
                "Status {shown:?} must be passing, warning or critical"
            )));
        }
    });
    Ok(())
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
