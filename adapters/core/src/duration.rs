//! Durations as Go writes them (`1m30s`, `250ms`, `1.5h`): the form of Consul's `wait`, of the
//! configuration file and of `specificConfig`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// Reads a duration.
///
/// # Errors
/// What is wrong, in words: a number without a unit, an unknown unit, a negative or too large
/// value.
pub fn parse(text: &str) -> Result<Duration, String> {
    let bad = || {
        format!(
            "{text:?} is not a duration: write it as 500ms, 30s, 1m30s or 2h (units ms, s, m, h)"
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(bad)?;
        let number: f64 = rest[..digits].parse().map_err(|_| bad())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let seconds = match &rest[..unit] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(bad()),
        };
        total += number * seconds;
        rest = &rest[unit..];
    }
    // A century bounds every sum with an Instant.
    if total > 3.2e9 {
        return Err(format!("{text:?} is too long"));
    }
    Ok(Duration::from_nanos((total * 1e9).round() as u64))
}

/// Writes a duration so that [`parse`] reads it back, to the millisecond.
#[must_use]
pub fn format(value: Duration) -> String {
    let millis = value.as_millis();
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, rest) = (millis / 1000 % 60, millis % 1000);
    let mut text = String::new();
    for (amount, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s"), (rest, "ms")] {
        if amount > 0 {
            text.push_str(&format!("{amount}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// For `#[serde(deserialize_with)]`.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

/// For `#[serde(serialize_with)]`.
///
/// # Errors
/// None of its own.
pub fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_forms_are_read() {
        let read = |text: &str| parse(text).unwrap();
        assert_eq!(read("1m30s"), Duration::from_secs(90));
        assert_eq!(read("120000ms"), Duration::from_secs(120));
        assert_eq!(read("1.5h"), Duration::from_secs(5400));
        assert_eq!(read("0"), Duration::ZERO);
    }

    #[test]
    fn others_are_refused() {
        for text in ["", "5", "s", "1x", "-1s", "1m 30s", "99999999h", "1..5s", "1µ"] {
            assert!(parse(text).is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn written_forms_are_read_back() {
        for millis in [0, 1, 999, 1000, 90_000, 3_661_001] {
            let value = Duration::from_millis(millis);
            assert_eq!(parse(&format(value)).unwrap(), value);
        }
    }
}
