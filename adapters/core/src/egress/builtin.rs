//! What is refused unless it is allowed in so many words.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::network::Network;

/// Why an address is refused without anybody having configured it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Forbidden {
    /// It tells a virtual machine its own secrets.
    Metadata,
    /// It is of this link only.
    LinkLocal,
    /// It is nobody's, or this machine under another name (RFC 1122 3.2.1.3).
    Unspecified,
    /// It is a group of machines.
    Multicast,
    /// It is every machine of the link.
    Broadcast,
    /// It is not in use (RFC 1112 4).
    Reserved,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "a cloud's metadata address",
            Self::LinkLocal => "a link-local address",
            Self::Unspecified => "an unspecified address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Reserved => "a reserved address",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Network {
    Network::new(IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)))
}

const fn v6(first: [u16; 3], last: u16, prefix: u8) -> Network {
    let address = Ipv6Addr::new(first[0], first[1], first[2], 0, 0, 0, 0, last);
    Network::new(IpNet::V6(Ipv6Net::new_assert(address, prefix)))
}

/// Single addresses before the ranges they lie in: allowing link-local addresses does not allow
/// the metadata address that is one of them.
const FORBIDDEN: &[(Network, Forbidden)] = &[
    // AWS, Azure, Google Cloud, DigitalOcean, OpenStack and others.
    (v4(169, 254, 169, 254, 32), Forbidden::Metadata),
    // AWS: credentials of ECS tasks and of EKS pods.
    (v4(169, 254, 170, 2, 32), Forbidden::Metadata),
    (v4(169, 254, 170, 23, 32), Forbidden::Metadata),
    // Tencent Cloud and Scaleway.
    (v4(169, 254, 0, 23, 32), Forbidden::Metadata),
    (v4(169, 254, 42, 42, 32), Forbidden::Metadata),
    // Alibaba Cloud.
    (v4(100, 100, 100, 200, 32), Forbidden::Metadata),
    // Oracle Cloud, the first generation.
    (v4(192, 0, 0, 192, 32), Forbidden::Metadata),
    // Azure's channel to the machines' agents.
    (v4(168, 63, 129, 16, 32), Forbidden::Metadata),
    // AWS (IMDS, EKS pods), Google Cloud and Scaleway over IPv6.
    (v6([0xfd00, 0x0ec2, 0], 0x254, 128), Forbidden::Metadata),
    (v6([0xfd00, 0x0ec2, 0], 0x23, 128), Forbidden::Metadata),
    (v6([0xfd20, 0x00ce, 0], 0x254, 128), Forbidden::Metadata),
    (v6([0xfd00, 0x0042, 0], 0x42, 128), Forbidden::Metadata),
    (v4(0, 0, 0, 0, 8), Forbidden::Unspecified),
    (v6([0, 0, 0], 0, 128), Forbidden::Unspecified),
    (v4(169, 254, 0, 0, 16), Forbidden::LinkLocal),
    (v6([0xfe80, 0, 0], 0, 10), Forbidden::LinkLocal),
    (v4(224, 0, 0, 0, 4), Forbidden::Multicast),
    (v6([0xff00, 0, 0], 0, 8), Forbidden::Multicast),
    (v4(255, 255, 255, 255, 32), Forbidden::Broadcast),
    (v4(240, 0, 0, 0, 4), Forbidden::Reserved),
];

/// Every such range the address is in.
pub(super) fn of(address: IpAddr) -> impl Iterator<Item = (Network, Forbidden)> {
    FORBIDDEN.iter().copied().filter(move |(network, _)| network.contains(address))
}
