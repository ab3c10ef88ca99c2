//! Checks that an instance brought with it, each with a status of its own: the worst decides on its
//! health (docs/decisions/0036). They are kept as one term of the instance ([`terms::CHECKS`]).
//!
//! [`terms::CHECKS`]: super::terms::CHECKS

use std::collections::BTreeMap;
use std::net::IpAddr;

use hub_registry_core::{HealthStatus, Pairs, words};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::terms;

/// The most checks of one instance.
pub const MAX_CHECKS: usize = 32;

words!(
    /// How a check stands.
    CheckStatus {
        /// It is well.
        Passing = "passing",
        /// It is alive, and something is not as it should be.
        Warning = "warning",
        /// It is not well, or nobody knows yet.
        #[default]
        Critical = "critical",
    }
);

impl CheckStatus {
    /// The health that it stands for.
    #[must_use]
    pub const fn health(self) -> HealthStatus {
        match self {
            Self::Passing | Self::Warning => HealthStatus::Healthy,
            Self::Critical => HealthStatus::Unhealthy,
        }
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Its id, unique for an instance.
    pub id: String,
    /// Its name, for people.
    pub name: String,
    /// A note for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// What decides on its status.
    #[serde(flatten)]
    pub decides: Decides,
    /// How it stands.
    pub status: CheckStatus,
    /// When a request last *stated* the status: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated: Option<i64>,
    /// The instance is to be removed when the check was critical for so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deregister_after: Option<u32>,
}

/// What decides on the status of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decides {
    /// What the client says, and says again within so many seconds.
    Ttl(u32),
    /// What the hub finds when it asks.
    Asks(Asks),
}

/// What the hub asks, and how often.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asks {
    /// `http://`, `https://`: a page; `tcp://HOST:PORT`: a connection; `grpc://HOST:PORT/SERVICE`,
    /// `grpcs://`: whether it serves.
    pub url: String,
    /// The seconds between two checks.
    pub interval: u32,
    /// The seconds that one may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u32>,
    /// The method a page is asked by; `None`: GET.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Headers that are sent besides. They may be secret: nobody is shown them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// What is sent.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether any certificate is taken for good.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// So many passes in a row make it pass; `None`: as the hub has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes: Option<u32>,
    /// So many failures in a row make it critical; `None`: as the hub has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u32>,
}

impl Decides {
    /// Whether it is the host that the hub runs on which is asked, in whatever spelling.
    #[must_use]
    pub fn is_of_own_host(&self) -> bool {
        let Self::Asks(asks) = self else { return false };
        // Only of these schemes hosts are brought into their usual form.
        let rest = asks.url.split_once("://").map_or("", |(_, rest)| rest);
        let url = Url::parse(&format!("http://{rest}")).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
        is_own_host(host)
    }
}

/// Whether this address or name is that of the host one is on: RFC 6761, 6.3, and what hosts files have
/// besides.
#[must_use]
pub fn is_own_host(host: &str) -> bool {
    const NAMES: [&str; 5] =
        ["localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"];
    let host = host.trim_end_matches('.').trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => {
            let name = host.strip_suffix(".localdomain").unwrap_or(host);
            NAMES.contains(&name) || name.ends_with(".localhost")
        }
    }
}

impl Check {
    /// Its kind: `ttl`, `http`, `tcp` or `grpc`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        let Decides::Asks(asks) = &self.decides else { return "ttl" };
        match asks.url.split_once("://").map(|(scheme, _)| scheme) {
            Some("tcp") => "tcp",
            Some("grpc" | "grpcs") => "grpc",
            _ => "http",
        }
    }

    /// The seconds of its lease, if its client says its status.
    #[must_use]
    pub fn lease(&self) -> Option<u32> {
        match self.decides {
            Decides::Ttl(seconds) => Some(seconds),
            Decides::Asks(_) => None,
        }
    }
}

/// The checks of an instance, in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// None.
    pub const NONE: &Self = &Self(Vec::new());

    /// Those that the terms of an instance hold. Somebody may have written the row by SQL: what
    /// cannot be read is no check.
    #[must_use]
    pub fn of(native: &Pairs) -> Self {
        let read = native.get(terms::CHECKS).and_then(|text| serde_json::from_str(text).ok());
        let mut checks = Self::default();
        let read = read.into_iter().flat_map(|all: Vec<Check>| all).take(MAX_CHECKS);
        read.for_each(|check| checks.put(check));
        checks
    }

    /// Writes them into the terms of an instance; none leave no term.
    pub fn write(&self, native: &mut Pairs) {
        if self.0.is_empty() {
            native.remove(terms::CHECKS);
            return;
        }
        // Nothing in here cannot be written.
        let text = serde_json::to_string(&self.0).unwrap_or_default();
        native.insert(terms::CHECKS.to_owned(), text);
    }

    /// The bytes of what is defined, whatever they stand like.
    #[must_use]
    pub fn defined(&self) -> usize {
        let (mut plain, mut native) = (self.clone(), Pairs::new());
        for check in &mut plain.0 {
            (check.status, check.stated) = (CheckStatus::default(), None);
        }
        plain.write(&mut native);
        native.iter().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// The health that follows: that of the worst; without any nobody knows.
    #[must_use]
    pub fn health(&self) -> HealthStatus {
        self.worst().map_or(HealthStatus::Unknown, CheckStatus::health)
    }

    /// The status of the worst.
    #[must_use]
    pub fn worst(&self) -> Option<CheckStatus> {
        self.0.iter().map(|check| check.status).max()
    }

    /// Adds a check, in the place of one of the same id.
    pub fn put(&mut self, check: Check) {
        match self.place(&check.id) {
            Ok(place) => self.0[place] = check,
            Err(place) => self.0.insert(place, check),
        }
    }

    /// Takes over how those stand that both have.
    pub fn stand_as(&mut self, others: &Self) {
        for check in &mut self.0 {
            if let Some(other) = others.get(&check.id) {
                (check.status, check.stated) = (other.status, other.stated);
            }
        }
    }

    /// Removes a check, if it is there.
    pub fn remove(&mut self, id: &str) -> Option<Check> {
        self.place(id).ok().map(|place| self.0.remove(place))
    }

    /// The check of this id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Check> {
        self.place(id).ok().map(|place| &self.0[place])
    }

    /// The check of this id, to be changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut Check> {
        self.place(id).ok().map(|place| &mut self.0[place])
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Check> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn place(&self, id: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|check| check.id.as_str().cmp(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, status: CheckStatus, decides: Decides) -> Check {
        let (id, name) = (id.to_owned(), "n".to_owned());
        let (notes, stated, deregister_after) = (String::new(), None, None);
        Check { id, name, notes, decides, status, stated, deregister_after }
    }

    fn all() -> Checks {
        let asks = Asks { url: "tcp://a:1".to_owned(), interval: 10, ..Asks::default() };
        let mut checks = Checks::default();
        checks.put(check("b", CheckStatus::Passing, Decides::Ttl(30)));
        checks.put(check("a", CheckStatus::Warning, Decides::Asks(asks)));
        checks
    }

    #[test]
    fn they_come_back_as_they_were_written() {
        let (checks, mut native) = (all(), Pairs::new());
        checks.write(&mut native);
        assert_eq!(Checks::of(&native), checks);
        assert_eq!(checks.iter().map(Check::kind).collect::<Vec<_>>(), ["tcp", "ttl"]);
        Checks::default().write(&mut native);
        assert!(native.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_no_check() {
        for text in ["", "{}", "[{}]", "[1]", "null"] {
            let native = [(terms::CHECKS.to_owned(), text.to_owned())].into_iter().collect();
            assert!(Checks::of(&native).is_empty(), "{text}");
        }
    }

    #[test]
    fn the_worst_decides() {
        let mut checks = all();
        assert_eq!(checks.health(), HealthStatus::Healthy);
        assert_eq!(checks.worst(), Some(CheckStatus::Warning));
        checks.put(check("b", CheckStatus::Critical, Decides::Ttl(30)));
        assert_eq!((checks.len(), checks.health()), (2, HealthStatus::Unhealthy));
        assert!(checks.remove("b").is_some() && checks.remove("b").is_none());
        assert_eq!(checks.health(), HealthStatus::Healthy);
        assert_eq!(Checks::default().health(), HealthStatus::Unknown);
    }
}
