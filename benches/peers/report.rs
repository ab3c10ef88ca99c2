//! What came of it, as tables, as JSON and as a plot.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

/// One bar of the plot: a share of the limit.
#[derive(Debug)]
struct Bar {
    name: String,
    share: f64,
}

#[derive(Debug)]
pub(crate) struct Report {
    chapters: Vec<(String, Value)>,
    bars: Vec<Bar>,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { chapters: Vec::new(), bars: Vec::new() }
    }

    /// A table: what the columns are called, and a row for each subject.
    pub(crate) fn table(&mut self, title: &str, columns: &[&str], rows: &[Vec<String>]) {
        println!("\n### {title}\n");
        println!("| {} |", columns.join(" | "));
        println!("|{}", "---|".repeat(columns.len()));
        for row in rows {
            println!("| {} |", row.join(" | "));
        }
        let named = |row: &Vec<String>| -> Value {
            columns
                .iter()
                .zip(row)
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect()
        };
        let rows: Vec<_> = rows.iter().map(named).collect();
        self.chapters.push((title.to_owned(), json!(rows)));
    }

    pub(crate) fn bar(&mut self, name: &str, share: f64) {
        self.bars.push(Bar { name: name.to_owned(), share });
    }

    /// Writes what there is so far.
    pub(crate) fn save(&self) {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("../peers");
        std::fs::create_dir_all(&folder).unwrap();
        let when = chrono::Utc::now().to_rfc3339();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let chapters: Value = self.chapters.iter().cloned().collect();
        let all = json!({ "when": when, "cores": cores, "chapters": chapters });
        std::fs::write(folder.join("peers.json"), format!("{all:#}\n")).unwrap();
        std::fs::write(folder.join("peers.svg"), self.plot()).unwrap();
    }

    /// Bars of shares of the limit, the longest first as given.
    fn plot(&self) -> String {
        const ROW: usize = 24;
        let height = (self.bars.len() + 1) * ROW;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 720 {height}\" \
             font-family=\"sans-serif\" font-size=\"13\">\n\
             <rect width=\"720\" height=\"{height}\" fill=\"#fff\"/>\n\
             <line x1=\"660\" x2=\"660\" y1=\"0\" y2=\"{height}\" stroke=\"#999\"/>\n\
             <text x=\"656\" y=\"{}\" text-anchor=\"end\" fill=\"#666\">the limit</text>\n",
            height - 6
        );
        for (place, Bar { name, share }) in self.bars.iter().enumerate() {
            let (y, width) = (place * ROW + 4, (share.min(1.1) * 400.0).max(1.0));
            let fill = if name.starts_with("hub") { "#0b6e4f" } else { "#8aa2b2" };
            writeln!(
                svg,
                "<text x=\"250\" y=\"{}\" text-anchor=\"end\">{name}</text>\
                 <rect x=\"260\" y=\"{y}\" width=\"{width:.0}\" height=\"16\" fill=\"{fill}\"/>\
                 <text x=\"{:.0}\" y=\"{}\">{share:.2}</text>",
                y + 13,
                260.0 + width + 6.0,
                y + 13
            )
            .unwrap();
        }
        svg.push_str("</svg>\n");
        svg
    }
}
