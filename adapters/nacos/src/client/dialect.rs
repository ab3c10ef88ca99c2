//! The three HTTP APIs of Nacos: their paths, their queries, the shapes of their answers.
//!
//! | | names | instances | in |
//! |---|---|---|---|
//! | v1 | `v1/ns/catalog/services` | `v1/ns/catalog/instances`, cluster by cluster | 1.x, 2.x up to 2.2.0 |
//! | v2 | the same | `v2/ns/catalog/instances` | 2.2.1 to 2.5; 3.0 and 3.1 if switched on |
//! | v3 | `v3/admin/ns/service/list` | `v3/admin/ns/instance/list`, cluster by cluster up to 3.1 | 3.x |
//!
//! They all show disabled instances, and health as it is stored (naming, `CatalogServiceV2Impl`;
//! of 1.x `CatalogController`).

use std::collections::BTreeSet;
use std::fmt;

use hub_registry_core::http::Answer;
use hub_registry_core::{ErrorKind, Result, ServiceKey};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;

use crate::wire::{
    Beat, ClusterList, ClusterMap, ClusterPage, Envelope, Host, InstancePage, ServiceItems,
    ServicePage, ServiceView,
};

/// What a heartbeat for an address that is not there is answered with, by v1
/// (`NamingResponseCode.RESOURCE_NOT_FOUND`)
const UNKNOWN: i64 = 20404;
/// and by v3 (`ErrorCode.INSTANCE_NOT_FOUND`).
const INSTANCE_NOT_FOUND: i64 = 21003;

/// The HTTP API a Nacos speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// That of 1.x, and of 2.x up to 2.2.0.
    V1,
    /// That of 2.2.1 and later.
    V2,
    /// That of 3.x, which refuses the older ones (410), or has them no more (404, from 3.2 on).
    V3,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::V3 => "v3",
        })
    }
}

impl Dialect {
    /// Where the services of a namespace are listed, page by page.
    pub(super) const fn services_path(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "/v1/ns/catalog/services",
            Self::V3 => "/v3/admin/ns/service/list",
        }
    }

    /// Where the instances of a service, or of a cluster of it, are listed.
    pub(super) const fn instances_path(self) -> &'static str {
        match self {
            Self::V1 => "/v1/ns/catalog/instances",
            Self::V2 => "/v2/ns/catalog/instances",
            Self::V3 => "/v3/admin/ns/instance/list",
        }
    }

    /// Where the clusters of a service are named; `None` where nobody has to know them.
    pub(super) const fn clusters_path(self) -> Option<&'static str> {
        match self {
            Self::V1 => Some("/v1/ns/catalog/service"),
            Self::V2 => None,
            Self::V3 => Some("/v3/admin/ns/service"),
        }
    }

    /// Where an instance is registered and removed.
    pub(super) const fn instance_path(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "/v1/ns/instance",
            Self::V3 => "/v3/client/ns/instance",
        }
    }

    /// By which call a copy is renewed: without a whole `beat` in it, with which an older server
    /// would register what it does not know, and without our metadata.
    pub(super) fn beat_call(self) -> (Method, &'static str, Option<(&'static str, &'static str)>) {
        match self {
            Self::V1 | Self::V2 => (Method::PUT, "/v1/ns/instance/beat", None),
            Self::V3 => (Method::POST, self.instance_path(), Some(("heartBeat", "true"))),
        }
    }

    /// Whether what was asked for was done.
    pub(super) fn done(self, answer: Answer) -> Result<()> {
        match self {
            Self::V1 | Self::V2 => {
                let answer = present(answer)?;
                match answer.body.trim_ascii() {
                    b"ok" => Ok(()),
                    _ => Err(answer.error(ErrorKind::Protocol, "is not \"ok\"")),
                }
            }
            Self::V3 => opened::<serde_json::Value>(answer).map(drop),
        }
    }

    /// Whether the server knows the instance that was renewed.
    pub(super) fn beaten(self, answer: Answer) -> Result<bool> {
        match self {
            Self::V1 | Self::V2 => {
                let beat: Beat = present(answer)?.json()?;
                Ok(beat.code != UNKNOWN)
            }
            Self::V3 => {
                let envelope: Option<Envelope<serde_json::Value>> =
                    serde_json::from_slice(&answer.body).ok();
                if envelope.is_some_and(|envelope| envelope.code == INSTANCE_NOT_FOUND) {
                    return Ok(false);
                }
                opened::<serde_json::Value>(answer).map(|_| true)
            }
        }
    }

    /// Where a name and a password are changed for a token.
    pub(super) const fn login_path(self) -> &'static str {
        match self {
            Self::V1 | Self::V2 => "/v1/auth/users/login",
            Self::V3 => "/v3/auth/user/login",
        }
    }

    /// Whether the token is wanted as `Authorization: Bearer` too: 1.x knows no other header.
    pub(super) const fn wants_bearer(self) -> bool {
        matches!(self, Self::V1)
    }

    /// Whether a list must be asked for with the name of a cluster.
    pub(super) const fn wants_cluster(self) -> bool {
        matches!(self, Self::V1)
    }

    /// The parameters that name a service.
    pub(super) fn names(self, service: &ServiceKey) -> Vec<(&'static str, String)> {
        let (group, name) = (service.group.as_str(), service.name.as_str());
        match self {
            // 2.2.4 does not look at `groupName` here: a bare name is looked up in the default
            // group (seen on the real server), so the group goes into the name.
            Self::V1 | Self::V2 => vec![("serviceName", format!("{group}@@{name}"))],
            Self::V3 => vec![("groupName", group.to_owned()), ("serviceName", name.to_owned())],
        }
    }

    /// How many services there are, and those of this page.
    pub(super) fn services(self, answer: Answer) -> Result<(usize, Vec<ServiceView>)> {
        match self {
            Self::V1 | Self::V2 => {
                let ServicePage { count, service_list } = present(answer)?.json()?;
                Ok((count, service_list))
            }
            Self::V3 => {
                let ServiceItems { total_count, page_items } = opened(answer)?;
                Ok((total_count, page_items))
            }
        }
    }

    /// How many instances there are, and those of this page.
    pub(super) fn instances(self, answer: Answer) -> Result<(usize, Vec<Host>)> {
        match self {
            Self::V1 => {
                let ClusterPage { count, list } = present(answer)?.json()?;
                Ok((count, list))
            }
            Self::V2 => {
                let InstancePage { count, instances } = opened(answer)?;
                Ok((count, instances))
            }
            Self::V3 => {
                // Not in pages.
                let list: Vec<Host> = opened(answer)?;
                Ok((list.len(), list))
            }
        }
    }

    /// The clusters of a service.
    pub(super) fn clusters(self, answer: Answer) -> Result<BTreeSet<String>> {
        match self {
            Self::V1 | Self::V2 => {
                let ClusterList { clusters } = present(answer)?.json()?;
                Ok(clusters.into_iter().map(|cluster| cluster.name).collect())
            }
            Self::V3 => {
                let ClusterMap { cluster_map } = opened(answer)?;
                Ok(cluster_map.into_keys().collect())
            }
        }
    }
}

/// Whether the status says that the server has no such call. 3.0 and 3.1 say 410 for what is
/// switched off; 501 is Nacos' own word ("no such api"), below `v1/ns` and `v2/ns`.
pub(super) fn is_missing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405 | 410 | 501)
}

/// An answer of a call that the server has.
fn present(answer: Answer) -> Result<Answer> {
    if is_missing(answer.status) {
        return Err(answer.error(ErrorKind::NotFound, "is not there"));
    }
    answer.success()
}

/// What a v2 or v3 call wrapped, if it succeeded: some errors come as 200 with a code inside.
fn opened<T: DeserializeOwned>(answer: Answer) -> Result<T> {
    let answer = present(answer)?;
    let problem = |error| format!("is not the expected JSON ({error})");
    let envelope: Envelope<T> = serde_json::from_slice(&answer.body)
        .map_err(|error| answer.error(ErrorKind::Protocol, &problem(error)))?;
    match (envelope.code, envelope.data) {
        (0, Some(data)) => Ok(data),
        (401, _) => Err(answer.error(ErrorKind::Unauthorized, "was refused")),
        // 10001: access denied (`ErrorCode`).
        (403 | 10001, _) => Err(answer.error(ErrorKind::Forbidden, "was refused")),
        (0, None) => Err(answer.error(ErrorKind::Protocol, "has no data")),
        _ => Err(answer.error(ErrorKind::Server, "was refused")),
    }
}
