//! From a check as clients define it to one of an instance.
//!
//! | ours | Consul's |
//! |---|---|
//! | id, name, notes | `CheckID` or `ID`, `Name`, `Notes` |
//! | a lease | `TTL` |
//! | a question of the hub | `HTTP` with `Method`, `Header` and `Body`; `TCP`; `GRPC` with `GRPCUseTLS`; `TLSSkipVerify`; `Interval`, `Timeout` |
//! | how many in a row count | `SuccessBeforePassing`, `FailuresBeforeCritical`; else as the hub has it |
//! | status | what it was, if it was there; else `Status`, else critical, as an agent has it |

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::{HeaderName, HeaderValue, Method, header};
use chrono::{DateTime, Utc};
use hub_registry_core::duration;
use serde::Deserialize;

use super::call::{Answered, Refused};
use super::register::or_default;
use crate::error::Error;
use crate::model::check::{Asks, Check, CheckStatus, Checks, Decides, MAX_CHECKS};
use crate::model::registration::MAX_LEASE_SECONDS;

/// The least time a critical service stays (`agent/agent.go`).
const MIN_DEREGISTER: u32 = 60;
/// A longer id, name or note is nobody's.
const LONGEST: usize = 1024;
/// What the hub says itself, since it makes a connection for each question.
const OWN_HEADERS: [HeaderName; 7] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
];

/// A check as clients define it; keys as [`decode`](super::register::decode) has them.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct CheckDefinition {
    /// In the registration of a check alone.
    #[serde(deserialize_with = "or_default")]
    id: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) checkid: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) serviceid: String,
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
    dockercontainerid: String,
    #[serde(deserialize_with = "or_default")]
    aliasnode: String,
    #[serde(deserialize_with = "or_default")]
    aliasservice: String,
    #[serde(deserialize_with = "or_default")]
    method: String,
    #[serde(deserialize_with = "or_default")]
    header: BTreeMap<String, Vec<String>>,
    #[serde(deserialize_with = "or_default")]
    body: String,
    #[serde(deserialize_with = "or_default")]
    tlsskipverify: bool,
    #[serde(deserialize_with = "or_default")]
    interval: String,
    #[serde(deserialize_with = "or_default")]
    timeout: String,
    #[serde(deserialize_with = "or_default")]
    successbeforepassing: u32,
    #[serde(deserialize_with = "or_default")]
    failuresbeforecritical: u32,
    #[serde(deserialize_with = "or_default")]
    deregistercriticalserviceafter: String,
}

impl CheckDefinition {
    /// With this id and name, where it has none.
    pub(super) fn with(mut self, id: String, name: impl FnOnce() -> String) -> Self {
        let own = [std::mem::take(&mut self.id), std::mem::take(&mut self.checkid), id];
        self.checkid = own.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
        if self.name.is_empty() {
            self.name = name();
        }
        self
    }

    /// The check, which nobody knew before.
    ///
    /// # Errors
    /// 400, with the field and the rule.
    pub(super) fn check(mut self, now: DateTime<Utc>, peer: IpAddr) -> Answered<Check> {
        let decides = self.decides()?;
        for (field, text) in
            [("CheckID", &self.checkid), ("Name", &self.name), ("Notes", &self.notes)]
        {
            if text.len() > LONGEST {
                return Err(invalid(&format!("{field} must have at most {LONGEST} bytes")));
            }
        }
        let said = Some(&*self.status).filter(|status| !status.is_empty());
        let said = said.map(str::parse::<CheckStatus>).transpose().map_err(|_| {
            let shown: String = self.status.chars().take(60).collect();
            Refused::bad(format!(
                "Bad check status: Status {shown:?} must be passing, warning or critical"
            ))
        })?;
        // What its client speaks for counts from when it does.
        let stated = said.filter(|_| matches!(decides, Decides::Asks(_)));
        let after = Some(&self.deregistercriticalserviceafter).filter(|text| !text.is_empty());
        let after =
            after.map(|text| seconds("DeregisterCriticalServiceAfter", text)).transpose()?;
        // What is at the hub's own host says nothing of a client elsewhere, which meant its own.
        let elsewhere = !peer.is_loopback() && decides.is_of_own_host();
        if let (true, Some(_)) = (elsewhere, after) {
            tracing::warn!(check = self.checkid, %peer, "a check asks the hub's own host (localhost): \
                its DeregisterCriticalServiceAfter does not count");
        }
        Ok(Check {
            id: self.checkid,
            name: self.name,
            notes: self.notes,
            decides,
            status: said.unwrap_or_default(),
            stated: stated.map(|_| now.timestamp_millis()),
            deregister_after: after
                .filter(|_| !elsewhere)
                .map(|seconds| seconds.max(MIN_DEREGISTER)),
        })
    }

    fn decides(&mut self) -> Answered<Decides> {
        if !self.args.is_empty() || !self.dockercontainerid.is_empty() {
            return Err(invalid("the hub runs no scripts; say TTL, HTTP, TCP or GRPC"));
        }
        if !self.aliasnode.is_empty() || !self.aliasservice.is_empty() {
            return Err(invalid("the hub has no alias checks; say TTL, HTTP, TCP or GRPC"));
        }
        let url = match (&*self.http, &*self.tcp, &*self.grpc) {
            ("", "", "") => return self.ttl(),
            (http, "", "") => http.to_owned(),
            ("", tcp, "") => format!("tcp://{tcp}"),
            ("", "", grpc) if self.grpcusetls => format!("grpcs://{grpc}"),
            ("", "", grpc) => format!("grpc://{grpc}"),
            _ => return Err(invalid("just one of TTL, HTTP, TCP and GRPC can be specified")),
        };
        if !self.ttl.is_empty() {
            return Err(invalid("Interval and TTL cannot both be specified"));
        }
        if self.interval.is_empty() {
            return Err(invalid("Interval must be > 0 for Script, HTTP, or TCP checks"));
        }
        let interval = seconds("Interval", &self.interval)?;
        let timeout = Some(&self.timeout).filter(|text| !text.is_empty());
        let timeout = timeout.map(|text| seconds("Timeout", text)).transpose()?;
        let in_a_row = |times: u32| (times > 0).then_some(times);
        let mut asks = Asks {
            url,
            interval,
            timeout,
            insecure: self.tlsskipverify,
            passes: in_a_row(self.successbeforepassing),
            failures: in_a_row(self.failuresbeforecritical),
            ..Asks::default()
        };
        if !self.http.is_empty() {
            asks.method = Some(method(&self.method)?).filter(|method| method != "GET");
            for (name, values) in &self.header {
                check_header(name, values)?;
            }
            asks.header = std::mem::take(&mut self.header);
            asks.body = std::mem::take(&mut self.body);
        }
        Ok(Decides::Asks(asks))
    }

    fn ttl(&self) -> Answered<Decides> {
        if !self.interval.is_empty() && !self.ttl.is_empty() {
            return Err(invalid("Interval and TTL cannot both be specified"));
        }
        if self.ttl.is_empty() {
            return Err(invalid("TTL must be > 0 for TTL checks"));
        }
        let ttl = seconds("TTL", &self.ttl)?;
        if ttl > MAX_LEASE_SECONDS {
            let text = format!("TTL {:?} must be at most {MAX_LEASE_SECONDS} seconds", self.ttl);
            return Err(invalid(&text));
        }
        Ok(Decides::Ttl(ttl))
    }
}

/// Adds a check; one that was there (`had`) stands as it did, since registering says nothing of how it
/// is.
///
/// # Errors
/// There are too many.
pub(super) fn add(checks: &mut Checks, new: Check, had: &Checks) -> Result<(), Error> {
    let (id, leased) = (new.id.clone(), new.lease().is_some());
    checks.put(new);
    checks.stand_as(had);
    // What was said of it was said before it was registered again.
    if let Some(check) = checks.get_mut(&id).filter(|_| leased) {
        check.stated = None;
    }
    if checks.len() > MAX_CHECKS {
        let rule = format!("must be at most {MAX_CHECKS} for a service");
        return Err(Error::invalid("Checks", checks.len(), &rule));
    }
    Ok(())
}

fn invalid(text: &str) -> Refused {
    Refused::bad(format!("Invalid check: {text}"))
}

/// Nothing is counted in less than seconds here.
fn seconds(field: &str, text: &str) -> Answered<u32> {
    let parsed = duration::parse(text).ok().filter(|time| !time.is_zero());
    // As many as a number of them can be: the cast stops there.
    parsed.map(|time| time.as_secs_f64().ceil() as u32).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        invalid(&format!("{field} {shown:?} must be a duration, as 15s or 1m"))
    })
}

fn method(text: &str) -> Answered<String> {
    let text = if text.is_empty() { "GET" } else { text };
    let parsed = Method::from_bytes(text.as_bytes())
        .ok()
        .filter(|method| text.len() <= 32 && *method != Method::CONNECT);
    parsed.map(|method| method.to_string()).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        invalid(&format!("Method {shown:?} must be one of HTTP's, and not CONNECT"))
    })
}

/// What a header says is nobody's business, so it is not repeated.
fn check_header(name: &str, values: &[String]) -> Answered<()> {
    let shown: String = name.chars().take(60).collect();
    let Ok(parsed) = name.parse::<HeaderName>() else {
        return Err(invalid(&format!("Header {shown:?} is no name of a header")));
    };
    if OWN_HEADERS.contains(&parsed) {
        return Err(invalid(&format!("Header {shown:?} is the hub's to say")));
    }
    if values.iter().any(|value| HeaderValue::from_str(value).is_err()) {
        return Err(invalid(&format!("Header {shown:?} has a value that no request can carry")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defined(http: &str, peer: [u8; 4]) -> Check {
        let definition = CheckDefinition {
            http: http.to_owned(),
            interval: "10s".to_owned(),
            deregistercriticalserviceafter: "90s".to_owned(),
            ..CheckDefinition::default()
        };
        definition.check(DateTime::UNIX_EPOCH, IpAddr::from(peer)).ok().unwrap()
    }

    #[test]
    fn so_it_is_for_connections() {
        for (tcp, own) in [("0x7f.1:80", true), ("[::1]:80", true), ("10.0.0.1:80", false)] {
            let asks = Asks { url: format!("tcp://{tcp}"), ..Asks::default() };
            assert_eq!(Decides::Asks(asks).is_of_own_host(), own, "{tcp}");
        }
    }

    #[test]
    fn what_a_client_elsewhere_calls_its_own_host_removes_nobody() {
        let (here, there) = ([127, 0, 0, 2], [10, 0, 0, 1]);
        for (http, peer, after) in [
            ("http://10.0.0.1/x", there, Some(90)),
            ("http://localhost:8080/x", here, Some(90)),
            ("http://localhost:8080/x", there, None),
            ("http://LOCALHOST/x", there, None),
            ("http://127.0.0.9/x", there, None),
            ("http://[::1]:80/x", there, None),
            ("http://0x7f.1/x", there, None),
            ("http://[::ffff:127.0.0.1]/x", there, None),
            ("http://a.localhost./x", there, None),
        ] {
            assert_eq!(defined(http, peer).deregister_after, after, "{http}");
        }
    }
}
