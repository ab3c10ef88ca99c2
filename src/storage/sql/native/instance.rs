//! Instances.

use crate::storage::native::InstanceRow;
use crate::storage::sql::table::{Table, columns};

pub(super) const ID: &[&str] = &["tenantId", "serviceInstanceId"];
const ADDRESS: &[&str] = &["tenantId", "groupName", "serviceName", "hostAddress", "portNumber"];
pub(super) const ORDER: &str =
    " ORDER BY tenantId, groupName, serviceName, hostAddress, portNumber";

pub(in super::super) static INSTANCE: Table = Table {
    name: "HUB_REGISTRY_SERVICE_INSTANCE",
    columns: COLUMNS,
    key: ID,
    other_key: Some(ADDRESS),
};

columns!(InstanceRow {
    service_instance_id: key "serviceInstanceId",
    tenant_id: key "tenantId",
    group_name: key "groupName",
    service_name: key "serviceName",
    host_address: key "hostAddress",
    port_number: int "portNumber",
    context_path: text "contextPath",
    instance_status: text "instanceStatus",
    health_status: text "healthStatus",
    weight_value: int "weightValue",
    client_id: text "clientId",
    client_version: text "clientVersion",
    client_type: text "clientType",
    metadata_json: text "metadataJson",
    tags_json: text "tagsJson",
    register_time: time "registerTime",
    last_heartbeat_time: time "lastHeartbeatTime",
    last_health_check_time: time "lastHealthCheckTime",
    health_check_type: text "healthCheckType",
    lease_seconds: int "leaseSeconds",
    ephemeral: text "ephemeral",
});
