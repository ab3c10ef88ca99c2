//! Groups.

use crate::storage::native::GroupRow;
use crate::storage::sql::table::{Table, columns};

/// What names a group besides its id.
pub(super) const NAME: &[&str] = &["tenantId", "groupName"];
pub(super) const ORDER: &str = " ORDER BY tenantId, groupName";

pub(in super::super) static GROUP: Table = Table {
    name: "HUB_REGISTRY_SERVICE_GROUP",
    columns: COLUMNS,
    key: &["tenantId", "serviceGroupId"],
    other_key: Some(NAME),
};

columns!(GroupRow {
    service_group_id: key "serviceGroupId",
    tenant_id: key "tenantId",
    group_name: key "groupName",
    group_description: text "groupDescription",
    group_type: text "groupType",
    owner_user_id: text "ownerUserId",
    admin_user_ids: text "adminUserIds",
    read_user_ids: text "readUserIds",
    access_control_enabled: text "accessControlEnabled",
    default_protocol_type: text "defaultProtocolType",
    default_load_balance_strategy: text "defaultLoadBalanceStrategy",
    default_health_check_url: text "defaultHealthCheckUrl",
    default_health_check_interval_seconds: int "defaultHealthCheckIntervalSeconds",
});
