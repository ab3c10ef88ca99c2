//! The many ways to write an address.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Addresses that no policy lets pass unless they are allowed in so many words.
pub const FORBIDDEN_V4: [[u8; 4]; 14] = [
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [169, 254, 0, 1],
    [169, 254, 255, 255],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
    [168, 63, 129, 16],
    [0, 0, 0, 0],
    [0, 1, 2, 3],
    [224, 0, 0, 1],
    [239, 255, 255, 250],
    [255, 255, 255, 255],
    [240, 0, 0, 1],
    [254, 169, 254, 169],
];

/// The same of IPv6, in several spellings.
pub const FORBIDDEN_V6: [&str; 16] = [
    "::",
    "0:0:0:0:0:0:0:0",
    "fe80::1",
    "FE80:0000::A9FE:A9FE",
    "fe80::5efe:10.0.0.1",
    "febf:ffff::1",
    "ff02::1",
    "ff0e::114",
    "ff00::",
    "fd00:ec2::254",
    "FD00:0EC2:0:0:0:0:0:254",
    "fd00:ec2::23",
    "fd20:ce::254",
    "fd00:42::42",
    "2002:e000:1::",
    "2001:0:a9fe:a9fe:0:0:f5ff:fffe",
];

/// Texts that an IPv4 address goes by as a host of a URL or of the system's resolver.
#[must_use]
pub fn spellings(address: [u8; 4]) -> BTreeSet<String> {
    let [a, b, c, d] = address;
    let whole = u32::from_be_bytes(address);
    let (low24, low16) = (whole & 0xff_ffff, whole & 0xffff);
    [
        format!("{a}.{b}.{c}.{d}"),
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("0X{whole:08X}"),
        format!("0x00000000{whole:08x}"),
        format!("0{whole:o}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0{a:03o}.0{b:03o}.0{c:03o}.0{d:03o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("{a:#04X}.{b:#04X}.{c:#04X}.{d:#04X}").replace("0X", "0x"),
        format!("{a}.{b:#x}.0{c:o}.{d}"),
        format!("{a:#x}.{b}.{c}.0{d:o}"),
        format!("{a}.{low24}"),
        format!("{a:#x}.{low24:#x}"),
        format!("0{a:o}.0{low24:o}"),
        format!("{a}.{b}.{low16}"),
        format!("{a}.{b}.{low16:#x}"),
        format!("{a:#x}.0{b:o}.{low16}"),
    ]
    .into()
}

/// What only a URL reads as this address.
#[must_use]
pub fn url_spellings(address: [u8; 4]) -> BTreeSet<String> {
    let plain = Ipv4Addr::from(address).to_string();
    let wide = |c: char| c.to_digit(10).map_or(c, |n| char::from_u32(0xff10 + n).unwrap_or(c));
    let mut all: BTreeSet<_> = [
        plain.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        plain.chars().map(wide).collect(),
        plain.replace('.', "\u{3002}"),
        plain.replace('.', "%2e"),
        plain.replace('.', "\u{ff0e}"),
    ]
    .into();
    all.extend(spellings(address).iter().map(|text| format!("{text}.")));
    all
}

/// IPv6 addresses that lead to this IPv4 address.
#[must_use]
pub fn disguises(address: [u8; 4]) -> Vec<String> {
    let [a, b, c, d] = address;
    let plain = Ipv4Addr::from(address);
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let turned = !u32::from(plain);
    let (turned_high, turned_low) = (turned >> 16, turned & 0xffff);
    let mut all = vec![
        format!("::ffff:{plain}"),
        format!("::FFFF:{high:x}:{low:x}"),
        format!("0:0:0:0:0:ffff:{high:04x}:{low:04x}"),
        format!("0000:0000:0000:0000:0000:ffff:{plain}"),
        format!("::ffff:0:{plain}"),
        format!("64:ff9b::{plain}"),
        format!("0064:FF9B::{high:x}:{low:x}"),
        format!("64:ff9b:1::{plain}"),
        format!("64:ff9b:1:{high:x}:{c:x}:{:x}::", u16::from(d) << 8),
        format!("64:ff9b:1:{a:x}:{b:x}:{low:x}::"),
        format!("64:ff9b:1:0:{a:x}:{:x}:{:x}::", u16::from_be_bytes([b, c]), u16::from(d) << 8),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2002:{high:04X}:{low:04X}:1:2:3:4:5"),
        format!("2001:0:{high:x}:{low:x}:0:0:f5fe:fdfc"),
        format!("2001:0:102:304:0:0:{turned_high:x}:{turned_low:x}"),
        format!("2001:db8::5efe:{plain}"),
        format!("2001:db8::200:5efe:{high:x}:{low:x}"),
    ];
    // `::0.0.0.1` is the loopback address.
    if u32::from(plain) > 1 {
        all.push(format!("::{plain}"));
        all.push(format!("0:0:0:0:0:0:{high:x}:{low:x}"));
    }
    all
}
