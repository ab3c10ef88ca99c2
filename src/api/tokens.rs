//! Tokens: who may do what.

pub(super) mod describe;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::error::ApiResult;
use super::extract::Segment;
use super::json_body::JsonObject;
use super::params::Params;
use super::state::Api;
use crate::access::{Caller, NewToken, Tenants};
use crate::clock::rfc3339;
use crate::error::{Error, ErrorCode};
use crate::storage::TokenRow;

/// `GET /api/v1/tokens`
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let page = params.page()?;
    params.finish()?;
    let rows = api.tokens.list(caller.tenant(), caller.tenants()).await?;
    let count = rows.len();
    let tokens: Vec<_> = page.of(rows).iter().map(token_json).collect();
    Ok(Json(json!({ "tokens": tokens, "count": count })))
}

/// `POST /api/v1/tokens`: 201 with the token, which is never shown again.
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    JsonObject(body): JsonObject,
) -> ApiResult<Response> {
    if !api.authenticator.is_on() {
        // Else anybody could make a key for the day on which there is a lock.
        let message = "tokens are made here only while security is on";
        let hint = "set security.enabled: true, or use registry-server token create";
        let error = Error::new(ErrorCode::Forbidden, message);
        return Err(error.with_details(json!({ "hint": hint })).into());
    }
    let new = NewToken::from_value(Value::Object(body), caller.tenant())?;
    let within = match &new.tenants {
        Tenants::All => *caller.tenants() == Tenants::All,
        Tenants::One(tenant) => caller.tenants().contain(tenant),
    };
    if !within {
        let message = "this credential makes no tokens for that tenant";
        let details = json!({ "field": "tenantId", "value": new.tenants.as_str() });
        return Err(Error::new(ErrorCode::Forbidden, message).with_details(details).into());
    }
    let (token, row) = api.tokens.create(&new, caller.user()).await?;
    let mut answer = token_json(&row);
    answer["token"] = json!(token.reveal());
    answer["message"] = json!("Token created successfully; it is not shown again");
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::CREATED, no_store, Json(answer)).into_response())
}

/// `DELETE /api/v1/tokens/{tokenId}`
pub(super) async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Segment(id): Segment,
) -> ApiResult<Json<Value>> {
    let (tenant, of) = (caller.tenant(), caller.tenants());
    if !api.tokens.revoke(&id, tenant, of, caller.user()).await? {
        return Err(Error::not_found("no such token").into());
    }
    Ok(Json(json!({ "tokenId": id, "message": "Token revoked successfully" })))
}

fn token_json(row: &TokenRow) -> Value {
    let groups = row.group_names.as_deref().map(serde_json::from_str::<Value>);
    json!({
        "tokenId": row.token_id,
        "tokenName": row.token_name,
        "tokenPrefix": row.token_prefix,
        "tenantId": row.tenant_id,
        "userId": row.user_id,
        "role": row.role,
        "groupNames": groups.and_then(Result::ok),
        "expireTime": row.expire_time.map(rfc3339),
        "activeFlag": if row.common.is_active() { "Y" } else { "N" },
        "addTime": row.common.add_time.map(rfc3339),
        "addWho": row.common.add_who,
    })
}
