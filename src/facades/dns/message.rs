//! From the bytes of a question to those of its answer (RFC 1035, 2782, 6891).

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{CNAME, SOA, SRV};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use super::Names;
use super::question::{self, Asked};
use super::zone::{Kind, Lookup, Outcome, Place, Target};

/// An answer without EDNS is no longer than this over UDP (RFC 1035 4.2.1).
const SHORT: u16 = 512;
/// Longer ones would be cut into fragments on their way (<https://www.dnsflagday.net/2020/>).
const UNFRAGMENTED: u16 = 1232;
/// The length of a header: what is shorter can have no answer.
const HEADER: usize = 12;
/// The length of what says that EDNS is spoken (RFC 6891 6.1.2), which is written last.
const EDNS: u16 = 11;

/// How a question came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Udp,
    Tcp,
}

impl Way {
    /// Instances in one answer at most: in a datagram there is room for fewer.
    fn most(self) -> usize {
        match self {
            Self::Udp => 100,
            Self::Tcp => 1000,
        }
    }
}

/// An answer, and what is counted of it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    pub(super) kind: &'static str,
    pub(super) code: &'static str,
}

/// What goes into a message.
#[derive(Debug, Default)]
struct Said {
    code: ResponseCode,
    authoritative: bool,
    answers: Vec<Record>,
    additionals: Vec<Record>,
    /// The zone's record, for an answer that says "there is none".
    soa: bool,
    /// There are more than were taken.
    more: bool,
}

impl Said {
    fn only(code: ResponseCode) -> Self {
        Self { code, ..Self::default() }
    }

    fn none(code: ResponseCode) -> Self {
        Self { code, authoritative: true, soa: true, ..Self::default() }
    }

    fn some(answers: Vec<Record>) -> Self {
        Self { authoritative: true, answers, ..Self::default() }
    }
}

/// The answer to these bytes; none to what is no question, so that two servers never talk to each
/// other for ever.
pub(super) fn answer(zone: &impl Lookup, names: &Names, bytes: &[u8], way: Way) -> Option<Answer> {
    let header = bytes.first_chunk::<HEADER>()?;
    if header[2] & 0x80 != 0 {
        return None;
    }
    // Before it is read: room would be made for as many questions as it says.
    if header[4..6] != [0, 1] {
        return refused(bytes, ResponseCode::FormErr);
    }
    let question = match Message::from_vec(bytes) {
        Ok(question) if question.metadata.message_type == MessageType::Query => question,
        Ok(_) => return None,
        Err(_) => return refused(bytes, ResponseCode::FormErr),
    };
    let query = match &question.queries[..] {
        [query] => Some(query),
        _ => None,
    };
    let bad_version = question.edns.as_ref().is_some_and(|edns| edns.version() > 0);
    let said = match (query, question.metadata.op_code) {
        // RFC 6891 6.1.3.
        _ if bad_version => Said::only(ResponseCode::BADVERS),
        (_, code) if code != OpCode::Query => Said::only(ResponseCode::NotImp),
        (None, _) => Said::only(ResponseCode::FormErr),
        (Some(query), _) => say(zone, names, query, way),
    };
    let kind = query.map_or("other", |query| kind(query.query_type()));
    let code = word(said.code);
    let mut message = Message::response(0, OpCode::Query);
    message.metadata = Metadata::response_from_request(&question.metadata);
    message.metadata.response_code = said.code;
    message.metadata.authoritative = said.authoritative;
    message.answers = said.answers;
    message.additionals = said.additionals;
    if said.soa {
        message.authorities.push(names.soa(zone.revision()));
    }
    let most =
        question.edns.as_ref().map_or(SHORT, |edns| edns.max_payload().clamp(SHORT, UNFRAGMENTED));
    if let Some(asked) = &question.edns {
        let mut edns = Edns::new();
        // RFC 3225 3.
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        edns.set_max_payload(UNFRAGMENTED);
        message.edns = Some(edns);
    }
    message.queries = question.queries;
    let most = if way == Way::Tcp { u16::MAX } else { most };
    let is_cut = said.more;
    Some(Answer { bytes: encoded(message, most, way, is_cut)?, kind, code })
}

/// As long as it may be. What was added to the answer goes first, since nobody has to ask for it
/// again (RFC 2181 9).
fn encoded(mut message: Message, most: u16, way: Way, is_cut: bool) -> Option<Vec<u8>> {
    // By TCP there is nobody to be sent to for the rest.
    message.metadata.truncation = is_cut && way == Way::Udp;
    let fits = |bytes: &[u8], message: &Message| {
        let added = message.additionals.len() + usize::from(message.edns.is_some());
        counts(bytes) == [message.answers.len(), message.authorities.len(), added]
    };
    let bytes = written(&message, most)?;
    if fits(&bytes, &message) {
        return Some(bytes);
    }
    message.additionals.clear();
    let bytes = written(&message, most)?;
    if fits(&bytes, &message) {
        return Some(bytes);
    }
    // Cut where what is written last has room.
    let edns = message.edns.take();
    let bytes = written(&message, most - EDNS)?;
    message.answers.truncate(counts(&bytes)[0]);
    message.metadata.truncation = way == Way::Udp;
    message.edns = edns;
    written(&message, most)
}

/// How many records of each section are in a message.
fn counts(bytes: &[u8]) -> [usize; 3] {
    let at = |place| {
        let pair = bytes.get(place..place + 2).and_then(|pair| <[u8; 2]>::try_from(pair).ok());
        usize::from(pair.map_or(0, u16::from_be_bytes))
    };
    [at(6), at(8), at(10)]
}

fn written(message: &Message, most: u16) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::from(SHORT));
    let mut encoder = BinEncoder::new(&mut bytes);
    encoder.set_max_size(most);
    message.emit(&mut encoder).ok()?;
    Some(bytes)
}

/// To what has the header of a question, and nothing else that can be told.
pub(super) fn refused(bytes: &[u8], code: ResponseCode) -> Option<Answer> {
    let header = bytes.first_chunk::<HEADER>()?;
    let id = u16::from_be_bytes([header[0], header[1]]);
    let mut message = Message::error_msg(id, OpCode::Query, code);
    message.metadata.recursion_desired = header[2] & 1 != 0;
    Some(Answer { bytes: message.to_vec().ok()?, kind: "other", code: word(code) })
}

fn say(zone: &impl Lookup, names: &Names, query: &Query, way: Way) -> Said {
    let (name, wanted) = (query.name(), query.query_type());
    let is_ours = matches!(query.query_class(), DNSClass::IN | DNSClass::ANY);
    if !is_ours || matches!(wanted, RecordType::AXFR | RecordType::IXFR) {
        return Said::only(ResponseCode::Refused);
    }
    // Names of services are text without dots of their own: what is none is nothing.
    let label = |label: &[u8]| String::from_utf8_lossy(label).replace('.', "\u{fffd}");
    let labels: Vec<_> = name.iter().map(label).collect();
    let labels: Vec<_> = labels.iter().map(String::as_str).collect();
    match question::read(&labels, names) {
        Asked::NotOurs => Said::only(ResponseCode::Refused),
        Asked::Nothing => Said::none(ResponseCode::NXDomain),
        Asked::Apex if matches!(wanted, RecordType::SOA | RecordType::ANY) => {
            Said::some(vec![names.soa(zone.revision())])
        }
        Asked::Apex | Asked::Between => Said::none(ResponseCode::NoError),
        Asked::Address(address) => {
            let record = addressed(name, names.ttl, address);
            let fits = wanted == RecordType::ANY || wanted == record.record_type();
            if fits { Said::some(vec![record]) } else { Said::none(ResponseCode::NoError) }
        }
        Asked::Service(readings) => {
            let kind = match wanted {
                RecordType::A => Kind::V4,
                RecordType::AAAA => Kind::V6,
                RecordType::ANY | RecordType::CNAME => Kind::Addresses,
                RecordType::SRV => Kind::Services,
                _ => Kind::Other,
            };
            match zone.find(&readings, kind, way.most()) {
                Outcome::Unclear => Said::only(ResponseCode::ServFail),
                Outcome::Nothing => Said::none(ResponseCode::NXDomain),
                Outcome::Places { places, more } => {
                    let said = there(names, name, wanted, &places);
                    // What there is none of is not cut.
                    Said { more: more && !said.answers.is_empty(), ..said }
                }
            }
        }
    }
}

fn there(names: &Names, name: &Name, wanted: RecordType, places: &[Place]) -> Said {
    let said = match wanted {
        RecordType::SRV => services(names, name, places),
        _ => Said::some(hosts(names, name, wanted, places)),
    };
    if said.answers.is_empty() { Said::none(ResponseCode::NoError) } else { said }
}

/// Addresses, each once, or an alias.
fn hosts(names: &Names, name: &Name, wanted: RecordType, places: &[Place]) -> Vec<Record> {
    let mut seen = BTreeSet::new();
    let record = |place: &Place| match &place.host {
        Target::Address(_) if wanted == RecordType::CNAME => None,
        Target::Address(address) if seen.insert(*address) => {
            Some(addressed(name, names.ttl, *address))
        }
        Target::Address(_) => None,
        // Not to be kept: a name with an alias has nothing else (RFC 1034 3.6.2), and this one has
        // service records.
        Target::Name(host) => {
            let alias = Name::from_ascii(host).ok()?;
            Some(Record::from_rdata(name.clone(), 0, RData::CNAME(CNAME(alias))))
        }
    };
    places.iter().filter_map(record).collect()
}

fn services(names: &Names, name: &Name, places: &[Place]) -> Said {
    let mut said = Said { authoritative: true, ..Said::default() };
    for place in places {
        let Some(target) = target(names, &place.host) else { continue };
        let data = RData::SRV(SRV::new(1, place.weight, place.port, target));
        said.answers.push(Record::from_rdata(name.clone(), names.ttl, data));
    }
    let hosts: BTreeSet<_> = places.iter().map(|place| &place.host).collect();
    for host in hosts {
        if let (Target::Address(address), Some(name)) = (host, target(names, host)) {
            said.additionals.push(addressed(&name, names.ttl, *address));
        }
    }
    said
}

/// A name for the target of a service record, which may not be an address.
fn target(names: &Names, host: &Target) -> Option<Name> {
    match host {
        Target::Name(host) => {
            let mut name = Name::from_ascii(host).ok()?;
            name.set_fqdn(true);
            Some(name)
        }
        Target::Address(address) => {
            let own = [question::hex(*address), "addr".to_owned(), names.datacenter.clone()];
            Name::from_labels(own.iter().chain(&names.domain).map(String::as_bytes)).ok()
        }
    }
}

fn addressed(name: &Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(address) => RData::A(address.into()),
        IpAddr::V6(address) => RData::AAAA(address.into()),
    };
    Record::from_rdata(name.clone(), ttl, data)
}

impl Names {
    /// The zone's own record: what is not there is asked for again after the usual time.
    fn soa(&self, revision: i64) -> Record {
        let name = |first: Option<&str>| {
            let labels = first.into_iter().map(str::as_bytes);
            let labels = labels.chain(self.domain.iter().map(String::as_bytes));
            Name::from_labels(labels).unwrap_or_default()
        };
        // A serial number goes round (RFC 1982).
        let serial = revision as u32;
        let soa = SOA::new(
            name(Some("ns")),
            name(Some("hostmaster")),
            serial,
            3600,
            600,
            86_400,
            self.ttl,
        );
        Record::from_rdata(name(None), self.ttl, RData::SOA(soa))
    }
}

/// Types are numbers of the sender's choice: a label must not be.
fn kind(wanted: RecordType) -> &'static str {
    match wanted {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::SRV => "SRV",
        RecordType::ANY => "ANY",
        RecordType::SOA => "SOA",
        _ => "other",
    }
}

fn word(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::BADVERS => "BADVERS",
        _ => "other",
    }
}
