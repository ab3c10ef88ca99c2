//! Targets that die and come back, with what they had or with nothing.

use std::time::Duration;

use hub_registry_testkit::servers::{self, Data, ServerKind};
use serde_json::json;
use tokio::time::Instant;

use super::{put_all, rows, together};
use crate::hub::Hub;
use crate::patient::rules::{add, is_silent, told, trusted, until_shown, with_rule};
use crate::patient::site::{Row, Site};
use crate::proofs::rounds;

const SERVICE: &str = "returned";
/// Where nothing tells of it, a copy that is not shown counts as lost after 45 s; then everything is
/// compared once more.
const BACK: Duration = Duration::from_secs(120);

/// Copies with leases are gone so long after their hub: a lease is 90 s, and Eureka gives each twice
/// its time (`Lease.renew`).
const LEASES: Duration = Duration::from_secs(240);

/// Meanwhile one leaves at the source, one comes, one changes. All is as there in the end.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_returns_with_or_without_its_data_has_its_copies_again() {
    use ServerKind::{Consul, Eureka, Nacos};
    if [Consul, Nacos].map(servers::require) != [true; 2] {
        return;
    }
    let (source, disk, nacos) =
        tokio::join!(Site::start(Consul), Site::start_on_disk(), Site::start(Nacos));
    let (_source, from) = source;
    let mut targets = vec![("disk", disk, Data::Kept), ("nacos", nacos, Data::Wiped)];
    if rounds(0, 1) == 1 && servers::require(Eureka) {
        targets.push(("consul", Site::start(Consul).await, Data::Wiped));
        targets.push(("agent", Site::start(Consul).await, Data::Wiped));
        targets.push(("eureka", Site::start(Eureka).await, Data::Wiped));
    }
    let (before, own) = (rows(83, 1..9, "1"), rows(84, 1..3, "own"));
    put_all(&from, SERVICE, &before).await;
    put_all(&targets[0].1.1, SERVICE, &own).await;
    let mut hub = Hub::start().await;
    let mut rules = Vec::new();
    for (name, (_, site), _) in &targets {
        let mut body = trusted(site, name);
        if *name == "agent" {
            body["specificConfig"]["write"] = json!({ "mode": "agent" });
        }
        rules.push(add(&hub, &body).await);
    }
    let names: Vec<_> = targets.iter().map(|(name, ..)| *name).collect();
    let body = with_rule(trusted(&from, "from"), "in", &names, SERVICE);
    let rule = add(&hub, &body).await;
    let why = async |hub: &Hub| told(hub, &rule).await;
    // Only the one that has its data still has what others registered there.
    let expected = |name: &str, copies: &[Row]| match name {
        "disk" => together(copies, &own),
        _ => copies.to_vec(),
    };
    for (name, (_, site), _) in &targets {
        until_shown(site, SERVICE, &expected(name, &before), BACK, async || why(&hub).await).await;
    }

    for (_, (server, _), _) in &mut targets {
        server.kill().await;
    }
    for rule in &rules {
        let stale = |_, body: &serde_json::Value| body["state"] == "STALE";
        hub.until(&format!("{rule}/status"), BACK, stale).await;
    }
    from.remove(SERVICE, &before[0].host, before[0].port).await;
    let mut after = before[1..].to_vec();
    after[0].version = "2".to_owned();
    from.put(SERVICE, &after[0]).await;
    let new = rows(83, 9..10, "1");
    put_all(&from, SERVICE, &new).await;
    after = together(&after, &new);

    for (_, (server, _), data) in &mut targets {
        server.restart(*data).await.unwrap();
    }
    let start = Instant::now();
    for (name, (_, site), data) in &targets {
        until_shown(site, SERVICE, &expected(name, &after), BACK, async || why(&hub).await).await;
        println!("{name} ({data:?}): as at the source {:.1?} after it served", start.elapsed());
    }
    is_silent(&[(&hub, &rule)], Duration::from_secs(2)).await;

    // The hub dies, and an original leaves meanwhile. No copy is called ill for a while, nor is any
    // gone; the hub that comes back knows the one whose original left.
    hub.kill().await;
    let gone = after.remove(2);
    from.remove(SERVICE, &gone.host, gone.port).await;
    let both = together(&after, &[gone]);
    let end = Instant::now() + Duration::from_secs(18);
    while Instant::now() < end {
        for (name, (_, site), _) in &targets {
            let seen = site.look(SERVICE).await.unwrap();
            let ill = seen.iter().find(|one| one.raw["healthy"] == false);
            assert!(ill.is_none(), "{name}: {ill:?}");
            let seen: Vec<_> = seen.into_iter().map(|one| one.row).collect();
            assert_eq!(seen, expected(name, &both), "{name}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    hub.run().await;
    for (name, (_, site), _) in &targets {
        until_shown(site, SERVICE, &expected(name, &after), BACK, async || why(&hub).await).await;
    }
    if rounds(0, 1) == 1 {
        hub.kill().await;
        let start = Instant::now();
        for (name, (_, site), _) in &targets {
            // Copies in Consul's catalog have no lease.
            let left = if matches!(*name, "disk" | "consul") { &after[..] } else { &[] };
            let expected = expected(name, left);
            until_shown(site, SERVICE, &expected, LEASES, async || String::new()).await;
            println!("{name}: {} copies are left {:.1?} after a kill", left.len(), start.elapsed());
        }
    }
}
