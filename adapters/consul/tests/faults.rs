//! What goes wrong is an error of the right kind, never an empty list.
#![allow(clippy::unwrap_used, reason = "a failure is a panic with a message")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::subject::Agent;
use common::{connect, key, spec, specific};
use futures_util::StreamExt;
use hub_registry_core::spec::Scheme;
use hub_registry_core::{ChangeStream, Error, ErrorKind, HealthStatus, Registry, Scope};
use hub_registry_testkit::stub::consul::StubConsul;
use hub_registry_testkit::stub::fault::Fault;
use serde_json::json;
use tokio::time::Instant;

const HTML: &str = "<html><body>Welcome to nginx</body></html>";

/// The kinds of error of the four reads.
async fn kinds(registry: &Arc<dyn Registry>) -> [ErrorKind; 4] {
    let (scope, web) = (Scope::all(), key("web"));
    let mut watch = registry.watch(Scope::all());
    let (ping, services, instances, first) = tokio::join!(
        registry.ping(),
        registry.services(&scope),
        registry.instances(&web),
        watch.next(),
    );
    [
        ping.expect_err("ping").kind(),
        services.expect_err("services").kind(),
        instances.expect_err("instances").kind(),
        first.unwrap().expect_err("watch").kind(),
    ]
}

async fn web_on(server: &StubConsul) -> Agent {
    let agent = Agent::new(server.address());
    for port in 1..=3 {
        let id = format!("web-{port}");
        let body = json!({"ID": id, "Name": "web", "Port": port});
        agent.send("agent/service/register", body).await;
    }
    agent
}

/// A watch that has begun.
async fn begun(registry: &Arc<dyn Registry>) -> ChangeStream {
    let mut watch = registry.watch(Scope::all());
    watch.next().await.unwrap().expect("a Reset");
    watch
}

/// The error that ends the watch; nothing may be removed before it.
async fn end(watch: &mut ChangeStream, within: Duration) -> Error {
    let start = Instant::now();
    let ended = async {
        loop {
            match watch.next().await.expect("an error before the end") {
                Ok(change) => assert_eq!(change, hub_registry_core::Change::Unchanged),
                Err(error) => return error,
            }
        }
    };
    let error = tokio::time::timeout(within, ended).await;
    let error = error.unwrap_or_else(|_| panic!("no end within {within:?}"));
    println!("ended after {:?}: {error}", start.elapsed());
    assert!(watch.next().await.is_none(), "nothing comes after the error");
    error
}

#[tokio::test]
async fn every_refusal_has_its_kind() {
    let server = StubConsul::start().await;
    web_on(&server).await;
    let registry = connect(&spec(server.address())).await;
    let text = "text/plain";
    let table = [
        (Fault::answer(200, "text/html", HTML), ErrorKind::Protocol),
        (Fault::answer(200, "application/json", "{}"), ErrorKind::Protocol),
        (Fault::answer(200, "application/json", ""), ErrorKind::Protocol),
        (Fault::answer(301, "text/html", HTML), ErrorKind::Protocol),
        (Fault::answer(400, text, "Bad request"), ErrorKind::Invalid),
        (Fault::answer(401, text, "who?"), ErrorKind::Unauthorized),
        (Fault::answer(403, text, "ACL not found"), ErrorKind::Forbidden),
        (Fault::answer(404, "text/html", HTML), ErrorKind::NotFound),
        (Fault::answer(429, text, "too many"), ErrorKind::RateLimited),
        (Fault::answer(500, text, "No path to datacenter"), ErrorKind::Server),
        (Fault::answer(500, text, "No cluster leader"), ErrorKind::NotReady),
        (Fault::answer(503, "text/html", HTML), ErrorKind::Server),
        (Fault::Refuse, ErrorKind::Unreachable),
        (Fault::Hang, ErrorKind::Timeout),
    ];
    for (fault, kind) in table {
        server.fault(fault.clone()).await;
        assert_eq!(kinds(&registry).await, [kind; 4], "{fault:?}");
    }
    server.up().await;
    registry.ping().await.unwrap();
    assert_eq!(registry.instances(&key("web")).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_cut_answer_is_no_shorter_list() {
    let server = StubConsul::start().await;
    web_on(&server).await;
    let registry = connect(&spec(server.address())).await;
    for bytes in [1, 60, 200, 220, 260, 400, 700] {
        server.fault(Fault::Truncate(bytes)).await;
        let error = registry.instances(&key("web")).await;
        let kind = error.expect_err("half an answer").kind();
        let cut = [ErrorKind::Protocol, ErrorKind::Unreachable].contains(&kind);
        assert!(cut, "{bytes} bytes: {kind:?}");
    }
}

#[tokio::test]
async fn bad_hours_of_a_consul_are_errors() {
    let server = StubConsul::start().await;
    web_on(&server).await;
    let registry = connect(&spec(server.address())).await;
    let soon = Duration::from_secs(5);

    let mut watch = begun(&registry).await;
    server.rules(|rules| rules.no_leader = true);
    assert_eq!(end(&mut watch, soon).await.kind(), ErrorKind::NotReady);
    assert_eq!(kinds(&registry).await, [ErrorKind::NotReady; 4]);
    server.rules(|rules| rules.no_leader = false);

    let mut watch = begun(&registry).await;
    server.rules(|rules| rules.leader_lost = true);
    assert_eq!(end(&mut watch, soon).await.kind(), ErrorKind::NotReady);
    server.rules(|rules| rules.leader_lost = false);

    let mut watch = begun(&registry).await;
    server.rules(|rules| rules.rate_limited = true);
    assert_eq!(end(&mut watch, soon).await.kind(), ErrorKind::RateLimited);
    server.rules(|rules| rules.rate_limited = false);

    let mut watch = begun(&registry).await;
    server.rules(|rules| rules.hide_all = true);
    assert_eq!(end(&mut watch, soon).await.kind(), ErrorKind::Forbidden);
    let error = registry.services(&Scope::all()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden, "{error}");
    server.rules(|rules| rules.hide_all = false);

    let mut watch = begun(&registry).await;
    server.down().await;
    assert!(end(&mut watch, soon).await.is_retryable());
    server.up().await;
    drop(begun(&registry).await);
}

#[tokio::test]
async fn odd_but_right_answers_are_read() {
    let server = StubConsul::start().await;
    web_on(&server).await;
    let registry = connect(&spec(server.address())).await;
    server.rules(|rules| (rules.null_lists, rules.no_node_check) = (true, true));
    let all = registry.instances(&key("web")).await.unwrap();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|i| i.health == HealthStatus::Unknown), "no checks at all");
    // A streaming backend says of every answer that it knows no leader.
    server.rules(|rules| rules.streaming = true);
    assert_eq!(registry.instances(&key("web")).await.unwrap().len(), 3);
    drop(begun(&registry).await);
}

#[tokio::test]
async fn a_frozen_server_ends_the_watch_within_30_s() {
    let server = StubConsul::start().await;
    web_on(&server).await;
    let registry = connect(&spec(server.address())).await;
    let mut watch = begun(&registry).await;
    // The blocking reads are under way once the watch was polled and has nothing to say.
    let idle = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
    idle.expect_err("nothing changed");
    server.fault(Fault::Hang).await;
    let error = end(&mut watch, Duration::from_secs(30)).await;
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn an_index_that_goes_back_ends_the_watch_before_anything_is_removed() {
    let server = StubConsul::start().await;
    web_on(&server).await;
    let registry = connect(&spec(server.address())).await;
    let mut watch = begun(&registry).await;
    let idle = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
    idle.expect_err("nothing changed");
    // Restarted without its data behind an address that keeps our connections, as a load balancer
    // does. A real server too holds a read of an index from the future for the whole wait.
    server.forget();
    let error = end(&mut watch, Duration::from_secs(25)).await;
    assert_eq!(error.kind(), ErrorKind::NotReady, "{error}");
    let mut watch = registry.watch(Scope::all());
    let hub_registry_core::Change::Reset(states) = watch.next().await.unwrap().unwrap() else {
        panic!("a watch begins with a Reset");
    };
    assert_eq!(states.len(), 1, "only `consul` itself is left: {states:?}");
}

#[tokio::test]
async fn the_next_address_is_used_after_a_failure() {
    let (first, second) = (StubConsul::start().await, StubConsul::start().await);
    web_on(&second).await;
    let mut spec = spec(first.address());
    spec.endpoints.extend(common::spec(second.address()).endpoints);
    let registry = connect(&spec).await;
    assert_eq!(registry.instances(&key("web")).await.unwrap().len(), 0);
    first.down().await;
    registry.ping().await.expect_err("the first is down");
    assert_eq!(registry.instances(&key("web")).await.unwrap().len(), 3);
    second.rules(|rules| rules.no_leader = true);
    first.up().await;
    registry.ping().await.expect_err("the second has no leader");
    registry.ping().await.expect("back at the first");
}

#[tokio::test]
async fn https_to_a_plain_port_is_unreachable() {
    let server = StubConsul::start().await;
    let mut spec = spec(server.address());
    spec.scheme = Scheme::Https;
    assert_eq!(kinds(&connect(&spec).await).await, [ErrorKind::Unreachable; 4]);
}

#[tokio::test]
async fn a_tag_and_only_passing_narrow_the_view() {
    let server = StubConsul::start().await;
    let agent = web_on(&server).await;
    let check = json!({"TTL": "1h", "Status": "critical"});
    let body = json!({"ID": "b", "Name": "blue", "Port": 1, "Tags": ["Blue"], "Check": check});
    agent.send("agent/service/register", body).await;
    let blue = specific(spec(server.address()), json!({"tag": "blue"}));
    let registry = connect(&blue).await;
    assert_eq!(registry.services(&Scope::all()).await.unwrap(), [key("blue")]);
    assert_eq!(registry.instances(&key("blue")).await.unwrap().len(), 1);
    assert_eq!(registry.instances(&key("web")).await.unwrap().len(), 0);
    let passing = specific(spec(server.address()), json!({"onlyPassing": true}));
    let registry = connect(&passing).await;
    assert_eq!(registry.instances(&key("blue")).await.unwrap().len(), 0);
    assert_eq!(registry.instances(&key("web")).await.unwrap().len(), 3);
}
