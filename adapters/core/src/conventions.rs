//! What clients of registries without fields for it write into metadata.

use crate::instance::{Instance, Protocol};
use crate::pairs::Pairs;

const SECURE: &str = "secure";

/// How to speak to an instance: `secure=true` is Spring's word for HTTPS (Consul and Nacos alike);
/// others write `protocol`. Without either it is HTTP.
#[must_use]
pub fn protocol(metadata: &Pairs) -> Protocol {
    said_protocol(metadata).unwrap_or_default()
}

/// As [`protocol`], if it is said at all.
#[must_use]
pub fn said_protocol(metadata: &Pairs) -> Option<Protocol> {
    let pair = |key: &str| metadata.get(key).map(String::as_str);
    let secure = pair(SECURE);
    if secure.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Some(Protocol::Https);
    }
    let named = pair("protocol").map(str::to_ascii_uppercase);
    let named = named.and_then(|word| word.parse().ok());
    named.or_else(|| secure.map(|_| Protocol::Http))
}

/// The pair that says HTTPS to clients of such registries, where the instance does not say it itself.
#[must_use]
pub fn secure(instance: &Instance) -> Option<(&'static str, &'static str)> {
    let unsaid = instance.protocol == Protocol::Https && !instance.metadata.contains_key(SECURE);
    unsaid.then_some((SECURE, "true"))
}

/// The path prefix of its API: `contextPath`.
#[must_use]
pub fn context_path(metadata: &Pairs) -> Option<String> {
    metadata.get("contextPath").filter(|path| !path.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_write_is_read() {
        let read = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            let metadata = pairs.collect();
            (protocol(&metadata), context_path(&metadata))
        };
        assert_eq!(read(&[]), (Protocol::Http, None));
        assert_eq!(read(&[("secure", "True"), ("protocol", "tcp")]), (Protocol::Https, None));
        assert_eq!(read(&[("secure", "false"), ("protocol", "gRPC")]), (Protocol::Grpc, None));
        assert_eq!(read(&[("protocol", "smoke")]), (Protocol::Http, None));
        let pairs = |key: &str| Pairs::from([(key.to_owned(), "no".to_owned())]);
        assert_eq!(said_protocol(&pairs("secure")), Some(Protocol::Http));
        assert_eq!(said_protocol(&pairs("protocol")), None);
        let path = read(&[("contextPath", "/api")]).1;
        assert_eq!(path.as_deref(), Some("/api"));
    }
}
