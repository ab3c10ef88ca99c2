//! Forbidden targets in every spelling anybody has thought of.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use hub_registry_testkit::spellings::{
    FORBIDDEN_V4, FORBIDDEN_V6, disguises, spellings, url_spellings,
};
use reqwest::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// The addresses the hub would connect to, were this the host of an instance.
async fn by_name(egress: &Egress, host: &str) -> Option<Vec<IpAddr>> {
    egress.resolve(host).await.ok()
}

/// The same, were it in a URL.
async fn by_url(egress: &Egress, policy: &EgressPolicy, host: &str) -> Option<Vec<IpAddr>> {
    // What is no URL is never asked.
    let url = Url::parse(&format!("http://{host}:8500/v1")).ok()?;
    policy.check_literal(&url).ok()?;
    egress.resolve(url.host_str()?.trim_matches(['[', ']'])).await.ok()
}

/// Which of the spellings lead somewhere. The system answers numbers without a name server.
async fn through(
    policy: EgressPolicy,
    hosts: &BTreeSet<String>,
    urls: &BTreeSet<String>,
) -> Vec<(String, Vec<IpAddr>)> {
    let policy = Arc::new(policy);
    let egress = Egress::new(Arc::clone(&policy));
    let mut all = Vec::new();
    for host in hosts {
        all.extend(by_name(&egress, host).await.map(|found| (host.clone(), found)));
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        all.extend(by_url(&egress, &policy, &bracketed).await.map(|found| (bracketed, found)));
    }
    for host in urls {
        all.extend(by_url(&egress, &policy, host).await.map(|found| (host.clone(), found)));
    }
    all
}

#[tokio::test]
async fn no_spelling_of_a_forbidden_target_gets_through() {
    let mut hosts: BTreeSet<_> = FORBIDDEN_V6.iter().map(|text| (*text).to_owned()).collect();
    let mut urls = BTreeSet::new();
    for address in FORBIDDEN_V4 {
        hosts.extend(spellings(address));
        hosts.extend(disguises(address));
        urls.extend(url_spellings(address));
    }
    let through = through(EgressPolicy::default(), &hosts, &urls).await;
    let count = hosts.len() + urls.len();
    println!("{count} spellings of forbidden targets, {} got through", through.len());
    assert!(count >= 300 && through.is_empty(), "{count}: {through:?}");
}

/// The same spellings of an address that may be reached lead there, so the test above does not
/// pass because nothing is understood.
#[tokio::test]
async fn the_spellings_are_understood() {
    let ours = [10, 1, 2, 3];
    let (hosts, urls) = (spellings(ours), url_spellings(ours));
    let found = through(EgressPolicy::default(), &hosts, &urls).await;
    for (host, addresses) in &found {
        assert_eq!(*addresses, [IpAddr::from(ours)], "{host}");
    }
    assert_eq!(found.len(), 2 * hosts.len() + urls.len(), "{found:?}");
    // One within a local NAT64 prefix could be another one in another reading.
    let disguised = disguises(ours).into_iter().filter(|text| !text.starts_with("64:ff9b:1:"));
    let disguised = disguised.collect();
    let found = through(EgressPolicy::default(), &disguised, &BTreeSet::new()).await;
    assert_eq!(found.len(), 2 * disguised.len(), "{found:?}");
    let deny = EgressPolicy::new(EgressPolicy::everything(), networks(&["10.1.2.3"]));
    assert_eq!(through(deny, &disguised, &BTreeSet::new()).await, []);
}

#[test]
fn what_services_and_registries_live_on_is_allowed() {
    let policy = EgressPolicy::default();
    for address in [
        "127.0.0.1",
        "127.255.0.1",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "8.8.8.8",
        "169.253.255.255",
        "169.255.0.0",
        "223.255.255.255",
        "1.0.0.0",
        "::1",
        "fd00::1",
        "fc00::1",
        "2001:db8::1",
        "2606:4700::1111",
        "::ffff:10.0.0.1",
        "100.100.100.201",
    ] {
        assert_eq!(policy.check(address.parse().unwrap()), Ok(()), "{address}");
    }
}

fn networks(all: &[&str]) -> Vec<Network> {
    all.iter().map(|text| text.parse().unwrap()).collect()
}

fn checks(policy: &EgressPolicy, address: &str) -> Result<(), Denied> {
    policy.check(address.parse::<IpAddr>().unwrap())
}

#[test]
fn lists_narrow_and_deny_wins() {
    let policy = EgressPolicy::new(
        networks(&["10.0.0.0/8", "2001:db8::/32", "64:ff9b::/96"]),
        networks(&["10.9.0.0/16", "10.0.0.1"]),
    );
    for (address, outcome) in [
        ("10.1.0.1", Ok(())),
        ("::ffff:10.1.0.1", Ok(())),
        ("2001:db8::1", Ok(())),
        ("64:ff9b::10.1.0.1", Ok(())),
        ("10.0.0.1", Err(Denied::Listed)),
        ("10.9.3.4", Err(Denied::Listed)),
        ("::ffff:10.9.3.4", Err(Denied::Listed)),
        ("64:ff9b::10.9.3.4", Err(Denied::Listed)),
        ("2002:a09:304::", Err(Denied::Listed)),
        ("11.0.0.1", Err(Denied::Unlisted)),
        ("127.0.0.1", Err(Denied::Unlisted)),
        ("::1", Err(Denied::Unlisted)),
        ("::10.1.0.1", Err(Denied::Unlisted)),
    ] {
        assert_eq!(checks(&policy, address), outcome, "{address}");
    }
    let nothing = EgressPolicy::new(Vec::new(), Vec::new());
    assert_eq!(checks(&nothing, "10.0.0.1"), Err(Denied::Unlisted));
}

#[test]
fn what_is_forbidden_must_be_allowed_in_its_own_words() {
    let policy = EgressPolicy::new(networks(&["0.0.0.0/0", "::/0", "169.254.0.0/16"]), Vec::new());
    assert_eq!(checks(&policy, "169.254.7.1"), Ok(()));
    assert_eq!(checks(&policy, "::ffff:169.254.7.1"), Ok(()));
    // Not named itself.
    let metadata = Err(Denied::Forbidden(Forbidden::Metadata));
    assert_eq!(checks(&policy, "169.254.169.254"), metadata);
    assert_eq!(checks(&policy, "64:ff9b::169.254.169.254"), metadata);
    assert_eq!(checks(&policy, "fe80::1"), Err(Denied::Forbidden(Forbidden::LinkLocal)));

    let named = EgressPolicy::new(networks(&["169.254.169.254"]), Vec::new());
    assert_eq!(checks(&named, "169.254.169.254"), Ok(()));
    assert_eq!(checks(&named, "169.254.169.253"), Err(Denied::Forbidden(Forbidden::LinkLocal)));

    let link = EgressPolicy::new(networks(&["::/0", "fe80::/64"]), Vec::new());
    assert_eq!(checks(&link, "fe80::1"), Ok(()));
    assert_eq!(checks(&link, "fe81::1"), Err(Denied::Forbidden(Forbidden::LinkLocal)));
}

#[test]
fn networks_are_read_strictly() {
    for good in ["10.0.0.0/8", "10.0.0.1", "::/0", "fd00::/8", "2001:db8::1/128", "0.0.0.0/0"] {
        assert!(good.parse::<Network>().is_ok(), "{good}");
    }
    assert_eq!("10.0.0.1".parse::<Network>().unwrap().to_string(), "10.0.0.1/32");
    for bad in ["", "10.0.0.0/33", "10.1.2.3/8", "fd00::1/8", "ten", "10.0.0", "10.0.0.0/", "/8"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
}

/// Answers each name with the next of its answers, and the last one for ever.
#[derive(Debug, Default)]
struct Rebinding {
    answers: BTreeMap<&'static str, Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Lookup for Rebinding {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let answers = self.answers.get(name).ok_or(io::ErrorKind::NotFound)?;
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(answers[asked.min(answers.len() - 1)].clone())
    }
}

fn rebinding(name: &'static str, answers: &[&[&str]]) -> Arc<Rebinding> {
    let parse = |all: &&[&str]| all.iter().map(|text| text.parse().unwrap()).collect();
    let answers = answers.iter().map(parse).collect();
    Arc::new(Rebinding { answers: [(name, answers)].into(), ..Rebinding::default() })
}

#[tokio::test]
async fn each_answer_of_a_name_server_is_judged_anew() {
    let lookup = rebinding("evil", &[&["10.0.0.1"], &["169.254.169.254"], &["10.0.0.1"]]);
    let egress = Egress::with_lookup(Arc::default(), lookup);
    let ours: IpAddr = [10, 0, 0, 1].into();
    assert_eq!(egress.resolve("evil").await.unwrap(), [ours]);
    let denied = egress.resolve("evil").await.unwrap_err();
    assert_eq!(denied.to_string(), "a cloud's metadata address is not connected to");
    assert_eq!(egress.resolve("evil").await.unwrap(), [ours]);
    assert!(matches!(egress.resolve("other").await, Err(EgressError::Unknown(_))));
}

#[tokio::test]
async fn of_several_addresses_only_allowed_ones_are_handed_on() {
    let mixed = &["fe80::1", "10.0.0.1", "::ffff:169.254.1.1", "::ffff:10.0.0.2"];
    let egress = Egress::with_lookup(Arc::default(), rebinding("mixed", &[mixed]));
    let allowed = egress.resolve("mixed").await.unwrap();
    let ours = |last| IpAddr::from(Ipv4Addr::new(10, 0, 0, last));
    assert_eq!(allowed, [ours(1), ours(2)]);
    let empty = Egress::with_lookup(Arc::default(), rebinding("empty", &[&[]]));
    assert!(matches!(empty.resolve("empty").await, Err(EgressError::Unknown(_))));
}

/// A client whose name server rebinds between two requests: reqwest connects to what was judged
/// and to nothing else.
#[tokio::test]
async fn reqwest_connects_to_what_was_judged() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    let server = async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.ok();
        }
    };
    let policy = EgressPolicy::new(EgressPolicy::everything(), networks(&["127.0.0.2"]));
    let lookup = rebinding("evil", &[&["127.0.0.1"], &["127.0.0.2"], &["0.0.0.0"], &["::"]]);
    let egress = Egress::with_lookup(Arc::new(policy), lookup);
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .dns_resolver(egress)
        .build()
        .unwrap();
    let url = format!("http://evil:{port}/");
    let calls = async {
        assert!(client.get(&url).send().await.is_ok());
        for _ in 0..3 {
            let error = client.get(&url).send().await.unwrap_err();
            assert!(error.is_connect(), "{error:?}");
        }
    };
    tokio::select! {
        () = calls => {}
        () = server => {}
    }
    assert_eq!(accepted.load(Ordering::Relaxed), 1);
}

#[test]
fn addresses_of_ipv6_alone_have_nothing_in_them() {
    for plain in ["::1", "2001:db8::1", "fd00::1", "2606:4700:4700::1111"] {
        let address: Ipv6Addr = plain.parse().unwrap();
        assert_eq!(embedded::embedded(address).count(), 0, "{plain}");
    }
}
