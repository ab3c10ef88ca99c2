//! Services.

use crate::storage::native::ServiceRow;
use crate::storage::sql::table::{Table, columns};

pub(super) const NAME: &[&str] = &["tenantId", "groupName", "serviceName"];
pub(super) const ORDER: &str = " ORDER BY tenantId, groupName, serviceName";

pub(in super::super) static SERVICE: Table =
    Table { name: "HUB_REGISTRY_SERVICE", columns: COLUMNS, key: NAME, other_key: None };

columns!(ServiceRow {
    tenant_id: key "tenantId",
    group_name: key "groupName",
    service_name: key "serviceName",
    service_description: text "serviceDescription",
    protocol_type: text "protocolType",
    context_path: text "contextPath",
    load_balance_strategy: text "loadBalanceStrategy",
    health_check_url: text "healthCheckUrl",
    health_check_interval_seconds: int "healthCheckIntervalSeconds",
    health_check_timeout_seconds: int "healthCheckTimeoutSeconds",
    metadata_json: text "metadataJson",
    tags_json: text "tagsJson",
});
