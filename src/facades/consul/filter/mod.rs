//! `?filter=`: go-bexpr's expressions, over the JSON that would be answered.
//!
//! ```text
//! expression = term { "or" term }      term = factor { "and" factor }
//! factor     = "not" factor | "(" expression ")" | match
//! match      = SELECTOR ( "==" | "!=" | "contains" | "not contains" | "matches" | "not matches" ) VALUE
//!            | SELECTOR "is" [ "not" ] "empty" | VALUE [ "not" ] "in" SELECTOR
//! ```
//!
//! A selector is a field, then fields or keys: `Service.Meta.zone`, `Service.Meta["a.b"]`. Of a list
//! of objects (`Checks.Status`) any may match, and a negated operator is asked of each: there is a
//! check that is not critical. `not` before it negates the whole (go-bexpr, `evaluate.go`). A key that
//! is not there equals nothing; a field that is not written is nought.

pub(super) mod fields;
mod lex;
mod parse;

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use self::fields::Kind;
use self::parse::parse;

/// An expression over rows of a kind.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    expression: Expression,
    row: &'static Kind,
}

/// An expression.
#[derive(Clone, Debug)]
enum Expression {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Not(Box<Self>),
    /// A test of what a selector names, or its negation.
    Match(Vec<String>, Test, bool),
}

/// What is asked of the values of a selector.
#[derive(Clone, Debug)]
enum Test {
    Equals(String),
    /// The list, the text or the keys of the map have it.
    Holds(String),
    Matches(Regex),
    IsEmpty,
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
    /// Reads an expression over rows of this kind.
    ///
    /// # Errors
    /// What is wrong, and where; what cannot be asked of such a row.
    pub(super) fn read(text: &str, row: &'static Kind) -> Result<Self, String> {
        let expression = parse(text)?;
        expression.suits(row)?;
        Ok(Self { expression, row })
    }

    /// Whether this passes.
    pub(super) fn passes(&self, value: &Value) -> bool {
        self.expression.passes(value, self.row)
    }
}

impl Expression {
    fn passes(&self, value: &Value, row: &Kind) -> bool {
        match self {
            Self::Or(a, b) => a.passes(value, row) || b.passes(value, row),
            Self::And(a, b) => a.passes(value, row) && b.passes(value, row),
            Self::Not(inner) => !inner.passes(value, row),
            Self::Match(path, test, negated) => any(Some(value), row, path, test, *negated),
        }
    }
}

/// A field that is not written has the zero of its kind, as in Go; a key that is not there has nothing.
fn any(value: Option<&Value>, kind: &Kind, path: &[String], test: &Test, negated: bool) -> bool {
    let value = value.filter(|value| !value.is_null());
    let [first, rest @ ..] = path else {
        let zero = kind.zero();
        return test.passes(value.unwrap_or(&zero)) != negated;
    };
    let inner = value.and_then(|value| value.get(first));
    match kind {
        Kind::Object(fields) => match fields.iter().find(|(name, _)| name == first) {
            Some((_, kind)) => any(inner, kind, rest, test, negated),
            None => negated,
        },
        Kind::Map(kind) => match inner {
            Some(inner) => any(Some(inner), kind, rest, test, negated),
            None => negated,
        },
        Kind::List(kind) => {
            let all = value.and_then(Value::as_array);
            all.into_iter().flatten().any(|one| any(Some(one), kind, path, test, negated))
        }
        Kind::Text | Kind::Number | Kind::Truth | Kind::Texts => negated,
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
            let filter = Filter::read(text, &fields::ENTRY);
            filter.unwrap_or_else(|error| panic!("{text}: {error}")).passes(&entry)
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
            "Service.EnableTagOverride == true",
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
        let passes =
            |text: &str, value: &Value| Filter::read(text, &fields::ENTRY).unwrap().passes(value);
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

    /// As Consul 1.8.7 answers for a service that has none of it.
    #[test]
    fn what_is_not_written_is_nought() {
        let entry = json!({
            "Service": { "ID": "web", "Meta": {}, "TaggedAddresses": null },
            "Checks": [{ "Status": "passing" }],
        });
        let passes = |text: &str| Filter::read(text, &fields::ENTRY).unwrap().passes(&entry);
        for yes in [
            "Service.Kind == \"\"",
            "Service.Kind matches \"^$\"",
            "Service.Connect.Native == false",
            "Service.Proxy.DestinationServiceName == \"\"",
            "Service.Proxy.LocalServicePort == 0",
            "Service.Proxy.Upstreams is empty",
            "Service.Proxy.Expose.Checks == false",
            "Service.Proxy.Expose.Paths is empty",
            "Service.TaggedAddresses is empty",
            "Service.TaggedAddresses.lan.Port != 0",
            "Service.Meta.x != y",
            "Checks.Type == \"\"",
        ] {
            assert!(passes(yes), "{yes}");
            assert!(!passes(&format!("not ({yes})")), "not {yes}");
        }
        for no in [
            "web in Service.Kind",
            "Service.Meta.x == \"\"",
            "Service.TaggedAddresses.lan.Port == 0",
            "Service.Proxy.Upstreams.DestinationName == \"\"",
            "Service.Proxy.Upstreams.DestinationName != x",
        ] {
            assert!(!passes(no), "{no}");
        }
    }

    /// As Consul 1.8.7 answers.
    #[test]
    fn words_are_those_of_its_grammar() {
        let entry =
            json!({ "Service": { "ID": "f1", "Port": 80, "Tags": ["t"], "Meta": { "a-b": "x" } } });
        let read = |text: &str| {
            Filter::read(text, &fields::ENTRY).ok().map(|filter| filter.passes(&entry))
        };
        for (text, expected) in [
            ("Service.ID==f1", Some(true)),
            ("  Service.ID\t==\nf1  ", Some(true)),
            ("Service.ID == f.a", Some(false)),
            ("Service.ID == f_1", Some(false)),
            ("Service.ID == x_", Some(false)),
            ("Service.ID == and", Some(false)),
            ("Service.ID == in", Some(false)),
            ("Service.ID == -1", Some(false)),
            ("Service.ID == 1.5", Some(false)),
            ("Service.ID == \"f\\x31\"", Some(true)),
            ("Service.ID == \"f\\u0031\"", Some(true)),
            ("Service.ID == \"\\146\\061\"", Some(true)),
            ("Service.ID == `f\"1`", Some(false)),
            ("Service.ID == \"é\"", Some(false)),
            ("Service.ID matches `f\\d`", Some(true)),
            ("Service.ID matches \"f\\\\d\"", Some(true)),
            ("Service.Port != -80", Some(true)),
            ("Service.Port == 0", Some(false)),
            ("Service.Meta[ `a-b` ]==x", Some(true)),
            ("Service.Tags is  not  empty", Some(true)),
            ("(Service.Tags is empty) or (Service.ID == f1)", Some(true)),
            ("not not Service.ID == f1", Some(true)),
            ("( Service.ID == f1 )", Some(true)),
            ("t not in Service.Tags", Some(false)),
            // What is none.
            ("   ", None),
            ("Service.ID == f/1", None),
            ("Service.ID == f-1", None),
            ("Service.ID == f.1", None),
            ("Service.ID == 'f1'", None),
            ("Service.ID == f1;", None),
            ("Service.ID == $x", None),
            ("Service.ID == _x", None),
            ("Service.ID == 1abc", None),
            ("Service.ID == -a", None),
            ("Service.ID == é", None),
            ("Service.ID == \"f\\\"1\"", None),
            ("Service.ID == \"a\nb\"", None),
            ("Service.ID matches \"f\\d\"", None),
            ("Service.Port == 080", None),
            ("Service.Port == 8a", None),
            ("Service.Port == 80.0", None),
            ("Service.Port == 80)", None),
            ("Service.Meta.a-b == x", None),
            ("Service.Meta['a-b'] == x", None),
            ("Service.Meta [\"a-b\"] == x", None),
            ("Service.Meta.1 == x", None),
            ("Service.Meta._a == x", None),
            ("_Service.ID == x", None),
            ("and == x", None),
            ("not(Service.ID == x)", None),
            ("Service.ID == \"f1\"and Service.Port == 80", None),
            ("(Service.ID == f1)and (Service.Port == 80)", None),
            ("(Service.ID == f1) and(Service.Port == 80)", None),
            ("Service.ID == f1 AND Service.Port == 80", None),
            ("\"t\"in Service.Tags", None),
            ("Service.Tags contains\"t\"", None),
            ("Service.Tags isempty", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        let deep = "(".repeat(10_000);
        let long = "not ".repeat(10_000);
        for wrong in [
            "",
            "Service.EnableTagOverride",
            "not Service.EnableTagOverride",
            "Service.EnableTagOverride and Service.ID == x",
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
