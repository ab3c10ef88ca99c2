//! What the routes of tokens take and answer.

use axum::http::StatusCode;
use serde_json::json;

use crate::access::{MAX_USER, Role};
use crate::api::openapi::params::page;
use crate::api::openapi::shape::{
    Shape, duration, either, line, list_of, named, object, text, time, word,
};
use crate::api::openapi::{Describe, Tag, describe, shapes};

/// `GET /api/v1/tokens`
pub(in crate::api) fn list() -> Describe {
    let answer = object([("tokens", list_of(named("Token", token()))), ("count", shapes::total())]);
    describe(Tag::Tokens, "listTokens", "Lists the tokens of the caller's tenants")
        .takes(page())
        .answers(StatusCode::OK, "A page of the tokens; their text is not kept.", answer)
}

/// `POST /api/v1/tokens`
pub(in crate::api) fn create() -> Describe {
    let groups = either([list_of(shapes::known_name()).min(1), text().holding_json()]);
    let body = object([("userId", line(MAX_USER).min(1)), ("role", word(Role::ALL))])
        .and_settable([
            ("tokenName", line(100)),
            (
                "tenantId",
                line(32).min(1).about("`*` is every tenant; left out, it is the caller's."),
            ),
            ("groupNames", groups.about("Only for these groups; left out: for all of them.")),
            ("expiresIn", duration().about("How long it counts; left out: until revoked.")),
        ])
        .closed();
    let example = json!({
        "userId": "ci",
        "role": "writer",
        "tokenName": "pipeline",
        "groupNames": ["DEFAULT_GROUP"],
        "expiresIn": "720h",
    });
    let made = token().and([
        ("token", text().about("The token. It is shown only now.")),
        ("message", shapes::message()),
    ]);
    describe(Tag::Tokens, "createToken", "Makes a token")
        .body(named("NewToken", body), example)
        .answers(StatusCode::CREATED, "Made; the token is in it.", made)
        .may(
            StatusCode::FORBIDDEN,
            "The caller may not make tokens, or none for that tenant; or security is off.",
        )
}

/// `DELETE /api/v1/tokens/{tokenId}`
pub(in crate::api) fn revoke() -> Describe {
    let answer = object([("tokenId", text()), ("message", shapes::message())]);
    describe(Tag::Tokens, "revokeToken", "Makes a token count no more").answers(
        StatusCode::OK,
        "Revoked.",
        answer,
    )
}

fn token() -> Shape {
    object([
        ("tokenId", text()),
        ("tokenName", text()),
        ("tokenPrefix", text().about("Its first characters, to know it by.")),
        ("tenantId", text()),
        ("userId", text()),
        ("role", text()),
        ("groupNames", list_of(text()).or_null()),
        ("expireTime", time().or_null()),
        ("activeFlag", shapes::flag()),
        ("addTime", time().or_null()),
        ("addWho", text().or_null()),
    ])
}
