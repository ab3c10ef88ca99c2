//! Marks of copies that are lost, or that somebody forges.

use std::time::Duration;

use hub_registry_testkit::servers::{self, ServerKind};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{put_all, rows, together};
use crate::hub::Hub;
use crate::patient::rules::{
    SOON, add, is_silent, plan, sum, told, trusted, until_shown, with_rule,
};
use crate::patient::site::{Row, Site};
use crate::proofs::rounds;

const SERVICE: &str = "marked";
/// After this a copy that somebody changed is mended.
const MENDED: Duration = Duration::from_secs(60);

struct Both {
    hub: Hub,
    rule: String,
    a: Site,
    b: Site,
}

impl Both {
    async fn shown(&self, site: &Site, rows: &[Row], within: Duration) {
        let why = async || told(&self.hub, &self.rule).await;
        until_shown(site, SERVICE, rows, within, why).await;
    }

    /// Both are as they are to be, at each look of some time.
    async fn stay(&self, at_a: &[Row], at_b: &[Row]) {
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            self.shown(&self.a, at_a, Duration::ZERO).await;
            self.shown(&self.b, at_b, Duration::ZERO).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Copies go both ways. Forged marks are on both sides from the beginning; later one copy loses its
/// mark, and its original leaves.
#[tokio::test(flavor = "multi_thread")]
async fn lost_marks_do_no_harm_and_forged_ones_keep_only_their_own_rows_from_being_copied() {
    if !servers::require(ServerKind::Consul) {
        return;
    }
    let ((_a, a), (_b, b)) =
        tokio::join!(Site::start(ServerKind::Consul), Site::start(ServerKind::Consul));
    let mut own = rows(120, 1..7, "1");
    put_all(&a, SERVICE, &own).await;
    let hub = Hub::start().await;
    add(&hub, &trusted(&b, "b")).await;
    let rule = add(&hub, &with_rule(trusted(&a, "a"), "both", &["b"], SERVICE)).await;
    let both = Both { hub, rule, a, b };
    both.shown(&both.b, &own, SOON).await;
    let copy = both.b.look(SERVICE).await.unwrap().remove(0);

    // Forged: somebody's mark and the hub's own, on either side.
    let metadata = copy.raw["Service"]["Meta"].clone();
    let (mut at_a, mut at_b) = (own.clone(), own.clone());
    for (number, owner) in [(1, json!("nobody")), (2, metadata["fed-owner"].clone())] {
        let forged =
            json!({ "version": "forged", "fed-owner": owner, "fed-src": metadata["fed-src"] });
        for (site, net, all) in [(&both.a, 121, &mut at_a), (&both.b, 122, &mut at_b)] {
            let row = Row::new(&format!("10.{net}.0.{number}"), 80, "forged");
            write(site, &format!("forged-{number}"), &row, &forged).await;
            *all = together(all, &[row]);
        }
    }
    // What comes after them is copied as ever, both ways.
    let (new_a, new_b) = (rows(123, 1..2, "1"), rows(124, 1..2, "1"));
    put_all(&both.a, SERVICE, &new_a).await;
    put_all(&both.b, SERVICE, &new_b).await;
    for all in [&mut at_a, &mut at_b] {
        *all = together(all, &together(&new_a, &new_b));
    }
    both.shown(&both.a, &at_a, SOON).await;
    both.shown(&both.b, &at_b, SOON).await;
    both.stay(&at_a, &at_b).await;
    assert_eq!(sum(&both.hub, &both.rule, "copies").await, own.len() as u64 + 2);
    is_silent(&[(&both.hub, &both.rule)], Duration::from_secs(2)).await;

    // Lost: a copy is written over without its mark, as by whoever "cleans up" metadata.
    let id = copy.raw["Service"]["ID"].as_str().unwrap();
    let node = copy.raw["Node"]["Node"].as_str().unwrap();
    let address = &copy.row;
    let body = json!({
        "Node": node, "Address": "127.0.0.1", "SkipNodeUpdate": true,
        "Service": {
            "ID": id, "Service": SERVICE, "Address": address.host, "Port": address.port,
            "Meta": { "version": "cleaned" },
        },
    });
    let request = both.b.http.put(both.b.url("/v1/catalog/register")).json(&body);
    assert!(request.send().await.unwrap().status().is_success());
    let cleaned = Row { version: "cleaned".to_owned(), ..address.clone() };
    let mut without = at_b.clone();
    without.retain(|row| row.host != cleaned.host);
    both.stay(&at_a, &together(&without, &[cleaned])).await;
    if rounds(0, 1) == 1 {
        both.shown(&both.b, &at_b, MENDED).await;
    }
    // Its original leaves: so does what is left of the copy, and it does not come back by itself.
    let gone = own.remove(0);
    assert_eq!((&gone.host, gone.port), (&copy.row.host, copy.row.port));
    both.a.remove(SERVICE, &gone.host, gone.port).await;
    for all in [&mut at_a, &mut at_b] {
        all.retain(|row| row.host != gone.host);
    }
    both.shown(&both.b, &at_b, SOON).await;
    both.shown(&both.a, &at_a, SOON).await;
    both.stay(&at_a, &at_b).await;
    let plan = plan(&both.hub, &both.rule).await;
    assert!(plan.is_empty(), "{plan:#?}");

    // The rule ends: what was forged to look like copies of it is not its own to remove.
    let (status, answer) = both.hub.put(&both.rule, &json!({ "syncEnabled": "N" })).await;
    assert_eq!(status, 200, "{answer}");
    at_a.retain(|row| !new_b.contains(row));
    at_b.retain(|row| row.version == "forged" || new_b.contains(row));
    both.shown(&both.a, &at_a, SOON).await;
    both.shown(&both.b, &at_b, SOON).await;
}

async fn write(site: &Site, id: &str, row: &Row, metadata: &Value) {
    let fields = json!({
        "Address": row.host, "Port": row.port, "Meta": metadata,
        "Weights": { "Passing": 1, "Warning": 1 },
    });
    site.put_consul(SERVICE, id, fields, "passing").await;
}
