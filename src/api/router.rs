//! Every route on one page.

use axum::Extension;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::authenticate::{Door, authenticate};
use super::error::{ApiError, plain};
use super::json_body::BodyLimit;
use super::routes::{Route, Routes};
use super::state::{Api, ApiSettings};
use super::{
    discovery, explain, external, groups, health, instances, load, middleware, scrape, services,
    stats, tokens,
};
use crate::access::Action::{Administer, Manage, Observe, Operate, Read, Write};
use crate::error::Error;

/// The main listener's routes.
pub fn router(api: Api) -> Router {
    let routes = routes(&api.settings);
    finish(routes, api)
}

/// What there is to ask for, and what it needs.
#[must_use]
pub fn route_table(settings: &ApiSettings) -> Vec<Route> {
    routes(settings).table()
}

fn routes(settings: &ApiSettings) -> Routes {
    let limit = Extension(BodyLimit(settings.body_limit));
    let batch_limit = Extension(BodyLimit(settings.batch_body_limit));
    let timeout = settings.request_timeout;
    let bounded = probes()
        .merge(groups_services_instances())
        .merge(administration())
        .behind(|router| router.layer(limit))
        .merge(batches().behind(|router| router.layer(batch_limit)))
        .behind(|router| router.layer(from_fn_with_state(timeout, middleware::timeout)));
    let mut rest = bounded.merge(probing().behind(|router| router.layer(limit)));
    if settings.gzip {
        rest = rest.behind(|router| router.layer(CompressionLayer::new()));
    }
    rest.merge(hot())
}

fn probes() -> Routes {
    Routes::default().open("/health", health::health).open("/ready", health::ready).get(
        "/metrics",
        Observe,
        scrape::metrics,
    )
}

fn groups_services_instances() -> Routes {
    Routes::default()
        .get("/api/v1/groups", Read, groups::list)
        .post("/api/v1/groups", Write, groups::create)
        .get("/api/v1/groups/{groupName}", Read, groups::get)
        .put("/api/v1/groups/{groupName}", Manage, groups::update)
        .delete("/api/v1/groups/{groupName}", Manage, groups::delete)
        .get("/api/v1/groups/{groupName}/services", Read, groups::list_services)
        .get("/api/v1/stats", Read, stats::totals)
        .get("/api/v1/stats/instances", Read, stats::instances)
        .get("/api/v1/stats/health", Read, stats::health)
        .get("/api/v1/services", Read, services::list)
        .post("/api/v1/services", Write, services::create)
        .get("/api/v1/services/{serviceName}", Read, services::get)
        .put("/api/v1/services/{serviceName}", Write, services::update)
        .delete("/api/v1/services/{serviceName}", Write, services::delete)
        .get("/api/v1/services/{serviceName}/select", Read, discovery::select)
        .get("/api/v1/services/{serviceName}/explain", Read, explain::explain)
        .get("/api/v1/instances", Read, instances::list_all)
        .post("/api/v1/instances", Write, instances::register)
        .get("/api/v1/instances/{instanceId}", Read, instances::get)
        .put("/api/v1/instances/{instanceId}", Write, instances::update)
        .delete("/api/v1/instances/{instanceId}", Write, instances::deregister)
        .put("/api/v1/instances/{instanceId}/heartbeat", Write, instances::heartbeat)
        .put("/api/v1/instances/{instanceId}/health", Write, instances::set_health)
        .put("/api/v1/instances/{instanceId}/status", Write, instances::set_status)
        .put("/api/v1/instances/{instanceId}/load", Write, load::report)
}

fn batches() -> Routes {
    Routes::default().post("/api/v1/instances/batch", Write, instances::register_batch).put(
        "/api/v1/heartbeats",
        Write,
        instances::heartbeats,
    )
}

fn administration() -> Routes {
    Routes::default()
        .get("/api/v1/external/configs", Operate, external::list)
        .post("/api/v1/external/configs", Operate, external::create)
        .post("/api/v1/external/configs/test", Operate, external::test_body)
        .get("/api/v1/external/configs/{configId}", Operate, external::get)
        .put("/api/v1/external/configs/{configId}", Operate, external::update)
        .delete("/api/v1/external/configs/{configId}", Operate, external::delete)
        .get("/api/v1/external/configs/{configId}/status", Operate, external::status)
        .post("/api/v1/external/configs/{configId}/disconnect", Operate, external::disconnect)
        .get("/api/v1/tokens", Administer, tokens::list)
        .post("/api/v1/tokens", Administer, tokens::create)
        .delete("/api/v1/tokens/{tokenId}", Administer, tokens::revoke)
}

/// These bound themselves: by the configuration's own time-outs.
fn probing() -> Routes {
    Routes::default()
        .post("/api/v1/external/configs/{configId}/connect", Operate, external::connect)
        .post("/api/v1/external/configs/{configId}/test", Operate, external::test_stored)
}

/// The hot path has its own compressed answers and its own waiting time.
fn hot() -> Routes {
    Routes::default().get("/api/v1/services/{serviceName}/instances", Read, discovery::instances)
}

/// The routes of the metrics listener: it has an address of its own, so that who may reach it is
/// a matter of the network.
pub fn metrics_router(api: Api) -> Router {
    finish(Routes::default().open("/health", health::health).open("/metrics", scrape::metrics), api)
}

fn finish(routes: Routes, api: Api) -> Router {
    let (router, needs) = routes.finish();
    let door = Door { api: api.clone(), needs };
    let mut router = router
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(door, authenticate));
    if let Some(origins) = &api.settings.cors_origins {
        // Outside of the question who asks: browsers ask beforehand, without a credential.
        router = router.layer(cors(origins));
    }
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api.clone(), middleware::outermost))
        .with_state(api)
}

fn cors(origins: &[String]) -> CorsLayer {
    let any = origins.iter().any(|origin| origin == "*");
    let list = origins.iter().filter_map(|origin| origin.parse::<HeaderValue>().ok());
    let allowed = if any { AllowOrigin::any() } else { AllowOrigin::list(list) };
    let exposed = ["etag", "x-registry-index", "x-request-id"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(Any)
        .allow_headers(Any)
        .expose_headers(exposed)
}

async fn unknown() -> ApiError {
    Error::not_found("no such path").into()
}

async fn wrong_method() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, "this path does not take that method")
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a handler panicked; the caller got a 500");
    plain(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be handled").into_response()
}
