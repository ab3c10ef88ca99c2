//! The YAML file: each key with its value and its line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_saphyr::{MergeKeyPolicy, Options, Spanned};

use super::keys;
use super::problem::{Origin, Problem};

/// A key of the file.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: &'static keys::Key,
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<(Vec<Entry>, Vec<Problem>), Problem> {
    let origin = Origin::File { path: Arc::new(path.to_owned()), line: 0 };
    let text = std::fs::read_to_string(path).map_err(|error| Problem {
        origin: Some(origin),
        key: String::new(),
        message: format!("the configuration file cannot be read: {error}"),
    })?;
    parse(path, &text)
}

/// The keys that are known, and what is wrong with the others.
pub(super) fn parse(path: &Path, text: &str) -> Result<(Vec<Entry>, Vec<Problem>), Problem> {
    let path = Arc::new(path.to_owned());
    let mut options = Options::default();
    // A snippet would print the lines around the fault, and one may hold a password.
    options.with_snippet = false;
    options.strict_booleans = true;
    options.merge_keys = MergeKeyPolicy::Error;
    let root: Node = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        Problem {
            origin: Some(Origin::File { path: Arc::clone(&path), line }),
            key: String::new(),
            message: format!("this is not valid YAML: {}", error.without_snippet()),
        }
    })?;
    let mut walk = Walk { path, entries: Vec::new(), problems: Vec::new() };
    match root {
        Node::Value(Value::Null) => {}
        Node::Map(map) => walk.section("", map),
        Node::Value(_) => walk.problem(1, "", "the file must hold sections"),
    }
    Ok((walk.entries, walk.problems))
}

struct Walk {
    path: Arc<PathBuf>,
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

impl Walk {
    fn section(&mut self, section: &str, map: Vec<(Spanned<String>, Node)>) {
        for (name, node) in map {
            let line = name.referenced.line();
            let path = match section {
                "" => name.value,
                _ => format!("{section}.{}", name.value),
            };
            let is_section = !keys::children(&path).is_empty();
            match (keys::find(&path), node) {
                (Some(key), Node::Value(value)) => {
                    let origin = Origin::File { path: Arc::clone(&self.path), line };
                    self.entries.push(Entry { key, origin, value });
                }
                (Some(key), Node::Map(_)) => {
                    self.problem(line, &path, &format!("must be {}", key.allowed()));
                }
                (None, Node::Map(map)) if is_section => self.section(&path, map),
                // A section whose keys are all commented out.
                (None, Node::Value(Value::Null)) if is_section => {}
                (None, _) if is_section => {
                    let keys = keys::children(&path).join(", ");
                    self.problem(line, &path, &format!("is a section with the keys {keys}"));
                }
                (None, _) => self.problem(line, &path, &unknown(section)),
            }
        }
    }

    fn problem(&mut self, line: u64, key: &str, message: &str) {
        let origin = Origin::File { path: Arc::clone(&self.path), line };
        let (key, message) = (key.to_owned(), message.to_owned());
        self.problems.push(Problem { origin: Some(origin), key, message });
    }
}

/// What to say about a key that is not in the table.
pub(super) fn unknown(section: &str) -> String {
    let place = if section.is_empty() { "the file" } else { section };
    format!("there is no such key; {place} has {}", keys::children(section).join(", "))
}

/// A part of the file.
enum Node {
    Value(Value),
    Map(Vec<(Spanned<String>, Self)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a section or a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Value(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Value(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Value(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element::<Value>()? {
            values.push(value);
        }
        Ok(Node::Value(values.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            entries.push((name, map.next_value::<Node>()?));
        }
        Ok(Node::Map(entries))
    }
}
