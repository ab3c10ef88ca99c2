//! What is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::Method;

use crate::health::target::{Ask, Defaults, Request, Target, Trust};
use crate::model::check::Asks;

const INTERVAL: Duration = Duration::from_secs(10);

fn http(host: &str, port: u16, tls: bool, authority: &str, path: &str) -> Ask {
    let (host, authority, path) = (host.to_owned(), authority.to_owned(), path.to_owned());
    let tls = tls.then_some(Trust::Certified);
    Ask::Http { host, port, tls, authority, path, by: Box::default() }
}

#[test]
fn a_url_is_taken_apart() {
    for (url, ask) in [
        ("http://a:8080/x?y=1#z", http("a", 8080, false, "a:8080", "/x?y=1")),
        ("https://a", http("a", 443, true, "a", "/")),
        ("http://a:80/", http("a", 80, false, "a", "/")),
        ("http://[::1]:81/", http("::1", 81, false, "[::1]:81", "/")),
        ("http://0x7f.1/", http("127.0.0.1", 80, false, "127.0.0.1", "/")),
        ("http://\u{ff11}27.0.0.1/", http("127.0.0.1", 80, false, "127.0.0.1", "/")),
        ("http://a/%0d%0aHost:%20b", http("a", 80, false, "a", "/%0d%0aHost:%20b")),
    ] {
        assert_eq!(Ask::of_url(url), ask, "{url}");
    }
    let bad = Asks { url: "tcp://nowhere".to_owned(), ..Asks::default() };
    let defaults = Defaults { interval: INTERVAL, timeout: INTERVAL };
    let text = Target::of_check(&bad, defaults).describe();
    assert_eq!(text, "nothing: its URL must be an http or https URL; for TCP and GRPC, HOST:PORT");
    assert!(matches!(Ask::of_url("http://[fe80::1%25eth0]/"), Ask::Nothing(_)));
    assert!(matches!(Ask::of_url("http://a:99999/"), Ask::Nothing(_)));
}

#[test]
fn user_and_password_of_a_url_are_sent_and_not_shown() {
    for (url, said, sent) in [
        ("http://u:p@a/x", None, Some("Basic dTpw")),
        ("http://u@a/x", None, Some("Basic dTo=")),
        ("http://:p%40%3a@a/x", None, Some("Basic OnBAOg==")),
        ("http://u:p@a/x", Some("Bearer b"), Some("Bearer b")),
        ("http://a/x", None, None),
    ] {
        let said = said.map(|said| ("Authorization".to_owned(), vec![said.to_owned()]));
        let header = said.into_iter().collect();
        let asks = Asks { url: url.to_owned(), header, ..Asks::default() };
        let target = Target::of_check(&asks, Defaults { interval: INTERVAL, timeout: INTERVAL });
        assert_eq!(target.describe(), "GET http://a/x", "{url}");
        let Ask::Http { by, .. } = target.ask else { panic!("{:?}", target.ask) };
        let value = by.headers.get("authorization").map(|value| value.to_str().unwrap());
        assert_eq!(value, sent, "{url}");
    }
}

#[test]
fn a_check_says_how_it_is_asked() {
    let asks = Asks {
        url: "https://a/x".to_owned(),
        interval: 10,
        timeout: Some(60),
        method: Some("POST".to_owned()),
        header: BTreeMap::from([("x-a".to_owned(), vec!["1".to_owned(), "2".to_owned()])]),
        body: "hi".to_owned(),
        insecure: true,
        failures: Some(2),
        ..Asks::default()
    };
    let defaults = Defaults { interval: INTERVAL, timeout: INTERVAL };
    let target = Target::of_check(&asks, defaults);
    assert_eq!(
        (target.interval, target.timeout),
        (INTERVAL, INTERVAL),
        "no longer than the interval"
    );
    assert_eq!((target.thresholds.failures, target.thresholds.passes), (Some(2), None));
    assert_eq!(target.describe(), "POST https://a/x", "headers are nobody's business");
    let Ask::Http { tls, by, .. } = target.ask else { panic!("{:?}", target.ask) };
    assert_eq!(tls, Some(Trust::Anybody));
    let Request { method, headers, body } = *by;
    assert_eq!((method, &body[..]), (Method::POST, &b"hi"[..]));
    assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
}

/// Somebody may have written the row by SQL.
#[test]
fn what_no_request_can_carry_is_left_out() {
    let asks = Asks {
        url: "http://a/".to_owned(),
        method: Some("B AD".to_owned()),
        header: BTreeMap::from([
            ("b ad".to_owned(), vec![String::new()]),
            ("x".to_owned(), vec!["\r\n".to_owned()]),
        ]),
        insecure: true,
        ..Asks::default()
    };
    let target = Target::of_check(&asks, Defaults { interval: INTERVAL, timeout: INTERVAL });
    assert_eq!(target.interval, Duration::from_secs(1));
    assert_eq!(target.ask, http("a", 80, false, "a", "/"), "and there is nobody to trust");
}
