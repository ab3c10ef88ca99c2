//! Hubs that do not know of one another.

use std::collections::BTreeSet;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::json;
use tokio::time::Instant;

use super::{put_all, rows, together};
use crate::hub::Hub;
use crate::patient::rules::{SOON, add, is_silent, sum, told, trusted, until_shown, with_rule};
use crate::patient::site::{Row, Site};

/// For how long nothing may be written.
const SILENCE: Duration = Duration::from_secs(4);

/// A hub with a rule between `a` and `b`.
async fn hub(a: &Site, b: &Site, direction: &str, include: Vec<&str>) -> (Hub, String) {
    let hub = Hub::start().await;
    add(&hub, &trusted(b, "b")).await;
    let mut body = with_rule(trusted(a, "a"), direction, &["b"], "");
    body["specificConfig"]["sync"]["include"] = json!(include);
    let rule = add(&hub, &body).await;
    (hub, rule)
}

/// The addresses that are copies of whoever copied this service.
async fn own(site: &Site, canary: &str, service: &str) -> BTreeSet<(String, u16)> {
    let owner = site.look(canary).await.unwrap()[0].owner.clone().unwrap();
    let seen = site.look(service).await.unwrap().into_iter();
    let own = seen.filter(|one| one.owner.as_ref() == Some(&owner));
    own.map(|one| (one.row.host, one.row.port)).collect()
}

/// Each address has one owner, and both together count all of them.
async fn until_shared(hubs: &[&(Hub, String)], count: usize) {
    let start = Instant::now();
    loop {
        let mut copies = Vec::new();
        for (hub, rule) in hubs {
            copies.push(sum(hub, rule, "copies").await);
        }
        // With a service for each that the other does not copy.
        if copies.iter().sum::<u64>() == count as u64 + 2 {
            println!("{count} copies are shared as {copies:?}");
            return;
        }
        if start.elapsed() > SOON {
            for (hub, rule) in hubs {
                println!("{}", told(hub, rule).await);
            }
            panic!("{copies:?} copies, and not {count} together");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The same rule in two hubs, by mistake, begun at the same moment. Each address is one's or the
/// other's; the target is right, both fall silent, and what one gives up the other takes.
#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_with_the_same_rule_share_it_and_fall_silent() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let ((_a, a), (_b, b)) =
        tokio::join!(Site::start(ServerKind::Consul), Site::start(ServerKind::Consul));
    let service = "shared";
    let mut all = rows(97, 1..151, "1");
    put_all(&a, service, &all).await;
    let canaries = ["canary-one", "canary-other"];
    for canary in canaries {
        put_all(&a, canary, &rows(97, 1..2, "1")).await;
    }
    let (one, mut other) = tokio::join!(
        hub(&a, &b, "in", vec![service, canaries[0]]),
        hub(&a, &b, "in", vec![service, canaries[1]]),
    );
    let start = Instant::now();
    while b.look(canaries[0]).await.unwrap().is_empty()
        || b.look(canaries[1]).await.unwrap().is_empty()
    {
        assert!(start.elapsed() < SOON, "{}", told(&one.0, &one.1).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    until_shown(&b, service, &all, SOON, async || told(&one.0, &one.1).await).await;
    until_shared(&[&one, &other], all.len()).await;
    is_silent(&[(&one.0, &one.1), (&other.0, &other.1)], SILENCE).await;

    // What changes, leaves and comes is each owner's, or the first one's.
    for row in all.iter_mut().take(40) {
        row.version = "2".to_owned();
        a.put(service, row).await;
    }
    for row in all.drain(60..68) {
        a.remove(service, &row.host, row.port).await;
    }
    let new = rows(98, 1..11, "1");
    put_all(&a, service, &new).await;
    let all = together(&all, &new);
    until_shown(&b, service, &all, SOON, async || told(&other.0, &other.1).await).await;
    until_shared(&[&one, &other], all.len()).await;
    is_silent(&[(&one.0, &one.1), (&other.0, &other.1)], SILENCE).await;

    // One stops: the copies of both stand. It comes back: nothing is written for it.
    other.0.terminate().await;
    let end = Instant::now() + Duration::from_secs(3);
    while Instant::now() < end {
        until_shown(&b, service, &all, Duration::ZERO, async || told(&one.0, &one.1).await).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    is_silent(&[(&one.0, &one.1)], Duration::from_secs(1)).await;
    other.0.run().await;
    is_silent(&[(&one.0, &one.1), (&other.0, &other.1)], SILENCE).await;

    // The mistake is undone. What the other hub has copied is there all the time.
    let kept = own(&b, canaries[1], service).await;
    assert_eq!(kept.len() as u64 + 1, sum(&other.0, &other.1, "copies").await);
    let (status, answer) = one.0.put(&one.1, &json!({ "syncEnabled": "N" })).await;
    assert_eq!(status, 200, "{answer}");
    let start = Instant::now();
    while sum(&other.0, &other.1, "copies").await < all.len() as u64 + 1 {
        let seen = b.look(service).await.unwrap();
        let there: BTreeSet<_> = seen.into_iter().map(|one| (one.row.host, one.row.port)).collect();
        let missing: Vec<_> = kept.difference(&there).collect();
        assert!(missing.is_empty(), "{missing:?} were not the first hub's to remove");
        assert!(start.elapsed() < SOON, "{}", told(&other.0, &other.1).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until_shown(&b, service, &all, SOON, async || told(&other.0, &other.1).await).await;
    is_silent(&[(&other.0, &other.1)], SILENCE).await;
}

/// One copies from here to there, the other from there to here. What each has is in both, once, and
/// no copy is copied back; what leaves at its origin leaves in both.
#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_that_face_each_other_copy_no_copy() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let ((_a, a), (_b, b)) =
        tokio::join!(Site::start(ServerKind::Consul), Site::start(ServerKind::Consul));
    let service = "facing";
    let (mut of_a, mut of_b) = (rows(99, 1..7, "1"), rows(100, 1..7, "1"));
    put_all(&a, service, &of_a).await;
    put_all(&b, service, &of_b).await;
    // Each has this address itself, and keeps its own.
    let both = [Row::new("10.101.0.1", 80, "a"), Row::new("10.101.0.1", 80, "b")];
    a.put(service, &both[0]).await;
    b.put(service, &both[1]).await;
    let (there, back) =
        tokio::join!(hub(&a, &b, "in", vec![service]), hub(&a, &b, "out", vec![service]));
    let rules = [(&there.0, there.1.as_str()), (&back.0, back.1.as_str())];
    let equal = async |of_a: &[Row], of_b: &[Row]| {
        let all = together(of_a, of_b);
        for (site, own) in [(&a, &both[0]), (&b, &both[1])] {
            let expected = together(&all, std::slice::from_ref(own));
            let why = async || told(&there.0, &there.1).await + &told(&back.0, &back.1).await;
            until_shown(site, service, &expected, SOON, why).await;
        }
    };
    equal(&of_a, &of_b).await;
    is_silent(&rules, SILENCE).await;
    for (site, rows) in [(&a, &mut of_a), (&b, &mut of_b)] {
        let gone = rows.remove(2);
        site.remove(service, &gone.host, gone.port).await;
        rows[0].version = "2".to_owned();
        site.put(service, &rows[0]).await;
    }
    equal(&of_a, &of_b).await;
    is_silent(&rules, SILENCE).await;
    for (hub, rule) in rules {
        assert_eq!(sum(hub, rule, "copies").await, 5, "{}", told(hub, rule).await);
        let view = hub.get(&format!("/api/v1/services/{service}/instances")).await.1;
        assert_eq!(view["count"], 11, "each once: {view:#}");
    }
}
