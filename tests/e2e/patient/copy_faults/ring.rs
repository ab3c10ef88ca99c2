//! Three registries, each copied into the next.

use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::json;

use super::{put_all, rows, together};
use crate::hub::Hub;
use crate::patient::rules::{SOON, add, is_silent, told, trusted, until_shown, with_rule};
use crate::patient::site::{Row, Site};
use crate::proofs::rounds;

const NAMES: [&str; 3] = ["consul", "nacos", "eureka"];

/// Copies are copied once, to the next, and not around; then nothing is written any more. What
/// leaves at its origin leaves where it was copied to.
#[tokio::test(flavor = "multi_thread")]
async fn a_ring_of_three_registries_comes_to_rest() {
    use ServerKind::{Consul, Eureka, Nacos};
    let kinds = [Consul, Nacos, Eureka];
    if kinds.map(servers::require) != [true; 3] {
        return;
    }
    let (consul, nacos, eureka) =
        tokio::join!(Site::start(Consul), Site::start(Nacos), Site::start(Eureka));
    let sites = [&consul.1, &nacos.1, &eureka.1];
    let hub = Hub::start().await;
    ring(&sites, &[&hub, &hub, &hub], "ring-of-one").await;
    if rounds(0, 1) == 1 {
        drop(hub);
        let (one, two, three) = tokio::join!(Hub::start(), Hub::start(), Hub::start());
        ring(&sites, &[&one, &two, &three], "ring-of-three").await;
    }
}

/// Adds each way to the hub of its place.
async fn rules<'h>(
    sites: &[&Site; 3],
    hubs: &[&'h Hub; 3],
    service: &str,
) -> Vec<(&'h Hub, String)> {
    let mut rules = Vec::new();
    for (place, hub) in hubs.iter().enumerate() {
        let next = (place + 1) % 3;
        let own = trusted(sites[place], NAMES[place]);
        if !std::ptr::eq(*hub, hubs[next]) {
            add(hub, &trusted(sites[next], NAMES[next])).await;
        }
        rules.push((*hub, add(hub, &with_rule(own, "in", &[NAMES[next]], service)).await));
    }
    rules
}

async fn ring(sites: &[&Site; 3], hubs: &[&Hub; 3], service: &str) {
    let mut own: Vec<Vec<Row>> = (0..3).map(|place| rows(110 + place, 1..5, "1")).collect();
    for (site, rows) in sites.iter().zip(&own) {
        put_all(site, service, rows).await;
    }
    let rules = rules(sites, hubs, service).await;
    let rules: Vec<_> = rules.iter().map(|(hub, rule)| (*hub, rule.as_str())).collect();
    let equal = async |own: &[Vec<Row>]| {
        for place in 0..3 {
            let before = (place + 2) % 3;
            let expected = together(&own[place], &own[before]);
            let (hub, rule) = rules[before];
            let why = async || told(hub, rule).await;
            let took = until_shown(sites[place], service, &expected, SOON, why).await;
            println!("{service}: {} is right after {took:.1?}", NAMES[place]);
            // Past Eureka's cache, for the hub's next poll.
            sites[2].put("nudge", &Row::new("10.60.0.1", 80, "1")).await;
        }
    };
    equal(&own).await;
    is_silent(&rules, Duration::from_secs(4)).await;
    for (site, rows) in sites.iter().zip(&mut own) {
        let gone = rows.remove(1);
        site.remove(service, &gone.host, gone.port).await;
        rows[0].version = "2".to_owned();
        site.put(service, &rows[0]).await;
    }
    equal(&own).await;
    is_silent(&rules, Duration::from_secs(4)).await;
    for (hub, rule) in &rules {
        let (status, answer) = hub.put(rule, &json!({ "syncEnabled": "N" })).await;
        assert_eq!(status, 200, "{answer}");
    }
    for (place, site) in sites.iter().enumerate() {
        let why = async || told(rules[place].0, rules[place].1).await;
        until_shown(site, service, &own[place], SOON, why).await;
    }
}
