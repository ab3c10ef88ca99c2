//! Every route on one page: path, right, handler, description. How a new one is described stands
//! in [`openapi`].

use axum::Extension;
use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::authenticate::{Door, authenticate};
use super::docs::Document;
use super::error::{ApiError, plain};
use super::json_body::BodyLimit;
use super::routes::{Route, Routes};
use super::state::{Api, ApiSettings};
use super::{
    copies, discovery, docs, events, explain, external, groups, health, instances, load,
    middleware, migrations, openapi, ops, removals, scrape, sd, services, stats, stream, tokens,
};
use crate::access::Action::{Administer, Maintain, Manage, Observe, Operate, Read, Write};
use crate::error::Error;

/// The main listener's routes; `faces`: those of other protocols, which find out themselves who
/// asks, and how long a request may take.
pub fn router(api: Api, faces: Router) -> Router {
    let document = Document::default();
    let routes = routes(&api.settings, &document);
    document.set(&openapi::document(routes.table().iter()));
    finish(routes, faces, api)
}

/// The routes of a face whose requests do not wait, each within the time of the API's.
pub fn bounded(face: Router, api: &Api) -> Router {
    face.layer(from_fn_with_state(api.settings.request_timeout, middleware::timeout))
}

/// The routes of a face that has a listener of its own.
pub fn face_router(api: Api, face: Router) -> Router {
    finish(Routes::default(), face, api)
}

/// What there is to ask for, and what it needs.
#[must_use]
pub fn route_table(settings: &ApiSettings) -> Vec<Route> {
    let routes = routes(settings, &Document::default());
    routes.table().iter().map(|described| described.route.clone()).collect()
}

/// The description of what there is to ask for (OpenAPI 3.1).
#[must_use]
pub fn description(settings: &ApiSettings) -> Value {
    json!(openapi::document(routes(settings, &Document::default()).table().iter()))
}

pub(super) fn routes(settings: &ApiSettings, document: &Document) -> Routes {
    let limit = Extension(BodyLimit(settings.body_limit));
    let batch_limit = Extension(BodyLimit(settings.batch_body_limit));
    let timeout = settings.request_timeout;
    let bounded = probes()
        .merge(docs(document.clone()))
        .merge(groups_services_instances())
        .merge(administration())
        .behind(|router| router.layer(limit))
        .merge(batches().behind(|router| router.layer(batch_limit)))
        .behind(|router| router.layer(from_fn_with_state(timeout, middleware::timeout)));
    let bounded = if settings.http_sd { bounded.merge(service_discovery()) } else { bounded };
    let mut rest = bounded.merge(probing().behind(|router| router.layer(limit)));
    if settings.gzip {
        rest = rest.behind(|router| router.layer(CompressionLayer::new()));
    }
    rest.merge(hot())
}

/// A handler and its description, which stands beside it under the same name.
macro_rules! handler {
    ($noun:ident::$name:ident) => {
        ($noun::$name, $noun::describe::$name)
    };
}

fn probes() -> Routes {
    Routes::default()
        .open("/health", handler!(health::health))
        .open("/livez", (health::health, health::describe::livez))
        .open("/ready", handler!(health::ready))
        .open("/readyz", (health::ready, health::describe::readyz))
        .get("/metrics", Observe, handler!(scrape::metrics))
}

/// What the API is, for people and for programs: no secret is in it.
fn docs(document: Document) -> Routes {
    Routes::default()
        .open("/api-docs", handler!(docs::page))
        .open("/api-docs/page.css", handler!(docs::style))
        .open("/api-docs/page.js", handler!(docs::script))
        .open("/api-docs/openapi.json", handler!(docs::openapi))
        .behind(|router| router.layer(Extension(document)))
}

fn groups_services_instances() -> Routes {
    Routes::default()
        .get("/api/v1/groups", Read, handler!(groups::list))
        .post("/api/v1/groups", Write, handler!(groups::create))
        .get("/api/v1/groups/{groupName}", Read, handler!(groups::get))
        .put("/api/v1/groups/{groupName}", Manage, handler!(groups::update))
        .delete("/api/v1/groups/{groupName}", Manage, handler!(groups::delete))
        .get("/api/v1/groups/{groupName}/services", Read, handler!(groups::list_services))
        .get("/api/v1/events", Read, handler!(events::list))
        .get("/api/v1/stats", Read, handler!(stats::totals))
        .get("/api/v1/stats/instances", Read, handler!(stats::instances))
        .get("/api/v1/stats/health", Read, handler!(stats::health))
        .get("/api/v1/services", Read, handler!(services::list))
        .post("/api/v1/services", Write, handler!(services::create))
        .get("/api/v1/services/{serviceName}", Read, handler!(services::get))
        .put("/api/v1/services/{serviceName}", Write, handler!(services::update))
        .delete("/api/v1/services/{serviceName}", Write, handler!(services::delete))
        .get("/api/v1/services/{serviceName}/select", Read, handler!(discovery::select))
        .get("/api/v1/services/{serviceName}/explain", Read, handler!(explain::explain))
        .get("/api/v1/instances", Read, handler!(instances::list_all))
        .post("/api/v1/instances", Write, handler!(instances::register))
        .get("/api/v1/instances/{instanceId}", Read, handler!(instances::get))
        .put("/api/v1/instances/{instanceId}", Write, handler!(instances::update))
        .delete("/api/v1/instances/{instanceId}", Write, handler!(instances::deregister))
        .put("/api/v1/instances/{instanceId}/health", Write, handler!(instances::set_health))
        .put("/api/v1/instances/{instanceId}/status", Write, handler!(instances::set_status))
        .put("/api/v1/instances/{instanceId}/load", Write, handler!(load::report))
}

fn batches() -> Routes {
    Routes::default()
        .post("/api/v1/instances/batch", Write, handler!(instances::register_batch))
        .put("/api/v1/heartbeats", Write, handler!(instances::heartbeats))
}

fn administration() -> Routes {
    Routes::default()
        .get("/api/v1/external/configs", Operate, handler!(external::list))
        .post("/api/v1/external/configs", Operate, handler!(external::create))
        .post("/api/v1/external/configs/test", Operate, handler!(external::test_body))
        .get("/api/v1/external/configs/{configId}", Operate, handler!(external::get))
        .put("/api/v1/external/configs/{configId}", Operate, handler!(external::update))
        .delete("/api/v1/external/configs/{configId}", Operate, handler!(external::delete))
        .get("/api/v1/external/configs/{configId}/status", Operate, handler!(external::status))
        .get("/api/v1/external/configs/{configId}/sync", Operate, handler!(copies::status))
        .post(
            "/api/v1/external/configs/{configId}/disconnect",
            Operate,
            handler!(external::disconnect),
        )
        .post(
            "/api/v1/external/configs/{configId}/accept-removals",
            Operate,
            handler!(removals::accept),
        )
        .post(
            "/api/v1/external/configs/{configId}/failover",
            Operate,
            handler!(external::fail_over),
        )
        .post(
            "/api/v1/external/configs/{configId}/failback",
            Operate,
            handler!(external::fail_back),
        )
        .get("/api/v1/migrations", Operate, handler!(migrations::list))
        .post("/api/v1/migrations", Operate, handler!(migrations::create))
        .get("/api/v1/migrations/{migrationId}", Operate, handler!(migrations::get))
        .delete("/api/v1/migrations/{migrationId}", Operate, handler!(migrations::delete))
        .get("/api/v1/migrations/{migrationId}/plan", Operate, handler!(migrations::plan))
        .post("/api/v1/migrations/{migrationId}/advance", Operate, handler!(migrations::advance))
        .post("/api/v1/migrations/{migrationId}/rollback", Operate, handler!(migrations::rollback))
        .post("/api/v1/migrations/{migrationId}/pause", Operate, handler!(migrations::pause))
        .post("/api/v1/migrations/{migrationId}/resume", Operate, handler!(migrations::resume))
        .get("/api/v1/migrations/{migrationId}/parity", Operate, handler!(migrations::parity))
        .get("/api/v1/tokens", Administer, handler!(tokens::list))
        .post("/api/v1/tokens", Administer, handler!(tokens::create))
        .delete("/api/v1/tokens/{tokenId}", Administer, handler!(tokens::revoke))
        .get("/api/v1/ops/log-level", Maintain, handler!(ops::log_level))
        .put("/api/v1/ops/log-level", Maintain, handler!(ops::set_log_level))
}

/// For programs that have a way of their own to ask where services are.
fn service_discovery() -> Routes {
    Routes::default().get("/api/v1/sd/prometheus", Read, handler!(sd::prometheus))
}

/// These bound themselves: by the configuration's own time-outs.
fn probing() -> Routes {
    Routes::default()
        .post("/api/v1/external/configs/{configId}/connect", Operate, handler!(external::connect))
        .post("/api/v1/external/configs/{configId}/test", Operate, handler!(external::test_stored))
        .post("/api/v1/external/configs/{configId}/sync", Operate, handler!(copies::run))
}

/// The hot path has its own compressed answers and its own waiting time, and nothing to compress or
/// to wait for in a heartbeat; a stream has no end.
fn hot() -> Routes {
    Routes::default()
        .get("/api/v1/services/{serviceName}/instances", Read, handler!(discovery::instances))
        .put("/api/v1/instances/{instanceId}/heartbeat", Write, handler!(instances::heartbeat))
        .get("/api/v1/events/subscribe", Read, handler!(stream::subscribe))
}

/// The routes of the metrics listener: it has an address of its own, so that who may reach it is
/// a matter of the network.
pub fn metrics_router(api: Api) -> Router {
    finish(
        Routes::default()
            .open("/health", handler!(health::health))
            .open("/metrics", handler!(scrape::metrics)),
        Router::new(),
        api,
    )
}

fn finish(routes: Routes, faces: Router, api: Api) -> Router {
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
        .with_state(api.clone())
        .merge(faces)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(api, middleware::outermost))
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
