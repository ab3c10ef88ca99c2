//! Registrations, each answered when it is on disk (the hub, Consul) or in memory (the others), and
//! heartbeats.

use std::time::Duration;

use crate::arguments::Arguments;
use crate::durable::DurableLimit;
use crate::hub::{Hub, Size, signal};
use crate::limit::Limit;
use crate::peer::{Kind, Peer};
use crate::report::Report;
use crate::wrk::{self, Call, Figures, Load, median};

const SERVICES: u32 = 1000;
const CLIENTS: [u32; 2] = [16, 64];
const BEATS: u32 = 32;
/// Instances that are renewed in turns.
const RENEWED: Size = (100, 10);
/// Addresses above those that were there before.
const FIRST: u32 = SERVICES * 256;
/// Some are sent, and not answered in time.
const UNANSWERED: u32 = 1000;
/// A server starts cold, and what it is to write waits for its disk.
const WARM: Duration = Duration::from_secs(4);

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let mut rows = Vec::new();
    let hub = Hub::start().await;
    hub.fill(RENEWED).await;
    let beats = hub_beats(&hub).await;
    let limit = Limit::of(hub.port, &beats).await;
    let beats = Load::Any(beats);
    let (mut most, mut own) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        most.push(wrk::run(limit.port, &beats, BEATS, arguments.seconds).await);
        own.push(wrk::run(hub.port, &beats, BEATS, arguments.seconds).await);
    }
    let (most, own) = (median(&most), median(&own));
    rows.push(row("heartbeat", "limit", BEATS, most, 1.0));
    rows.push(row("heartbeat", "hub", BEATS, own, own.rate / most.rate));
    drop(limit);
    if arguments.wants("hub") {
        rows.extend(own_registrations(&hub, arguments).await);
    }
    signal(hub.process(), "STOP");
    for kind in Kind::ALL.into_iter().filter(|kind| arguments.wants(kind.name())) {
        let Some(peer) = Peer::start(kind).await else { continue };
        tokio::time::sleep(WARM).await;
        peer.fill(RENEWED).await;
        let register = |first| peer.registrations(SERVICES, first);
        rows.extend(registrations(kind.name(), peer.port, arguments, register).await);
        let renewed = (0..RENEWED.0).flat_map(|s| (0..RENEWED.1).map(move |h| (s, h)));
        let beats: Vec<_> = renewed.filter_map(|(s, h)| kind.heartbeat(s, h)).collect();
        if !beats.is_empty() {
            let own = several(peer.port, &Load::Any(beats), BEATS, arguments).await;
            rows.push(row("heartbeat", kind.name(), BEATS, own, own.rate / most.rate));
        }
    }
    signal(hub.process(), "CONT");
    let columns = ["writes", "of", "clients", "a second", "of the limit", "p50 ms", "p99 ms"];
    report.table("Writes", &columns, &rows);
}

/// The hub's, and those of a server that does nothing but write them, in turns: a disk is not the
/// same from one minute to the next.
async fn own_registrations(hub: &Hub, arguments: &Arguments) -> Vec<Vec<String>> {
    let durable = DurableLimit::start().await;
    let mut first = FIRST;
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let (mut most, mut own) = (Vec::new(), Vec::new());
        for _ in 0..arguments.rounds.min(3) {
            for (port, all) in [(durable.port, &mut most), (hub.port, &mut own)] {
                let load = Load::Next { call: hub_registration(), services: SERVICES, first };
                let figures = wrk::run(port, &load, clients, arguments.seconds * 2).await;
                first += figures.count as u32 + UNANSWERED;
                all.push(figures);
            }
        }
        let (most, own) = (median(&most), median(&own));
        rows.push(row("registration", "limit", clients, most, 1.0));
        rows.push(row("registration", "hub", clients, own, own.rate / most.rate));
    }
    rows
}

async fn hub_beats(hub: &Hub) -> Vec<Call> {
    let ids = hub.ids((RENEWED.0 * RENEWED.1) as usize).await;
    let beat = |id: &String| Call::new("PUT", format!("/api/v1/instances/{id}/heartbeat"), "");
    ids.iter().map(beat).collect()
}

fn hub_registration() -> Call {
    Call::new(
        "POST",
        "/api/v1/instances",
        r#"{"serviceName":"service-{s}","hostAddress":"{host}","portNumber":8080,"leaseSeconds":36000,"metadata":{"version":"1.4.2","zone":"z1"},"tags":["blue"]}"#,
    )
}

/// Of instances that are not there yet.
async fn registrations(
    who: &str,
    port: u16,
    arguments: &Arguments,
    load: impl Fn(u32) -> Load,
) -> Vec<Vec<String>> {
    let mut first = FIRST;
    let mut rows = Vec::new();
    for clients in CLIENTS {
        let mut all = Vec::new();
        for _ in 0..arguments.rounds.min(3) {
            let figures = wrk::run(port, &load(first), clients, arguments.seconds * 2).await;
            first += figures.count as u32 + UNANSWERED;
            all.push(figures);
        }
        rows.push(row("registration", who, clients, median(&all), f64::NAN));
    }
    rows
}

async fn several(port: u16, load: &Load, clients: u32, arguments: &Arguments) -> Figures {
    let mut all = Vec::new();
    for _ in 0..arguments.rounds.min(3) {
        all.push(wrk::run(port, load, clients, arguments.seconds).await);
    }
    median(&all)
}

fn row(what: &str, who: &str, clients: u32, figures: Figures, share: f64) -> Vec<String> {
    let Figures { rate, p50_ms, p99_ms, .. } = figures;
    let share = if share.is_nan() { String::new() } else { format!("{share:.3}") };
    vec![
        what.to_owned(),
        who.to_owned(),
        clients.to_string(),
        format!("{rate:.0}"),
        share,
        format!("{p50_ms:.2}"),
        format!("{p99_ms:.2}"),
    ]
}
