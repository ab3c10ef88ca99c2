//! An instance from XML.
//!
//! Read as the JSON that says the same, so that one set of rules holds for both. A document type is
//! refused, and with it every entity but XML's own five: there is nothing that could grow.

use hub_registry_eureka::wire::InstanceInfo;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::names::unescape;

/// An instance needs four.
const MAX_DEPTH: usize = 8;
/// The parts of an instance whose own parts are free keys.
const FREE: &str = "metadata";

/// Reads the element `instance`.
///
/// # Errors
/// What is wrong with it, and where.
pub(in super::super) fn read(body: &[u8]) -> Result<InstanceInfo, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("is not UTF-8: {error}"))?;
    let value = tree(text)?;
    InstanceInfo::deserialize(value).map_err(|error| error.to_string())
}

struct Open {
    name: String,
    attributes: Map<String, Value>,
    children: Map<String, Value>,
    text: String,
}

impl Open {
    fn value(self) -> Value {
        if self.name == "port" || self.name == "securePort" {
            // `Converters.InstanceInfoConverter`: where it is not said, the plain one is open.
            let usual = || Value::Bool(self.name == "port");
            let enabled = self.attributes.get("enabled").cloned().unwrap_or_else(usual);
            return json!({ "$": self.text.trim(), "@enabled": enabled });
        }
        let holds = matches!(&*self.name, "instance" | "leaseInfo" | "dataCenterInfo" | FREE);
        if !holds {
            return Value::String(self.text);
        }
        let mut children = self.children;
        if let Some(class) = self.attributes.get("class").filter(|_| self.name != FREE) {
            children.insert("@class".to_owned(), class.clone());
        }
        Value::Object(children)
    }
}

fn tree(text: &str) -> Result<Value, String> {
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let at = reader.buffer_position();
        let wrong = |what: &str| format!("{what} at byte {at}");
        let event = reader.read_event().map_err(|error| wrong(&error.to_string()))?;
        match event {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    return Err(wrong(&format!("is more than {MAX_DEPTH} elements deep")));
                }
                open.push(begin(&start, &open).map_err(|what| wrong(&what))?);
            }
            Event::Empty(start) => {
                let empty = begin(&start, &open).map_err(|what| wrong(&what))?;
                if let Some(whole) = end(empty, &mut open) {
                    return Ok(whole);
                }
            }
            Event::End(_) => {
                // The reader holds against each other what begins and ends.
                let Some(done) = open.pop() else { return Err(wrong("ends what did not begin")) };
                if let Some(whole) = end(done, &mut open) {
                    return Ok(whole);
                }
            }
            Event::Text(part) => push(&mut open, &part.xml10_content()),
            Event::CData(part) => push(&mut open, &part.xml10_content()),
            Event::GeneralRef(reference) => {
                push(&mut open, &entity(&reference).map_err(|what| wrong(&what))?);
            }
            Event::DocType(_) => return Err(wrong("has a document type, which is not taken")),
            Event::Eof => return Err(wrong("ends before its element does")),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
}

fn begin(start: &BytesStart<'_>, open: &[Open]) -> Result<Open, String> {
    let raw = start.name().into_inner().to_owned();
    if open.is_empty() && raw != "instance" {
        let shown: String = raw.chars().take(60).collect();
        return Err(format!("begins with <{shown}>, must be <instance>"));
    }
    let is_key = open.last().is_some_and(|parent| parent.name == FREE);
    let name = if is_key { unescape(&raw) } else { raw };
    let mut attributes = Map::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let key = attribute.key.into_inner().to_owned();
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        attributes.insert(key, json!(value.map_err(|error| error.to_string())?));
    }
    Ok(Open { name, attributes, children: Map::new(), text: String::new() })
}

/// The whole document, when this was its element.
fn end(done: Open, open: &mut [Open]) -> Option<Value> {
    let name = done.name.clone();
    let is_key = open.last().is_some_and(|parent| parent.name == FREE);
    // A free key may have the name of a part.
    let value = if is_key { Value::String(done.text) } else { done.value() };
    match open.last_mut() {
        None => Some(value),
        Some(parent) => {
            parent.children.insert(name, value);
            None
        }
    }
}

fn push(open: &mut [Open], text: &str) {
    if let Some(last) = open.last_mut() {
        last.text.push_str(text);
    }
}

fn entity(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(c) = reference.resolve_char_ref().map_err(|error| error.to_string())? {
        return Ok(c.to_string());
    }
    let known = quick_xml::escape::resolve_xml_entity(reference);
    known.map(str::to_owned).ok_or_else(|| "has an entity that XML does not define".to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::instance;
    use super::*;

    const SENT: &str = r#"<?xml version="1.0"?><!-- py --><instance>
        <instanceId>10.0.0.1:web:80</instanceId><hostName>h&amp;1</hostName><app>WEB</app>
        <ipAddr>10.0.0.1</ipAddr><status>UP</status><overriddenstatus>UNKNOWN</overriddenstatus>
        <port enabled="true">80</port><securePort enabled="false">443</securePort>
        <dataCenterInfo class="com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo"><name>MyOwn</name></dataCenterInfo>
        <leaseInfo><renewalIntervalInSecs>5</renewalIntervalInSecs><durationInSecs>15</durationInSecs></leaseInfo>
        <metadata class="java.util.Collections$EmptyMap"><a__b>&#x31;&lt;</a__b><port><![CDATA[x]]></port><e/></metadata>
        <vipAddress>web</vipAddress></instance>"#;

    #[test]
    fn what_is_written_is_read() {
        let read_once = read(SENT.as_bytes()).unwrap();
        assert_eq!((&*read_once.host_name, read_once.port.unwrap().open()), ("h&1", Some(80)));
        assert_eq!(read_once.lease_info.unwrap().duration_in_secs, Some(15));
        let pairs = [("a_b", "1<"), ("e", ""), ("port", "x")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read_once.metadata, pairs.into());
        let mut out = Vec::new();
        instance(&read_once, &mut out);
        let mut again = read(&out).unwrap();
        assert_eq!(again.is_coordinating_discovery_server, Some(false));
        assert_eq!(again.lease_info.unwrap().eviction_timestamp, Some(0));
        again.is_coordinating_discovery_server = None;
        again.lease_info = read_once.lease_info;
        let mut before = read_once.clone();
        before.overridden_status_lower = again.overridden_status_lower.clone();
        assert_eq!(again, before);
    }

    #[test]
    fn what_could_grow_or_is_broken_is_refused() {
        let deep = format!("<instance>{}", "<a>".repeat(9));
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aa">]><instance><app>&a;</app></instance>"#;
        for (wrong, why) in [
            (bomb, "document type"),
            (&*deep, "deep"),
            ("<instance><app>&a;</app></instance>", "entity"),
            ("<instance><app>x</instance>", "byte"),
            ("<instance><app>x</app>", "ends before"),
            ("<application/>", "must be <instance>"),
            ("", "ends before"),
            ("no XML", "ends before"),
            ("<instance><app>&#0;</app></instance>", "byte"),
        ] {
            let error = read(wrong.as_bytes()).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
        assert!(read(b"<instance>\xff</instance>").unwrap_err().contains("UTF-8"));
    }
}
