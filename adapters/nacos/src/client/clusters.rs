//! The instances of a service where a list shows one cluster only.
//!
//! Nothing there reads a whole service at one moment. So the clusters are asked for after their
//! lists: these are believed when they show every cluster there is.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use hub_registry_core::http::Answer;
use hub_registry_core::{Error, ErrorKind, Result, ServiceKey};
use serde::de::IgnoredAny;

use super::dialect::Dialect;
use super::{NacosClient, paging};
use crate::wire::{Envelope, Host, ServiceView};

/// How often a service that changes while it is read is read again.
const ATTEMPTS: u32 = 8;

const OPERATION: &str = "list instances";

/// `ErrorCode.SERVICE_NOT_EXIST`.
const SERVICE_NOT_EXIST: i64 = 21_008;

impl NacosClient {
    /// Every instance of the service, by its clusters; none when the service is unknown.
    pub(super) async fn by_clusters(
        &self,
        dialect: Dialect,
        service: &ServiceKey,
    ) -> Result<Vec<Host>> {
        if !dialect.wants_cluster()
            && let Some(hosts) = self.unnamed(dialect, service).await?
        {
            return Ok(hosts);
        }
        let mut clusters = self.clusters(dialect, service).await?;
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let hosts = self.lists(dialect, service, &clusters).await?;
            if hosts.as_ref().is_none_or(Vec::is_empty) {
                // So it is of a service that is unknown or empty; and of one that nobody listed
                // yet, which has its clusters from the first list of services on.
                let view = self.view(dialect, service).await?;
                if view.is_none_or(|view| view.ip_count == 0) {
                    return Ok(Vec::new());
                }
            }
            let now = self.clusters(dialect, service).await?;
            let hosts = hosts.filter(|hosts| now == clusters && !hosts.is_empty());
            // Of several lists each is of a moment of its own: an instance that moves between
            // them may be in none. Twice the same is no accident.
            let settled = now.len() == 1 || before == hosts;
            match hosts {
                Some(hosts) if settled => return Ok(hosts),
                hosts => before = hosts,
            }
            clusters = now;
        }
        let message = format!("{service} never added up over its clusters");
        Err(Error::new(ErrorKind::Protocol, OPERATION, self.mask(&message)))
    }

    /// The list for which no cluster was named, if it is that of all of them: from 3.2 on it is,
    /// before it is that of `DEFAULT`.
    async fn unnamed(&self, dialect: Dialect, service: &ServiceKey) -> Result<Option<Vec<Host>>> {
        let Some(hosts) = self.cluster(dialect, service, None).await? else {
            return Ok(None);
        };
        let shown: BTreeSet<_> =
            hosts.iter().map(|host| host.cluster_name.clone().unwrap_or_default()).collect();
        let all = self.clusters(dialect, service).await?;
        Ok((!shown.is_empty() && shown == all).then_some(hosts))
    }

    /// The lists of all these clusters; `None` when one of them is gone.
    async fn lists(
        &self,
        dialect: Dialect,
        service: &ServiceKey,
        clusters: &BTreeSet<String>,
    ) -> Result<Option<Vec<Host>>> {
        let mut all = Vec::new();
        for cluster in clusters {
            match self.cluster(dialect, service, Some(cluster)).await? {
                Some(hosts) => all.extend(hosts),
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// The instances of one cluster; `None` when it is gone.
    async fn cluster(
        &self,
        dialect: Dialect,
        service: &ServiceKey,
        cluster: Option<&str>,
    ) -> Result<Option<Vec<Host>>> {
        let gone = &AtomicBool::new(false);
        let hosts = paging::whole(OPERATION, |number| async move {
            let page = [("pageNo", number.to_string()), ("pageSize", paging::SIZE.to_owned())];
            let cluster = cluster.map(|name| ("clusterName", name.to_owned()));
            let more = page.into_iter().chain(cluster);
            let call = (OPERATION, dialect.instances_path());
            let answer = self.of_service(dialect, call, service, more).await?;
            if is_unknown(dialect, &answer) {
                gone.store(true, Ordering::Relaxed);
                return Ok((0, Vec::new()));
            }
            dialect.instances(answer)
        });
        let hosts = hosts.await?;
        Ok((!gone.load(Ordering::Relaxed)).then_some(hosts))
    }

    /// The clusters of the service; none when it is unknown.
    async fn clusters(&self, dialect: Dialect, service: &ServiceKey) -> Result<BTreeSet<String>> {
        let path = dialect.clusters_path().unwrap_or_default();
        let call = ("list clusters", path);
        let answer = self.of_service(dialect, call, service, Vec::new()).await?;
        if is_unknown(dialect, &answer) { Ok(BTreeSet::new()) } else { dialect.clusters(answer) }
    }

    /// The service as it is listed. A call that is not there is an error here, while the others
    /// cannot tell it from a service that is not.
    async fn view(&self, dialect: Dialect, service: &ServiceKey) -> Result<Option<ServiceView>> {
        // It is part of a regular expression, in which a dot is any character.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        let pattern: String =
            service.name.as_str().chars().map(|c| if plain(c) { c } else { '.' }).collect();
        let all = self.services_in(dialect, &pattern).await?;
        let is = |view: &ServiceView| {
            view.name == service.name.as_str() && view.group_name == service.group.as_str()
        };
        Ok(all.into_iter().find(is))
    }
}

/// Whether the answer is that of a service or a cluster that is not there: 404. 1.4 says 500 with
/// the same words, and 3.x 400 with a code of its own where it is asked for the service.
fn is_unknown(dialect: Dialect, answer: &Answer) -> bool {
    match (answer.status.as_u16(), dialect) {
        (404, _) => true,
        (400, Dialect::V3) => code(answer) == Some(SERVICE_NOT_EXIST),
        (500, Dialect::V1) => String::from_utf8_lossy(&answer.body).contains(" is not found!"),
        _ => false,
    }
}

fn code(answer: &Answer) -> Option<i64> {
    let envelope: Envelope<IgnoredAny> = serde_json::from_slice(&answer.body).ok()?;
    Some(envelope.code)
}
