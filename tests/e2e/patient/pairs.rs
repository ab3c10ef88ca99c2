//! Each pair of real registries: many services are mirrored, then many of them change, and each
//! change is waited for where the target's own clients would see it. What others have at the target
//! is afterwards as it was.

mod way;

use std::sync::Arc;
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::hub::Hub;
use crate::patient::rules::{add, compare, is_silent, plan, routes, told};
use crate::patient::site::Site;
use crate::proofs::{rounds, seed};
use crate::usage::quantile;
use way::{Change, Seen, Way};

/// Changes a second.
const PACE: u32 = 20;
/// All copies are there, and everything is equal, within this.
const EQUAL: Duration = Duration::from_secs(120);
/// From here on a copy that others changed would be mended, one that is missing written again.
const SETTLED: Duration = Duration::from_secs(46);

#[derive(Clone, Copy, Debug)]
struct Counts {
    services: u32,
    each: u32,
    seconds: u32,
}

type Pair = (ServerKind, ServerKind, &'static str);

/// One after the other, so that none is measured beside another: one pair, or those of
/// `HUB_REGISTRY_PAIRS` (`consul-nacos,consul+nacos`), or all with `HUB_REGISTRY_LONG`.
#[tokio::test(flavor = "multi_thread")]
async fn every_pair_is_mirrored_and_followed() {
    use ServerKind::{Consul, Eureka, Nacos};
    let counts = Counts { services: rounds(20, 200), each: rounds(3, 5), seconds: rounds(5, 60) };
    let all = [
        (Nacos, Consul, "in"),
        (Consul, Nacos, "in"),
        (Consul, Eureka, "in"),
        (Eureka, Consul, "in"),
        (Nacos, Eureka, "in"),
        (Eureka, Nacos, "in"),
        (Consul, Nacos, "both"),
    ];
    let name = |(one, other, direction): &Pair| match *direction {
        "both" => format!("{one}+{other}"),
        _ => format!("{one}-{other}"),
    };
    let pairs: Vec<_> = match std::env::var("HUB_REGISTRY_PAIRS") {
        Ok(names) => {
            let find = |wanted: &str| all.iter().find(|pair| name(pair) == wanted);
            let find = |name| *find(name).unwrap_or_else(|| panic!("there is no pair {name}"));
            names.split(',').map(find).collect()
        }
        Err(_) => all.into_iter().take(rounds(1, 7) as usize).collect(),
    };
    let mut table = Vec::new();
    for (one, other, direction) in pairs {
        if [one, other].map(servers::require) == [true; 2] {
            table.append(&mut pair(one, other, direction, counts).await);
        }
    }
    println!("{counts:?}, {PACE} changes a second");
    println!(
        "| from, to | p50 | p99 | max | changes | hub's p50, p99 | mirrored within | equal after the last change |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    table.iter().for_each(|line| println!("{line}"));
}

async fn pair(one: ServerKind, other: ServerKind, direction: &str, counts: Counts) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed());
    let (one, other) = tokio::join!(Site::start(one), Site::start(other));
    let ((_one, one), (_other, other)) = (one, other);
    let mut ways = vec![Arc::new(Way::new(&one, &other, 40))];
    if direction == "both" {
        ways.push(Arc::new(Way::new(&other, &one, 41)));
    }
    let mut foreign = Vec::new();
    for way in &ways {
        way.fill(counts.services, counts.each).await;
        foreign.push(way.put_foreign().await);
    }
    let hub = Hub::start().await;
    add(&hub, &other.config("other")).await;
    let mut body = one.config("one");
    body["specificConfig"]["sync"] =
        json!({ "direction": direction, "targets": ["other"], "include": ["mirror-*"] });
    (body["syncEnabled"], body["syncInterval"]) = (json!("Y"), json!(5));
    let start = Instant::now();
    let rule = add(&hub, &body).await;
    until_equal(&hub, &rule, &ways).await;
    let mirrored = start.elapsed();

    let mut seen = churn(&ways, counts, &mut random).await;
    let start = Instant::now();
    until_equal(&hub, &rule, &ways).await;
    let equal = start.elapsed();
    let figures = routes(&hub, &rule).await;
    for (way, before) in ways.iter().zip(&foreign) {
        let after = way.look_at_foreign().await;
        assert_eq!(*before, after, "what others have there is as it was");
    }
    is_silent(&[(&hub, &rule)], Duration::from_secs(2)).await;
    if counts.seconds > 10 {
        // Past the time in which a target may be late to show what was written to it.
        tokio::time::sleep_until(start + SETTLED).await;
        compare(&hub, &rule).await;
        assert!(plan(&hub, &rule).await.is_empty(), "{:#?}", plan(&hub, &rule).await);
        until_equal(&hub, &rule, &ways).await;
    }
    let line = |(number, way): (usize, &Arc<Way>)| {
        let own: Vec<_> = seen.extract_if(.., |one| one.way == number).collect();
        row(way, &own, figures_of(&figures, number), mirrored, equal)
    };
    ways.iter().enumerate().map(line).collect()
}

/// Of the way there, or of the way back.
fn figures_of(routes: &[Value], number: usize) -> &Value {
    let source = ["one", "other"][number];
    let found = routes.iter().find(|route| route["source"] == source);
    found.unwrap_or_else(|| panic!("no route from {source}: {routes:#?}"))
}

fn row(way: &Way, seen: &[Seen], figures: &Value, mirrored: Duration, equal: Duration) -> String {
    for change in Change::ALL {
        let of: Vec<_> = seen.iter().filter(|s| s.change == change).map(|s| s.after).collect();
        if !of.is_empty() {
            let (half, most) = (quantile(&of, 0.5), quantile(&of, 1.0));
            println!("{}: {change:?} p50 {half:.2?}, max {most:.2?} of {}", way.name(), of.len());
        }
    }
    let again = seen.iter().filter(|one| one.again).count();
    if again > 0 {
        println!("{}: {again} were kept from its clients by Eureka's own cache", way.name());
    }
    let all: Vec<_> = seen.iter().map(|one| one.after).collect();
    let [half, most, last] = [0.5, 0.99, 1.0].map(|share| quantile(&all, share));
    format!(
        "| {} | {half:.2?} | {most:.2?} | {last:.2?} | {} | {} ms, {} ms | {mirrored:.1?} | {equal:.1?} |",
        way.name(),
        all.len(),
        figures["lagP50Ms"],
        figures["lagP99Ms"],
    )
}

/// So many changes a second for so long, in turns over the ways. A tenth leaves, so that the
/// fifth of all copies that may leave in a minute is not used up; a tenth comes.
async fn churn(ways: &[Arc<Way>], counts: Counts, random: &mut fastrand::Rng) -> Vec<Seen> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PACE);
    let mut under_way = JoinSet::new();
    for number in 0..counts.seconds * PACE {
        ticks.tick().await;
        let place = number as usize % ways.len();
        let change = Change::of(number / ways.len() as u32);
        let way = Arc::clone(&ways[place]);
        let (service, row) = way.choose(change, random).await;
        under_way.spawn(async move { way.change(place, change, service, row).await });
    }
    let mut seen = Vec::new();
    while let Some(one) = under_way.join_next().await {
        seen.push(one.unwrap());
    }
    seen
}

/// Waits until each registry shows its own instances, and all the other's as copies.
async fn until_equal(hub: &Hub, rule: &str, ways: &[Arc<Way>]) {
    let (start, mut asked) = (Instant::now(), Instant::now());
    loop {
        let mut differences = Vec::new();
        for way in ways {
            let back = ways.iter().find(|other| !Arc::ptr_eq(other, way));
            differences.extend(way.differences(back.map(Arc::as_ref)).await);
        }
        if differences.is_empty() {
            return;
        }
        if start.elapsed() > EQUAL {
            differences.truncate(20);
            panic!("not equal: {differences:#?}\n{}", told(hub, rule).await);
        }
        // What Eureka's cache kept from everybody shows with the next registration.
        if asked.elapsed() > Duration::from_secs(3) {
            asked = Instant::now();
            for way in ways {
                way.nudge().await;
            }
        }
        let pause = Duration::from_millis(rounds(100, 1000).into());
        tokio::time::sleep((start.elapsed() / 8).max(pause)).await;
    }
}
