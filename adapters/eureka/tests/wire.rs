//! Eureka's JSON in the forms servers write it, and the driver's settings.
#![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

mod common;

use hub_registry_core::Driver;
use hub_registry_eureka::EurekaDriver;
use hub_registry_eureka::wire::{
    ApplicationsBody, InstanceInfo, PortWrapper, read_application, read_applications,
};
use serde_json::{Value, json};

const APPS: &str = include_str!("data/apps.eureka-2.0.5.json");
const DELTA: &str = include_str!("data/delta.eureka-2.0.5.json");
const EMPTY: &str = include_str!("data/apps-empty.eureka-2.0.5.json");
const APP: &str = include_str!("data/app-stock.eureka-2.0.5.json");

#[test]
fn recorded_answers_are_read() {
    let apps = read_applications(APPS.as_bytes()).unwrap();
    let hash = "DOWN_1_OUT_OF_SERVICE_1_STARTING_1_UNKNOWN_1_UP_4_";
    assert_eq!(apps.hash.as_deref(), Some(hash));
    assert_eq!(apps.application.unwrap().len(), 5);
    let delta = read_applications(DELTA.as_bytes()).unwrap();
    let instances = delta.application.iter().flatten().flat_map(|app| &app.instance);
    let gone = instances.filter(|one| one.action_type.as_deref() == Some("DELETED"));
    let gone: Vec<_> = gone.map(InstanceInfo::id).collect();
    assert_eq!(gone, ["stock-2:8080"]);
    let empty = read_applications(EMPTY.as_bytes()).unwrap();
    assert_eq!((empty.application, empty.hash.as_deref()), (Some(Vec::new()), Some("")));
    let app = read_application(APP.as_bytes()).unwrap();
    assert_eq!((app.name.as_str(), app.instance.len()), ("STOCK", 2));
}

#[test]
fn what_was_read_is_written_as_it_was() {
    for recorded in [APPS, DELTA, EMPTY] {
        let body: ApplicationsBody = serde_json::from_str(recorded).unwrap();
        let written = serde_json::to_value(&body).unwrap();
        let mut expected: Value = serde_json::from_str(recorded).unwrap();
        for app in expected["applications"]["application"].as_array_mut().unwrap() {
            for instance in app["instance"].as_array_mut().unwrap() {
                let fields = instance.as_object_mut().unwrap();
                // Dropped on reading; always written.
                fields["metadata"].as_object_mut().unwrap().remove("@class");
                fields.entry("instanceId").or_insert_with(|| json!(""));
            }
        }
        assert_eq!(written, expected);
    }
}

#[test]
fn every_spelling_of_a_value_is_read() {
    let read = |value: Value| serde_json::from_value::<InstanceInfo>(value).unwrap();
    for port in [
        json!({"$": 80, "@enabled": true}),
        json!({"$": "80", "@enabled": "true"}),
        json!({"@enabled": "TRUE", "$": "80", "other": 1}),
    ] {
        let port = serde_json::from_value::<PortWrapper>(port).unwrap();
        assert_eq!(port.open(), Some(80));
    }
    for port in [json!({}), json!({"$": 70000, "@enabled": true}), json!({"$": "x"})] {
        assert_eq!(serde_json::from_value::<PortWrapper>(port).unwrap().usable(), None);
    }
    let odd = read(json!({
        "instanceId": null, "hostName": "h", "overriddenStatus": "UP", "overriddenstatus": "DOWN",
        "metadata": {"@class": "x", "n": 1, "b": true, "z": null, "o": {"k": []}},
        "countryId": "1", "lastUpdatedTimestamp": 5, "lastDirtyTimestamp": "6",
        "isCoordinatingDiscoveryServer": true, "leaseInfo": null, "dataCenterInfo": null,
    }));
    assert_eq!(odd.id(), "h");
    assert_eq!(odd.overridden_status.as_deref(), Some("UP"));
    assert_eq!(odd.overridden_status_lower.as_deref(), Some("DOWN"));
    let pairs = [("b", "true"), ("n", "1"), ("o", "{\"k\":[]}"), ("z", "")];
    let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(odd.metadata.into_iter().collect::<Vec<_>>(), pairs);
    assert_eq!((odd.last_updated_timestamp, odd.last_dirty_timestamp), (Some(5), Some(6)));
    assert!(read(json!({"metadata": null})).metadata.is_empty());
    serde_json::from_value::<InstanceInfo>(json!({"metadata": []})).unwrap_err();
}

#[test]
fn settings_are_checked_by_name() {
    let check = |specific: Value| EurekaDriver.check(&common::spec(&[1], &specific));
    check(json!({})).unwrap();
    check(json!({"pollInterval": "1s", "useDelta": false, "hostPreference": "hostname"})).unwrap();
    for (specific, field) in [
        (json!({"pollInterval": 5}), "specificConfig.pollInterval"),
        (json!({"pollInterval": "5"}), "specificConfig.pollInterval"),
        (json!({"pollInterval": "499ms"}), "specificConfig.pollInterval"),
        (json!({"pollInterval": "21s"}), "specificConfig.pollInterval"),
        (json!({"useDelta": "yes"}), "specificConfig.useDelta"),
        (json!({"hostPreference": "IP"}), "specificConfig.hostPreference"),
        (json!({"pollinterval": "5s"}), "specificConfig.pollinterval"),
    ] {
        assert_eq!(check(specific).unwrap_err().field, field);
    }
    let none = common::spec(&[], &json!({}));
    assert_eq!(EurekaDriver.check(&none).unwrap_err().field, "serverAddress");
}
