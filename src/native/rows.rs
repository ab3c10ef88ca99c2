//! From rows, which may be invalid, to the nouns, which are not, and back.

use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use hub_registry_core::instance::UnknownWord;
use hub_registry_core::{
    HealthStatus, Instance, InstanceKey, InstanceStatus, Protocol, ServiceKey, TenantId, Weight,
};

use crate::access::HUB;
use crate::error::{Error, Result};
use crate::model::audit::Audit;
use crate::model::group::{NativeGroup, UserIds};
use crate::model::instance::NativeInstance;
use crate::model::labels::{metadata_of_column, metadata_text, tags_of_column, tags_text};
use crate::model::names::{InstanceId, group_id, native_group, native_host, native_service};
use crate::model::registration::MAX_LEASE_SECONDS;
use crate::model::row::CommonColumns;
use crate::model::service::NativeService;
use crate::model::terms;
use crate::model::words::{ClientType, Flag, GroupType, HealthCheckType, LoadBalanceStrategy};
use crate::storage::{GroupRow, InstanceRow, ServiceRow};

/// The group of a row; its id is made anew.
pub(super) fn group(row: GroupRow, now: DateTime<Utc>) -> Result<NativeGroup> {
    readable(&row.unreadable)?;
    let tenant = tenant(&row.tenant_id)?;
    let name = native_group("groupName", &row.group_name)?;
    let interval = row.default_health_check_interval_seconds;
    Ok(NativeGroup {
        id: group_id(&tenant, &name),
        tenant,
        name,
        description: row.group_description,
        group_type: word("groupType", row.group_type, GroupType::default())?,
        owner_user_id: row.owner_user_id,
        admin_user_ids: UserIds::from_text(row.admin_user_ids.as_deref()),
        read_user_ids: UserIds::from_text(row.read_user_ids.as_deref()),
        access_control: word("accessControlEnabled", row.access_control_enabled, Flag::No)?,
        default_protocol: word("defaultProtocolType", row.default_protocol_type, Protocol::Http)?,
        default_strategy: word(
            "defaultLoadBalanceStrategy",
            row.default_load_balance_strategy,
            LoadBalanceStrategy::default(),
        )?,
        default_health_check_url: row.default_health_check_url.unwrap_or_else(health_url),
        default_health_check_interval_seconds: number(
            "defaultHealthCheckIntervalSeconds",
            interval,
            30,
            86_400,
        )?,
        audit: audit(row.common, now),
    })
}

/// The service of a row.
pub(super) fn service(row: ServiceRow, now: DateTime<Utc>) -> Result<NativeService> {
    readable(&row.unreadable)?;
    let key = service_key(&row.group_name, &row.service_name)?;
    let interval = row.health_check_interval_seconds;
    let timeout = row.health_check_timeout_seconds;
    Ok(NativeService {
        tenant: tenant(&row.tenant_id)?,
        key,
        description: row.service_description,
        protocol: word("protocolType", row.protocol_type, Protocol::Http)?,
        context_path: row.context_path,
        strategy: word(
            "loadBalanceStrategy",
            row.load_balance_strategy,
            LoadBalanceStrategy::default(),
        )?,
        health_check_url: row.health_check_url.unwrap_or_else(health_url),
        health_check_interval_seconds: number("healthCheckIntervalSeconds", interval, 30, 86_400)?,
        health_check_timeout_seconds: number("healthCheckTimeoutSeconds", timeout, 5, 86_400)?,
        metadata: present("metadataJson", metadata_of_column(row.metadata_json.as_deref()))?,
        tags: present("tagsJson", tags_of_column(row.tags_json.as_deref()))?,
        audit: audit(row.common, now),
    })
}

/// The instance of a row; its id is made anew.
pub(super) fn instance(row: InstanceRow, now: DateTime<Utc>) -> Result<NativeInstance> {
    readable(&row.unreadable)?;
    let tenant = tenant(&row.tenant_id)?;
    let port = row.port_number.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let key = InstanceKey {
        service: service_key(&row.group_name, &row.service_name)?,
        host: native_host("hostAddress", &row.host_address)?,
        port: present("portNumber", port)?,
    };
    let (ext_property, native) = terms::split(row.common.ext_property);
    let audit = audit(CommonColumns { ext_property, ..row.common }, now);
    let id = InstanceId::of(&tenant, &key);
    let registered = row.register_time.unwrap_or(audit.add_time);
    let said = Instance {
        context_path: row.context_path,
        status: word("instanceStatus", row.instance_status, InstanceStatus::Up)?,
        health: word("healthStatus", row.health_status, HealthStatus::Unknown)?,
        weight: Weight::new(number("weightValue", row.weight_value, 100, Weight::MAX)?),
        metadata: present("metadataJson", metadata_of_column(row.metadata_json.as_deref()))?,
        tags: present("tagsJson", tags_of_column(row.tags_json.as_deref()))?.into(),
        native,
        ..NativeInstance::unsaid(id, key, registered)
    };
    let mut instance = NativeInstance {
        id,
        tenant,
        said: Arc::new(said),
        client_id: row.client_id.map(Into::into),
        client_version: row.client_version.map(Into::into),
        client_type: word("clientType", row.client_type, ClientType::default())?,
        last_heartbeat: row.last_heartbeat_time,
        last_health_check: row.last_health_check_time,
        check: word("healthCheckType", row.health_check_type, HealthCheckType::default())?,
        brought: None,
        lease_seconds: number("leaseSeconds", row.lease_seconds, 30, MAX_LEASE_SECONDS)?.max(1),
        ephemeral: word("ephemeral", row.ephemeral, Flag::Yes)?,
        audit,
    };
    // Somebody may have written it by SQL.
    instance.settle();
    Ok(instance)
}

pub(super) fn group_row(group: &NativeGroup) -> GroupRow {
    let interval = group.default_health_check_interval_seconds;
    GroupRow {
        service_group_id: group.id.clone(),
        tenant_id: group.tenant.to_string(),
        group_name: group.name.to_string(),
        group_description: group.description.clone(),
        group_type: Some(group.group_type.to_string()),
        owner_user_id: group.owner_user_id.clone(),
        admin_user_ids: group.admin_user_ids.text().map(str::to_owned),
        read_user_ids: group.read_user_ids.text().map(str::to_owned),
        access_control_enabled: Some(group.access_control.to_string()),
        default_protocol_type: Some(group.default_protocol.to_string()),
        default_load_balance_strategy: Some(group.default_strategy.to_string()),
        default_health_check_url: Some(group.default_health_check_url.clone()),
        default_health_check_interval_seconds: Some(i64::from(interval)),
        common: common(&group.audit),
        unreadable: Vec::new(),
    }
}

pub(super) fn service_row(service: &NativeService) -> ServiceRow {
    ServiceRow {
        tenant_id: service.tenant.to_string(),
        group_name: service.key.group.to_string(),
        service_name: service.key.name.to_string(),
        service_description: service.description.clone(),
        protocol_type: Some(service.protocol.to_string()),
        context_path: service.context_path.clone(),
        load_balance_strategy: Some(service.strategy.to_string()),
        health_check_url: Some(service.health_check_url.clone()),
        health_check_interval_seconds: Some(i64::from(service.health_check_interval_seconds)),
        health_check_timeout_seconds: Some(i64::from(service.health_check_timeout_seconds)),
        metadata_json: metadata_text(&service.metadata),
        tags_json: tags_text(&service.tags),
        common: common(&service.audit),
        unreadable: Vec::new(),
    }
}

/// The column for what is free and what a protocol says.
pub(super) fn ext_property(instance: &NativeInstance) -> Option<String> {
    terms::join(instance.audit.notes().ext_property.as_deref(), &instance.native)
}

pub(super) fn instance_row(instance: &NativeInstance) -> InstanceRow {
    InstanceRow {
        service_instance_id: instance.id.to_string(),
        tenant_id: instance.tenant.to_string(),
        group_name: instance.key.service.group.to_string(),
        service_name: instance.key.service.name.to_string(),
        host_address: instance.key.host.to_string(),
        port_number: Some(i64::from(instance.key.port)),
        context_path: instance.context_path.clone(),
        instance_status: Some(instance.status.to_string()),
        health_status: Some(instance.health.to_string()),
        weight_value: Some(i64::from(instance.weight.get())),
        client_id: instance.client_id.as_deref().map(str::to_owned),
        client_version: instance.client_version.as_deref().map(str::to_owned),
        client_type: Some(instance.client_type.to_string()),
        metadata_json: metadata_text(&instance.metadata),
        tags_json: tags_text(&instance.tags),
        register_time: Some(instance.register_time()),
        last_heartbeat_time: instance.last_heartbeat,
        last_health_check_time: instance.last_health_check,
        health_check_type: Some(instance.check.to_string()),
        lease_seconds: Some(i64::from(instance.lease_seconds)),
        ephemeral: Some(instance.ephemeral.to_string()),
        common: CommonColumns { ext_property: ext_property(instance), ..common(&instance.audit) },
        unreadable: Vec::new(),
    }
}

fn readable(unreadable: &[&'static str]) -> Result<()> {
    match unreadable.first() {
        Some(column) => Err(Error::invalid(column, "", "is not of the column's type")),
        None => Ok(()),
    }
}

fn tenant(id: &str) -> Result<TenantId> {
    TenantId::parse(id).map_err(|error| Error::invalid("tenantId", id, &error.rule))
}

fn service_key(group: &str, name: &str) -> Result<ServiceKey> {
    let group = native_group("groupName", group)?;
    Ok(ServiceKey::new(group, native_service("serviceName", name)?))
}

fn word<T: FromStr<Err = UnknownWord>>(
    column: &str,
    value: Option<String>,
    default: T,
) -> Result<T> {
    match value.filter(|value| !value.is_empty()) {
        None => Ok(default),
        Some(value) => value.parse().map_err(|error: UnknownWord| {
            Error::invalid(column, value, &format!("must be one of {}", error.allowed))
        }),
    }
}

fn number(column: &str, value: Option<i64>, default: u32, max: u32) -> Result<u32> {
    let Some(value) = value else {
        return Ok(default);
    };
    let number = u32::try_from(value).ok().filter(|number| *number <= max);
    number.ok_or_else(|| Error::invalid(column, value, &format!("must be from 0 to {max}")))
}

fn present<T>(column: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(column, "", "cannot be read"))
}

fn health_url() -> String {
    "/health".to_owned()
}

fn audit(columns: CommonColumns, now: DateTime<Utc>) -> Audit {
    let add_time = columns.add_time.unwrap_or(now);
    let mut audit = Audit::new(add_time, columns.add_who.as_deref().unwrap_or(HUB));
    audit.set_editor(columns.edit_who.as_deref().unwrap_or(HUB));
    audit.edit_time = columns.edit_time.unwrap_or(add_time);
    audit.version = columns.current_version.unwrap_or(1);
    audit.note(|notes| {
        (notes.opr_seq_flag, notes.note_text) = (columns.opr_seq_flag, columns.note_text);
        notes.ext_property = columns.ext_property;
    });
    audit
}

fn common(audit: &Audit) -> CommonColumns {
    let notes = audit.notes();
    CommonColumns {
        add_time: Some(audit.add_time),
        add_who: Some(audit.add_who.to_string()),
        edit_time: Some(audit.edit_time),
        edit_who: Some(audit.edit_who.to_string()),
        opr_seq_flag: notes.opr_seq_flag.clone(),
        current_version: Some(audit.version),
        active_flag: Some("Y".to_owned()),
        note_text: notes.note_text.clone(),
        ext_property: notes.ext_property.clone(),
    }
}
