//! The description of the API (OpenAPI 3.1), made from the routes themselves.
//!
//! # How a new route is described
//!
//! 1. In `router.rs` path, right, handler and description stand on one line, and none compiles
//!    without the others: `.get("/api/v1/things", Read, things::list, things::describe::list)`.
//! 2. The description is a function beside the handler, in `src/api/things/describe.rs`. It says
//!    what the route takes and answers, with the words of [`shape`] (values), [`shapes`] (values
//!    that several nouns have) and [`params`] (parameters); enumerations, bounds and fields to sort
//!    by come from the code that checks them:
//!
//!    ```ignore
//!    pub(in crate::api) fn list() -> Describe {
//!        let answer = object([("things", list_of(thing())), ("count", shapes::total())]);
//!        describe(Tag::Things, "listThings", "Lists the things")
//!            .takes([Param::query("name", "Only names that match this glob.", text()), sort(SORT)])
//!            .takes(page())
//!            .answers(StatusCode::OK, "A page of the things the caller may read.", answer)
//!            .tagged()
//!            .may(StatusCode::CONFLICT, "Why it may conflict.")
//!    }
//!    ```
//! 3. Not to be said again, since it follows from the route: its right and with it 400, 401, 403,
//!    503 and the tenant; variables of the path and with them 404; a body's 413 and 415.
//! 4. `UPDATE_DOCS=1 cargo test --test config` writes `docs/openapi.json`.
//!
//! A description that is wrong does not last: every answer to the end-to-end tests is held against
//! the document (`tests/e2e/described.rs`), fields it does not name included, and `tests/run`
//! sends what the document allows, and what it forbids, to a running server (schemathesis).
//!
//! | module | what |
//! |---|---|
//! | [`describe`](mod@describe) | what a route takes and answers |
//! | [`shape`], [`shapes`], [`params`], [`failures`] | the vocabulary |
//! | [`document`](mod@document) | the whole |

pub(super) mod describe;
pub(super) mod document;
mod failures;
pub(super) mod params;
pub(super) mod shape;
pub(super) mod shapes;

pub(super) use describe::{Describe, Tag, describe};
pub(super) use document::document;

#[cfg(test)]
mod tests;
