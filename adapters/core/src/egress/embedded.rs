//! IPv4 addresses inside IPv6 ones.
//!
//! A packet to such an address may be taken out of IPv6 on its way (by a translator, a relay, a
//! tunnel) and end at the IPv4 address in it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The IPv4 addresses a packet to this address may end at. Mapped ones (`::ffff:0:0/96`) are not
/// among them: the system itself takes those for IPv4, and so does the policy.
pub(super) fn embedded(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bytes = address.octets();
    let at = |places: [usize; 4]| Some(Ipv4Addr::from(places.map(|place| bytes[place])));
    let last = at([12, 13, 14, 15]);
    let mut all = [None; 3];
    match address.segments() {
        // The loopback address is no IPv4 address in disguise.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => {}
        // Local NAT64 (RFC 8215) with a prefix of 48, 56 or 64 bits: the address stands around
        // byte 8, and zeros behind it (RFC 6052 2.2).
        [0x64, 0xff9b, 1, ..] if bytes[6..] != [0; 10] && bytes[13..] == [0; 3] => {
            // Which of the three it is nobody knows: it must be allowed in any reading.
            all = [at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12])];
        }
        // The same and the well-known NAT64 prefix (RFC 6052 2.1), compatible (RFC 4291 2.5.5.1),
        // translated (RFC 2765 2.1), and ISATAP (RFC 5214 6.1) under any prefix.
        [0x64, 0xff9b, 1, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0, 0, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, ..] => all[0] = last,
        // 6to4 (RFC 3056).
        [0x2002, ..] => all[0] = at([2, 3, 4, 5]),
        // Teredo (RFC 4380 4): its server, and its client with every bit turned over.
        [0x2001, 0, ..] => {
            all[0] = at([4, 5, 6, 7]);
            all[1] = last.map(|client| Ipv4Addr::from_bits(!client.to_bits()));
        }
        _ => {}
    }
    all.into_iter().flatten()
}
