//! After any sequence of operations, memory, disk and what was published agree.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use hub_registry::model::instance::{InstancePatch, NativeInstance, Registration};
use hub_registry::model::names::instance_id;
use hub_registry::model::service::NewService;
use hub_registry::native::{Native, NativeRegistry};
use hub_registry::storage::{NativeStore, SqlStore};
use hub_registry_core::Registry;
use hub_registry_core::{GroupName, HealthStatus, Scope, ServiceKey, ServiceName, TenantId};
use proptest::prelude::*;
use serde_json::json;

use super::world::{FakeStore, Fault, World, by, everything, registration, tenant};

#[derive(Clone, Debug)]
enum Step {
    Register { tenant: u8, service: u8, port: u8, weight: u8 },
    Deregister { tenant: u8, service: u8, port: u8 },
    Weigh { tenant: u8, service: u8, port: u8, weight: u8 },
    State { tenant: u8, service: u8, port: u8, healthy: bool },
    Beat { tenant: u8, service: u8, port: u8 },
    CreateService { tenant: u8, service: u8 },
    DeleteService { tenant: u8, service: u8, force: bool },
    DeleteGroup { tenant: u8, force: bool },
    Wait { seconds: u8 },
    Fault(Fault),
}

fn step() -> impl Strategy<Value = Step> {
    let (t, s, p, w) = (0..2_u8, 0..2_u8, 1..4_u8, 0..3_u8);
    prop_oneof![
        6 => (t.clone(), s.clone(), p.clone(), w.clone())
            .prop_map(|(tenant, service, port, weight)| Step::Register { tenant, service, port, weight }),
        2 => (t.clone(), s.clone(), p.clone())
            .prop_map(|(tenant, service, port)| Step::Deregister { tenant, service, port }),
        2 => (t.clone(), s.clone(), p.clone(), w)
            .prop_map(|(tenant, service, port, weight)| Step::Weigh { tenant, service, port, weight }),
        2 => (t.clone(), s.clone(), p.clone(), any::<bool>())
            .prop_map(|(tenant, service, port, healthy)| Step::State { tenant, service, port, healthy }),
        2 => (t.clone(), s.clone(), p)
            .prop_map(|(tenant, service, port)| Step::Beat { tenant, service, port }),
        1 => (t.clone(), s.clone())
            .prop_map(|(tenant, service)| Step::CreateService { tenant, service }),
        1 => (t.clone(), s, any::<bool>())
            .prop_map(|(tenant, service, force)| Step::DeleteService { tenant, service, force }),
        1 => (t, any::<bool>()).prop_map(|(tenant, force)| Step::DeleteGroup { tenant, force }),
        2 => (1..60_u8).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Fault(Fault::Before)),
        1 => Just(Step::Fault(Fault::After)),
        2 => Just(Step::Fault(Fault::None)),
    ]
}

fn key(service: u8) -> ServiceKey {
    let name = ServiceName::parse(&format!("s{service}")).unwrap();
    ServiceKey::new(GroupName::default_group(), name)
}

fn said(service: u8, port: u8) -> Registration {
    registration(&format!("s{service}"), u16::from(port))
}

fn tenants() -> [TenantId; 2] {
    [tenant("a"), tenant("b")]
}

/// Some of these are refused, by design or by a fault; what counts is what is true after.
async fn take(world: &World, step: &Step) {
    let native = &world.native;
    let id = |tenant: u8, service, port| {
        let tenant = tenants()[usize::from(tenant)].clone();
        let id = instance_id(&tenant, &said(service, port).key);
        (tenant, id)
    };
    let refused = match *step {
        Step::Register { tenant, service, port, weight } => {
            let mut said = said(service, port);
            said.weight = Some(hub_registry_core::Weight::new(weight.into()));
            let tenant = &tenants()[usize::from(tenant)];
            native.register(&by(tenant, "me"), said).await.is_err()
        }
        Step::Deregister { tenant, service, port } => {
            let (tenant, id) = id(tenant, service, port);
            native.deregister(&by(&tenant, "me"), &id).await.is_err()
        }
        Step::Weigh { tenant, service, port, weight } => {
            let (tenant, id) = id(tenant, service, port);
            let patch = InstancePatch::from_value(json!({"weightValue": weight})).unwrap();
            native.update(&by(&tenant, "me"), &id, patch).await.is_err()
        }
        Step::State { tenant, service, port, healthy } => {
            let (tenant, id) = id(tenant, service, port);
            let health = if healthy { HealthStatus::Healthy } else { HealthStatus::Unhealthy };
            native.set_health(&by(&tenant, "me"), &id, health).await.is_err()
        }
        Step::Beat { tenant, service, port } => {
            let (tenant, id) = id(tenant, service, port);
            native.heartbeat(&by(&tenant, "me"), &id).is_err()
        }
        Step::CreateService { tenant, service } => {
            let new = NewService { key: key(service), fields: Default::default() };
            native.create_service(&by(&tenants()[usize::from(tenant)], "me"), new).await.is_err()
        }
        Step::DeleteService { tenant, service, force } => {
            let tenant = &tenants()[usize::from(tenant)];
            native.delete_service(&by(tenant, "me"), &key(service), force).await.is_err()
        }
        Step::DeleteGroup { tenant, force } => {
            let tenant = &tenants()[usize::from(tenant)];
            native
                .delete_group(&by(tenant, "me"), &GroupName::default_group(), force)
                .await
                .is_err()
        }
        Step::Wait { seconds } => {
            tokio::time::sleep(Duration::from_secs(seconds.into())).await;
            false
        }
        Step::Fault(_) => false,
    };
    let _may_be = refused;
}

/// What is published is what is held.
async fn published_is_held(world: &World) {
    for tenant in tenants() {
        let registry = NativeRegistry::new(Arc::clone(&world.native), tenant.clone());
        let seen = world.listener.seen.lock().get(&tenant).cloned().unwrap_or_default();
        let mut services = registry.services(&Scope::all()).await.unwrap();
        services.sort();
        assert_eq!(services, seen.keys().cloned().collect::<Vec<_>>());
        for (key, instances) in &seen {
            let read = registry.instances(key).await.unwrap();
            assert!(read.iter().eq(instances.iter().map(AsRef::as_ref)), "{read:#?}");
        }
    }
}

/// What is on disk is what is held: another registry that starts from it holds the same.
async fn disk_is_memory(world: &World, store: Arc<dyn NativeStore>) {
    let again = World::start(store).await;
    for tenant in tenants() {
        assert_eq!(everything(&again.native, &tenant), everything(&world.native, &tenant));
    }
    again.stop().await;
}

/// The same while it runs, but for the health that leases moved a moment ago: that is written
/// a little later.
async fn disk_is_memory_but_for_health(world: &World, store: Arc<dyn NativeStore>) {
    let again = World::start(store).await;
    let written = |native: &Native, tenant: &TenantId| {
        let services = native.list_services(tenant).into_iter();
        let services: Vec<_> = services.map(|summary| summary.service).collect();
        let rest = |instance: &Arc<NativeInstance>| NativeInstance {
            last_heartbeat: None,
            ..instance.judged(HealthStatus::Unknown, None)
        };
        let instances: Vec<_> = native.list(tenant).iter().map(rest).collect();
        (native.list_groups(tenant), services, instances)
    };
    for tenant in tenants() {
        assert_eq!(written(&again.native, &tenant), written(&world.native, &tenant));
    }
    again.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn memory_disk_and_view_agree_whatever_fails(
        steps in prop::collection::vec(step(), 1..80),
        commit_seconds in 0..4_u64,
        apart_ms in prop_oneof![Just(0), 1..2500_u64],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let commit_time = Duration::from_secs(commit_seconds);
            let store = Arc::new(FakeStore { commit_time, ..FakeStore::default() });
            let world = World::start(Arc::clone(&store) as _).await;
            // Some at a time: they share commits or are planned on one that runs and may fail, and
            // leases lapse while a commit runs.
            for some in steps.chunks(6) {
                let (store, world) = (&store, &world);
                join_all(some.iter().zip(0_u32..).map(|(step, place)| async move {
                    tokio::time::sleep(Duration::from_millis(apart_ms) * place).await;
                    if let Step::Fault(fault) = step {
                        *store.fault.lock() = *fault;
                    }
                    take(world, step).await;
                }))
                .await;
                published_is_held(world).await;
            }
            *store.fault.lock() = Fault::None;
            // A repair comes by itself, a flush too.
            tokio::time::sleep(Duration::from_secs(15)).await;
            disk_is_memory_but_for_health(&world, Arc::clone(&store) as _).await;
            world.stop().await;
            disk_is_memory(&world, store).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
    #[test]
    fn memory_and_sqlite_agree(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("registry.db");
            let store = Arc::new(SqlStore::sqlite(path.to_str().unwrap(), 2).await.unwrap());
            let world = World::start(Arc::clone(&store) as _).await;
            for step in steps.iter().filter(|step| !matches!(step, Step::Wait { .. })) {
                take(&world, step).await;
            }
            world.stop().await;
            disk_is_memory(&world, store).await;
        });
    }
}
