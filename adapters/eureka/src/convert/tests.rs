use std::hash::{BuildHasher, RandomState};

use hub_registry_core::Pairs;

use super::*;
use crate::wire::{Applications, PortWrapper, read_applications};

const RECORDED: &[u8] = include_bytes!("../../tests/data/apps.eureka-2.0.5.json");

fn rules(host: HostPreference) -> Rules {
    let group = GroupName::default_group();
    Rules { group, host }
}

fn all(apps: Applications, rules: &Rules) -> Result<Vec<ServiceState>, String> {
    let mut states = Vec::new();
    for application in apps.application.into_iter().flatten() {
        let (app, all) = rules.application(application)?;
        let key = rules.service(&app, &all);
        states.extend(key.map(|key| state(key, &all)));
    }
    Ok(states)
}

/// `service host:port protocol status/health path`
fn line(one: &Instance) -> String {
    let (key, path) = (&one.key, one.context_path.as_deref().unwrap_or("-"));
    let (name, host, port) = (&key.service.name, &key.host, key.port);
    let (protocol, status, health) = (one.protocol, one.status, one.health);
    format!("{name} {host} {port} {protocol} {status}/{health} {path}")
}

#[test]
fn a_recorded_list() {
    let apps = read_applications(RECORDED).unwrap();
    let states = all(apps, &rules(HostPreference::Ip)).unwrap();
    let mut lines: Vec<_> = states.iter().flat_map(|s| &s.instances).map(|one| line(one)).collect();
    lines.sort();
    let expected = [
        "Orders 10.1.0.1 8080 HTTP OUT_OF_SERVICE/UNKNOWN /shop",
        "Orders 10.1.0.2 8443 HTTPS DOWN/UNHEALTHY -",
        "Orders 10.1.0.3 8080 HTTP STARTING/UNKNOWN -",
        "amazon 10.1.0.9 9090 HTTP UP/HEALTHY -",
        "old 10.1.0.8 9090 HTTP UP/HEALTHY -",
        "stock 10.1.0.6 8080 HTTP DOWN/UNKNOWN -",
        "stock 2001:db8::1 8080 HTTP UP/HEALTHY -",
    ];
    assert_eq!(lines, expected);
    let of = |host: &str| {
        let mut every = states.iter().flat_map(|state| &state.instances);
        every.find(|one| one.key.host.as_str() == host).unwrap()
    };
    assert_eq!(of("10.1.0.6").metadata[RAW_STATUS], "UNKNOWN");
    assert_eq!(of("10.1.0.3").metadata[SECURE_PORT], "8443");
    assert_eq!(of("10.1.0.1").metadata["my_key"], "a b");
    assert_eq!(of("10.1.0.1").registered_at, Some(1_795_397_052_873));
    assert_eq!(of("10.1.0.9").native_id.as_deref(), Some("i-123"));
    assert_eq!(of("10.1.0.9").metadata, Pairs::from([(ZONE.to_owned(), "eu-1a".to_owned())]));
    assert_eq!(of("10.1.0.9").native["dataCenter"], "Amazon");
    assert_eq!(of("10.1.0.3").native["vipAddress"], "Orders,orders-eu");
    assert_eq!(of("10.1.0.3").native["homePageUrl"], "http://wiki.example/orders");
    assert!(!of("10.1.0.1").native.contains_key("vipAddress"), "the name of the application");
    assert_eq!(of("10.1.0.1").native["overriddenStatus"], "OUT_OF_SERVICE");
    // The registration with port 0.
    let zero = states.iter().find(|s| s.key.name.as_str() == "zero");
    assert_eq!(zero.unwrap().instances, []);
}

/// A name by which it is looked up is kept as it is spelled, and that there is none, too.
#[test]
fn vips_are_those_that_were_registered() {
    let info = |id: &str, vip: &str, secure: Option<&str>| InstanceInfo {
        instance_id: id.to_owned(),
        ip_addr: format!("10.0.0.{id}"),
        host_name: "h".to_owned(),
        port: Some(PortWrapper::of(80, true)),
        vip_address: Some(vip.to_owned()),
        secure_vip_address: secure.map(str::to_owned),
        ..InstanceInfo::default()
    };
    let instance = vec![
        info("1", "Web", Some("Web")),
        info("2", "web", None),
        info("3", "Web,x", Some("WEB")),
    ];
    let rules = rules(HostPreference::Ip);
    let (app, all) = rules.application(Application { name: "WEB".to_owned(), instance }).unwrap();
    let state = state(rules.service(&app, &all).unwrap(), &all);
    assert_eq!(state.key.name.as_str(), "Web");
    let of = |host: &str| {
        let one = state.instances.iter().find(|one| one.key.host.as_str() == host).unwrap();
        [VIP, SECURE_VIP].map(|vip| one.native.get(vip).cloned())
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(of("10.0.0.1"), [None, None]);
    assert_eq!(of("10.0.0.2"), [text("web"), text("")]);
    assert_eq!(of("10.0.0.3"), [text("Web,x"), text("WEB")]);
}

#[test]
fn a_host_is_the_preferred_one_or_the_other() {
    let host = |prefer, ip: &str, name: &str| {
        let info = InstanceInfo {
            ip_addr: ip.to_owned(),
            host_name: name.to_owned(),
            ..InstanceInfo::default()
        };
        rules(prefer).host(&info).map(|host| host.to_string())
    };
    let (ip, name) = (HostPreference::Ip, HostPreference::Hostname);
    assert_eq!(host(ip, "10.0.0.1", "A.example").unwrap(), "10.0.0.1");
    assert_eq!(host(name, "10.0.0.1", "A.example").unwrap(), "a.example");
    assert_eq!(host(ip, "", "a").unwrap(), "a");
    assert_eq!(host(name, "10.0.0.1", "a b").unwrap(), "10.0.0.1");
    assert_eq!(host(ip, " ", "").unwrap_err(), "no host");
}

#[test]
fn of_two_registrations_of_one_address_the_living_one_stays() {
    let body = |id: &str, status: &str, at: u64| {
        serde_json::json!({"instanceId": id, "ipAddr": "10.0.0.1", "status": status,
            "port": {"$": 80, "@enabled": true}, "leaseInfo": {"registrationTimestamp": at}})
    };
    for (first, second) in
        [(body("a", "DOWN", 9), body("b", "UP", 1)), (body("a", "UP", 1), body("b", "UP", 2))]
    {
        let app = serde_json::json!({"name": "X", "instance": [first, second]});
        let app = serde_json::from_value(app).unwrap();
        let rules = rules(HostPreference::Ip);
        let (app, all) = rules.application(app).unwrap();
        let state = state(rules.service(&app, &all).unwrap(), &all);
        let ids: Vec<_> = state.instances.iter().map(|one| one.native_id.as_deref()).collect();
        assert_eq!(ids, [Some("b")]);
    }
}

#[test]
fn no_damage_makes_it_panic() {
    let mut seed = RandomState::new().hash_one("seed") | 1;
    println!("seed {seed}");
    let mut random = |below: usize| {
        // xorshift64
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let rules = rules(HostPreference::Ip);
    let mut readable = 0;
    for _ in 0..3000 {
        let mut body = RECORDED.to_vec();
        for _ in 0..=random(4) {
            let at = random(body.len());
            body[at] ^= 1 << random(8);
        }
        if random(3) == 0 {
            body.truncate(random(body.len()));
            assert!(read_applications(&body).is_err(), "half a body was read");
        }
        readable += usize::from(read_applications(&body).is_ok_and(|a| all(a, &rules).is_ok()));
    }
    assert!(readable > 0, "some damage is harmless");
}
