//! What clients of registries without fields for it write into metadata.

use crate::instance::Protocol;
use crate::pairs::Pairs;

/// How to speak to an instance: `secure=true` is Spring's word for HTTPS (Consul and Nacos alike);
/// others write `protocol`. Without either it is HTTP.
#[must_use]
pub fn protocol(metadata: &Pairs) -> Protocol {
    let pair = |key: &str| metadata.get(key).map(String::as_str);
    if pair("secure").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Protocol::Https;
    }
    let named = pair("protocol").map(str::to_ascii_uppercase);
    named.and_then(|word| word.parse().ok()).unwrap_or_default()
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
        let path = read(&[("contextPath", "/api")]).1;
        assert_eq!(path.as_deref(), Some("/api"));
    }
}
