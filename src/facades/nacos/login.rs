//! Logging in: the password is a token of the hub, and so is what is given back for it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hub_registry_core::Secret;
use serde_json::json;

use super::Face;
use super::call::pairs;
use crate::access::{Action, Said};
use crate::http::shown::is_forwarded;

/// How long a client uses what it was given before it logs in again, in seconds: Nacos' own.
const TTL: u32 = 18_000;

/// `POST auth/login`
pub(super) async fn login(
    State(face): State<Arc<Face>>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let denied = || (StatusCode::FORBIDDEN, "unknown user!").into_response();
    let Ok(body) = face.body(body).await else { return denied() };
    let mut said = pairs(uri.query().unwrap_or_default().as_bytes());
    said.extend(pairs(&body));
    let find =
        |name: &str| said.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (user, password) = (find("username").unwrap_or_default(), find("password"));
    let password = password.as_deref().map(Secret::new);
    let shown = password.as_ref().map(|password| password.expose());
    let said = Said { bearer: shown, tenant: None, user: None, forwarded: is_forwarded(&headers) };
    let Ok(caller) = face.authenticator.caller(said).await else { return denied() };
    // Where nobody is asked who they are, any word will do.
    let token = shown.filter(|_| face.authenticator.is_on()).unwrap_or("off");
    let is_admin = caller.need(Action::Administer).is_ok();
    let answer = json!({
        "accessToken": token, "tokenTtl": TTL, "globalAdmin": is_admin, "username": user,
    });
    Json(answer).into_response()
}
