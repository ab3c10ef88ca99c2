//! How equal source and target are, as a page that needs nothing else.

use chrono::{DateTime, Utc};

use super::show::{percent, thinned};
use crate::clock::rfc3339;
use crate::sync::migration::{Report, Sample, Totals};

/// No script, nothing from elsewhere; its style is in it.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
                                 form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = "\
:root{color-scheme:light dark;--ok:#187a3d;--bad:#b3261e;--line:#8884;--soft:#8881}\
body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
table{border-collapse:collapse;width:100%}td,th{padding:.3rem .6rem;text-align:left;\
border-bottom:1px solid var(--line)}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
.big{font-size:2.4rem;font-weight:600}.ok{color:var(--ok)}.bad{color:var(--bad)}\
.figures{display:flex;gap:2rem;flex-wrap:wrap;align-items:baseline;margin:1rem 0}\
svg{width:100%;height:auto;background:var(--soft)}code{font-size:.9em}small{opacity:.75}";

/// Rows of the table of differences.
const ROWS: usize = 500;
/// The plot, in its own units.
const SIZE: (f64, f64) = (900.0, 180.0);

/// The page.
pub(super) fn of(report: &Report, history: &[Sample], now: DateTime<Utc>) -> String {
    let (migration, plan) = (&report.migration, &report.migration.plan);
    let Totals { equal, missing, extra, different } = report.totals;
    let (name, from, to) = (escaped(&plan.name), escaped(&plan.from), escaped(&plan.to));
    let all = percent(report.totals);
    let paused = if migration.paused { ", paused" } else { "" };
    let mut page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport \
         content=\"width=device-width\"><title>{name}: {all} %</title><style>{STYLE}</style>\
         <h1>{name}</h1><p>{from} → {to}, {state}{paused} <small>at {time}</small></p>\
         <div class=figures><span class=\"big {class}\">{all} %</span>\
         <span>{equal} equal</span><span>{missing} missing</span>\
         <span>{different} different</span><span>{extra} extra</span></div>",
        state = migration.state,
        time = rfc3339(now),
        class = class(report.totals.is_whole(false)),
    );
    page.push_str("<h2>Over time</h2>");
    page.push_str(&plot(history));
    if let Some(next) = migration.state.next() {
        page.push_str(&format!("<h2>Conditions of {next}</h2><table>"));
        for gate in &report.gates {
            let (class, word) = (class(gate.met), if gate.met { "met" } else { "not met" });
            let (gate, detail) = (gate.name, escaped(&gate.detail));
            let row = format!("<tr><td>{gate}<td class={class}>{word}<td>{detail}");
            page.push_str(&row);
        }
        page.push_str("</table>");
    }
    page.push_str(
        "<h2>Services</h2><table><tr><th>Group<th>Service<th>State<th class=n>Percent<th \
         class=n>Equal<th class=n>Missing<th class=n>Different<th class=n>Extra",
    );
    for (key, parity) in &report.parity {
        let totals = parity.totals();
        page.push_str(&format!(
            "<tr><td>{}<td>{}<td>{}<td class=\"n {}\">{}<td class=n>{}<td class=n>{}<td \
             class=n>{}<td class=n>{}",
            escaped(key.group.as_str()),
            escaped(key.name.as_str()),
            migration.state_of(key),
            class(totals.is_whole(false)),
            percent(totals),
            totals.equal,
            totals.missing,
            totals.different,
            totals.extra,
        ));
    }
    page.push_str("</table>");
    page.push_str(&details(report));
    page
}

/// What is missing or different, address by address.
fn details(report: &Report) -> String {
    let mut rows = Vec::new();
    for (key, parity) in &report.parity {
        let service = escaped(key.name.as_str());
        let mut row = |(host, port): &(hub_registry_core::Host, u16), what: &str| {
            let host = escaped(&host.to_string());
            rows.push(format!("<tr><td>{service}<td>{host}:{port}<td>{what}"));
        };
        parity.missing.iter().for_each(|place| row(place, "missing"));
        for one in &parity.differences {
            let (field, from) = (escaped(&one.field), escaped(&one.from.to_string()));
            let to = escaped(&one.to.to_string());
            row(&one.place, &format!("<code>{field}</code> {from} → {to}"));
        }
        parity.extra.iter().for_each(|place| row(place, "extra"));
    }
    if rows.is_empty() {
        return String::new();
    }
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    let more = if more > 0 { format!("<p>and {more} more") } else { String::new() };
    let head = "<h2>What is not equal</h2><table><tr><th>Service<th>Address<th>What";
    format!("{head}{}</table>{more}", rows.concat())
}

/// A line of the percentages over time.
fn plot(history: &[Sample]) -> String {
    let points: Vec<_> = thinned(history).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return "<p>Nothing was compared yet.".to_owned();
    };
    let (width, height) = SIZE;
    let start = first.time.timestamp_millis();
    let span = (last.time.timestamp_millis() - start).max(1) as f64;
    let at = |sample: &Sample| {
        let x = (sample.time.timestamp_millis() - start) as f64 / span * width;
        (x, height - sample.totals.percent() / 100.0 * (height - 10.0) - 5.0)
    };
    let line: Vec<_> = points
        .iter()
        .map(|sample| {
            let (x, y) = at(sample);
            format!("{x:.1},{y:.1}")
        })
        .collect();
    let line = line.join(" ");
    let (x, y) = at(last);
    let lowest = points.iter().map(|sample| percent(sample.totals)).fold(100.0, f64::min);
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" role=img aria-label=\"Percent over time\">\
         <path d=\"M0 5H{width}M0 {half}H{width}\" stroke=\"#8886\" stroke-dasharray=\"4 4\"/>\
         <polyline points=\"{line}\" fill=none stroke=\"#187a3d\" stroke-width=2 />\
         <circle cx={x:.1} cy={y:.1} r=4 fill=\"#187a3d\"/></svg>\
         <p><small>{from} to {to}; the dashed lines are 100 % and 50 %; lowest {lowest} %</small>",
        half = height / 2.0,
        from = rfc3339(first.time),
        to = rfc3339(last.time),
    )
}

fn class(is_well: bool) -> &'static str {
    if is_well { "ok" } else { "bad" }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_and_never_markup() {
        assert_eq!(escaped("<b a='1'>&\"x"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;x");
    }

    #[test]
    fn a_long_history_is_thinned_and_keeps_its_end() {
        let at = |n: i64| Sample { time: crate::clock::at(n), totals: Totals::default() };
        let history: Vec<_> = (0..20_161).map(at).collect();
        let points: Vec<_> = thinned(&history).collect();
        assert!((900..=1000).contains(&points.len()), "{}", points.len());
        assert_eq!(points.last(), history.last().as_ref());
        assert!(plot(&history).contains("<polyline"));
        assert!(plot(&[]).contains("Nothing"));
    }
}
