//! Forbidden targets, in every spelling and by every way they can be named.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use hub_registry_core::Host;
use hub_registry_testkit::spellings::{
    FORBIDDEN_V4, FORBIDDEN_V6, disguises, spellings, url_spellings,
};

use super::*;
use crate::model::health_url;

/// What a registration may say, and what becomes of it.
#[derive(Clone, Debug)]
struct Try {
    said: String,
    ask: Result<Ask, String>,
}

/// As the address of an instance.
fn host(text: &str, port: u16) -> Try {
    let ask = Host::parse(text).map_err(|error| error.to_string());
    let ask = ask.map(|host| Ask::Tcp { host: host.to_string(), port });
    Try { said: format!("hostAddress {text}"), ask }
}

/// As `healthCheckUrl`.
fn url(text: String) -> Try {
    let ask = health_url::parse(&text).map(|_| Ask::of_url(&text)).map_err(str::to_owned);
    Try { said: format!("healthCheckUrl {text}"), ask }
}

/// By every way.
fn ways(text: &str, port: u16) -> [Try; 3] {
    let bracketed = if text.contains(':') { format!("[{text}]") } else { text.to_owned() };
    let page = |scheme: &str| url(format!("{scheme}://{bracketed}:{port}/latest/meta-data"));
    [host(text, port), page("http"), page("https")]
}

/// What each came to.
async fn asked(probe: &NetworkProbe, tries: &[Try]) -> Vec<(String, Result<Outcome, String>)> {
    let ask = |one: Try| async move {
        let found = match one.ask {
            Ok(ask) => Ok(probe.ask(&ask, soon()).await),
            Err(rule) => Err(rule),
        };
        (one.said, found)
    };
    stream::iter(tries.iter().cloned()).map(ask).buffer_unordered(32).collect().await
}

/// Texts that lead many a parser astray.
fn tricks(port: u16) -> Vec<Try> {
    let evil = "169.254.169.254";
    let mut all: Vec<_> = [
        format!("http:{evil}/"),
        format!("http:/{evil}/"),
        format!("http:///{evil}/"),
        format!("http:\\\\{evil}\\"),
        format!("HtTp://{evil}/"),
        format!("http://{evil}:80/?@127.0.0.1"),
        format!("http://{evil}\\@127.0.0.1/"),
        format!("http://{evil}#@127.0.0.1/"),
        format!("http://{evil}?@127.0.0.1/"),
        format!("http://{evil}%2f@127.0.0.1/"),
        format!("http://127.0.0.1@{evil}/"),
        format!("http://127.0.0.1:{port}@{evil}/"),
        format!("http://a:b@{evil}/"),
        format!("http://@{evil}/"),
        format!("http://:@{evil}/"),
        format!("http://{evil}%00.example/"),
        format!("http://{evil}\0.example/"),
        format!("http://{evil}\t/"),
        format!("http://{evil}\r\nHost: 127.0.0.1/"),
        format!(" http://{evil}/"),
        format!("http://{evil} /"),
        format!("http://{{host}}@{evil}/"),
        format!("http://[::ffff:{evil}%25lo]/"),
        format!("http://[{evil}]/"),
        format!("http://{evil}:{port}:80/"),
        format!("gopher://{evil}/"),
        format!("file://{evil}/etc/passwd"),
        format!("ftp://{evil}/"),
        format!("dict://{evil}:11211/"),
        format!("unix://{evil}/var/run/docker.sock"),
        format!("jar:http://{evil}!/"),
    ]
    .into_iter()
    .map(url)
    .collect();
    let hosts = [
        format!("127.0.0.1@{evil}"),
        format!("{evil}:80"),
        format!("{evil}/"),
        format!("{evil}#"),
        format!("{evil}\\"),
        format!("{evil}\0"),
        format!("{evil} "),
        format!("[{evil}]"),
        format!("[::ffff:{evil}]"),
        "fe80::1%lo".to_owned(),
        "fe80::a9fe:a9fe%1".to_owned(),
        "ff02::1%lo".to_owned(),
    ];
    all.extend(hosts.iter().map(|text| host(text, port)));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_forbidden_target_is_connected_to() {
    let (door, port) = Door::open().await;
    let (mut tries, mut names) = (tricks(port), Names::default());
    let mut name = |leads: &str| {
        let name = format!("n{}.evil.example", names.0.get_mut().len());
        names = std::mem::take(&mut names).with(&name, &[&[leads], &["127.0.0.1"]]);
        name
    };
    for address in FORBIDDEN_V4 {
        let plain = IpAddr::from(address).to_string();
        let disguises = disguises(address);
        for text in spellings(address).iter().chain(&disguises) {
            tries.extend(ways(text, port));
        }
        tries.extend(url_spellings(address).iter().map(|it| url(format!("http://{it}:{port}/"))));
        for leads in disguises.iter().chain([&plain]) {
            tries.push(host(&name(leads), port));
            tries.push(url(format!("http://{}.:{port}/", name(leads))));
        }
    }
    for text in FORBIDDEN_V6 {
        tries.extend(ways(text, port));
        tries.push(url(format!("http://{}:{port}/", name(text).to_uppercase())));
    }
    let probe = probe(EgressPolicy::default(), names);
    let (found, connections) = door.count(asked(&probe, &tries)).await;
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for (said, outcome) in &found {
        let reason = match outcome {
            Ok(outcome @ (Outcome::NotAllowed(_) | Outcome::BadUrl(_) | Outcome::UnknownName)) => {
                outcome.to_string()
            }
            Ok(other) => panic!("{said:?} was asked: {other}"),
            Err(rule) => format!("400: {rule}"),
        };
        *reasons.entry(reason.replace(|c: char| c.is_control(), "?")).or_default() += 1;
    }
    let denied: usize =
        reasons.iter().filter(|(why, _)| why.starts_with("not allowed")).map(|(_, n)| n).sum();
    println!("{} spellings, {connections} connections, {denied} judged: {reasons:#?}", tries.len());
    assert_eq!((found.len(), connections), (tries.len(), 0));
    assert!(tries.len() >= 300 && denied >= 300, "{} tried, {denied} judged", tries.len());
}

/// The same spellings of what an operator forbids: here a connection would arrive.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_forbids_is_not_connected_to_and_would_be_otherwise() {
    let ours = [127, 66, 0, 1];
    let (door, port) = Door::open().await;
    let mapped: Vec<_> = disguises(ours).into_iter().filter(|t| t.contains("ffff:")).collect();
    let mut tries = Vec::new();
    for text in spellings(ours).iter().chain(&mapped).filter(|text| !text.starts_with("::ffff:0:"))
    {
        tries.extend(ways(text, port));
    }
    tries.extend(url_spellings(ours).iter().map(|it| url(format!("http://{it}:{port}/"))));
    tries.push(host("ours.example", port));
    tries.push(url(format!("http://OURS.example.:{port}/")));
    let names = || Names::default().with("ours.example", &[&["127.66.0.1"]]);

    let strict = probe(but_for(&["127.66.0.0/16"]), names());
    let (found, connections) = door.count(asked(&strict, &tries)).await;
    for (said, outcome) in found {
        let why = "not allowed by healthCheck.egress: its address is in egress.deny";
        assert_eq!(outcome.map(|outcome| outcome.to_string()), Ok(why.to_owned()), "{said}");
    }
    assert_eq!(connections, 0);

    let lax = probe(EgressPolicy::default(), names());
    let (_, connections) = door.count(asked(&lax, &tries)).await;
    println!("{} spellings, each connected to where it is allowed", tries.len());
    assert_eq!(connections, tries.len());
}
