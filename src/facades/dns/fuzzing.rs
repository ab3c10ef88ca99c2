//! What reads questions and writes answers, for fuzzing.

use std::net::IpAddr;

use hickory_proto::op::{Message, ResponseCode};

use super::message::{self, Way};
use super::question::Wanted;
use super::zone::{Kind, Lookup, Outcome, Place, Target};
use super::{Names, question};

/// A question, and what its name asks for.
pub(in crate::facades) fn question(bytes: &[u8]) {
    message::refused(bytes, ResponseCode::FormErr);
    let Ok(question) = Message::from_vec(bytes) else { return };
    let names = names();
    for query in &question.queries {
        let text = query.name().to_utf8();
        let labels: Vec<_> = text.trim_end_matches('.').split('.').collect();
        question::read(&labels, &names);
    }
}

/// A question's answer by either way: where there is one it can be read, is to the question, and is
/// no longer than the way lets it be.
pub(in crate::facades) fn answer(bytes: &[u8]) {
    for (way, most) in [(Way::Udp, 1232), (Way::Tcp, usize::from(u16::MAX))] {
        let Some(answer) = message::answer(&ByName, &names(), bytes, way) else { continue };
        assert!(answer.bytes.len() <= most, "{way:?}: {} bytes", answer.bytes.len());
        let read = Message::from_vec(&answer.bytes).expect("an answer that can be read");
        assert_eq!(read.metadata.id.to_be_bytes(), bytes[..2], "{way:?}");
        let Ok(asked) = Message::from_vec(bytes) else { continue };
        if way == Way::Udp && asked.edns.is_none() {
            assert!(answer.bytes.len() <= 512, "{} bytes without EDNS", answer.bytes.len());
        }
        let room_left = answer.bytes.len() < 400 && read.answers.len() < 100;
        assert!(!(read.metadata.truncation && room_left), "{way:?} is cut without need: {read}");
    }
}

fn names() -> Names {
    Names::new("consul", "dc1")
}

/// What a service has is in the first letter of its name: many instances, some, one by its name,
/// nothing; or nobody knows.
#[derive(Debug)]
struct ByName;

impl Lookup for ByName {
    fn revision(&self) -> i64 {
        1
    }

    fn find(&self, readings: &[Wanted], kind: Kind, most: usize) -> Outcome {
        let first = readings.first().and_then(|wanted| wanted.service.bytes().next());
        let count: u16 = match first {
            Some(b'm') => 2000,
            Some(b'n') => return Outcome::Nothing,
            Some(b'u') => return Outcome::Unclear,
            _ => 3,
        };
        let host = |number: u16| match (first, kind) {
            (Some(b'h'), _) => Target::Name(format!("host-{number}.example")),
            (_, Kind::V6) => Target::Address(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number])),
            _ => Target::Address(IpAddr::from([10, 0, (number >> 8) as u8, number as u8])),
        };
        let place = |number| Place { host: host(number), port: 80 + number, weight: 100 };
        let taken = most.min(usize::from(count));
        let places = if kind == Kind::Other { Vec::new() } else { (0..count).map(place).collect() };
        Outcome::Places {
            more: kind != Kind::Other && usize::from(count) > taken,
            places: places.into_iter().take(taken).collect(),
        }
    }
}
