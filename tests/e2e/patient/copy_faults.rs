//! What goes wrong around copies: sources that die, lie or are emptied, targets that die, hubs that
//! die or do not know of one another, and marks that get lost or are forged.

mod hubs;
mod killed;
mod marks;
mod ring;
mod sources;
mod targets;

use crate::patient::site::{Row, Site};

/// Rows of these numbers, in a net of their own.
fn rows(net: u8, numbers: std::ops::Range<u32>, version: &str) -> Vec<Row> {
    let mut rows: Vec<_> =
        numbers.map(|number| Row::new(&format!("10.{net}.0.{number}"), 8080, version)).collect();
    rows.sort();
    rows
}

async fn put_all(site: &Site, service: &str, rows: &[Row]) {
    for row in rows {
        site.put(service, row).await;
    }
}

/// Both, in the order they are shown in.
fn together(one: &[Row], other: &[Row]) -> Vec<Row> {
    let mut all = [one, other].concat();
    all.sort();
    all
}
