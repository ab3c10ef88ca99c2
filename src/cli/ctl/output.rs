//! Answers, written for people or for programs.

use std::io::IsTerminal;

use clap::ArgMatches;
use comfy_table::presets::{NOTHING, UTF8_FULL_CONDENSED};
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use serde_json::Value;

use super::failure::Failure;
use super::verb::Shows;
use crate::config::Env;

/// The columns of rows that come one by one; what is wider moves the rest of its line.
const WIDTHS: [usize; 9] = [24, 22, 16, 24, 16, 5, 12, 12, 0];

/// How wide a bar is.
const BAR: usize = 40;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Table,
    Json,
    Yaml,
}

/// How, and on what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    form: Form,
    terminal: bool,
    colours: bool,
}

impl Output {
    /// As the command line says, on this standard output.
    pub(super) fn new(said: &ArgMatches, env: &Env) -> Self {
        let form = match said.get_one::<String>("output").map(String::as_str) {
            Some("json") => Form::Json,
            Some("yaml") => Form::Yaml,
            _ => Form::Table,
        };
        let terminal = std::io::stdout().is_terminal();
        Self { form, terminal, colours: terminal && env.get("NO_COLOR").is_none() }
    }

    /// The answer as text. `many`: more follow, so that each stands alone.
    ///
    /// # Errors
    /// It cannot be written as YAML, which no answer causes.
    pub(super) fn text(self, shows: Shows, answer: &Value, many: bool) -> Result<String, Failure> {
        let broken = |error: serde_saphyr::SerializeError| Failure::Local(error.to_string());
        Ok(match self.form {
            Form::Json if many => format!("{answer}\n"),
            Form::Json => format!("{answer:#}\n"),
            Form::Yaml => {
                let text = serde_saphyr::to_string(answer).map_err(broken)?;
                if many { format!("---\n{text}") } else { text }
            }
            Form::Table => {
                let text = self.table(shows, answer);
                // On a terminal the newest takes the place of the one before.
                let clear = if many && self.terminal { "\x1b[2J\x1b[H" } else { "" };
                let end = if many && !self.terminal { "\n" } else { "" };
                format!("{clear}{text}{end}")
            }
        })
    }

    /// One row as it comes: it is not known how wide those are that follow.
    ///
    /// # Errors
    /// It cannot be written as YAML, which no answer causes.
    pub(super) fn one(self, columns: &[(&str, &str)], row: &Value) -> Result<String, Failure> {
        if self.form != Form::Table {
            return self.text(Shows::Fields, row, true);
        }
        if row["eventType"] == "RESYNC" {
            let revision = cell(&row["revision"]);
            return Ok(format!(
                "RESYNC: events are missing here; read the lists anew (they have revision \
                 {revision} or a later one)\n"
            ));
        }
        let cells = columns.iter().map(|(_, place)| cell(&find(row, place)));
        let line: String =
            cells.zip(WIDTHS).map(|(cell, width)| format!("{cell:<width$}  ")).collect();
        Ok(format!("{}\n", line.trim_end()))
    }

    fn table(self, shows: Shows, answer: &Value) -> String {
        match shows {
            Shows::Rows(list, columns) => {
                let titles = columns.iter().map(|(title, _)| self.title(title));
                let rows = answer[list].as_array().into_iter().flatten();
                let rows = rows.map(|row| {
                    columns.iter().map(|(_, place)| self.cell(&cell(&find(row, place)))).collect()
                });
                let mut text = self.lines(Some(titles.collect()), rows.collect());
                text.push_str(&remarks(answer, list));
                text
            }
            Shows::Progress(list, columns) => {
                let rows = self.table(Shows::Rows(list, columns), answer);
                format!("{}{rows}", self.progress(answer))
            }
            Shows::Fields => {
                let fields = answer.as_object().into_iter().flatten();
                let rows =
                    fields.map(|(name, value)| vec![self.title(name), self.cell(&cell(value))]);
                self.lines(None, rows.collect())
            }
            Shows::Message => {
                format!("{}\n", answer["message"].as_str().unwrap_or("done"))
            }
        }
    }

    /// How far it has come: a bar for those who look at it, numbers for all.
    fn progress(self, answer: &Value) -> String {
        let at = |place: &str| cell(&find(answer, place));
        let number = |place: &str| find(answer, place).as_u64().unwrap_or(0);
        let (done, total) = (number("/progress/done"), number("/progress/total"));
        let mut text = format!("{}: {} -> {}, {}", at("name"), at("from"), at("to"), at("state"));
        if answer["paused"] == true {
            text.push_str(", paused");
        }
        text.push('\n');
        if self.terminal {
            let full = if total == 0 { BAR } else { done as usize * BAR / total as usize };
            let bar = format!("{}{}", "█".repeat(full), "░".repeat(BAR - full));
            let colour = if done == total { "\x1b[32m" } else { "\x1b[33m" };
            text.push_str(&match self.colours {
                true => format!("{colour}{bar}\x1b[0m "),
                false => format!("{bar} "),
            });
        }
        text.push_str(&format!(
            "{} %  {done} of {total}, {} waiting, {} a second\n",
            at("parityPercent"),
            at("/progress/pending"),
            at("/progress/ratePerSecond"),
        ));
        text
    }

    fn lines(self, titles: Option<Vec<Cell>>, rows: Vec<Vec<Cell>>) -> String {
        let mut table = Table::new();
        if self.terminal {
            table.load_style(UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        } else {
            table.load_style(NOTHING);
        }
        if self.colours {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(titles) = titles {
            table.set_header(titles);
        }
        table.add_rows(rows);
        if !self.terminal {
            // No blank before the first column, none after the last, two between.
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
        }
        let lines: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        lines
    }

    fn title(self, text: &str) -> Cell {
        let cell = Cell::new(text);
        if self.colours { cell.add_attribute(Attribute::Bold) } else { cell }
    }

    fn cell(self, text: &str) -> Cell {
        let cell = Cell::new(text);
        let colour = match text {
            "UP" | "HEALTHY" | "LIVE" | "CONNECTED" | "DONE" => Color::Green,
            "DOWN" | "UNHEALTHY" | "ERROR" => Color::Red,
            "STARTING" | "OUT_OF_SERVICE" | "STALE" | "PROTECTED" | "CONNECTING"
            | "DISCONNECTED" => Color::Yellow,
            _ => return cell,
        };
        if self.colours { cell.fg(colour) } else { cell }
    }
}

/// What a list says of itself and its rows do not show.
fn remarks(answer: &Value, list: &str) -> String {
    let shown = answer[list].as_array().map_or(0, Vec::len) as u64;
    let mut text = String::new();
    match answer["count"].as_u64() {
        Some(count) if count > shown => {
            let more = if list == "events" { "--limit, --since" } else { "--page, --page-size" };
            text.push_str(&format!("({shown} of {count}: {more})\n"));
        }
        _ if shown == 0 => text.push_str("(none)\n"),
        _ => {}
    }
    for (flag, means) in [
        ("stale", "stale: a source does not answer; this is what it last said"),
        ("partial", "partial: a source was never read; there may be more"),
        ("protected", "protected: too few are healthy, so that the filter by health is lifted"),
    ] {
        if answer[flag] == true {
            text.push_str(&format!("({means})\n"));
        }
    }
    if answer["success"] == false {
        text.push_str(&format!("failed at {}\n", cell(&answer["failedStep"])));
    }
    text
}

/// The value at this place: a field, or `/a/*/b` for all `b` of the list `a`.
fn find(row: &Value, place: &str) -> Value {
    let Some(path) = place.strip_prefix('/') else {
        return row[place].clone();
    };
    if let Some((list, rest)) = path.split_once("/*/") {
        let items = row[list].as_array().into_iter().flatten();
        return items.map(|item| item[rest].clone()).collect();
    }
    row.pointer(place).cloned().unwrap_or_default()
}

/// A value in a line.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        // What a registry says must not move the cursor.
        Value::String(text) => text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(cell).collect::<Vec<_>>().join(",")
        }
        Value::Array(items) => format!("{} entries (-o yaml)", items.len()),
        Value::Object(fields) if fields.is_empty() => "-".to_owned(),
        Value::Object(fields) => {
            let pairs = fields.iter().map(|(key, value)| format!("{key}={}", cell(value)));
            pairs.collect::<Vec<_>>().join(",")
        }
    }
}
