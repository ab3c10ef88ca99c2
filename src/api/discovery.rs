//! Discovery: the instances of a service over all sources.

pub(super) mod describe;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{ServiceName, TenantId};
use serde_json::{Value, json};

use super::body::TwoParts;
use super::error::{ApiError, ApiResult};
use super::extract::Segment;
use super::names;
use super::params::Params;
use super::state::Api;
use super::tagged::knows;
use crate::access::{Caller, Visible};
use crate::balance::{self, Candidate, Strategy};
use crate::catalog::{
    Answer, Found, Freshness, GroupChoice, InstanceFilter, Looked, Selection, ServiceView,
    SourceCell, row_value, select as matching,
};
use crate::error::{Error, Result};

/// How long a blocking query waits that does not say how long: as Consul's.
const DEFAULT_WAIT: Duration = Duration::from_secs(300);
/// The longest wait, and the longest bound on staleness.
const MAX_WAIT: Duration = Duration::from_secs(600);
const MAX_STALENESS: Duration = Duration::from_secs(7 * 24 * 3600);
/// The largest `limit`.
const MAX_LIMIT: i64 = 1_000_000;
/// Under this many bytes compressing costs more than it saves.
const MIN_GZIP: usize = 1024;
const INDEX_HEADER: HeaderName = HeaderName::from_static("x-registry-index");

/// What to do when a source was never loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OnPartial {
    /// Not said: answer what is there, but do not say "unknown".
    Unsaid,
    /// Answer what is there.
    Use,
    /// Answer nothing.
    Fail,
}

/// What is asked for.
#[derive(Debug)]
pub(super) struct Query {
    group: GroupChoice,
    filter: InstanceFilter,
    strategy: Option<Strategy>,
    key: Option<String>,
    /// The caller's zone, where it is a preference and no filter.
    zone: Option<String>,
    limit: Option<usize>,
    index: Option<i64>,
    wait: Option<Duration>,
    max_staleness: Option<Duration>,
    on_partial: OnPartial,
}

impl Query {
    /// # Errors
    /// A parameter breaks its rule.
    pub(super) fn read(mut params: Params) -> Result<Self> {
        let mut query = Self {
            zone: None,
            group: params.group()?,
            strategy: params.word("strategy")?,
            key: params.take("key")?,
            limit: params.number("limit", 1, MAX_LIMIT)?.map(|limit| limit as usize),
            index: params.number("index", 0, 1 << 53)?,
            wait: params.duration("wait", MAX_WAIT)?,
            max_staleness: params.duration("maxStaleness", MAX_STALENESS)?,
            on_partial: match params.take("onPartial")?.as_deref() {
                None => OnPartial::Unsaid,
                Some("use") => OnPartial::Use,
                Some("fail") => OnPartial::Fail,
                Some(other) => {
                    return Err(Error::invalid("onPartial", other, "must be one of use, fail"));
                }
            },
            filter: params.filter()?,
        };
        params.finish()?;
        if query.strategy == Some(Strategy::ConsistentHash) && query.key.is_none() {
            let rule = "is required with strategy=CONSISTENT_HASH";
            return Err(Error::invalid("key", Value::Null, rule));
        }
        if query.strategy == Some(Strategy::ZoneAffinity) {
            query.zone = query.filter.zone.take();
        }
        Ok(query)
    }

    /// The index after which a change is waited for, if one is.
    fn awaited(&self) -> Option<i64> {
        self.index.filter(|index| *index > 0)
    }

    /// Whether the answer may have to wait.
    pub(super) fn may_wait(&self) -> bool {
        self.awaited().is_some()
    }
}

/// `GET /api/v1/services/{serviceName}/instances`
pub(super) async fn instances(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    params: Params,
    headers: HeaderMap,
) -> Response {
    let query = match Query::read(params) {
        Ok(query) => query,
        Err(error) => return ApiError::from(error).into_response(),
    };
    let name = match names::service(&name) {
        Ok(name) => name,
        Err(error) => return ApiError::from(error).into_response(),
    };
    if let Some(index) = query.awaited() {
        let visible = api.native.visible(&caller);
        if let Err(error) = needed(&visible, &query.group) {
            return ApiError::from(error).into_response();
        }
        let wait = query.wait.unwrap_or(DEFAULT_WAIT);
        tokio::select! {
            () = api.view.wait(caller.tenant(), &name, (&query.group, &visible), index, wait) => {}
            // A server that stops answers what it has.
            () = api.stopping.cancelled() => {}
        }
    }
    answer_now(&api, &caller, &name, &query, (&headers, peer))
}

fn needed(visible: &Visible, group: &GroupChoice) -> Result<()> {
    match group {
        GroupChoice::Named(group) => visible.need(group),
        GroupChoice::Unsaid | GroupChoice::All => Ok(()),
    }
}

/// What is there now, without waiting.
pub(super) fn answer_now(
    api: &Api,
    caller: &Caller,
    name: &ServiceName,
    query: &Query,
    (headers, peer): (&HeaderMap, SocketAddr),
) -> Response {
    let (tenant, visible) = (caller.tenant(), api.native.visible(caller));
    if let Err(error) = needed(&visible, &query.group) {
        return ApiError::from(error).into_response();
    }
    let looked = api.view.look(tenant, name, &query.group, &visible);
    let index = looked.index;
    let mut response = match services(looked, name, query) {
        Ok(found) => match answer(api, tenant, &found, query, index, peer) {
            Ok(answer) => respond(api, answer, headers, query.strategy.is_some()),
            Err(error) => ApiError::from(error).into_response(),
        },
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(INDEX_HEADER, HeaderValue::from(index));
    response
}

/// `GET /api/v1/services/{serviceName}/select`
pub(super) async fn select(
    State(api): State<Api>,
    caller: Caller,
    Segment(name): Segment,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    params: Params,
) -> ApiResult<Response> {
    let mut query = Query::read(params)?;
    let only_lists = [
        ("index", query.index.is_some()),
        ("wait", query.wait.is_some()),
        ("limit", query.limit.is_some()),
    ];
    if let Some((name, _)) = only_lists.into_iter().find(|(_, given)| *given) {
        return Err(Error::invalid(name, Value::Null, "is for lists, not for select").into());
    }
    let name = names::service(&name)?;
    let visible = api.native.visible(&caller);
    needed(&visible, &query.group)?;
    let looked = api.view.look(caller.tenant(), &name, &query.group, &visible);
    let found = services(looked, &name, &query)?;
    check_freshness(api.view.freshness(caller.tenant(), &found), &query)?;
    let strategy = query.strategy.unwrap_or(found[0].attributes.strategy);
    if strategy == Strategy::ZoneAffinity {
        query.zone = query.zone.or_else(|| query.filter.zone.take());
    }
    let lifted: Vec<_> = found.iter().map(|view| view.is_protected()).collect();
    let mut eligible = matching(&found, &query.filter);
    eligible.rows.retain(|&(view, row)| found[view].rows[row].is_usable(lifted[view]));
    arrange(&found, &mut eligible, strategy, &query, peer);
    let Some(&(view, row)) = eligible.rows.first() else {
        let message = format!("no instance of {name} is up and healthy");
        return Err(Error::unavailable(message).into());
    };
    Ok(axum::Json(row_value(&found[view].rows[row])).into_response())
}

/// The services found, or why there is nothing to answer.
fn services(looked: Looked, name: &ServiceName, query: &Query) -> ApiResult<Vec<Arc<ServiceView>>> {
    match looked.found {
        Found::One(view) => Ok(vec![view]),
        Found::Several(views) if !views.is_empty() => Ok(views),
        Found::Ambiguous(groups) => {
            let message = format!("{name} is in several groups: name one, or * for all");
            Err(Error::conflict(message).with_details(json!({ "groups": groups })).into())
        }
        Found::Several(_) | Found::Unknown => {
            Err(unknown_when(&looked.unheard, name, query.on_partial))
        }
    }
}

/// "Does not exist" is only said when every source that might know it was heard.
pub(super) fn unknown(unheard: &[Arc<SourceCell>], name: &ServiceName) -> ApiError {
    unknown_when(unheard, name, OnPartial::Unsaid)
}

fn unknown_when(
    unheard: &[Arc<SourceCell>],
    name: &ServiceName,
    on_partial: OnPartial,
) -> ApiError {
    if unheard.is_empty() {
        return Error::not_found(format!("no service {name}")).into();
    }
    let details = json!({ "partial": true, "sources": unheard_json(unheard) });
    if on_partial == OnPartial::Use {
        let message = format!("no service {name} in the sources that were loaded");
        return Error::not_found(message).with_details(details).into();
    }
    let message = format!("{name} is not known yet: some sources were never loaded");
    Error::unavailable(message).with_details(details).into()
}

/// The sources that were never heard, in the details of an error.
pub(super) fn unheard_json(unheard: &[Arc<SourceCell>]) -> Value {
    let source =
        |cell: &Arc<SourceCell>| json!({ "source": cell.info.name, "state": cell.state() });
    unheard.iter().map(source).collect()
}

fn answer(
    api: &Api,
    tenant: &TenantId,
    found: &[Arc<ServiceView>],
    query: &Query,
    index: i64,
    peer: SocketAddr,
) -> Result<Answer> {
    let answer = if query.strategy.is_none() && query.limit.is_none() {
        api.view.answer(tenant, found, &query.filter, index)
    } else {
        let mut selection = matching(found, &query.filter);
        if let Some(strategy) = query.strategy {
            arrange(found, &mut selection, strategy, query, peer);
        }
        selection.rows.truncate(query.limit.unwrap_or(usize::MAX));
        api.view.answer_of(tenant, found, &selection, index)
    };
    check_freshness(answer.freshness, query)?;
    Ok(answer)
}

fn check_freshness(freshness: Freshness, query: &Query) -> Result<()> {
    if freshness.partial && query.on_partial == OnPartial::Fail {
        return Err(Error::unavailable("a source was never loaded, and onPartial=fail")
            .with_details(json!({ "partial": true })));
    }
    let age_ms = freshness.max_age_ms;
    match query.max_staleness {
        Some(bound) if age_ms > bound.as_millis() as i64 => {
            let message = format!("the answer is {age_ms} ms old, more than maxStaleness");
            Err(Error::unavailable(message).with_details(json!({ "ageMs": age_ms })))
        }
        _ => Ok(()),
    }
}

/// Puts the rows in the order of the strategy. Turns and connections are the (first) service's.
fn arrange(
    found: &[Arc<ServiceView>],
    selection: &mut Selection,
    strategy: Strategy,
    query: &Query,
    peer: SocketAddr,
) {
    let Some(service) = found.first() else { return };
    // The address of the connection: a header could say anything.
    let caller = peer.ip().to_canonical().to_string();
    let lifted: Vec<_> = found.iter().map(|view| view.is_protected()).collect();
    let ids = selection.rows.iter().map(|&(view, row)| found[view].rows[row].id.text());
    let ids: Vec<_> = ids.collect();
    let candidates: Vec<_> = selection
        .rows
        .iter()
        .zip(&ids)
        .map(|(&(view, row), id)| {
            let row = &found[view].rows[row];
            Candidate {
                id,
                weight: row.instance.weight.get(),
                zone: row.instance.metadata.get("zone").map(String::as_str),
                usable: row.is_usable(lifted[view]),
            }
        })
        .collect();
    let key = match strategy {
        Strategy::IpHash => &caller,
        _ => query.key.as_ref().unwrap_or(&caller),
    };
    let request = balance::Request { key, zone: query.zone.as_deref(), random: fastrand::u64(..) };
    let order = balance::order(strategy, &candidates, request, &service.picks);
    selection.rows = order.into_iter().map(|place| selection.rows[place]).collect();
}

fn respond(api: &Api, answer: Answer, asked: &HeaderMap, ordered: bool) -> Response {
    let etag = HeaderValue::from_str(&answer.etag).ok().filter(|_| !ordered);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding, x-tenant-id"));
    if let Some(etag) = etag {
        let matches = knows(asked, answer.etag.as_bytes());
        headers.insert(header::ETAG, etag);
        if matches {
            return with(headers, StatusCode::NOT_MODIFIED, Body::empty());
        }
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let large = answer.head.len() + answer.tail.len() >= MIN_GZIP;
    let (head, tail) = if api.settings.gzip && large && takes_gzip(asked) {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        answer.gzip()
    } else {
        (answer.head, answer.tail)
    };
    with(headers, StatusCode::OK, Body::new(TwoParts::new(head, tail)))
}

/// Without moving the headers from one map into another.
fn with(headers: HeaderMap, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    (*response.headers_mut(), *response.status_mut()) = (headers, status);
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|part| {
        let mut words = part.split(';').map(str::trim);
        let name = words.next().unwrap_or_default();
        let refused = words.any(|word| {
            matches!(word.replace(' ', "").as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        });
        (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
    })
}
