//! What the protocol that a client registers by says of an instance and the hub has no word for: its
//! id there, its pages, an override. It is kept in the row's `extProperty`, as an object of texts
//! under one key, and readers of the view find it in [`Instance::native`].
//!
//! [`Instance::native`]: hub_registry_core::Instance::native

use hub_registry_core::{InstanceStatus, Pairs};
use serde_json::{Map, Value, json};

use super::check::Checks;
use crate::error::{Error, Result};

/// The key in `extProperty`.
pub const KEY: &str = "fed-native";
/// The term of the checks that an instance brought with it ([`Checks`]).
pub const CHECKS: &str = "healthChecks";
/// The term of the connection that an instance is there as long as.
pub const CONNECTION: &str = "connection";
/// The term of how to speak to this instance, where its client said so: its service may say otherwise.
pub const PROTOCOL: &str = "protocol";
/// Why an instance is in maintenance by itself. It counts only with `OUT_OF_SERVICE`.
pub const MAINTENANCE: &str = "maintenance";
/// Why it is with all that registered from its agent.
pub const NODE_MAINTENANCE: &str = "nodeMaintenance";
/// The status that an operator set for it by Eureka's API, whatever it says itself.
pub const OVERRIDDEN: &str = "overriddenStatus";
/// Eureka's word for its status, where the hub has none.
pub const STATUS: &str = "status";
/// The id by which clients of Eureka know it, where one of them registered it.
pub const EUREKA_ID: &str = "instanceId";
/// The rule of an `extProperty` that comes from outside.
pub(super) const FREE: &str = "must be a JSON object, without the hub's own key fed-native";
/// Where an `extProperty` is put that is no object: somebody wrote it by SQL.
const OTHER: &str = "extProperty";
/// The most that is kept of one instance, in bytes.
const MAX: usize = 16 << 10;

/// See [`FREE`].
pub(super) fn is_free(value: &Value) -> bool {
    value.as_object().is_some_and(|object| !object.contains_key(KEY))
}

/// The status that an operator set for it by Eureka's API. Its `UNKNOWN` is down here.
pub fn overridden(terms: &Pairs) -> Option<InstanceStatus> {
    let word = terms.get(OVERRIDDEN)?;
    Some(word.parse().unwrap_or(InstanceStatus::Down))
}

/// What is left of these when somebody else than its client says the status of an instance: an override
/// of Eureka's is no other word then, and whoever takes one of its instances out of use has set one.
pub fn told(terms: &mut Pairs, status: InstanceStatus) {
    terms.remove(STATUS);
    if status == InstanceStatus::OutOfService && terms.contains_key(EUREKA_ID) {
        terms.insert(OVERRIDDEN.to_owned(), status.to_string());
    } else if overridden(terms).is_some_and(|it| it != status) {
        terms.remove(OVERRIDDEN);
    }
}

/// How much its client said, in bytes. What befalls an instance does not count: who registered it must
/// be able to say how it is, and to take it out of use.
pub(crate) fn size(terms: &Pairs) -> usize {
    let of = |(key, value): (&String, &String)| match key.as_str() {
        MAINTENANCE | NODE_MAINTENANCE => 0,
        CHECKS => Checks::of(terms).defined(),
        _ => key.len() + value.len(),
    };
    terms.iter().map(of).sum()
}

/// # Errors
/// It is too large: the field, the size and the rule.
pub(crate) fn check(terms: &Pairs) -> Result<()> {
    let size = size(terms);
    if size > MAX {
        let rule = format!("must be at most {MAX} bytes, its pages, addresses and checks together");
        return Err(Error::invalid("instance", format!("{size} bytes"), &rule));
    }
    Ok(())
}

/// The column for both.
pub(crate) fn join(ext: Option<&str>, terms: &Pairs) -> Option<String> {
    if terms.is_empty() {
        return ext.map(str::to_owned);
    }
    let mut object = match ext.map(|ext| (ext, serde_json::from_str(ext))) {
        None => Map::new(),
        Some((_, Ok(Value::Object(object)))) => object,
        Some((text, _)) => Map::from_iter([(OTHER.to_owned(), json!(text))]),
    };
    object.insert(KEY.to_owned(), json!(terms));
    Some(Value::Object(object).to_string())
}

/// Both of the column.
pub(crate) fn split(column: Option<String>) -> (Option<String>, Pairs) {
    let parsed = match &column {
        // Few rows have it.
        Some(text) if text.contains(KEY) => serde_json::from_str(text),
        _ => return (column, Pairs::new()),
    };
    let Ok(Value::Object(mut object)) = parsed else { return (column, Pairs::new()) };
    let Some(terms) = object.remove(KEY) else { return (column, Pairs::new()) };
    let ext = (!object.is_empty()).then(|| Value::Object(object).to_string());
    (ext, serde_json::from_value(terms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(all: &[(&str, &str)]) -> Pairs {
        all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn both_come_back() {
        let terms = pairs(&[("instanceId", "host:web:80"), ("vipAddress", "web,WEB")]);
        for ext in [None, Some(r#"{"a":[1,null],"b":"fed-native"}"#)] {
            let column = join(ext, &terms);
            assert_eq!(split(column), (ext.map(str::to_owned), terms.clone()));
            assert_eq!(split(join(ext, &Pairs::new())), (ext.map(str::to_owned), Pairs::new()));
        }
    }

    #[test]
    fn what_others_wrote_is_not_lost() {
        let terms = pairs(&[("instanceId", "x")]);
        let (ext, read) = split(join(Some("no JSON"), &terms));
        assert_eq!((ext.as_deref(), read), (Some(r#"{"extProperty":"no JSON"}"#), terms));
        for odd in ["fed-native", r#"{"x":"fed-native"}"#, "[\"fed-native\"]"] {
            assert_eq!(split(Some(odd.to_owned())), (Some(odd.to_owned()), Pairs::new()));
        }
    }
}
