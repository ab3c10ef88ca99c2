//! What each request does to a draft. No I/O: a draft and a request in, an outcome out. Every
//! method checks first and changes after, so that one that fails changed nothing.

mod groups;
mod instances;
mod services;

pub(super) use groups::no_group;
pub(super) use instances::no_instance;
pub(super) use services::no_service;

use hub_registry_core::GroupName;
use serde_json::json;

use super::draft::Draft;
use crate::access::{Action, Caller};
use crate::error::{Error, Result};
use crate::model::audit::Audit;

impl Draft {
    /// Refuses what the caller may not do in the group, by the lists it has in this draft.
    fn allow(&self, caller: &Caller, action: Action, group: &GroupName) -> Result<()> {
        let settings = self.next.rules(caller.tenant(), group);
        caller.need_in(action, group, settings.map(AsRef::as_ref))
    }
}

/// A row that does not count is not written over: what it says, who may read it above all, would
/// be lost.
fn closed(noun: &str, name: &str) -> Error {
    let rule = "has a row in the table that is deactivated or cannot be read: mend that first";
    Error::conflict(format!("{noun} {name} {rule}"))
}

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
