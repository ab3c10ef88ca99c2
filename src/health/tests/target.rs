//! What is asked.

use crate::health::target::Ask;

fn http(host: &str, port: u16, tls: bool, authority: &str, path: &str) -> Ask {
    let (host, authority, path) = (host.to_owned(), authority.to_owned(), path.to_owned());
    Ask::Http { host, port, tls, authority, path }
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
    assert!(matches!(Ask::of_url("http://[fe80::1%25eth0]/"), Ask::Nothing(_)));
    assert!(matches!(Ask::of_url("http://a:99999/"), Ask::Nothing(_)));
}
