//! The same reads by the protocols of others, each beside a server that hands out its very answers.

use crate::arguments::Arguments;
use crate::hub::Hub;
use crate::limit::Limit;
use crate::reads::{SIZE, in_turns, row};
use crate::report::Report;
use crate::wrk::{Call, Load};

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let hub = Hub::start().await;
    hub.fill(SIZE).await;
    let all = |make: fn(u32) -> String| (0..SIZE.0).map(move |service| Call::get(make(service)));
    let consul = all(|service| format!("/v1/health/service/service-{service}?passing"));
    let nacos = all(|service| format!("/nacos/v1/ns/instance/list?serviceName=service-{service}"));
    let eureka = |accept: &'static str| {
        let calls = all(|service| format!("/eureka/apps/SERVICE-{service}"));
        calls.map(move |call| call.with("accept", accept)).collect()
    };
    let kinds: [(&str, Vec<Call>); 4] = [
        ("Consul, `health/service?passing`", consul.collect()),
        ("Nacos, `instance/list`", nacos.collect()),
        ("Eureka, `apps/X` in JSON", eureka("application/json")),
        ("Eureka, `apps/X` in XML", eureka("application/xml")),
    ];
    let mut rows = Vec::new();
    for (name, calls) in kinds {
        let limit = Limit::of(hub.port, &calls).await;
        let (most, own) = in_turns(&hub, &limit, &Load::Any(calls), arguments).await;
        let share = own.rate / most.rate;
        report.bar(&format!("hub, {name}"), share);
        rows.push(row(name, "limit", most, 1.0));
        rows.push(row(name, "hub", own, share));
    }
    let columns = ["1,000 at random", "of", "requests/s", "of the limit", "p50 ms", "p99 ms"];
    report.table("Reads by the protocols of others", &columns, &rows);
}
