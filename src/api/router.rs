//! Every route on one page.

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::authenticate::authenticate;
use super::error::{ApiError, plain};
use super::state::Api;
use super::{discovery, external, health, instances, middleware, services};
use crate::error::Error;

/// The main listener's routes.
pub fn router(api: Api) -> Router {
    let limit = DefaultBodyLimit::max(api.settings.body_limit);
    let batch_limit = DefaultBodyLimit::max(api.settings.batch_body_limit);
    let batches = Router::new()
        .route("/api/v1/instances/batch", post(instances::register_batch))
        .route("/api/v1/heartbeats", put(instances::heartbeats))
        .layer(batch_limit);
    let bounded = Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/instances", get(instances::list_all).post(instances::register))
        .route(
            "/api/v1/instances/{instanceId}",
            get(instances::get).put(instances::update).delete(instances::deregister),
        )
        .route("/api/v1/instances/{instanceId}/heartbeat", put(instances::heartbeat))
        .route("/api/v1/instances/{instanceId}/health", put(instances::set_health))
        .route("/api/v1/instances/{instanceId}/status", put(instances::set_status))
        .route("/api/v1/services", get(services::list).post(services::create))
        .route(
            "/api/v1/services/{serviceName}",
            get(services::get).put(services::update).delete(services::delete),
        )
        .route("/api/v1/services/{serviceName}/select", get(discovery::select))
        .route("/api/v1/external/configs", get(external::list).post(external::create))
        .route("/api/v1/external/configs/test", post(external::test_body))
        .route(
            "/api/v1/external/configs/{configId}",
            get(external::get).put(external::update).delete(external::delete),
        )
        .route("/api/v1/external/configs/{configId}/status", get(external::status))
        .route("/api/v1/external/configs/{configId}/disconnect", post(external::disconnect))
        .layer(limit)
        .merge(batches)
        .layer(from_fn_with_state(api.clone(), middleware::timeout));
    // These bound themselves: by the configuration's own time-outs.
    let probing = Router::new()
        .route("/api/v1/external/configs/{configId}/connect", post(external::connect))
        .route("/api/v1/external/configs/{configId}/test", post(external::test_stored))
        .layer(limit);
    let mut rest = bounded.merge(probing);
    if api.settings.gzip {
        rest = rest.layer(CompressionLayer::new());
    }
    // The hot path has its own compressed answers and its own waiting time.
    let hot =
        Router::new().route("/api/v1/services/{serviceName}/instances", get(discovery::instances));
    finish(rest.merge(hot), api)
}

/// The routes of the metrics listener.
pub fn metrics_router(api: Api) -> Router {
    let router =
        Router::new().route("/health", get(health::health)).route("/metrics", get(health::metrics));
    finish(router, api)
}

fn finish(router: Router<Api>, api: Api) -> Router {
    let mut router = router.fallback(unknown).method_not_allowed_fallback(wrong_method);
    if let Some(origins) = &api.settings.cors_origins {
        router = router.layer(cors(origins));
    }
    router
        .layer(from_fn(authenticate))
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
