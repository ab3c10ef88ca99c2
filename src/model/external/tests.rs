use serde_json::{Value, json};

use super::*;

fn row(body: &Value) -> ExternalConfigRow {
    let mut row = ExternalConfigRow {
        external_config_id: "c1".to_owned(),
        tenant_id: "default".to_owned(),
        environment_name: "default".to_owned(),
        ..ExternalConfigRow::default()
    };
    apply_body(&mut row, body.as_object().unwrap()).unwrap();
    row
}

fn minimal() -> Value {
    json!({ "configName": "n", "registryType": "NACOS", "serverAddress": "a, [::1]:99 ,b:1" })
}

#[test]
fn defaults_fit_the_kind() {
    let config = ExternalConfig::from_row(&row(&minimal())).unwrap();
    let urls = config.spec.info().endpoints;
    assert_eq!(urls, ["http://a:8848/nacos", "http://[::1]:99/nacos", "http://b:1/nacos"]);
    assert_eq!(config.priority(), 100);
    assert!(config.active);
}

#[test]
fn each_rule_names_its_field() {
    let cases = [
        (json!({ "configName": "native" }), "configName"),
        (json!({ "serverPort": 0 }), "serverPort"),
        (json!({ "serverPort": 70_000 }), "serverPort"),
        (json!({ "registryType": "consul" }), "registryType"),
        (json!({ "serverAddress": "http://a" }), "serverAddress"),
        (json!({ "serverAddress": "" }), "serverAddress"),
        (json!({ "serverAddress": "a:b" }), "serverAddress"),
        (json!({ "serverScheme": "ftp" }), "serverScheme"),
        (json!({ "readTimeout": 0 }), "readTimeout"),
        (json!({ "syncEnabled": "Y" }), "syncEnabled"),
        (json!({ "failoverEnabled": "Y" }), "failoverEnabled"),
        (json!({ "failoverConfigId": "c1" }), "failoverConfigId"),
        (json!({ "conflictResolution": "mine" }), "conflictResolution"),
        (json!({ "specificConfig": { "priority": "x" } }), "specificConfig.priority"),
        (json!({ "specificConfig": { "caName": "../x" } }), "specificConfig.caName"),
        (
            json!({ "specificConfig": { "removalGuard": { "settleSeconds": 99_999 } } }),
            "specificConfig.removalGuard.settleSeconds",
        ),
    ];
    for (change, field) in cases {
        let mut body = minimal();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = ExternalConfig::from_row(&row(&body)).unwrap_err();
        assert_eq!(error.details["field"], field, "{error:?}");
    }
}

#[test]
fn wrong_types_and_unknown_fields_are_refused() {
    let mut target = row(&minimal());
    for (body, field) in [
        (json!({ "serverPort": "80" }), "serverPort"),
        (json!({ "authEnabled": true }), "authEnabled"),
        (json!({ "specificConfig": "[1]" }), "specificConfig"),
        (json!({ "configname": "x" }), "configname"),
    ] {
        let error = apply_body(&mut target, body.as_object().unwrap()).unwrap_err();
        assert_eq!(error.details["field"], field);
    }
}

#[test]
fn secrets_are_masked_and_survive_being_put_back() {
    let mut body = minimal();
    body["password"] = json!("s3cret");
    let mut target = row(&body);
    let answer = row_json(&target);
    assert_eq!(answer["password"], "***");
    assert_eq!(answer["accessToken"], Value::Null);
    apply_body(&mut target, answer.as_object().unwrap()).unwrap();
    assert_eq!(target.password.as_ref().unwrap().expose(), "s3cret");
}

#[test]
fn a_changed_address_wants_the_secrets_again() {
    let mut body = minimal();
    body["password"] = json!("s3cret");
    let before = row(&body);
    let mut after = before.clone();
    after.server_address = "evil".to_owned();
    assert!(needs_secrets(&before, &after));
    assert!(!brings_secrets(&before, json!({ "password": "***" }).as_object().unwrap()));
    assert!(brings_secrets(&before, json!({ "password": "again" }).as_object().unwrap()));
    after = ExternalConfigRow { server_path: Some("/echo".to_owned()), ..before.clone() };
    assert!(needs_secrets(&before, &after), "another path can be another server");
    after = ExternalConfigRow { server_scheme: Some("http".to_owned()), ..before.clone() };
    assert!(!needs_secrets(&before, &after), "the default, said");
    after = ExternalConfigRow { config_name: "other".to_owned(), ..before.clone() };
    assert!(!needs_secrets(&before, &after));
}

/// Secrets in databases are sealed for these texts.
#[test]
fn the_server_of_a_row_is_the_same_text_in_every_version() {
    let mut body = minimal();
    let nacos = r#"["NACOS",["http://a:8848/nacos","http://[::1]:99/nacos","http://b:1/nacos"],[null,null,false],null]"#;
    assert_eq!(row(&body).server(), nacos);
    body["specificConfig"] =
        json!({ "insecureSkipVerify": false, "grpcPortOffset": 1000, "caPem": null });
    body["serverPort"] = json!(8848);
    assert_eq!(row(&body).server(), nacos, "defaults, said");
    // What is wrong elsewhere in the row does not count.
    body["readTimeout"] = json!(-1);
    assert_eq!(row(&body).server(), nacos);
    body["specificConfig"] =
        json!({ "insecureSkipVerify": true, "grpcPortOffset": 1, "caPem": "p", "caName": "n" });
    body["serverPort"] = json!(0);
    let broken = r#"["NACOS",["a, [::1]:99 ,b:1",0,null,null],["p","n",true],1]"#;
    assert_eq!(row(&body).server(), broken);
}

#[test]
fn a_secret_may_not_look_sealed() {
    let mut target = row(&minimal());
    let error = apply_body(&mut target, json!({ "password": "sealed:x" }).as_object().unwrap());
    let error = error.unwrap_err();
    assert_eq!(
        (&error.details["field"], &error.details["value"]),
        (&json!("password"), &json!("***"))
    );
    target.unopened = vec![("password", "is lost".to_owned())];
    target.password = Some(hub_registry_core::Secret::new("sealed:v1:x"));
    let error = ExternalConfig::from_row(&target).unwrap_err();
    assert_eq!(error.message, "password is lost");
    apply_body(&mut target, json!({ "password": "given" }).as_object().unwrap()).unwrap();
    assert!(ExternalConfig::from_row(&target).is_ok());
}

#[test]
fn identity_is_which_registry_not_how_to_log_in() {
    let one = ExternalConfig::from_row(&row(&minimal())).unwrap();
    let mut body = minimal();
    body["readTimeout"] = json!(99);
    let other = ExternalConfig::from_row(&row(&body)).unwrap();
    assert_eq!(one.identity(), other.identity());
    assert!(!one.connects_like(&other));
    body["specificConfig"] = json!({ "namespace": "prod" });
    assert_ne!(one.identity(), ExternalConfig::from_row(&row(&body)).unwrap().identity());
}
