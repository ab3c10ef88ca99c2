//! A hub that is killed while it writes.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::json;
use tokio::time::Instant;

use super::{put_all, rows};
use crate::hub::Hub;
use crate::patient::rules::{add, is_silent, sum, told, trusted, until_shown, with_rule};
use crate::patient::site::{Row, Site};
use crate::proofs::{rounds, seed};

const SERVICES: usize = 8;
const EACH: u32 = 30;
/// Removals beyond the budget of one minute wait for the next.
const EQUAL: Duration = Duration::from_secs(150);

fn name(service: usize) -> String {
    format!("killed-{service}")
}

/// What the source's clients have.
struct Source {
    site: Site,
    all: BTreeMap<String, Vec<Row>>,
    next: u32,
}

impl Source {
    /// Some change, a few leave, some come.
    async fn change(&mut self, count: usize, random: &mut fastrand::Rng) {
        for number in 0..count {
            let name = name(random.usize(..SERVICES));
            let rows = self.all.get_mut(&name).unwrap();
            let place = random.usize(..rows.len());
            match number % 6 {
                0 if rows.len() > 20 => {
                    let row = rows.remove(place);
                    self.site.remove(&name, &row.host, row.port).await;
                }
                1 | 2 => {
                    self.next += 1;
                    let host = format!("10.86.{}.{}", self.next / 250, self.next % 250);
                    let row = Row::new(&host, 8080, "1");
                    self.site.put(&name, &row).await;
                    rows.push(row);
                    rows.sort();
                }
                _ => {
                    rows[place].version = format!("{}", self.next * 1000 + number as u32);
                    self.site.put(&name, &rows[place]).await;
                }
            }
        }
    }
}

/// Whatever was under way: in the end the target has each copy once, as the source has it, and when
/// the rule ends none is left.
#[tokio::test(flavor = "multi_thread")]
async fn a_hub_killed_while_it_writes_loses_no_copy_and_leaks_none() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let mut random = fastrand::Rng::with_seed(seed());
    let ((_a, a), (_b, b)) =
        tokio::join!(Site::start(ServerKind::Consul), Site::start(ServerKind::Consul));
    let mut source = Source { site: a.clone(), all: BTreeMap::new(), next: 0 };
    for service in 0..SERVICES {
        let all = rows(87 + service as u8, 1..EACH + 1, "1");
        put_all(&a, &name(service), &all).await;
        source.all.insert(name(service), all);
    }
    let own = rows(96, 1..4, "own");
    put_all(&b, "killed-own", &own).await;
    let mut hub = Hub::start().await;
    add(&hub, &trusted(&b, "b")).await;
    let mut body = with_rule(trusted(&a, "a"), "in", &["b"], "killed-*");
    // So slow that a kill finds it at work.
    body["specificConfig"]["sync"]["rate"] = json!(80);
    let rule = add(&hub, &body).await;

    let kills = rounds(4, 50);
    for round in 0..kills {
        if round > 0 {
            source.change(40, &mut random).await;
        }
        let start = Instant::now();
        while sum(&hub, &rule, "written").await == 0 || sum(&hub, &rule, "pending").await == 0 {
            let late = start.elapsed() > Duration::from_secs(30);
            assert!(!late, "it never writes\n{}", told(&hub, &rule).await);
            if start.elapsed() > Duration::from_secs(2) {
                // It was done before it was seen to be at work.
                source.change(20, &mut random).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(random.u64(..300))).await;
        hub.kill().await;
        source.change(12, &mut random).await;
        hub.run().await;
    }
    let why = async || told(&hub, &rule).await;
    let start = Instant::now();
    for (service, rows) in &source.all {
        until_shown(&b, service, rows, EQUAL, why).await;
    }
    println!("{kills} kills; equal {:.1?} after the last start", start.elapsed());
    let copies: usize = source.all.values().map(Vec::len).sum();
    // The ledger is written after the target.
    let start = Instant::now();
    while sum(&hub, &rule, "copies").await != copies as u64 {
        assert!(start.elapsed() < EQUAL, "not {copies}: {}", why().await);
    }
    is_silent(&[(&hub, &rule)], Duration::from_secs(2)).await;

    let (status, answer) = hub.put(&rule, &json!({ "syncEnabled": "N" })).await;
    assert_eq!(status, 200, "{answer}");
    for service in source.all.keys() {
        until_shown(&b, service, &[], EQUAL, why).await;
    }
    until_shown(&b, "killed-own", &own, Duration::ZERO, why).await;
}
