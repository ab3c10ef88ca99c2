//! JSON from outside, read strictly: of bounded depth, no key twice, no character that databases
//! and C strings cannot hold.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::error::{Error, Result};

/// How deep lists and objects may nest.
pub const MAX_DEPTH: usize = 32;

/// Reads one JSON value. `field` is what errors call the whole; parts of it are named by their
/// path in it.
///
/// # Errors
/// The field, the value and the rule. One pass over the text, and no deeper into it than
/// [`MAX_DEPTH`].
pub fn parse(field: &str, text: &[u8]) -> Result<Value> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Error::invalid(field, Value::Null, "must be JSON in UTF-8"));
    };
    let fault = RefCell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let parsed = Strict { depth: 0, fault: &fault }.deserialize(&mut reader);
    let parsed = parsed.and_then(|value| reader.end().map(|()| value));
    parsed.map_err(|error| match fault.into_inner() {
        Some(Fault { path, value, rule }) => Error::invalid(&named(field, &path), value, rule),
        None => not_json(field, text, &error),
    })
}

/// A part of the whole: of a body by its path alone, since every path is in it.
fn named(whole: &str, path: &str) -> String {
    match (whole, path) {
        (whole, "") => whole.to_owned(),
        ("body", path) => path.to_owned(),
        (whole, path) if path.starts_with('[') => format!("{whole}{path}"),
        (whole, path) => format!("{whole}.{path}"),
    }
}

fn not_json(field: &str, text: &str, error: &serde_json::Error) -> Error {
    if text.trim_ascii().is_empty() {
        return Error::invalid(field, "", "must be JSON, and is empty");
    }
    let what = if error.is_eof() {
        "it ends too early"
    } else if ["surrogate", "hex escape"].iter().any(|word| error.to_string().contains(word)) {
        "an escape is no character, or half of a surrogate pair,"
    } else if error.to_string().contains("out of range") {
        "a number is too large"
    } else {
        "it stops being JSON"
    };
    let (line, column) = (error.line(), error.column());
    let near = near(text, line, column);
    let rule = format!("must be JSON: {what} at line {line}, column {column}");
    Error::invalid(field, near, &rule)
}

/// The text around a place.
fn near(text: &str, line: usize, column: usize) -> String {
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().as_bytes();
    let at = column.min(line.len());
    let part = &line[at.saturating_sub(20)..(at + 10).min(line.len())];
    String::from_utf8_lossy(part).chars().filter(|c| !c.is_control()).collect()
}

struct Fault {
    path: String,
    value: Value,
    rule: &'static str,
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    fault: &'a RefCell<Option<Fault>>,
}

impl Strict<'_> {
    fn inside(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }

    fn fail<E: serde::de::Error>(self, path: &str, value: Value, rule: &'static str) -> E {
        let path = short(path);
        *self.fault.borrow_mut() = Some(Fault { path, value, rule });
        E::custom(rule)
    }

    /// On the way out each level adds where it was.
    fn came_from(self, place: impl FnOnce() -> String) {
        if let Some(fault) = self.fault.borrow_mut().as_mut()
            && fault.path.len() < 200
        {
            let joint = if fault.path.is_empty() || fault.path.starts_with('[') { "" } else { "." };
            fault.path = format!("{}{joint}{}", short(&place()), fault.path);
        }
    }

    fn text<E: serde::de::Error>(self, text: String) -> Result<String, E> {
        if text.contains('\0') {
            let rule = "must not contain the character U+0000";
            return Err(self.fail("", Value::Null, rule));
        }
        Ok(text)
    }
}

fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Value, E> {
        self.text(value.to_owned()).map(Value::String)
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> Result<Value, E> {
        self.text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        let inside = self.enter()?;
        loop {
            match items.next_element_seed(inside) {
                Ok(Some(value)) => list.push(value),
                Ok(None) => return Ok(Value::Array(list)),
                Err(error) => {
                    self.came_from(|| format!("[{}]", list.len()));
                    return Err(error);
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let inside = self.enter()?;
        while let Some(key) = pairs.next_key::<String>()? {
            let key = self.text(key)?;
            if map.contains_key(&key) {
                return Err(self.fail(&key, Value::String(key.clone()), "must be given once"));
            }
            match pairs.next_value_seed(inside) {
                Ok(value) => map.insert(key, value),
                Err(error) => {
                    self.came_from(|| key);
                    return Err(error);
                }
            };
        }
        Ok(Value::Object(map))
    }
}

impl Strict<'_> {
    fn enter<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            return Err(self.fail("", Value::Null, "must not nest deeper than 32"));
        }
        Ok(self.inside())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    fn rule(text: &str) -> (String, String) {
        let error = parse("body", text.as_bytes()).unwrap_err();
        let part = |name: &str| error.details[name].as_str().unwrap().to_owned();
        (part("field"), part("rule"))
    }

    #[test]
    fn a_key_twice_is_refused_at_any_depth() {
        assert_eq!(rule(r#"{"a":1,"a":1}"#), ("a".to_owned(), "must be given once".to_owned()));
        assert_eq!(rule(r#"{"x":[0,{"y":{"a":1,"\u0061":2}}]}"#).0, "x[1].y.a");
    }

    #[test]
    fn depth_is_bounded_while_reading() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse("body", nested(32).as_bytes()).is_ok());
        assert_eq!(rule(&nested(33)).1, "must not nest deeper than 32");
        // Without an end, and large: told at the 33rd bracket.
        assert_eq!(rule(&"[".repeat(1 << 20)).1, "must not nest deeper than 32");
        assert_eq!(rule(&"{\"a\":".repeat(1 << 18)).1, "must not nest deeper than 32");
    }

    #[test]
    fn what_is_no_json_says_where() {
        assert!(rule("").1.contains("is empty"));
        assert!(rule("{\"a\":").1.contains("ends too early at line 1, column 5"));
        assert!(rule("{\"a\":tru}").1.contains("stops being JSON at line 1"));
        assert!(rule(r#"{"a":"\ud800"}"#).1.contains("surrogate"));
        assert!(rule("{\"a\":1e999}").1.contains("too large"));
        assert!(rule("{} x").1.contains("stops being JSON"));
        assert_eq!(rule(r#"{"a":{"b":"x\u0000"}}"#).0, "a.b");
        assert!(parse("body", b"\"\xff\"").unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn no_error_repeats_a_megabyte() {
        let long = "k".repeat(1 << 20);
        for text in [format!("{{\"{long}\":1,\"{long}\":2}}"), format!("{{\"{long}\":x}}")] {
            let error = parse("body", text.as_bytes()).unwrap_err();
            assert!(error.details.to_string().len() + error.message.len() < 2000);
        }
    }

    proptest! {
        /// What it accepts it reads as anybody else does.
        #[test]
        fn it_reads_what_was_written(
            numbers in prop::collection::vec(any::<f64>().prop_filter("finite", |n| n.is_finite()), 0..5),
            texts in prop::collection::btree_map("[^\0]{0,8}", "[^\0]{0,8}", 0..5),
            whole in any::<i64>(),
        ) {
            let value = json!({ "n": numbers, "t": texts, "w": whole, "l": [null, true, {}] });
            let read = parse("body", value.to_string().as_bytes());
            prop_assert_eq!(read.unwrap(), serde_json::from_str::<Value>(&value.to_string()).unwrap());
        }
    }

    use proptest::strategy::Strategy as _;
}
