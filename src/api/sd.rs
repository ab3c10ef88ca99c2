//! HTTP service discovery for Prometheus: every instance a target, whichever registry knows it.

pub(super) mod describe;
mod target;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use hub_registry_core::TenantId;
use serde_json::json;
use wildmatch::WildMatch;

use self::target::TargetGroup;
use super::discovery::unheard_json;
use super::error::{ApiError, ApiResult};
use super::params::Params;
use super::state::Api;
use crate::access::{Caller, Visible};
use crate::catalog::{GroupChoice, InstanceFilter, ServiceView, select};
use crate::error::{Error, Result};

/// Prometheus refuses anything else (`discovery/http/http.go`).
const JSON: &str = "application/json";

/// So many services are written before others get their turn: a list can be of a hundred megabytes.
const SERVICES_AT_ONCE: usize = 32;

/// Which targets are asked for.
#[derive(Debug)]
struct Query {
    group: GroupChoice,
    name: Option<WildMatch>,
    filter: InstanceFilter,
    /// Answer what is there while a source was never heard.
    partial: bool,
}

impl Query {
    fn read(mut params: Params) -> Result<Self> {
        let query = Self {
            group: params.group()?,
            name: params.take("name")?.map(|pattern| WildMatch::new(&pattern)),
            filter: params.filter()?,
            partial: match params.take("onPartial")?.as_deref() {
                None | Some("fail") => false,
                Some("use") => true,
                Some(other) => {
                    return Err(Error::invalid("onPartial", other, "must be one of use, fail"));
                }
            },
        };
        params.finish()?;
        Ok(query)
    }

    fn wants(&self, view: &ServiceView, visible: &Visible) -> bool {
        let named = |name: &WildMatch| name.matches(view.key.name.as_str());
        self.group.takes(&view.key.group)
            && visible.sees(&view.key.group)
            && self.name.as_ref().is_none_or(named)
    }
}

/// `GET /api/v1/sd/prometheus`
pub(super) async fn prometheus(
    State(api): State<Api>,
    caller: Caller,
    params: Params,
) -> ApiResult<Response> {
    let query = Query::read(params)?;
    let (tenant, visible) = (caller.tenant(), api.native.visible(&caller));
    if let GroupChoice::Named(group) = &query.group {
        visible.need(group)?;
    }
    // Before the snapshot is taken, which then has what each of them said.
    if !query.partial {
        all_heard(&api, tenant)?;
    }
    let snapshot = api.view.snapshot(tenant);
    let mut views = snapshot.sorted();
    views.retain(|view| query.wants(view, &visible));
    let body = Body::from_stream(list(tenant.clone(), views, query.filter));
    Ok(([(header::CONTENT_TYPE, JSON)], body).into_response())
}

/// Prometheus drops every target that a list leaves out, and keeps them all after an error.
fn all_heard(api: &Api, tenant: &TenantId) -> std::result::Result<(), ApiError> {
    let unheard = api.view.unloaded(tenant);
    if unheard.is_empty() {
        return Ok(());
    }
    let message = "the list would be too short: some sources were never loaded";
    let details = json!({ "partial": true, "sources": unheard_json(&unheard) });
    Err(Error::unavailable(message).with_details(details).into())
}

/// The list, a few services at a time.
fn list(
    tenant: TenantId,
    views: Vec<Arc<ServiceView>>,
    filter: InstanceFilter,
) -> impl Stream<Item = serde_json::Result<Bytes>> {
    let mut is_first = true;
    let targets = (0..views.len()).step_by(SERVICES_AT_ONCE).map(move |from| {
        let some = &views[from..views.len().min(from + SERVICES_AT_ONCE)];
        let mut text = Vec::new();
        for (view, row) in select(some, &filter).rows {
            if !std::mem::take(&mut is_first) {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &TargetGroup::of(&tenant, &some[view].rows[row]))?;
        }
        Ok(Bytes::from(text))
    });
    let fixed = |text| std::iter::once(Ok(Bytes::from_static(text)));
    stream::iter(fixed(b"[").chain(targets).chain(fixed(b"]")))
}
