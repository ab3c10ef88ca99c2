//! An event on its way to a line.

use std::fmt;

use chrono::{DateTime, Utc};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The longest text of one value, in bytes; what is longer ends in an ellipsis. The hub logs names
/// and errors: only a mistake, or somebody who wants to fill the disk, comes near it.
const MAX_VALUE: usize = 8 * 1024;

/// What a line says.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub time: DateTime<Utc>,
    pub level: Level,
    pub target: &'a str,
    pub message: String,
    pub fields: Vec<(&'a str, Value)>,
}

/// A value of a field.
#[derive(Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    /// A number or a truth: written as it is.
    Plain(String),
}

impl Line<'static> {
    pub(super) fn of(event: &Event<'_>, time: DateTime<Utc>, request: Option<String>) -> Self {
        let meta = event.metadata();
        let mut line = Self {
            time,
            level: *meta.level(),
            target: meta.target(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut line);
        if let Some(request) = request {
            line.fields.push(("request.id", Value::Text(request)));
        }
        line
    }
}

impl Line<'_> {
    fn text(&mut self, field: &Field, mut text: String) {
        if text.len() > MAX_VALUE {
            let end = (0..=MAX_VALUE).rev().find(|end| text.is_char_boundary(*end));
            text.truncate(end.unwrap_or_default());
            text.push('…');
        }
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), Value::Text(text)));
        }
    }

    fn plain(&mut self, field: &Field, value: impl ToString) {
        self.fields.push((field.name(), Value::Plain(value.to_string())));
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, value.to_string());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.plain(field, value);
        } else {
            self.text(field, value.to_string());
        }
    }
}

/// Characters that do something to a terminal, to the order of the text around them, or to
/// programs that read line by line: never written as they are.
pub(super) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

#[cfg(test)]
pub(super) fn sample<'a>(message: &str, fields: Vec<(&'a str, Value)>) -> Line<'a> {
    Line {
        time: crate::clock::at(1_700_000_000_123),
        level: Level::INFO,
        target: "hub_registry::app",
        message: message.to_owned(),
        fields,
    }
}
