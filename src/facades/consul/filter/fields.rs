//! What can be asked of which field: the fields that Consul 1.8.7 lets filters of an endpoint name. A
//! selector is held against them and not against what is answered, so that a wrong one is refused
//! also where there is nothing.

use serde_json::Value;

use super::{Expression, Test, truth};

/// What a field is.
#[derive(Debug)]
pub(in super::super) enum Kind {
    Text,
    Number,
    Truth,
    /// A list of texts.
    Texts,
    /// By any key.
    Map(&'static Self),
    Object(&'static [(&'static str, Self)]),
    /// A list of objects.
    List(&'static Self),
}

use Kind::{List, Map, Number, Object, Text, Texts, Truth};

const ADDRESSES: Kind = Map(&Object(&[("Address", Text), ("Port", Number)]));
const WEIGHTS: Kind = Object(&[("Passing", Number), ("Warning", Number)]);
const CONNECT: Kind = Object(&[("Native", Truth)]);
const GATEWAY: Kind = Object(&[("Mode", Text)]);
const UPSTREAM: Kind = Object(&[
    ("DestinationType", Text),
    ("DestinationNamespace", Text),
    ("DestinationName", Text),
    ("Datacenter", Text),
    ("LocalBindAddress", Text),
    ("LocalBindPort", Number),
    ("MeshGateway", GATEWAY),
]);
const EXPOSED: Kind = Object(&[
    ("Path", Text),
    ("Protocol", Text),
    ("ListenerPort", Number),
    ("LocalPathPort", Number),
]);
const PROXY: Kind = Object(&[
    ("DestinationServiceName", Text),
    ("DestinationServiceID", Text),
    ("LocalServiceAddress", Text),
    ("LocalServicePort", Number),
    ("Upstreams", List(&UPSTREAM)),
    ("MeshGateway", GATEWAY),
    ("Expose", Object(&[("Checks", Truth), ("Paths", List(&EXPOSED))])),
]);

/// Of `catalog/nodes`.
pub(in super::super) const NODE: Kind = Object(&[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("TaggedAddresses", Map(&Text)),
    ("Meta", Map(&Text)),
]);

/// Of `agent/services`, `catalog/node` and `catalog/node-services`.
pub(in super::super) const SERVICE: Kind = Object(&[
    ("Kind", Text),
    ("ID", Text),
    ("Service", Text),
    ("Tags", Texts),
    ("Address", Text),
    ("TaggedAddresses", ADDRESSES),
    ("Meta", Map(&Text)),
    ("Port", Number),
    ("Weights", WEIGHTS),
    ("EnableTagOverride", Truth),
    ("Proxy", PROXY),
    ("Connect", CONNECT),
]);

/// Of `agent/checks`, `health/checks`, `health/state` and `health/node`.
pub(in super::super) const CHECK: Kind = Object(&[
    ("Node", Text),
    ("CheckID", Text),
    ("Name", Text),
    ("Status", Text),
    ("Notes", Text),
    ("Output", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", Texts),
    ("Type", Text),
]);

/// Of `health/service`.
pub(in super::super) const ENTRY: Kind =
    Object(&[("Node", NODE), ("Service", SERVICE), ("Checks", List(&CHECK))]);

/// Of `catalog/service`.
pub(in super::super) const FLAT: Kind = Object(&[
    ("ID", Text),
    ("Node", Text),
    ("Address", Text),
    ("Datacenter", Text),
    ("TaggedAddresses", Map(&Text)),
    ("NodeMeta", Map(&Text)),
    ("ServiceKind", Text),
    ("ServiceID", Text),
    ("ServiceName", Text),
    ("ServiceTags", Texts),
    ("ServiceAddress", Text),
    ("ServiceTaggedAddresses", ADDRESSES),
    ("ServiceWeights", WEIGHTS),
    ("ServiceMeta", Map(&Text)),
    ("ServicePort", Number),
    ("ServiceEnableTagOverride", Truth),
    ("ServiceProxy", PROXY),
    ("ServiceConnect", CONNECT),
]);

impl Kind {
    /// What a field of this kind is that nobody wrote.
    pub(super) fn zero(&self) -> Value {
        match self {
            Text => Value::from(""),
            Number => Value::from(0),
            Truth => Value::from(false),
            // Of a map as of a list it is asked only whether it is empty, and whether it has something.
            Texts | Map(_) | Object(_) | List(_) => Value::Array(Vec::new()),
        }
    }
}

impl Expression {
    /// Whether all can be asked of rows of this kind.
    ///
    /// # Errors
    /// What cannot, in the words of go-bexpr (`validate.go`).
    pub(super) fn suits(&self, row: &Kind) -> Result<(), String> {
        match self {
            Self::Or(a, b) | Self::And(a, b) => a.suits(row).and_then(|()| b.suits(row)),
            Self::Not(inner) => inner.suits(row),
            Self::Match(path, test, negated) => {
                let Some(kind) = field(row, path) else {
                    // As far as the first that is none.
                    let known = (1..path.len()).take_while(|n| field(row, &path[..*n]).is_some());
                    let selector = path[..=known.count()].join(".");
                    return Err(format!("Selector {selector:?} is not valid"));
                };
                let selector = path.join(".");
                if !test.fits(kind) {
                    let operator = test.name(*negated);
                    return Err(format!(
                        "Invalid match operator {operator:?} for selector {selector:?}"
                    ));
                }
                let Test::Equals(value) = test else { return Ok(()) };
                let parser = match kind {
                    Number if value.parse::<i64>().is_err() => "ParseInt",
                    Truth if truth(value).is_none() => "ParseBool",
                    _ => return Ok(()),
                };
                Err(format!(
                    "Failed to coerce value {value:?} for selector {selector:?}: \
                     strconv.{parser}: parsing {value:?}: invalid syntax"
                ))
            }
        }
    }
}

fn field<'k>(kind: &'k Kind, path: &[String]) -> Option<&'k Kind> {
    let [first, rest @ ..] = path else { return Some(kind) };
    match kind {
        Object(fields) => {
            let (_, inner) = fields.iter().find(|(name, _)| name == first)?;
            field(inner, rest)
        }
        Map(inner) => field(inner, rest),
        List(inner) => field(inner, path),
        Text | Number | Truth | Texts => None,
    }
}

impl Test {
    fn fits(&self, kind: &Kind) -> bool {
        match self {
            Self::Equals(_) => matches!(kind, Text | Number | Truth),
            Self::Holds(_) => matches!(kind, Text | Texts | Map(_)),
            Self::Matches(_) => matches!(kind, Text),
            Self::IsEmpty => matches!(kind, Texts | Map(_) | List(_)),
        }
    }

    fn name(&self, negated: bool) -> &'static str {
        match (self, negated) {
            (Self::Equals(_), false) => "Equal",
            (Self::Equals(_), true) => "Not Equal",
            (Self::Holds(_), false) => "In",
            (Self::Holds(_), true) => "Not In",
            (Self::Matches(_), false) => "Matches",
            (Self::Matches(_), true) => "Not Matches",
            (Self::IsEmpty, false) => "Is Empty",
            (Self::IsEmpty, true) => "Is Not Empty",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    /// As Consul 1.8.7 answers, also for a service that is not there.
    #[test]
    fn what_a_row_does_not_have_is_refused() {
        let error = |text: &str, row: &Kind| parse(text).unwrap().suits(row).err();
        for (text, expected) in [
            ("Service.Nope == x", "Selector \"Service.Nope\" is not valid"),
            ("Nope.ID == x", "Selector \"Nope\" is not valid"),
            ("Service.ID.x == y", "Selector \"Service.ID.x\" is not valid"),
            ("Service.Meta.a.b == y", "Selector \"Service.Meta.a.b\" is not valid"),
            ("Checks.Definition.HTTP == y", "Selector \"Checks.Definition\" is not valid"),
            (
                "Service.Port == abc",
                "Failed to coerce value \"abc\" for selector \"Service.Port\": \
                 strconv.ParseInt: parsing \"abc\": invalid syntax",
            ),
            (
                "Service.Tags == blue",
                "Invalid match operator \"Equal\" for selector \"Service.Tags\"",
            ),
            (
                "Service.Port not matches x",
                "Invalid match operator \"Not Matches\" for selector \"Service.Port\"",
            ),
            (
                "Checks.Status is empty",
                "Invalid match operator \"Is Empty\" for selector \"Checks.Status\"",
            ),
            ("Service == x", "Invalid match operator \"Equal\" for selector \"Service\""),
        ] {
            assert_eq!(error(text, &ENTRY).as_deref(), Some(expected), "{text}");
            assert!(error(&format!("Service.ID == a or not ({text})"), &ENTRY).is_some(), "{text}");
        }
        for fits in [
            "Checks is empty",
            "w in Service.ID",
            "Service.Weights.Passing == 1",
            "Service.EnableTagOverride == T",
            "Service.TaggedAddresses.lan.Port == 1",
            "lan in Service.TaggedAddresses",
            "Service.Proxy.Upstreams.DestinationName == x",
        ] {
            assert_eq!(error(fits, &ENTRY), None, "{fits}");
        }
        assert_eq!(error("ServiceMeta.zone != z1", &FLAT), None);
        assert!(error("Meta.zone != z1", &FLAT).is_some());
        assert!(error("Datacenter == dc1", &SERVICE).is_some());
    }
}
