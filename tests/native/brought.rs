//! Checks that instances bring with them, each with a status of its own, on a clock that the tests
//! move.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hub_registry::error::ErrorCode;
use hub_registry::health::Outcome;
use hub_registry::model::check::CheckStatus;
use hub_registry::model::instance::{InstancePatch, Registration};
use hub_registry::model::words::HealthCheckType;
use hub_registry::native;
use hub_registry::storage::NativeStore;
use hub_registry_core::HealthStatus::{Healthy, Unhealthy, Unknown};
use hub_registry_core::{InstanceStatus, TenantId, Weight};
use tokio::time::{Instant, sleep};

use super::ward::{CRITICAL, PASSING, SECOND, Ward, asked, brings, ttl};
use super::world::{by, registration};

#[tokio::test(start_paused = true)]
async fn the_worst_of_its_checks_decides_and_what_is_found_is_on_disk() {
    let ward = Ward::open().await;
    for port in [1, 2] {
        ward.doctor.finds(port, Outcome::Connected);
    }
    let all = [asked("a", 1, CRITICAL), asked("b", 2, CRITICAL), ttl("c", 86_400, PASSING)];
    let id = ward.register(brings(1, all)).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, CRITICAL, PASSING]));
    ward.becomes(id, Healthy, &[PASSING, PASSING, PASSING]).await;
    ward.doctor.finds(2, Outcome::Answered(429));
    ward.becomes(id, Healthy, &[PASSING, CheckStatus::Warning, PASSING]).await;
    ward.doctor.finds(1, Outcome::Refused);
    ward.becomes(id, Unhealthy, &[CRITICAL, CheckStatus::Warning, PASSING]).await;
    let told = ward.told();
    assert_eq!(told.len(), 2, "a status that moves no health is no event of it: {told:?}");
    assert_eq!(told[1], "check a failed, 1 in a row: connection refused");
    // A start reads what was found, and asks nobody for it.
    sleep(SECOND * 5).await;
    let again = Ward::over(Arc::clone(&ward.store)).await;
    assert_eq!(again.how(id), (Unhealthy, vec![CRITICAL, CheckStatus::Warning, PASSING]));
    let row = ward.store.load().await.unwrap().instances.remove(0);
    assert_eq!(row.health_status.as_deref(), Some("UNHEALTHY"));
    assert!(row.last_health_check_time.is_some());
    assert!(ward.checks.standing().instances == 2, "what its client says is not asked");
}

#[tokio::test(start_paused = true)]
async fn each_check_that_its_client_speaks_for_has_a_lease_of_its_own() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("long", 60, PASSING), ttl("short", 10, PASSING)])).await;
    for _ in 0..5 {
        sleep(SECOND * 8).await;
        assert!(ward.hear(id, "short"));
    }
    assert_eq!(ward.how(id), (Healthy, vec![PASSING, PASSING]));
    sleep(SECOND * 12).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![PASSING, CRITICAL]), "10 s are over, 60 are not");
    assert_eq!(ward.told().last().unwrap(), "check short not heard for 10 s, its TTL");
    // Being heard says nothing of how it is: its client does.
    assert!(ward.hear(id, "short") && ward.hear(id, "long"));
    sleep(SECOND * 5).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![PASSING, CRITICAL]));
    assert!(!ward.hear(id, "other"), "there is none");
    // However long: nobody is removed for it.
    sleep(SECOND * 600).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, CRITICAL]));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_gone_is_asked_and_waited_for_no_more() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [asked("a", 1, PASSING), ttl("t", 10, PASSING)])).await;
    ward.becomes(id, Unhealthy, &[CRITICAL, PASSING]).await;
    let mut native = ward.seen(id).native.clone();
    let mut checks = ward.seen(id).checks().clone();
    assert!(checks.remove("a").is_some() && checks.remove("t").is_some());
    checks.put(ttl("u", 1000, PASSING));
    checks.write(&mut native);
    let patch = InstancePatch { native: Some(native), ..InstancePatch::default() };
    let me = by(&TenantId::default_tenant(), "me");
    ward.world.native.update(&me, &id.to_string(), patch).await.unwrap();
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
    sleep(SECOND * 120).await;
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
    assert!(!ward.hear(id, "t") && ward.hear(id, "u"));
    assert_eq!(ward.checks.standing().instances, 0);
    // One that is removed leaves nothing behind.
    ward.world.native.deregister(&me, &id.to_string()).await.unwrap();
    assert!(!ward.hear(id, "u"));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!((stats.heart_beating, stats.overdue), (0, 0));
}

/// More clients that fall silent together than can be believed.
#[tokio::test(start_paused = true)]
async fn that_all_fall_silent_together_is_not_believed() {
    let (ward, both) = (Ward::open().await, || [ttl("t", 30, PASSING), ttl("u", 30, PASSING)]);
    let mut ids = Vec::new();
    for port in 1..=40 {
        ids.push(ward.register(brings(port, both())).await);
    }
    for _ in 0..6 {
        sleep(SECOND * 10).await;
        assert!(ids.iter().all(|id| ward.hear(*id, "t") && ward.hear(*id, "u")));
    }
    sleep(SECOND * 100).await;
    assert!(ids.iter().all(|id| ward.how(*id) == (Healthy, vec![PASSING; 2])));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!((stats.heart_beating, stats.overdue, stats.held), (40, 40, 40));
    // They return, but for one: it is gone.
    for _ in 0..12 {
        assert!(ids[1..].iter().all(|id| ward.hear(*id, "t") && ward.hear(*id, "u")));
        sleep(SECOND * 10).await;
    }
    assert_eq!(ward.how(ids[0]), (Unhealthy, vec![CRITICAL; 2]));
    assert!(ids[1..].iter().all(|id| ward.how(*id) == (Healthy, vec![PASSING; 2])));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!(stats.held, 0);
}

#[tokio::test(start_paused = true)]
async fn its_health_follows_from_its_checks_and_from_nothing_else() {
    let ward = Ward::open().await;
    let me = by(&TenantId::default_tenant(), "me");
    let id = ward.register(brings(1, [ttl("t", 1000, PASSING)])).await;
    let native = &ward.world.native;
    let error = native.set_health(&me, &id.to_string(), Unhealthy).await.unwrap_err();
    assert_eq!(
        (error.code, error.details["field"].as_str()),
        (ErrorCode::Invalid, Some("healthStatus"))
    );
    // Who registers it by another way says nothing of them, either.
    ward.register(Registration { health: Some(Unhealthy), ..registration("s", 1) }).await;
    assert_eq!(ward.how(id), (Healthy, vec![PASSING]));
    // Unless it says what else decides: then they are gone.
    let other = Registration { check: Some(HealthCheckType::None), ..registration("s", 1) };
    ward.register(other).await;
    assert_eq!((ward.how(id), ward.hear(id, "t")), ((Healthy, vec![]), false));
    assert!(!ward.seen(id).native.contains_key("healthChecks"));
    // Without any there are none to decide.
    for said in [brings(1, []), brings(2, [])] {
        let error = native.register(&me, said).await.unwrap_err();
        assert_eq!(error.details["field"], "healthCheckType");
    }
    let id = ward
        .register(Registration { check: Some(HealthCheckType::None), ..registration("s", 3) })
        .await;
    assert_eq!(ward.how(id).0, Unknown);
}

/// The tables are looked at before what was found is on disk.
#[tokio::test(start_paused = true)]
async fn what_others_write_meanwhile_and_what_is_found_are_both_kept() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("t", 10, PASSING), ttl("u", 86_400, PASSING)])).await;
    sleep(SECOND * 9).await;
    // From now on nothing that is found reaches the disk; the tables are looked at all the same.
    ward.store.keeps_no_beats.store(true, Ordering::Relaxed);
    sleep(SECOND * 2).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    let row = (TenantId::default_tenant().to_string(), id.to_string());
    ward.store.tables.lock().instances.get_mut(&row).unwrap().weight_value = Some(7);
    let start = Instant::now();
    while ward.seen(id).weight != Weight::new(7) {
        assert!(start.elapsed() < SECOND * 120, "it is never seen");
        sleep(SECOND).await;
    }
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    ward.store.keeps_no_beats.store(false, Ordering::Relaxed);
    sleep(SECOND * 20).await;
    let again = Ward::over(Arc::clone(&ward.store)).await;
    assert_eq!(again.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    assert_eq!(again.seen(id).weight, Weight::new(7));
    // One that is gone from the table stays gone, whatever is found of it then.
    ward.store.tables.lock().instances.clear();
    let me = by(&TenantId::default_tenant(), "me");
    ward.world.native.heartbeat_of(&me, id, "u").ok();
    sleep(SECOND * 30).await;
    assert!(ward.store.tables.lock().instances.is_empty());
}

/// Twenty checks of one client are one client that is silent.
#[tokio::test(start_paused = true)]
async fn clients_are_counted_and_not_their_checks() {
    let ward = Ward::open().await;
    let mut ids = Vec::new();
    for port in 1..=40 {
        ids.push(ward.register(brings(port, [ttl("t", 30, PASSING)])).await);
    }
    let many: Vec<_> = (0..20).map(|number| format!("m{number:02}")).collect();
    let dies = ward.register(brings(99, many.iter().map(|id| ttl(id, 30, PASSING)))).await;
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!(stats.heart_beating, 41);
    for _ in 0..9 {
        sleep(SECOND * 10).await;
        assert!(ids.iter().all(|id| ward.hear(*id, "t")));
    }
    assert_eq!(ward.how(dies), (Unhealthy, vec![CRITICAL; 20]));
    let stats = ward.world.native.lease_stats(&TenantId::default_tenant());
    assert_eq!(stats.held, 0);
}

#[tokio::test(start_paused = true)]
async fn registering_again_says_nothing_of_how_a_known_check_is() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("t", 10, PASSING)])).await;
    sleep(SECOND * 12).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    // What it is to be is said of what it is when that is written, as one client after the other has it.
    let me = by(&TenantId::default_tenant(), "me");
    let over = move |known: &native::Known<'_>| {
        let mut checks = known(id).unwrap().checks().clone();
        checks.put(ttl("u", 1000, PASSING));
        Ok(brings(1, checks.iter().cloned()))
    };
    let (first, second) = (over, move |known: &native::Known<'_>| {
        assert!(known(id).unwrap().checks().get("u").is_some(), "the first was planned before");
        over(known)
    });
    let native = &ward.world.native;
    let (first, second) =
        tokio::join!(native.register_with(&me, first), native.register_with(&me, second),);
    assert_eq!((first.unwrap().instance_id, second.unwrap().created), (id, false));
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL, PASSING]));
    native.deregister(&me, &id.to_string()).await.unwrap();
    let gone = move |known: &native::Known<'_>| {
        assert!(known(id).is_none());
        Ok(brings(1, [ttl("t", 10, PASSING)]))
    };
    assert!(native.register_with(&me, gone).await.unwrap().created);
}

/// Who changes the type by SQL says that the checks decide no more, and nothing of the health.
#[tokio::test(start_paused = true)]
async fn a_type_that_others_write_ends_the_checks_whatever_waits_to_be_written() {
    let ward = Ward::open().await;
    let id = ward.register(brings(1, [ttl("t", 10, PASSING)])).await;
    sleep(SECOND * 9).await;
    ward.store.keeps_no_beats.store(true, Ordering::Relaxed);
    sleep(SECOND * 2).await;
    assert_eq!(ward.how(id), (Unhealthy, vec![CRITICAL]));
    let row = (TenantId::default_tenant().to_string(), id.to_string());
    let word = Some("NONE".to_owned());
    ward.store.tables.lock().instances.get_mut(&row).unwrap().health_check_type = word;
    let start = Instant::now();
    while ward.seen(id).check != HealthCheckType::None {
        assert!(start.elapsed() < SECOND * 120, "it is never seen");
        sleep(SECOND).await;
    }
    // It is as it was last known to be.
    assert_eq!(ward.how(id), (Unhealthy, vec![]));
    assert!(!ward.seen(id).native.contains_key("healthChecks"));
}

#[tokio::test(start_paused = true)]
async fn another_status_ends_a_maintenance_and_so_does_another_service() {
    let ward = Ward::open().await;
    let me = by(&TenantId::default_tenant(), "me");
    let out = |port: u16| {
        let mut out = brings(port, [ttl("t", 1000, PASSING)]);
        out.native.as_mut().unwrap().insert("maintenance".to_owned(), "why".to_owned());
        Registration { status: Some(InstanceStatus::OutOfService), ..out }
    };
    let status = |id| {
        let seen = ward.seen(id);
        (seen.status, seen.is_in_maintenance())
    };
    let id = ward.register(out(1)).await;
    assert_eq!(status(id), (InstanceStatus::OutOfService, true));
    let native = &ward.world.native;
    native.set_status(&me, &id.to_string(), InstanceStatus::Up).await.unwrap();
    assert_eq!(status(id), (InstanceStatus::Up, false));
    // By another protocol, by which one says nothing of it: it goes on.
    ward.register(out(1)).await;
    ward.register(registration("s", 1)).await;
    assert_eq!(status(id), (InstanceStatus::OutOfService, true));
    // Another service has the address, and was never taken out of use.
    ward.register(brings(1, [ttl("t", 1000, PASSING)])).await;
    assert_eq!(status(id), (InstanceStatus::Up, false));
    // An operator's word stays.
    native.set_status(&me, &id.to_string(), InstanceStatus::OutOfService).await.unwrap();
    ward.register(brings(1, [ttl("t", 1000, PASSING)])).await;
    assert_eq!(status(id), (InstanceStatus::OutOfService, false));
}
