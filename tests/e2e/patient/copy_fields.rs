//! Every field of an instance, copied each way: read from the target by a hub that knows nothing
//! else, it is what the source says, or named as lost.

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::federation::rows;
use crate::hub::Hub;
use crate::patient::rules::{SOON, add, routes, until_done, with_rule};
use crate::patient::site::{Row, Site};
use cases::Case;

/// What of an instance is compared, beside its metadata.
const FIELDS: [&str; 6] =
    ["instanceStatus", "healthStatus", "weightValue", "protocolType", "contextPath", "tags"];
const NAMES: [&str; 3] = ["consul", "nacos", "eureka"];

/// One hub copies each registry into the two others; three more read one each.
#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_the_same_in_every_copy_or_is_named_as_lost() {
    use ServerKind::{Consul, Eureka, Nacos};
    let kinds = [Consul, Nacos, Eureka];
    if kinds.map(servers::require) != [true; 3] {
        return;
    }
    let (consul, nacos, eureka) =
        tokio::join!(Site::start(Consul), Site::start(Nacos), Site::start(Eureka));
    let sites = [&consul.1, &nacos.1, &eureka.1];
    let cases = [cases::of_consul(), cases::of_nacos(), cases::of_eureka()];
    for (site, cases) in sites.iter().zip(&cases) {
        for case in cases {
            cases::write(site, case).await;
        }
    }
    let hub = Hub::start().await;
    let mut readers = Vec::new();
    let mut rules = Vec::new();
    for (place, (site, name)) in sites.iter().zip(NAMES).enumerate() {
        let reader = Hub::start().await;
        add(&reader, &site.config(name)).await;
        readers.push(reader);
        let others: Vec<_> = NAMES.into_iter().filter(|other| *other != name).collect();
        let mut body = with_rule(site.config(name), "in", &others, &format!("fields-{name}-*"));
        // Of Nacos one group is another there; what has none is in one.
        let groups = [json!({ "DEFAULT_GROUP": "prod" }), json!({ "team": "crew" }), json!({})];
        body["specificConfig"]["sync"]["groupMap"] = groups[place].clone();
        rules.push(add(&hub, &body).await);
    }
    let mut copies = 0;
    for (from, cases) in cases.iter().enumerate() {
        for to in (0..3).filter(|to| *to != from) {
            let start = Instant::now();
            loop {
                until_done(&hub, &rules[from]).await;
                let lost = lost(&hub, &rules[from], NAMES[to]).await;
                let mut problems = Vec::new();
                for case in cases {
                    let [original, copy] = [&readers[from], &readers[to]];
                    let lost = lost.get(&case.service).cloned().unwrap_or_default();
                    problems.extend(compare(case, original, copy, &lost).await);
                }
                if problems.is_empty() {
                    copies += cases.len();
                    println!(
                        "{} to {}: {} instances, lost: {lost:?}",
                        NAMES[from],
                        NAMES[to],
                        cases.len()
                    );
                    break;
                }
                let log = hub.log_end();
                assert!(
                    start.elapsed() < SOON,
                    "{} to {}: {problems:#?}\n{log}",
                    NAMES[from],
                    NAMES[to]
                );
                // What Eureka's cache kept from everybody shows with the next registration.
                sites[2].put("nudge", &Row::new("10.60.0.1", 80, "1")).await;
                tokio::time::sleep(Duration::from_millis(1000)).await;
            }
        }
    }
    println!("{copies} copies are their originals");
    // Out of a group that is called otherwise there, and out of one that the target does not have.
    for (from, service, group) in
        [(0, "fields-consul-weight", ""), (1, "fields-nacos-grouped", "team")]
    {
        cases::remove(sites[from], service, group).await;
        for reader in &readers {
            let path = format!("/api/v1/services/{service}/instances");
            let gone = |_, body: &Value| body["count"].as_u64().unwrap_or_default() == 0;
            reader.until(&path, SOON, gone).await;
        }
    }
}

/// What finds no room, by the copy's service.
async fn lost(hub: &Hub, rule: &str, target: &str) -> BTreeMap<String, BTreeSet<String>> {
    let routes = routes(hub, rule).await;
    let route = routes.iter().find(|route| route["target"] == target).unwrap();
    let one = |lost: &Value| {
        let fields = lost["fields"].as_array().unwrap().iter();
        let fields = fields.map(|field| field.as_str().unwrap().to_owned()).collect();
        (lost["serviceName"].as_str().unwrap().to_owned(), fields)
    };
    route["lost"].as_array().unwrap().iter().map(one).collect()
}

async fn read(hub: &Hub, case: &Case) -> Result<Value, String> {
    let (_, body) = hub.get(&format!("/api/v1/services/{}/instances", case.service)).await;
    let is_one = body["instances"].as_array().is_some_and(|all| all.len() == 1);
    if is_one { Ok(rows(&body)[0].clone()) } else { Err(format!("{}: {body}", case.service)) }
}

/// Where the copy is not the original.
async fn compare(case: &Case, original: &Hub, copy: &Hub, lost: &BTreeSet<String>) -> Vec<String> {
    let (original, copy) = match (read(original, case).await, read(copy, case).await) {
        (Ok(original), Ok(copy)) => (original, copy),
        (original, copy) => {
            return [original.err(), copy.err()].into_iter().flatten().collect();
        }
    };
    let mut problems = case.unlike(&original);
    let mut missing = BTreeSet::new();
    for field in FIELDS {
        if original[field] != copy[field] {
            missing.insert(field.to_owned());
        }
    }
    let empty = Map::new();
    let [of_original, of_copy] =
        [&original, &copy].map(|row| row["metadata"].as_object().unwrap_or(&empty));
    for key in of_original.keys().chain(of_copy.keys()) {
        if of_original.get(key) != of_copy.get(key) {
            missing.insert(format!("metadata.{key}"));
        }
        if !of_original.contains_key(key) {
            problems.push(format!("{}: {key} is no key of the original", case.service));
        }
    }
    if missing != *lost {
        let short = |row: &Value| row.to_string().chars().take(1500).collect::<String>();
        problems.push(format!(
            "{}: differs in {missing:?}, and {lost:?} is said to be lost: {} {}",
            case.service,
            short(&original),
            short(&copy)
        ));
    }
    problems
}
