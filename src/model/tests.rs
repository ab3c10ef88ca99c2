//! Bodies in, answers out.

use std::sync::Arc;

use hub_registry_core::{HealthStatus, Instance, InstanceKey, Protocol, TenantId};
use serde_json::{Value, json};

use super::audit::Audit;
use super::group::{GroupPatch, NativeGroup, NewGroup};
use super::instance::{InstancePatch, NativeInstance, Registration};
use super::names::InstanceId;
use super::service::{NativeService, NewService, ServicePatch};
use super::words::{ClientType, Flag, HealthCheckType};
use crate::clock;

fn body() -> Value {
    json!({"serviceName": "order", "hostAddress": "10.0.0.1", "portNumber": 8080})
}

fn with(field: &str, value: Value) -> Value {
    let mut body = body();
    body[field] = value;
    body
}

#[test]
fn a_wrong_value_names_field_value_and_rule() {
    for value in [json!("80x"), json!("8080"), json!(70_000), json!(0), json!(-1), json!(1.5)] {
        let error = Registration::from_value(with("portNumber", value.clone())).unwrap_err();
        let expected = json!({
            "field": "portNumber",
            "value": value,
            "rule": "must be a whole number from 1 to 65535",
        });
        assert_eq!(error.details, expected);
    }
    let fields = [
        ("weightValue", json!(1_000_001)),
        ("weightValue", json!(-1)),
        ("instanceStatus", json!("up")),
        ("healthStatus", json!(1)),
        ("metadata", json!(["a"])),
        ("metadataJson", json!("{")),
        ("tags", json!("a,b")),
        ("tags", json!(vec!["t"; 65])),
        ("leaseSeconds", json!(0)),
        ("leaseSeconds", json!(86_401)),
        ("ephemeral", json!(true)),
        ("serviceName", json!("a b")),
        ("hostAddress", json!("http://x")),
        ("clientId", json!("c".repeat(101))),
        ("extProperty", json!([])),
        ("colour", json!("blue")),
    ];
    for (field, value) in fields {
        let error = Registration::from_value(with(field, value)).unwrap_err();
        assert_eq!(error.details["field"], field, "{error}");
    }
    let error = Registration::from_value(with("metadata", json!({"k": 1}))).unwrap_err();
    assert_eq!(error.details["field"], "metadata.k");
    for field in ["serviceName", "hostAddress", "portNumber"] {
        let error = Registration::from_value(with(field, Value::Null)).unwrap_err();
        assert_eq!(
            (&error.details["field"], error.message),
            (&json!(field), format!("{field} is required"))
        );
    }
}

#[test]
fn metadata_is_bounded() {
    let many: serde_json::Map<_, _> = (0..129).map(|n| (n.to_string(), json!("v"))).collect();
    assert!(Registration::from_value(with("metadata", many.into())).is_err());
    assert!(Registration::from_value(with("metadata", json!({"k": "v".repeat(65_536)}))).is_err());
    assert!(Registration::from_value(with("metadata", json!({"k": "v".repeat(65_535)}))).is_ok());
}

#[test]
fn text_forms_are_taken_and_must_not_contradict() {
    let text = Registration::from_value(with("metadataJson", json!("{\"a\":\"1\"}"))).unwrap();
    assert_eq!(text.metadata.unwrap()["a"], "1");
    let mut both = with("metadataJson", json!("{\"a\":\"1\"}"));
    both["metadata"] = json!({"a": "1"});
    both["tagsJson"] = json!("[\"t\"]");
    let read: Registration = serde_json::from_value(both.clone()).unwrap();
    assert_eq!(read.metadata.unwrap()["a"], "1");
    assert_eq!(read.tags.unwrap(), ["t"]);
    both["metadata"] = json!({"a": "2"});
    let error = Registration::from_value(both).unwrap_err();
    assert_eq!(error.details["field"], "metadata");
    let twice = with("metadataJson", json!("{\"a\":\"1\",\"a\":\"2\"}"));
    assert_eq!(Registration::from_value(twice).unwrap_err().details["field"], "metadataJson.a");
}

fn instance(key: InstanceKey) -> NativeInstance {
    let tenant = TenantId::default_tenant();
    let now = clock::at(1_700_000_000_000);
    let mut audit = Audit::new(now, "me");
    audit.note(|notes| notes.ext_property = Some("{\"x\":1}".to_owned()));
    let id = InstanceId::of(&tenant, &key);
    let said = Instance {
        context_path: Some("/api".to_owned()),
        status: hub_registry_core::InstanceStatus::Up,
        health: HealthStatus::Healthy,
        weight: hub_registry_core::Weight::new(7),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        tags: ["t".to_owned()].into(),
        ..NativeInstance::unsaid(id, key, now)
    };
    NativeInstance {
        id,
        tenant,
        said: Arc::new(said),
        client_id: Some("c".into()),
        client_version: None,
        client_type: ClientType::Gateway,
        last_heartbeat: Some(now),
        last_health_check: None,
        brought: None,
        check: HealthCheckType::Heartbeat,
        lease_seconds: 30,
        ephemeral: Flag::Yes,
        audit,
    }
}

#[test]
fn a_get_answer_can_be_put_and_posted_back() {
    let key = Registration::from_value(body()).unwrap().key;
    let before = instance(key.clone());
    let answer = before.to_value(Protocol::Http);
    let posted = Registration::from_value(answer.clone()).unwrap();
    assert_eq!(posted.key, key);
    assert_eq!((posted.weight, posted.lease_seconds), (Some(before.weight), Some(30)));
    assert_eq!(posted.ext_property, before.audit.notes().ext_property);
    let put = InstancePatch::from_value(answer).unwrap();
    assert_eq!((put.version, put.health), (Some(1), None));
    assert_eq!(put.context_path, Some(before.context_path.clone()));

    let audit = Audit::new(clock::at(0), "me");
    let group = NativeGroup::new(TenantId::default_tenant(), key.service.group.clone(), audit);
    let mut same = group.clone();
    GroupPatch::from_value(group.to_value()).unwrap().apply(&mut same);
    assert_eq!(same, group);
    assert_eq!(NewGroup::from_value(group.to_value()).unwrap().name, group.name);
    let service = NativeService::new(key.service, &group, group.audit.clone());
    let mut same = service.clone();
    ServicePatch::from_value(service.to_value()).unwrap().apply(&mut same);
    assert_eq!(same, service);
    assert_eq!(NewService::from_value(service.to_value()).unwrap().key, service.key);
}

#[test]
fn json_columns_are_taken_as_text_or_value_and_null_clears() {
    let body = json!({"groupName": "g", "adminUserIds": ["a"], "readUserIds": "[\"b\"]"});
    let fields = NewGroup::from_value(body).unwrap().fields;
    assert_eq!(fields.admin_user_ids, Some(Some("[\"a\"]".to_owned())));
    assert_eq!(fields.read_user_ids, Some(Some("[\"b\"]".to_owned())));
    let cleared = GroupPatch::from_value(json!({"adminUserIds": null})).unwrap();
    assert_eq!((cleared.admin_user_ids, cleared.read_user_ids), (Some(None), None));
    assert!(GroupPatch::from_value(json!({"adminUserIds": {"a": 1}})).is_err());
    assert!(ServicePatch::from_value(json!([])).is_err());
}
