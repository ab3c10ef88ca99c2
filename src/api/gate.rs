//! Until the state is loaded: "I live", and for everything else "not yet", never "not found".

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use super::error::ApiError;
use super::health::live;
use crate::error::Error;

/// The door requests come through, shut until [`Gate::open`].
#[derive(Clone, Debug, Default)]
pub struct Gate {
    router: Arc<OnceLock<Router>>,
}

impl Gate {
    /// Lets requests through to this router; a second call changes nothing.
    pub fn open(&self, router: Router) {
        self.router.get_or_init(|| router);
    }

    /// Answers one request.
    pub async fn call(&self, request: Request<Body>) -> Response {
        let Some(router) = self.router.get() else {
            if matches!(request.uri().path(), "/health" | "/livez") {
                return (StatusCode::OK, live()).into_response();
            }
            return ApiError::from(Error::unavailable("starting: the state is being loaded"))
                .into_response();
        };
        match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
