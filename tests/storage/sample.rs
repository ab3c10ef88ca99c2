//! Rows with something in every column.

use chrono::{DateTime, Utc};
use hub_registry::clock;
use hub_registry::model::external::{ExternalConfigRow, ExternalStatusRow};
use hub_registry::model::row::CommonColumns;
use hub_registry::storage::{
    EventRow, GroupRow, InstanceRow, NativeWrite, ServiceRow, SnapshotBatch, TokenRow,
};
use hub_registry_core::{
    ConfigId, GroupName, Host, Instance, InstanceKey, Secret, ServiceKey, ServiceName,
    ServiceState, TenantId,
};

pub(crate) fn now() -> DateTime<Utc> {
    clock::at(1_700_000_000_123)
}

pub(crate) fn later(milliseconds: i64) -> DateTime<Utc> {
    clock::at(1_700_000_000_123 + milliseconds)
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn id(text: &str) -> ConfigId {
    ConfigId::parse(text).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "columns may be NULL")]
pub(crate) fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) fn common() -> CommonColumns {
    CommonColumns {
        add_time: Some(now()),
        add_who: some("adder"),
        edit_time: Some(later(1001)),
        edit_who: some("editor"),
        opr_seq_flag: some("seq"),
        current_version: Some(1),
        active_flag: some("Y"),
        note_text: some("a note"),
        ext_property: some(r#"{"a":1}"#),
    }
}

pub(crate) fn group(name: &str) -> GroupRow {
    GroupRow {
        service_group_id: format!("id-{name}"),
        tenant_id: "t".to_owned(),
        group_name: name.to_owned(),
        group_description: some("what it is for"),
        group_type: some("TEST"),
        owner_user_id: some("owner"),
        admin_user_ids: some(r#"["a"]"#),
        read_user_ids: some(r#"["r"]"#),
        access_control_enabled: some("Y"),
        default_protocol_type: some("GRPC"),
        default_load_balance_strategy: some("RANDOM"),
        default_health_check_url: some("/h"),
        default_health_check_interval_seconds: Some(31),
        common: common(),
        unreadable: Vec::new(),
    }
}

pub(crate) fn service(name: &str) -> ServiceRow {
    ServiceRow {
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: name.to_owned(),
        service_description: some("a service"),
        protocol_type: some("TCP"),
        context_path: some("/v1"),
        load_balance_strategy: some("IP_HASH"),
        health_check_url: some("/h"),
        health_check_interval_seconds: Some(32),
        health_check_timeout_seconds: Some(6),
        metadata_json: some(r#"{"k":"v"}"#),
        tags_json: some(r#"["t"]"#),
        common: common(),
        unreadable: Vec::new(),
    }
}

pub(crate) fn instance(id: &str, port: i64) -> InstanceRow {
    InstanceRow {
        service_instance_id: id.to_owned(),
        tenant_id: "t".to_owned(),
        group_name: "G".to_owned(),
        service_name: "s".to_owned(),
        host_address: "10.0.0.1".to_owned(),
        port_number: Some(port),
        context_path: some("/v2"),
        instance_status: some("STARTING"),
        health_status: some("UNHEALTHY"),
        weight_value: Some(7),
        client_id: some("client"),
        client_version: some("1.2"),
        client_type: some("GATEWAY"),
        metadata_json: some(r#"{"k":"v"}"#),
        tags_json: some(r#"["t"]"#),
        register_time: Some(later(1)),
        last_heartbeat_time: Some(later(2)),
        last_health_check_time: Some(later(3)),
        health_check_type: some("TCP"),
        lease_seconds: Some(33),
        ephemeral: some("N"),
        common: common(),
        unreadable: Vec::new(),
    }
}

pub(crate) fn put(id: &str, port: i64) -> NativeWrite {
    NativeWrite::PutInstance(instance(id, port))
}

pub(crate) fn delete(id: &str) -> NativeWrite {
    NativeWrite::DeleteInstance { tenant_id: "t".to_owned(), service_instance_id: id.to_owned() }
}

pub(crate) fn event(revision: i64) -> EventRow {
    EventRow {
        tenant_id: "t".to_owned(),
        group_name: some("G"),
        service_name: some("s"),
        host_address: some("10.0.0.1"),
        port_number: Some(80),
        event_type: "INSTANCE_REGISTER".to_owned(),
        event_source: "native".to_owned(),
        event_data_json: some("{}"),
        event_message: some("hello"),
        event_time: later(revision),
        revision,
        who: "me".to_owned(),
        ..EventRow::default()
    }
}

pub(crate) fn config(id: &str, name: &str) -> ExternalConfigRow {
    ExternalConfigRow {
        external_config_id: id.to_owned(),
        tenant_id: "default".to_owned(),
        config_name: name.to_owned(),
        config_description: some("a registry"),
        registry_type: "CONSUL".to_owned(),
        environment_name: "prod".to_owned(),
        server_address: "127.0.0.1:8500".to_owned(),
        server_port: Some(8501),
        server_path: some("/p"),
        server_scheme: some("https"),
        auth_enabled: some("Y"),
        username: some("user"),
        password: Some(Secret::new("hunter2")),
        access_token: Some(Secret::new("token")),
        secret_key: Some(Secret::new("key")),
        connection_timeout: Some(1),
        read_timeout: Some(2),
        max_retries: Some(3),
        retry_interval: Some(4),
        specific_config: some(r#"{"x":1}"#),
        field_mapping: some("{}"),
        failover_enabled: some("Y"),
        failover_config_id: some("b"),
        failover_strategy: some("AUTO"),
        sync_enabled: some("Y"),
        sync_interval: Some(5),
        conflict_resolution: some("merge"),
        common: common(),
        unreadable: Vec::new(),
        unopened: Vec::new(),
    }
}

pub(crate) fn status(id: &str, config: &str) -> ExternalStatusRow {
    ExternalStatusRow {
        external_status_id: id.to_owned(),
        tenant_id: "default".to_owned(),
        external_config_id: config.to_owned(),
        connection_status: some("CONNECTED"),
        health_status: some("HEALTHY"),
        last_connect_time: Some(later(1)),
        last_disconnect_time: Some(later(2)),
        last_health_check_time: Some(later(3)),
        response_time: Some(1 << 40),
        success_count: Some(1 << 41),
        error_count: Some(1 << 42),
        timeout_count: Some(1 << 43),
        failover_status: some("FAILOVER"),
        failover_time: Some(later(4)),
        failover_count: Some(1 << 44),
        recover_time: Some(later(5)),
        failover_details: some("{}"),
        sync_status: some("SYNCING"),
        last_sync_time: Some(later(6)),
        sync_success_count: Some(1 << 45),
        sync_error_count: Some(1 << 46),
        last_error_message: some("it broke"),
        last_error_time: Some(later(7)),
        error_details: some("{}"),
        common: common(),
        unreadable: Vec::new(),
    }
}

pub(crate) fn token(number: u32) -> TokenRow {
    TokenRow {
        token_id: format!("{number:032x}"),
        tenant_id: "*".to_owned(),
        token_name: "ci".to_owned(),
        token_hash: format!("{number:064x}"),
        token_prefix: "hub_abc".to_owned(),
        user_id: "user".to_owned(),
        role: "ADMIN".to_owned(),
        group_names: some(r#"["G"]"#),
        // Past the end of what MySQL's TIMESTAMP can hold.
        expire_time: Some(clock::at(4_102_444_800_250)),
        common: common(),
        unreadable: Vec::new(),
    }
}

pub(crate) fn state(name: &str, instances: u16) -> ServiceState {
    let key = ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap());
    let host = Host::parse("10.0.0.1").unwrap();
    let instance =
        |port| Instance::new(InstanceKey { service: key.clone(), host: host.clone(), port });
    ServiceState::new(key.clone(), (1..=instances).map(instance))
}

pub(crate) fn batch(puts: &[ServiceState], replace_all: bool) -> SnapshotBatch {
    SnapshotBatch {
        tenant: tenant(),
        config_id: id("a"),
        identity_hash: "h".to_owned(),
        last_good_ms: 1 << 45,
        puts: puts.to_vec(),
        removes: Vec::new(),
        replace_all,
    }
}
