//! What each request does to a draft. No I/O: a draft and a request in, an outcome out; every
//! method checks first and changes after.

mod groups;
mod instances;
mod services;

pub(super) use groups::no_group;
pub(super) use instances::no_instance;
pub(super) use services::no_service;

use serde_json::json;

use crate::error::{Error, Result};
use crate::model::audit::Audit;

/// Compare-and-set: the version a change was made for is the one there is.
fn expect(audit: &Audit, version: Option<i64>) -> Result<()> {
    match version {
        Some(version) if version != audit.version => {
            Err(Error::conflict("it was changed meanwhile").with_details(json!({
                "field": "currentVersion",
                "value": version,
                "rule": format!("is {} by now", audit.version),
            })))
        }
        _ => Ok(()),
    }
}
