use std::collections::BTreeMap;
use std::sync::Arc;

use hub_registry_core::{GroupName, ServiceName, TenantId};
use serde_json::{Value, json};

use super::*;
use crate::model::audit::Audit;
use crate::model::external::{ExternalConfig, ExternalConfigRow};
use crate::model::migration::{MigrationId, MigrationPlan};

fn configs() -> Configs {
    let config = |name: &str, kind: &str| {
        let row = ExternalConfigRow {
            tenant_id: "default".to_owned(),
            external_config_id: name.to_owned(),
            config_name: name.to_owned(),
            environment_name: "default".to_owned(),
            registry_type: kind.to_owned(),
            server_address: "10.0.0.1".to_owned(),
            ..ExternalConfigRow::default()
        };
        Arc::new(ExternalConfig::from_row(&row).unwrap())
    };
    let running = vec![config("consul", "CONSUL"), config("nacos", "NACOS")];
    Configs { running, ..Configs::default() }
}

fn key(group: &str, name: &str) -> ServiceKey {
    ServiceKey::new(GroupName::parse(group).unwrap(), ServiceName::parse(name).unwrap())
}

fn migration(from: &str, to: &str, state: MigrationState, more: Value) -> Migration {
    let mut body = json!({"name": "m", "from": from, "to": to});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let plan = MigrationPlan::from_body(body.as_object().unwrap().clone()).unwrap();
    let id = |name: &str| SourceId::parse(name).unwrap();
    Migration {
        from: id(from),
        to: id(to),
        tenant: TenantId::default_tenant(),
        id: MigrationId::random(),
        plan,
        state,
        paused: false,
        services: BTreeMap::new(),
        audit: Audit::new(crate::clock::at(0), "me"),
    }
}

fn ways(migration: &Migration) -> Vec<String> {
    let routes = routes(migration, &configs());
    let way = |route: &Route| format!("{}>{}", route.from.id.as_str(), route.to.id.as_str());
    routes.iter().map(way).collect()
}

#[test]
fn each_state_copies_its_ways_and_says_who_leads() {
    use MigrationState::{Cutover, Done, Drain, Dual, Mirror, Planned};
    let forth = "consul>nacos";
    let both = [forth, "nacos>consul"];
    let all = [forth, "nacos>consul", "native>nacos"];
    for (state, expected, leads) in [
        (Planned, &[][..], false),
        (Mirror, &[forth], false),
        (Dual, &both, false),
        (Cutover, &all, true),
        (Drain, &all, true),
        (Done, &[], true),
    ] {
        let migration = migration("consul", "nacos", state, json!({}));
        assert_eq!(ways(&migration), expected, "{state}");
        assert_eq!(lead(&migration, &configs()).is_some(), leads, "{state}");
    }
    let of_native = migration("native", "nacos", Cutover, json!({}));
    assert_eq!(ways(&of_native), ["native>nacos", "nacos>native"]);
    let to_native = migration("nacos", "native", Cutover, json!({}));
    assert_eq!(ways(&to_native), ["nacos>native", "native>nacos"]);
    let lost = migration("consul", "nobody", Cutover, json!({}));
    assert!(ways(&lost).is_empty() && ends(&lost, &configs()).is_err());
}

#[test]
fn a_service_ahead_or_behind_goes_its_own_way() {
    let mut migration = migration("consul", "nacos", MigrationState::Mirror, json!({}));
    migration.services.insert(key("DEFAULT_GROUP", "ahead"), MigrationState::Dual);
    migration.services.insert(key("DEFAULT_GROUP", "behind"), MigrationState::Planned);
    let routes = routes(&migration, &configs());
    let has = |route: &Route| {
        ["ahead", "behind", "other"].map(|name| route.part(&key("DEFAULT_GROUP", name)).is_some())
    };
    assert_eq!(has(&routes[0]), [true, false, true], "forth");
    assert_eq!(has(&routes[1]), [true, false, false], "back");
}

#[test]
fn groups_are_mapped_there_and_back() {
    let map = json!({"groupMap": {"DEFAULT_GROUP": "prod"}});
    let mut there = migration("consul", "nacos", MigrationState::Dual, map);
    there.services.insert(key("DEFAULT_GROUP", "web"), MigrationState::Mirror);
    let routes = routes(&there, &configs());
    let target = routes[0].target(&key("DEFAULT_GROUP", "db"), true);
    assert_eq!(target, key("prod", "db"));
    assert!(routes[1].part(&key("prod", "db")).is_some());
    assert!(routes[1].part(&key("prod", "web")).is_none(), "it is not so far");
    assert_eq!(routes[1].target(&key("prod", "db"), false), key("DEFAULT_GROUP", "db"));
}

#[test]
fn a_paused_one_leaves_its_copies_as_they_are() {
    let mut paused = migration("consul", "nacos", MigrationState::Dual, json!({}));
    paused.paused = true;
    for route in routes(&paused, &configs()) {
        assert_eq!(route.mode_of(&key("DEFAULT_GROUP", "web")), Mode::Frozen);
    }
}

#[test]
fn a_step_shows_what_it_ends_and_leaves_other_rules_alone() {
    let before = migration("consul", "nacos", MigrationState::Dual, json!({}));
    let after = Migration { state: MigrationState::Mirror, ..before.clone() };
    let routes = step(&before, &after, &configs());
    let web = key("DEFAULT_GROUP", "web");
    let modes: Vec<_> = routes.iter().map(|route| (route.mode_of(&web), route.rest)).collect();
    assert_eq!(modes, [(Mode::Copying, Mode::Frozen), (Mode::Ended, Mode::Frozen)]);
}

#[test]
fn another_migration_that_goes_on_is_about_the_same_services_of_the_same_registries() {
    use MigrationState::{Done, Mirror, Planned};
    let configs = configs();
    let concerns = |other: &Migration, name: &str| {
        let own =
            migration("consul", "nacos", Planned, json!({"groupMap": {"DEFAULT_GROUP": "g"}}));
        let (service, (_, to)) = (key("DEFAULT_GROUP", name), ends(&own, &configs).unwrap());
        let claims = claims(other, &configs);
        claims.concern(&own.from, &service) || claims.concern(&own.to, &target(&own, &to, &service))
    };
    let only_web = || json!({"services": {"include": ["web"]}});
    let forth = |state| migration("consul", "native", state, only_web());
    assert!(concerns(&forth(Mirror), "web"));
    assert!(!concerns(&forth(Mirror), "shop"));
    assert!(!concerns(&forth(Planned), "web") && !concerns(&forth(Done), "web"));
    // Back, and by its name at the target: in another group.
    assert!(!concerns(
        &migration("nacos", "consul", Mirror, json!({"services": {"include": ["x"]}})),
        "web"
    ));
    assert!(concerns(&migration("nacos", "native", Mirror, only_web()), "web"));
    assert!(concerns(&migration("nacos", "consul", Mirror, json!({})), "web"));
}
