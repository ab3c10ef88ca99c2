//! Discovery reads: of one hot service, of any, filtered, one instance selected, not modified.

use crate::arguments::Arguments;
use crate::hub::{Hub, Size, resident_mb, signal};
use crate::limit::Limit;
use crate::peer::{Kind, Peer};
use crate::report::Report;
use crate::wrk::{self, Call, Figures, Load, median};

pub(crate) const SIZE: Size = (1000, 10);
pub(crate) const CONNECTIONS: u32 = 32;
/// Of peers, whose share needs no more.
const PEER_ROUNDS: usize = 2;

pub(crate) fn path(service: u32) -> String {
    format!("/api/v1/services/service-{service}/instances")
}

/// The documented query.
pub(crate) fn filtered(service: u32) -> String {
    format!("{}?status=UP&health=HEALTHY", path(service))
}

pub(crate) fn any_of(make: fn(u32) -> String) -> Vec<Call> {
    (0..SIZE.0).map(|service| Call::get(make(service))).collect()
}

async fn not_modified(hub: &Hub) -> Vec<Call> {
    let mut calls = Vec::new();
    for call in any_of(path) {
        let answer = call.send(&hub.client, hub.port).await;
        let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
        calls.push(call.with("if-none-match", etag));
    }
    calls
}

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let hub = Hub::start().await;
    hub.fill(SIZE).await;
    let selected = |service| format!("/api/v1/services/service-{service}/select");
    let kinds = [
        ("one service", vec![Call::get(path(500))]),
        ("1,000 services at random", any_of(path)),
        ("filtered, 1,000 at random", any_of(filtered)),
        ("one selected, 1,000 at random", any_of(selected)),
        ("not modified, 1,000 at random", not_modified(&hub).await),
    ];
    let mut rows = Vec::new();
    let mut whole = None;
    for (name, calls) in kinds {
        if !arguments.wants("hub") {
            continue;
        }
        let limit = Limit::of(hub.port, &calls).await;
        let load = Load::Any(calls);
        let (most, own) = in_turns(&hub, &limit, &load, arguments).await;
        let share = own.rate / most.rate;
        report.bar(&format!("hub, {name}"), share);
        rows.push(row(name, "limit", most, 1.0));
        rows.push(row(name, "hub", own, share));
        if name.starts_with("1,000") {
            whole = Some(most);
        }
    }
    let instances = SIZE.0 * SIZE.1;
    let memory = |who: &str, process| vec![who.to_owned(), format!("{:.0}", resident_mb(process))];
    let mut memories = vec![memory("hub", hub.process())];
    signal(hub.process(), "STOP");
    for kind in Kind::ALL.into_iter().filter(|kind| arguments.wants(kind.name())) {
        let Some(peer) = Peer::start(kind).await else { continue };
        peer.fill(SIZE).await;
        let load = Load::Any((0..SIZE.0).map(|service| kind.read(service)).collect());
        // The first round warms a JVM up.
        let mut all = Vec::new();
        for _ in 0..=PEER_ROUNDS {
            all.push(wrk::run(peer.port, &load, CONNECTIONS, arguments.seconds * 2).await);
        }
        memories.push(memory(kind.name(), peer.process()));
        let own = median(&all[1..]);
        let share = whole.map_or(f64::NAN, |most: Figures| own.rate / most.rate);
        report.bar(kind.name(), share);
        rows.push(row("1,000 services at random", kind.name(), own, share));
    }
    signal(hub.process(), "CONT");
    let columns = ["reads", "of", "requests/s", "of the limit", "p50 ms", "p99 ms"];
    report.table("Reads", &columns, &rows);
    let title = format!("Resident memory, {instances} instances, after the reads");
    report.table(&title, &["of", "MB"], &memories);
}

pub(crate) fn row(what: &str, who: &str, figures: Figures, share: f64) -> Vec<String> {
    let Figures { rate, p50_ms, p99_ms, .. } = figures;
    vec![
        what.to_owned(),
        who.to_owned(),
        format!("{rate:.0}"),
        format!("{share:.3}"),
        format!("{p50_ms:.2}"),
        format!("{p99_ms:.2}"),
    ]
}

/// Limit and hub, the other first in every other round; the one that is not measured is stopped.
pub(crate) async fn in_turns(
    hub: &Hub,
    limit: &Limit,
    load: &Load,
    arguments: &Arguments,
) -> (Figures, Figures) {
    let processes = [(limit.port, limit.process()), (hub.port, hub.process())];
    let mut all = [Vec::new(), Vec::new()];
    for round in 0..arguments.rounds {
        for turn in 0..2 {
            let who = (round + turn) % 2;
            let (port, _) = processes[who];
            signal(processes[1 - who].1, "STOP");
            all[who].push(wrk::run(port, load, CONNECTIONS, arguments.seconds).await);
            signal(processes[1 - who].1, "CONT");
        }
    }
    (median(&all[0]), median(&all[1]))
}
