//! Names in paths, and names a body says once more.

use hub_registry_core::{GroupName, ServiceName};
use serde_json::{Map, Value};

use super::params::Params;
use crate::access::Caller;
use crate::catalog::GroupChoice;
use crate::error::{Error, Result};

/// A service name from a path.
///
/// # Errors
/// It is none.
pub(super) fn service(name: &str) -> Result<ServiceName> {
    ServiceName::parse(name)
        .map_err(|error| Error::invalid("serviceName", error.value, &error.rule))
}

/// A group name from a path.
///
/// # Errors
/// It is none.
pub(super) fn group(name: &str) -> Result<GroupName> {
    GroupName::parse(name).map_err(|error| Error::invalid("groupName", error.value, &error.rule))
}

/// A body may say what the path says, since an answer put back does, but nothing else.
///
/// # Errors
/// It says something else.
pub(super) fn same(body: &Map<String, Value>, field: &str, expected: &str) -> Result<()> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_str() == Some(expected) => Ok(()),
        Some(value) => {
            let rule = "cannot be changed: it is part of what the thing is";
            Err(Error::invalid(field, value.clone(), rule))
        }
    }
}

/// A body may name the caller's own tenant, and no other.
///
/// # Errors
/// It names another one.
pub(super) fn same_tenant(caller: &Caller, body: &Map<String, Value>) -> Result<()> {
    match body.get("tenantId") {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_str() == Some(caller.tenant().as_str()) => Ok(()),
        Some(value) => {
            let rule = "must be the tenant of the request: header X-Tenant-Id, or query tenantId";
            Err(Error::invalid("tenantId", value.clone(), rule))
        }
    }
}

/// The group of a thing to be made: in the body, else in the query; both must agree.
///
/// # Errors
/// They do not, or the query says `*`.
pub(super) fn group_of_new(params: &mut Params, body: &mut Map<String, Value>) -> Result<()> {
    let group = match params.group()? {
        GroupChoice::Unsaid => return Ok(()),
        GroupChoice::Named(group) => group,
        GroupChoice::All => {
            return Err(Error::invalid("groupName", "*", "must name one group here"));
        }
    };
    match body.get("groupName").filter(|value| !value.is_null()) {
        None => {
            body.insert("groupName".to_owned(), Value::String(group.to_string()));
            Ok(())
        }
        Some(value) if value.as_str() == Some(group.as_str()) => Ok(()),
        Some(value) => {
            let rule = "is another one in the query";
            Err(Error::invalid("groupName", value.clone(), rule))
        }
    }
}
