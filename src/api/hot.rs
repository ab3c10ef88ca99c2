//! The hot path: the usual discovery question, and the heartbeat, answered before the router.
//!
//! They are asked more often than all others together, and their answers are in memory; what every
//! route has (layers, boxed futures, copies of what a handler might take) costs more than the answer
//! itself (docs/performance.md). Only a plain one is answered here. Whatever waits, fails, is to be
//! logged or comes from a browser goes the usual way, by the same functions.

use std::net::SocketAddr;

use axum::body::HttpBody;
use axum::http::{Method, Request};
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tracing::Level;

use super::authenticate::known;
use super::discovery::{Query, answer_now};
use super::instances::renewed;
use super::middleware::{mark, request_id};
use super::names;
use super::params::Params;
use super::state::Api;
use crate::access::{Action, Caller};
use crate::telemetry::logging::ACCESS;
use crate::telemetry::metrics::RouteMetrics;

/// The routes as they stand in the router, and in metrics, cut where their variable is.
const INSTANCES: (&str, &str) = ("/api/v1/services/", "/instances");
const HEARTBEAT: (&str, &str) = ("/api/v1/instances/", "/heartbeat");

/// See the module.
#[derive(Clone, Debug)]
pub struct Hot {
    api: Api,
    instances: RouteMetrics,
    heartbeat: RouteMetrics,
}

impl Hot {
    /// Nothing where browsers may call: their headers are the router's business.
    #[must_use]
    pub fn new(api: Api) -> Option<Self> {
        if api.settings.cors_origins.is_some() {
            return None;
        }
        let metrics = |method, name, (before, after): (&str, &str)| {
            api.metrics.http.route(method, &format!("{before}{{{name}}}{after}"))
        };
        let instances = metrics("GET", "serviceName", INSTANCES);
        let heartbeat = metrics("PUT", "instanceId", HEARTBEAT);
        Some(Self { api, instances, heartbeat })
    }

    /// The answer, if this is one of the questions, and a plain one.
    pub(super) fn answer<B: HttpBody>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
    ) -> Option<Response> {
        if !request.body().is_end_stream() {
            return None;
        }
        let path = request.uri().path();
        match *request.method() {
            Method::GET => {
                let name = variable(path, INSTANCES)?;
                self.measured(request, &self.instances, || self.discover(request, name, peer))
            }
            Method::PUT => {
                let id = variable(path, HEARTBEAT)?;
                self.measured(request, &self.heartbeat, || self.renew(request, id))
            }
            _ => None,
        }
    }

    fn measured<B>(
        &self,
        request: &Request<B>,
        metrics: &RouteMetrics,
        answer: impl FnOnce() -> Option<Response>,
    ) -> Option<Response> {
        if tracing::enabled!(target: ACCESS, Level::DEBUG) {
            return None;
        }
        let start = Instant::now();
        let mut response = answer()?;
        mark(response.headers_mut(), request_id(request.headers()));
        let sent = response.body().size_hint().exact();
        metrics.answered(response.status().as_u16(), sent, start.elapsed());
        Some(response)
    }

    fn discover<B>(&self, request: &Request<B>, name: &str, peer: SocketAddr) -> Option<Response> {
        let (api, headers) = (&self.api, request.headers());
        // Whatever may be left to the router costs little until then.
        let params = Params::of(request.uri()).ok()?;
        let query = Query::read(params).ok().filter(|query| !query.may_wait())?;
        let name = names::service(name).ok()?;
        let caller = self.caller(request, Action::Read)?;
        let response = answer_now(api, &caller, &name, &query, (headers, peer));
        let status = response.status();
        (!status.is_client_error() && !status.is_server_error()).then_some(response)
    }

    /// A heartbeat that fails did nothing, so that the router may try it again.
    fn renew<B>(&self, request: &Request<B>, id: &str) -> Option<Response> {
        let caller = self.caller(request, Action::Write)?;
        let lease_seconds = self.api.native.heartbeat(&caller, id).ok()?;
        self.api.metrics.native.ended("heartbeat", true);
        Some(renewed(lease_seconds).into_response())
    }

    fn caller<B>(&self, request: &Request<B>, action: Action) -> Option<Caller> {
        let caller = known(&self.api.authenticator, request.headers(), request.uri())?;
        caller.need(action).ok()?;
        Some(caller)
    }
}

/// What stands in the place of the variable. What has to be decoded is left to the router.
fn variable<'p>(path: &'p str, (before, after): (&str, &str)) -> Option<&'p str> {
    let text = path.strip_prefix(before)?.strip_suffix(after)?;
    (!text.is_empty() && !text.contains(['/', '%'])).then_some(text)
}
