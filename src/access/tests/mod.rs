mod credentials;

use std::sync::Arc;

use chrono::DateTime;
use hub_registry_core::{GroupName, TenantId};
use serde_json::json;

use super::*;
use crate::model::audit::Audit;
use crate::model::group::{GroupPatch, NativeGroup};

fn group(name: &str, body: serde_json::Value) -> NativeGroup {
    let audit = Audit::new(DateTime::default(), "t");
    let name = GroupName::parse(name).unwrap();
    let mut group = NativeGroup::new(TenantId::default_tenant(), name, audit);
    GroupPatch::from_value(body).unwrap().apply(&mut group);
    group
}

fn caller(user: &str, role: Role, groups: &[&str]) -> Caller {
    let groups = groups.iter().map(|name| GroupName::parse(name).unwrap());
    let groups =
        Some(groups.collect()).filter(|all: &std::collections::BTreeSet<_>| !all.is_empty());
    let grant = Arc::new(Grant { role, groups, tenants: Tenants::All });
    Caller::granted(TenantId::default_tenant(), Arc::from(user), grant)
}

const ALL: [Action; 5] =
    [Action::Read, Action::Write, Action::Manage, Action::Operate, Action::Administer];

fn allowed(caller: &Caller, group: &NativeGroup) -> Vec<Action> {
    ALL.into_iter().filter(|action| caller.may(*action, &group.name, Some(group))).collect()
}

#[test]
fn each_role_may_do_what_the_ones_below_it_may() {
    let of = |role: Role| ALL.into_iter().filter(|a| role.allows(*a)).collect::<Vec<_>>();
    let roles: Vec<_> = Role::ALL.iter().rev().map(|role| of(*role)).collect();
    assert!(roles.windows(2).all(|pair| pair[0].iter().all(|action| pair[1].contains(action))));
    assert_eq!(of(Role::Reader), [Action::Read]);
    assert_eq!(of(Role::Admin), ALL);
}

#[test]
fn the_lists_of_a_group_count_when_it_says_so() {
    let lists = json!({
        "ownerUserId": "olga", "adminUserIds": ["adam"], "readUserIds": ["rita"],
        "accessControlEnabled": "Y",
    });
    let closed = group("g", lists.clone());
    let mut open = group("g", lists);
    open.access_control = crate::model::words::Flag::No;
    let all = [Action::Read, Action::Write, Action::Manage];
    for user in ["olga", "adam"] {
        assert_eq!(allowed(&caller(user, Role::Writer, &[]), &closed), all);
        assert_eq!(allowed(&caller(user, Role::Writer, &[]), &open), all);
        assert_eq!(allowed(&caller(user, Role::Reader, &[]), &closed), [Action::Read]);
    }
    assert_eq!(allowed(&caller("rita", Role::Writer, &[]), &closed), [Action::Read]);
    assert_eq!(allowed(&caller("walt", Role::Writer, &[]), &closed), []);
    assert_eq!(allowed(&caller("walt", Role::Writer, &[]), &open), [Action::Read, Action::Write]);
    assert!(!caller("walt", Role::Operator, &[]).may(Action::Manage, &closed.name, Some(&closed)));
    assert!(caller("walt", Role::Operator, &[]).may(Action::Manage, &open.name, Some(&open)));
    assert_eq!(allowed(&caller("root", Role::Admin, &[]), &closed), ALL);
}

#[test]
fn a_list_nobody_can_read_lets_nobody_in() {
    let mut closed = group("g", json!({ "accessControlEnabled": "Y" }));
    closed.admin_user_ids = crate::model::group::UserIds::from_text(Some("walt"));
    assert_eq!(allowed(&caller("walt", Role::Writer, &[]), &closed), []);
}

#[test]
fn a_credential_for_some_groups_is_for_no_others() {
    let some = caller("walt", Role::Writer, &["a", "b"]);
    let (a, c) = (group("a", json!({})), group("c", json!({})));
    assert!(some.may(Action::Write, &a.name, Some(&a)) && some.may(Action::Write, &a.name, None));
    assert!(!some.may(Action::Read, &c.name, Some(&c)) && !some.may(Action::Read, &c.name, None));
    assert!(some.need(Action::Write).is_ok());
    let operator = caller("op", Role::Operator, &["a"]);
    assert!(operator.need(Action::Operate).is_err(), "the registries of a tenant are in no group");
    assert!(caller("op", Role::Operator, &[]).need(Action::Operate).is_ok());
    assert!(caller("op", Role::Operator, &[]).need(Action::Administer).is_err());
    // The server as a whole is for those who have every tenant and every group.
    assert!(caller("eye", Role::Reader, &[]).need(Action::Observe).is_ok());
    assert!(caller("eye", Role::Reader, &["a"]).need(Action::Observe).is_err());
    let tenants = Tenants::One(TenantId::default_tenant());
    let grant = Arc::new(Grant { role: Role::Admin, groups: None, tenants });
    let admin = Caller::granted(TenantId::default_tenant(), Arc::from("root"), grant);
    assert!(admin.need(Action::Observe).is_err() && admin.need(Action::Administer).is_ok());
    assert!(admin.need(Action::Maintain).is_err());
}

#[test]
fn without_security_nothing_is_asked() {
    let closed = group("g", json!({ "accessControlEnabled": "Y", "ownerUserId": "olga" }));
    let anybody = Caller::unlimited(TenantId::default_tenant(), "walt");
    assert_eq!(allowed(&anybody, &closed), ALL);
    let seen = Visible::to(&anybody, || |_: &GroupName| panic!("nobody is to be asked"));
    assert!(seen.sees(&closed.name));
}

#[test]
fn what_is_visible_is_what_may_be_read() {
    let closed =
        Arc::new(group("g", json!({ "accessControlEnabled": "Y", "readUserIds": ["rita"] })));
    let name = closed.name.clone();
    let seen = |user: &str| {
        let closed = Arc::clone(&closed);
        Visible::to(&caller(user, Role::Reader, &[]), || {
            move |_: &GroupName| Some(Arc::clone(&closed))
        })
    };
    assert!(seen("rita").sees(&name) && seen("rita").need(&name).is_ok());
    assert!(!seen("walt").sees(&name));
    assert_eq!(seen("walt").need(&name).unwrap_err().code, crate::error::ErrorCode::Forbidden);
}
