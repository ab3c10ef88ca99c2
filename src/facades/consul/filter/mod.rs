//! `?filter=`: go-bexpr's expressions, over the JSON that would be answered.
//!
//! ```text
//! expression = term { "or" term }      term = factor { "and" factor }
//! factor     = "not" factor | "(" expression ")" | match
//! match      = SELECTOR ( "==" | "!=" | "contains" | "not contains" | "matches" | "not matches" ) VALUE
//!            | SELECTOR [ "is" [ "not" ] "empty" ] | VALUE [ "not" ] "in" SELECTOR
//! ```
//!
//! A selector is a field, then fields or keys: `Service.Meta.zone`, `Service.Meta["a.b"]`. Of a list
//! of objects (`Checks.Status`) any may match, and a negated operator is asked of each: there is a
//! check that is not critical. `not` before it negates the whole (go-bexpr, `evaluate.go`). A key that
//! is not there equals nothing.

pub(super) mod fields;
mod lex;
mod parse;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

pub(super) use parse::parse;

/// An expression.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// A test of what a selector names, or its negation.
    Match(Vec<String>, Test, bool),
}

/// What is asked of the values of a selector.
#[derive(Clone, Debug)]
pub(super) enum Test {
    Equals(String),
    /// The list, the text or the keys of the map have it.
    Holds(String),
    Matches(Regex),
    IsEmpty,
    /// A boolean that is true.
    IsTrue,
}

/// Those that pass.
pub(super) fn kept(mut all: Vec<Value>, filter: Option<&Filter>) -> Vec<Value> {
    all.retain(|one| filter.is_none_or(|filter| filter.passes(one)));
    all
}

/// Those that pass, by id: which one an id means is not a matter of the filter.
pub(super) fn kept_by_id(
    mut all: BTreeMap<String, Value>,
    filter: Option<&Filter>,
) -> BTreeMap<String, Value> {
    all.retain(|_, one| filter.is_none_or(|filter| filter.passes(one)));
    all
}

impl Filter {
    /// Whether this passes.
    pub(super) fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Or(a, b) => a.passes(value) || b.passes(value),
            Self::And(a, b) => a.passes(value) && b.passes(value),
            Self::Not(inner) => !inner.passes(value),
            Self::Match(path, test, negated) => any(value, path, test, *negated),
        }
    }
}

fn any(value: &Value, path: &[String], test: &Test, negated: bool) -> bool {
    let [first, rest @ ..] = path else { return test.passes(value) != negated };
    match value {
        Value::Array(all) => all.iter().any(|one| any(one, path, test, negated)),
        Value::Object(fields) => match fields.get(first) {
            Some(field) => any(field, rest, test, negated),
            None => matches!(test, Test::IsEmpty) != negated,
        },
        _ => negated,
    }
}

impl Test {
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Equals(wanted) => match value {
                Value::Bool(value) => truth(wanted) == Some(*value),
                Value::Number(value) => value.as_i64() == wanted.parse().ok(),
                other => text(other) == *wanted,
            },
            Self::Holds(wanted) => match value {
                Value::Array(all) => all.iter().any(|one| text(one) == *wanted),
                Value::Object(fields) => fields.contains_key(wanted),
                other => text(other).contains(wanted),
            },
            Self::Matches(pattern) => pattern.is_match(&text(value)),
            Self::IsEmpty => match value {
                Value::Array(all) => all.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                other => text(other).is_empty(),
            },
            Self::IsTrue => *value == Value::Bool(true),
        }
    }
}

/// What Go takes for a boolean (`strconv.ParseBool`).
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expressions_are_those_of_go_bexpr() {
        let entry = json!({
            "Node": { "Node": "n1" },
            "Service": {
                "ID": "web-1", "Service": "web", "Port": 80, "Tags": ["a", "blue green"],
                "Meta": { "zone": "z1", "a.b": "x" }, "EnableTagOverride": true,
            },
            "Checks": [{ "Status": "passing" }, { "Status": "warning" }],
        });
        let passes = |text: &str| {
            let filter = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(filter.suits(&fields::ENTRY), Ok(()), "{text}");
            filter.passes(&entry)
        };
        for yes in [
            "Service.ID == \"web-1\"",
            "Service.ID==`web-1`",
            "Service.Port == 80",
            "Service.Port != 81",
            "Service.Meta.zone == z1",
            "Service.Meta[\"a.b\"] == \"x\"",
            "a in Service.Tags",
            "\"blue green\" in Service.Tags",
            "Service.Tags contains a",
            "c not in Service.Tags",
            "Service.Tags not contains c",
            "zone in Service.Meta",
            "Service.Tags is not empty",
            "Checks.Status == warning",
            "Service.ID matches \"^web-[0-9]$\"",
            "Service.ID not matches \"^x\"",
            "Service.EnableTagOverride",
            "not (Service.ID == x or Service.ID == y) and Service.Service == web",
            "Service.ID == x and Service.ID == y or Service.Service == \"web\"",
            "Service.Meta.none != \"x\"",
        ] {
            assert!(passes(yes), "{yes}");
            assert!(!passes(&format!("not ({yes})")), "not {yes}");
        }
    }

    /// As Consul 1.8.7 answers.
    #[test]
    fn a_negated_operator_is_asked_of_each_of_a_list() {
        let check = |status: &str, tags: Value| json!({ "Status": status, "ServiceTags": tags });
        let both = [check("passing", json!([])), check("critical", json!(["a"]))];
        let both = json!({ "Checks": both, "Service": { "Tags": ["a", "b"] } });
        let none = json!({ "Checks": [] });
        let passes = |text: &str, value: &Value| parse(text).unwrap().passes(value);
        for yes in [
            "Checks.Status != critical",
            "Checks.Status != passing",
            "Checks.Status not matches \"^crit\"",
            "a not in Checks.ServiceTags",
        ] {
            assert!(passes(yes, &both), "{yes}");
            assert!(!passes(yes, &none), "{yes}");
        }
        for no in [
            "not Checks.Status == critical",
            "Checks.Status != critical and Checks.Status == warning",
            "a not in Service.Tags",
            "Service.Tags not contains a",
        ] {
            assert!(!passes(no, &both), "{no}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = "(".repeat(10_000);
        let long = "not ".repeat(10_000);
        for wrong in [
            "",
            "Service.ID ==",
            "== x",
            "Service.ID = x",
            "(a == b",
            "a == b)",
            "a == b c",
            "a is b",
            "a matches \"(\"",
            "\"x",
            "a[\"x\" == b",
            "a..b == c",
            "and",
            "x in",
            &deep,
            &long,
        ] {
            assert!(parse(wrong).is_err(), "{}", &wrong[..wrong.len().min(20)]);
        }
    }
}
