//! A line as text.

use tracing::Level;

use super::line::{Line, Value, is_harmful};
use crate::clock::rfc3339;

const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// Time, level, target, message and `name=value`, and the end of the line.
pub(super) fn write(line: &Line<'_>, coloured: bool) -> String {
    let paint = |colour: &str, text: &str| {
        if coloured { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    };
    let level = format!("{:>5}", line.level.as_str());
    let mut text = format!(
        "{} {} {} {}",
        paint(DIM, &rfc3339(line.time)),
        paint(colour(line.level), &level),
        paint(DIM, &format!("{}:", line.target)),
        safe(&line.message)
    );
    for (name, value) in &line.fields {
        let value = match value {
            Value::Text(value) => field(value),
            Value::Plain(value) => value.clone(),
        };
        text.push(' ');
        text.push_str(&paint(DIM, &format!("{name}=")));
        text.push_str(&value);
    }
    text.push('\n');
    text
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

/// A value; in quotes where it could be taken for something else.
fn field(value: &str) -> String {
    let is_plain = |c: char| !c.is_whitespace() && !is_harmful(c) && !matches!(c, '"' | '=' | '\\');
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    format!("\"{}\"", safe(&value.replace('\\', "\\\\").replace('"', "\\\"")))
}

fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            safe.extend(c.escape_default());
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
    fn a_line_reads_by_itself() {
        let fields = vec![
            ("source", Value::Text("consul-a".to_owned())),
            ("error", Value::Text("list services: \"no\"".to_owned())),
            ("age_ms", Value::Plain("12".to_owned())),
        ];
        let line = sample("source went stale", fields);
        let plain = "2023-11-14T22:13:20.123Z  INFO hub_registry::app: source went stale \
                     source=consul-a error=\"list services: \\\"no\\\"\" age_ms=12\n";
        assert_eq!(write(&line, false), plain);
        assert!(write(&line, true).contains("\u{1b}[32m INFO\u{1b}[0m"));
    }

    #[test]
    fn nothing_in_a_value_leaves_its_line_or_reaches_the_terminal() {
        let evil = "a\r\n2023-11-14 ERROR b\u{1b}[31m\u{9b}2J\u{7f}\u{85}\u{2028}\u{202e} x=\"1\"";
        let text = write(&sample(evil, vec![("name", Value::Text(evil.to_owned()))]), false);
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        assert!(!text.trim_end().contains(is_harmful), "{text}");
        assert!(text.contains("name=\"a\\r\\n2023-11-14 ERROR b\\u{1b}[31m"), "{text}");
    }
}
