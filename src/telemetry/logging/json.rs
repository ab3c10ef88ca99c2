//! A line as JSON.

use serde_json::Value as Json;

use super::line::{Line, Value, is_harmful};
use crate::clock::rfc3339;

/// What a line always has; a field of the same name gets another one.
const OWN: &[&str] = &["timestamp", "level", "message", "target"];

/// One object, and the end of the line.
pub(super) fn write(line: &Line<'_>) -> String {
    let mut text = String::with_capacity(256);
    let mut put = |name: &str, value: &str| {
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push_str(&quoted(name));
        text.push(':');
        text.push_str(value);
    };
    put("timestamp", &quoted(&rfc3339(line.time)));
    put("level", &quoted(line.level.as_str()));
    put("message", &quoted(&line.message));
    for (name, value) in &line.fields {
        let value = match value {
            Value::Text(text) => &quoted(text),
            Value::Plain(text) => text,
        };
        if OWN.contains(name) {
            put(&format!("field.{name}"), value);
        } else {
            put(name, value);
        }
    }
    put("target", &quoted(line.target));
    text.push_str("}\n");
    text
}

/// JSON allows some characters that a terminal obeys (0x9b is the same as ESC and a bracket).
fn quoted(text: &str) -> String {
    let json = Json::from(text).to_string();
    if !json.contains(is_harmful) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_harmful(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::line::sample;
    use super::*;

    #[test]
    fn a_line_is_an_object() {
        let fields = vec![
            ("source.id", Value::Text("consul-a".to_owned())),
            ("age_ms", Value::Plain("12".to_owned())),
            ("level", Value::Text("debug".to_owned())),
        ];
        let text = write(&sample("source went stale", fields));
        assert!(text.ends_with("}\n"));
        assert_eq!(
            serde_json::from_str::<Json>(&text).unwrap(),
            serde_json::json!({
                "timestamp": "2023-11-14T22:13:20.123Z",
                "level": "INFO",
                "message": "source went stale",
                "source.id": "consul-a",
                "age_ms": 12,
                "field.level": "debug",
                "target": "hub_registry::app",
            })
        );
    }

    #[test]
    fn nothing_in_a_value_leaves_its_line_or_reaches_the_terminal() {
        let evil = "a\r\nb\u{1b}[31m\u{9b}2J\u{7f}\u{85}\u{2028}\u{202e}\"}\\é日";
        let fields = vec![("name", Value::Text(evil.to_owned()))];
        let text = write(&sample(evil, fields));
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.trim_end().contains(is_harmful), "{text}");
        let back: Json = serde_json::from_str(&text).unwrap();
        assert_eq!((&back["message"], &back["name"]), (&evil.into(), &evil.into()));
    }
}
