//! Rows of which it is not known what the disk holds.

use hub_registry_core::{GroupName, ServiceKey, ServiceName, TenantId};

use super::rows;
use super::state::State;
use crate::storage::NativeWrite;

/// A row, by what names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum RowKey {
    Group(String, String),
    Service(String, String, String),
    Instance(String, String),
}

impl RowKey {
    /// The row it writes; an event is no state that could be written again.
    pub(super) fn of(write: &NativeWrite) -> Option<Self> {
        Some(match write {
            NativeWrite::PutGroup(row) => {
                Self::Group(row.tenant_id.clone(), row.group_name.clone())
            }
            NativeWrite::DeleteGroup { tenant_id, group_name } => {
                Self::Group(tenant_id.clone(), group_name.clone())
            }
            NativeWrite::PutService(row) => {
                let (group, name) = (row.group_name.clone(), row.service_name.clone());
                Self::Service(row.tenant_id.clone(), group, name)
            }
            NativeWrite::DeleteService { tenant_id, group_name, service_name } => {
                Self::Service(tenant_id.clone(), group_name.clone(), service_name.clone())
            }
            NativeWrite::PutInstance(row) => {
                Self::Instance(row.tenant_id.clone(), row.service_instance_id.clone())
            }
            NativeWrite::DeleteInstance { tenant_id, service_instance_id } => {
                Self::Instance(tenant_id.clone(), service_instance_id.clone())
            }
            NativeWrite::AddEvent(_) | NativeWrite::ForgetEvents(_) => return None,
        })
    }

    /// The write that makes the row what the state says. Names that were written are valid; one
    /// that were not could not be in the state either.
    pub(super) fn write(&self, state: &State) -> NativeWrite {
        match self {
            Self::Group(tenant_id, group_name) => {
                let found = TenantId::parse(tenant_id).ok().zip(GroupName::parse(group_name).ok());
                match found.and_then(|(tenant, name)| state.group(&tenant, &name).cloned()) {
                    Some(group) => NativeWrite::PutGroup(rows::group_row(&group)),
                    None => NativeWrite::DeleteGroup {
                        tenant_id: tenant_id.clone(),
                        group_name: group_name.clone(),
                    },
                }
            }
            Self::Service(tenant_id, group_name, service_name) => {
                let found = TenantId::parse(tenant_id).ok().and_then(|tenant| {
                    let name = ServiceName::parse(service_name).ok()?;
                    let key = ServiceKey::new(GroupName::parse(group_name).ok()?, name);
                    state.service(&tenant, &key).cloned()
                });
                match found {
                    Some(entry) => NativeWrite::PutService(rows::service_row(&entry.service)),
                    None => NativeWrite::DeleteService {
                        tenant_id: tenant_id.clone(),
                        group_name: group_name.clone(),
                        service_name: service_name.clone(),
                    },
                }
            }
            Self::Instance(tenant_id, service_instance_id) => {
                let found = TenantId::parse(tenant_id).ok().zip(service_instance_id.parse().ok());
                match found.and_then(|(tenant, id)| state.instance(&tenant, id).cloned()) {
                    Some(instance) => NativeWrite::PutInstance(rows::instance_row(&instance)),
                    None => NativeWrite::DeleteInstance {
                        tenant_id: tenant_id.clone(),
                        service_instance_id: service_instance_id.clone(),
                    },
                }
            }
        }
    }
}
