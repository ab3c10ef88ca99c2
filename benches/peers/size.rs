//! Memory, and the start, of many instances. `--services` says how many services there are.

use crate::arguments::Arguments;
use crate::hub::{Hub, resident_mb};
use crate::reads::{CONNECTIONS, path};
use crate::report::Report;
use crate::wrk::{self, Call, Load};

const EACH: u32 = 10;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let services = arguments.services;
    let instances = services * EACH;
    let mut hub = Hub::start().await;
    let empty = resident_mb(hub.process());
    hub.fill((services, EACH)).await;
    let loaded = resident_mb(hub.process());
    hub.kill().await;
    let start = hub.run().await;
    let restarted = resident_mb(hub.process());
    let load = Load::Any((0..services.min(1000)).map(|service| Call::get(path(service))).collect());
    let reads = wrk::run(hub.port, &load, CONNECTIONS, arguments.seconds).await;
    let per_instance = (restarted - empty) * 1024.0 * 1024.0 / f64::from(instances);
    let row = vec![
        instances.to_string(),
        format!("{empty:.0}"),
        format!("{loaded:.0}"),
        format!("{restarted:.0}"),
        format!("{per_instance:.0}"),
        format!("{:.2}", start.as_secs_f64()),
        format!("{:.0}", reads.rate),
    ];
    let columns = [
        "instances",
        "empty, MB",
        "after the load, MB",
        "after a start, MB",
        "bytes an instance",
        "ready after, s",
        "reads/s",
    ];
    report.table("Size", &columns, &[row]);
}
