//! How much there is, and how it fares: of the caller's tenant, in the groups the caller may read.

pub(super) mod describe;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use hub_registry_core::{GroupName, HealthStatus, InstanceStatus};
use serde_json::{Value, json};

use super::checks;
use super::error::ApiResult;
use super::params::Params;
use super::state::Api;
use crate::access::{Action, Caller};
use crate::catalog::{Row, ServiceView, SourceCell};
use crate::clock::rfc3339;

/// What instances add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    services: usize,
    instances: usize,
    held: usize,
    status: [usize; InstanceStatus::ALL.len()],
    health: [usize; HealthStatus::ALL.len()],
}

impl Count {
    fn row(&mut self, row: &Row) {
        self.instances += 1;
        self.held += usize::from(row.held);
        self.status[row.instance.status as usize] += 1;
        self.health[row.instance.health as usize] += 1;
    }

    fn by_status(&self) -> Value {
        let words = InstanceStatus::ALL.iter();
        words.map(|word| (word.as_str().to_owned(), json!(self.status[*word as usize]))).collect()
    }

    fn by_health(&self) -> Value {
        let words = HealthStatus::ALL.iter();
        words.map(|word| (word.as_str().to_owned(), json!(self.health[*word as usize]))).collect()
    }

    fn healthy_share(&self) -> Value {
        let healthy = self.health[HealthStatus::Healthy as usize];
        match self.instances {
            0 => Value::Null,
            all => json!(healthy as f64 / all as f64),
        }
    }
}

/// One look at the view.
#[derive(Debug, Default)]
struct Totals {
    all: Count,
    groups: BTreeMap<GroupName, Count>,
    /// By the source's name; an instance counts with each source that knows it.
    sources: BTreeMap<String, Count>,
    protocols: BTreeMap<&'static str, usize>,
    revision: i64,
}

impl Totals {
    fn of(api: &Api, caller: &Caller) -> Self {
        let visible = api.native.visible(caller);
        let snapshot = api.view.snapshot(caller.tenant());
        let mut totals = Self { revision: snapshot.revision, ..Self::default() };
        // Empty groups count too.
        for group in api.native.list_groups(caller.tenant()) {
            if visible.sees(&group.name) {
                totals.groups.insert(group.name.clone(), Count::default());
            }
        }
        for (name, view) in snapshot.services.values().flat_map(|groups| groups.iter()) {
            if visible.sees(name) {
                totals.service(view);
            }
        }
        totals
    }

    fn service(&mut self, view: &ServiceView) {
        let group = self.groups.entry(view.key.group.clone()).or_default();
        group.services += 1;
        self.all.services += 1;
        for cell in view.sources.cells() {
            self.sources.entry(cell.info.name.clone()).or_default().services += 1;
        }
        for row in &view.rows {
            group.row(row);
            self.all.row(row);
            *self.protocols.entry(row.instance.protocol.as_str()).or_default() += 1;
            for origin in row.origins.iter() {
                if let Some(count) = self.sources.get_mut(&*origin.source) {
                    count.row(row);
                }
            }
        }
    }

    fn groups_json(&self, page: super::params::Page) -> Value {
        let groups = self.groups.iter().map(|(name, count)| {
            json!({
                "groupName": name,
                "services": count.services,
                "instances": count.instances,
                "byStatus": count.by_status(),
                "byHealth": count.by_health(),
                "healthyShare": count.healthy_share(),
            })
        });
        Value::Array(page.of(groups.collect()))
    }

    /// Every source of the tenant: one without any instance shows what it lacks.
    fn sources_json(&self, cells: &[Arc<SourceCell>]) -> Value {
        let source = |cell: &Arc<SourceCell>| {
            let count = self.sources.get(&cell.info.name).copied().unwrap_or_default();
            json!({
                "source": cell.info.name,
                "registryType": cell.info.kind,
                "state": cell.state(),
                "ageMs": cell.age_ms(),
                "services": count.services,
                "instances": count.instances,
                "held": count.held,
                "byStatus": count.by_status(),
                "byHealth": count.by_health(),
            })
        };
        cells.iter().map(source).collect()
    }
}

/// `GET /api/v1/stats`; `page` and `pageSize` are of `byGroup`.
pub(super) async fn totals(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let page = params.page()?;
    params.finish()?;
    let totals = Totals::of(&api, &caller);
    let cells = api.view.sources(caller.tenant());
    Ok(Json(json!({
        "tenantId": caller.tenant(),
        "groups": totals.groups.len(),
        "services": totals.all.services,
        "instances": totals.all.instances,
        "held": totals.all.held,
        "sources": cells.len(),
        "byStatus": totals.all.by_status(),
        "byHealth": totals.all.by_health(),
        "byGroup": totals.groups_json(page),
        "bySource": totals.sources_json(&cells),
        "leases": leases(&api, &caller),
        "partial": !api.view.unloaded(caller.tenant()).is_empty(),
        "revision": totals.revision,
        "uptimeSeconds": api.started.elapsed().as_secs(),
    })))
}

/// `GET /api/v1/stats/instances`; `page` and `pageSize` are of `byGroup`.
pub(super) async fn instances(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let page = params.page()?;
    params.finish()?;
    let totals = Totals::of(&api, &caller);
    let cells = api.view.sources(caller.tenant());
    Ok(Json(json!({
        "tenantId": caller.tenant(),
        "instances": totals.all.instances,
        "held": totals.all.held,
        "byStatus": totals.all.by_status(),
        "byHealth": totals.all.by_health(),
        "byProtocol": totals.protocols,
        "groups": totals.groups.len(),
        "byGroup": totals.groups_json(page),
        "bySource": totals.sources_json(&cells),
        "leases": leases(&api, &caller),
        "revision": totals.revision,
    })))
}

/// `GET /api/v1/stats/health`; `page` and `pageSize` are of `byGroup`.
pub(super) async fn health(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let page = params.page()?;
    params.finish()?;
    let totals = Totals::of(&api, &caller);
    let count = |health: HealthStatus| totals.all.health[health as usize];
    Ok(Json(json!({
        "tenantId": caller.tenant(),
        "instances": totals.all.instances,
        "healthy": count(HealthStatus::Healthy),
        "unhealthy": count(HealthStatus::Unhealthy),
        "unknown": count(HealthStatus::Unknown),
        "healthyShare": totals.all.healthy_share(),
        "groups": totals.groups.len(),
        "byGroup": totals.groups_json(page),
        "checks": checks::numbers(&api, &caller),
        "leases": leases(&api, &caller),
        "revision": totals.revision,
    })))
}

/// The leases of the tenant's native instances and their self-preservation. They are counted over
/// all groups, so they are for whoever runs the tenant.
fn leases(api: &Api, caller: &Caller) -> Value {
    if caller.need(Action::Operate).is_err() {
        return Value::Null;
    }
    let stats = api.native.lease_stats(caller.tenant());
    json!({
        "heartBeating": stats.heart_beating,
        "overdue": stats.overdue,
        "held": stats.held,
        "selfPreservation": stats.preserving_since.is_some(),
        "preservingSince": stats.preserving_since.map(rfc3339),
        "sweeping": stats.sweeping,
        "sweeps": stats.sweeps,
        "expired": stats.expired,
    })
}
