//! What a name asks for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Names;

/// What follows the name of a service, as Consul has it.
const SERVICE: &str = "service";
/// What follows an address in hexadecimal digits: the target of a service record.
const ADDRESS: &str = "addr";

/// What a name asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The domain itself.
    Apex,
    /// The first of these that there is.
    Service(Vec<Wanted>),
    /// An address, spelled out as a name.
    Address(IpAddr),
    /// A name that is only the end of others: it is there, and has nothing (RFC 8020).
    Between,
    /// Something no name in the domain can mean.
    Nothing,
    /// A name outside of the domain.
    NotOurs,
}

/// One reading of a name. Upper and lower case make no difference (RFC 4343).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The service.
    pub(super) service: String,
    /// The group; none: as where REST is told none.
    pub(super) group: Option<String>,
    /// Only instances with this tag.
    pub(super) tag: Option<String>,
}

/// Reads the labels of a name:
///
/// | name, before the domain | what |
/// |---|---|
/// | `SERVICE.service[.DATACENTER]` | the service |
/// | `TAG.SERVICE.service[.DATACENTER]` | its instances with the tag |
/// | `_SERVICE._tcp.service[.DATACENTER]`, `_SERVICE._TAG.service[.DATACENTER]` | the same (RFC 2782) |
/// | `HEX.addr[.DATACENTER]` | the address |
/// | `SERVICE.GROUP`, `_SERVICE._tcp.GROUP` | the service of a group |
///
/// A service whose name has dots is found too, before a tag of one that has fewer. What names end
/// with, without the rest, is [`Asked::Between`].
pub(super) fn read(labels: &[&str], names: &Names) -> Asked {
    let Some(own) = before(labels, &names.domain) else { return Asked::NotOurs };
    let here = |label: &str| label.eq_ignore_ascii_case(&names.datacenter);
    let is = |label: &str, word: &str| label.eq_ignore_ascii_case(word);
    match own {
        [] => Asked::Apex,
        [_] => Asked::Between,
        [kind, last] if (is(kind, SERVICE) || is(kind, ADDRESS)) && here(last) => Asked::Between,
        [first, ..] if is_transport(first) => Asked::Between,
        [rest @ .., kind] | [rest @ .., kind, _]
            if is(kind, SERVICE)
                && (rest.len() + 1 == own.len() || own.last().is_some_and(|last| here(last))) =>
        {
            services(rest, None)
        }
        [hex, kind] | [hex, kind, _]
            if is(kind, ADDRESS)
                && (own.len() == 2 || own.last().is_some_and(|last| here(last))) =>
        {
            address(hex).map_or(Asked::Nothing, Asked::Address)
        }
        // Names of groups may have dots, too: the longest name of a service goes first.
        own => {
            let splits = (1..own.len()).rev();
            let all = splits.flat_map(|at| wanted(&own[..at], Some(own[at..].join("."))));
            some(all.collect())
        }
    }
}

fn services(labels: &[&str], group: Option<String>) -> Asked {
    some(wanted(labels, group))
}

fn some(all: Vec<Wanted>) -> Asked {
    if all.is_empty() { Asked::Nothing } else { Asked::Service(all) }
}

fn wanted(labels: &[&str], group: Option<String>) -> Vec<Wanted> {
    let one = |service: &str, tag: Option<&str>| Wanted {
        service: service.to_owned(),
        group: group.clone(),
        tag: tag.map(str::to_owned),
    };
    match labels {
        [] => Vec::new(),
        [service, protocol] if let Some((service, tag)) = by_protocol(service, protocol) => {
            vec![one(service, tag)]
        }
        [service] => vec![one(service, None)],
        [tag, rest @ ..] => vec![one(&labels.join("."), None), one(&rest.join("."), Some(tag))],
    }
}

/// `_SERVICE._PROTOCOL`; what is not TCP is a tag, as at a Consul.
fn by_protocol<'a>(service: &'a str, protocol: &'a str) -> Option<(&'a str, Option<&'a str>)> {
    let (service, protocol) = (service.strip_prefix('_')?, protocol.strip_prefix('_')?);
    let tag = (!protocol.eq_ignore_ascii_case("tcp")).then_some(protocol);
    (!service.is_empty()).then_some((service, tag))
}

fn is_transport(label: &str) -> bool {
    ["_tcp", "_udp"].iter().any(|word| label.eq_ignore_ascii_case(word))
}

/// What stands before the domain.
fn before<'l, 'a>(labels: &'l [&'a str], domain: &[String]) -> Option<&'l [&'a str]> {
    let at = labels.len().checked_sub(domain.len())?;
    let (own, end) = labels.split_at(at);
    let same = |(label, word): (&&str, &String)| label.eq_ignore_ascii_case(word);
    end.iter().zip(domain).all(same).then_some(own)
}

/// An address as a label.
pub(super) fn hex(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{:08x}", u32::from(address)),
        IpAddr::V6(address) => format!("{:032x}", u128::from(address)),
    }
}

fn address(label: &str) -> Option<IpAddr> {
    let is_hex = label.bytes().all(|byte| byte.is_ascii_hexdigit());
    match label.len() {
        8 if is_hex => Some(Ipv4Addr::from(u32::from_str_radix(label, 16).ok()?).into()),
        32 if is_hex => Some(Ipv6Addr::from(u128::from_str_radix(label, 16).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::new("consul", "dc1")
    }

    fn ask(name: &str) -> Asked {
        let labels: Vec<_> = name.split('.').filter(|label| !label.is_empty()).collect();
        read(&labels, &names())
    }

    fn one(service: &str, group: Option<&str>, tag: Option<&str>) -> Wanted {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Wanted { service: service.to_owned(), group: text(group), tag: text(tag) }
    }

    #[test]
    fn consul_s_names_are_read() {
        for name in ["web.service.consul", "web.service.dc1.consul", "web.SERVICE.DC1.Consul"] {
            assert_eq!(ask(name), Asked::Service(vec![one("web", None, None)]), "{name}");
        }
        let tagged = vec![one("blue.web", None, None), one("web", None, Some("blue"))];
        assert_eq!(ask("blue.web.service.consul"), Asked::Service(tagged.clone()));
        assert_eq!(ask("blue.web.service.dc1.consul"), Asked::Service(tagged));
        assert_eq!(ask("_web._tcp.service.consul"), Asked::Service(vec![one("web", None, None)]));
        assert_eq!(
            ask("_web._blue.service.dc1.consul"),
            Asked::Service(vec![one("web", None, Some("blue"))])
        );
    }

    #[test]
    fn a_group_is_a_label_or_several() {
        assert_eq!(ask("web.prod.consul"), Asked::Service(vec![one("web", Some("prod"), None)]));
        assert_eq!(
            ask("a.b.c.consul"),
            Asked::Service(vec![
                one("a.b", Some("c"), None),
                one("b", Some("c"), Some("a")),
                one("a", Some("b.c"), None),
            ])
        );
        assert_eq!(
            ask("_web._udp.prod.consul"),
            Asked::Service(vec![
                one("web", Some("prod"), Some("udp")),
                one("_web", Some("_udp.prod"), None)
            ])
        );
        // Another data centre is a group nobody has.
        let Asked::Service(all) = ask("web.service.dc2.consul") else { panic!() };
        assert!(all.iter().all(|one| one.group.is_some()), "{all:?}");
    }

    #[test]
    fn addresses_are_spelled_out_and_read_again() {
        for address in ["10.0.0.1", "255.255.255.255", "::1", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            for end in ["addr.consul", "addr.dc1.consul"] {
                assert_eq!(ask(&format!("{}.{end}", hex(address))), Asked::Address(address));
            }
        }
        assert_eq!(ask("0a00000.addr.consul"), Asked::Nothing);
        assert_eq!(ask("0a0000zz.addr.consul"), Asked::Nothing);
    }

    #[test]
    fn the_rest_is_nothing_or_not_ours() {
        assert_eq!(ask("consul"), Asked::Apex);
        for name in [
            "service.consul",
            "dc1.consul",
            "service.dc1.consul",
            "addr.DC1.consul",
            "_tcp.service.consul",
            "_udp.service.dc1.consul",
            "prod.consul",
            "_tcp.prod.consul",
        ] {
            assert_eq!(ask(name), Asked::Between, "{name}");
        }
        for name in ["", "web.service.example", "notconsul", "xconsul"] {
            assert_eq!(ask(name), Asked::NotOurs, "{name}");
        }
    }
}
