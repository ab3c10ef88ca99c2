//! Until the state is loaded: "I live", and for everything else "not yet", never "not found".

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use super::error::ApiError;
use super::health::live;
use super::hot::Hot;
use crate::error::Error;

/// The door requests come through, shut until [`Gate::open`].
#[derive(Clone, Debug, Default)]
pub struct Gate {
    inside: Arc<OnceLock<Inside>>,
}

#[derive(Debug)]
struct Inside {
    hot: Option<Hot>,
    router: Router,
}

impl Gate {
    /// Lets requests through to this router, those of the hot path past it; a second call changes
    /// nothing.
    pub fn open(&self, router: Router, hot: Option<Hot>) {
        self.inside.get_or_init(|| Inside { hot, router });
    }

    /// The answer to what needs no router.
    pub(super) fn answer<B: HttpBody>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
    ) -> Option<Response> {
        let hot = self.inside.get()?.hot.as_ref()?;
        // The router would answer 500, and does: it is asked next.
        std::panic::catch_unwind(AssertUnwindSafe(|| hot.answer(request, peer))).ok()?
    }

    /// Answers one request.
    pub async fn call(&self, request: Request<Body>) -> Response {
        let Some(Inside { router, .. }) = self.inside.get() else {
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
