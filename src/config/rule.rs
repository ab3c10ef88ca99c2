//! What the value of a key may be.

use std::fmt;
use std::time::Duration;

use hub_registry_core::egress::Network;
use hub_registry_core::{Host, TenantId, duration};
use serde_json::Value;

use super::dsn::Dsn;
use super::log_level::LogLevels;
use super::ports::Ports;
use super::secrets_key::SecretsKeys;

/// The rule of a value.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// `true` or `false`.
    Switch,
    /// A whole number, both ends included.
    Integer {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// A number of bytes, both ends included.
    Size {
        /// The smallest.
        min: u64,
        /// The largest.
        max: u64,
    },
    /// Levels of the log.
    LogLevels,
    /// A duration, both ends included.
    Span {
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// An address or a host name to listen on.
    Host,
    /// What names in DNS end with.
    Domain,
    /// One part of a name in DNS.
    Label,
    /// A tenant.
    Tenant,
    /// One of these words; the file and the code write them in lower case.
    OneOf(&'static [&'static str]),
    /// A list of web origins.
    Origins,
    /// A list of ranges of addresses.
    Networks,
    /// A list of ports and ranges of them.
    Ports,
    /// A folder.
    Folder,
    /// A file.
    File,
    /// Text without control characters.
    Text {
        /// The longest, in bytes.
        max: usize,
    },
    /// A database address.
    Dsn,
    /// Keys of secrets.
    SecretsKeys,
}

/// A TCP port, or 0 for any free one.
pub(super) const PORT: Rule = Rule::Integer { min: 0, max: 65_535 };

impl Rule {
    /// A variable's text as the value that the file would hold.
    pub(super) fn read(&self, text: &str) -> Value {
        let lower = text.to_ascii_lowercase();
        match self {
            _ if lower == "null" => Value::Null,
            Self::Switch => lower.parse::<bool>().map_or_else(|_| Value::from(text), Value::from),
            Self::Integer { .. } | Self::Size { .. } => {
                text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
            }
            Self::Origins | Self::Networks | Self::Ports => {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
            }
            Self::Span { .. }
            | Self::Host
            | Self::Domain
            | Self::Label
            | Self::Tenant
            | Self::OneOf(_)
            | Self::LogLevels
            | Self::Folder
            | Self::File
            | Self::Text { .. }
            | Self::Dsn
            | Self::SecretsKeys => Value::from(text),
        }
    }

    /// The value as the configuration keeps it, or what is wrong with it.
    pub(super) fn accept(&self, value: Value) -> Result<Value, String> {
        let broken = |value: &Value| format!("{value} is not allowed: it must be {self}");
        match (self, &value) {
            (Self::Switch, Value::Bool(_)) => Ok(value),
            (Self::Integer { min, max }, Value::Number(number)) => match number.as_u64() {
                Some(number) if (*min..=*max).contains(&number) => Ok(value),
                _ => Err(broken(&value)),
            },
            (Self::Size { min, max }, Value::Number(_) | Value::String(_)) => match bytes(&value) {
                Some(number) if (*min..=*max).contains(&number) => Ok(number.into()),
                _ => Err(broken(&value)),
            },
            (Self::LogLevels, Value::String(text)) => {
                text.parse::<LogLevels>().map(|levels| levels.to_string().into())
            }
            (Self::Span { min, max }, Value::String(text)) => match duration::parse(text) {
                Ok(length) if (*min..=*max).contains(&length) => Ok(value),
                _ => Err(broken(&value)),
            },
            (Self::Host, Value::String(text)) if Host::parse(text).is_ok() => Ok(value),
            (Self::Domain, Value::String(text)) if is_domain(text) => Ok(value),
            (Self::Label, Value::String(text)) if is_label(text) => Ok(value),
            (Self::Tenant, Value::String(text)) if TenantId::parse(text).is_ok() => Ok(value),
            (Self::OneOf(words), Value::String(text)) => {
                let word = text.to_ascii_lowercase();
                if words.contains(&word.as_str()) { Ok(word.into()) } else { Err(broken(&value)) }
            }
            (Self::Origins, Value::Array(list)) => {
                match list.iter().find(|item| !item.as_str().is_some_and(is_origin)) {
                    Some(item) => Err(broken(item)),
                    None => Ok(value),
                }
            }
            (Self::Networks, Value::Array(list)) => {
                let network = |item: &&Value| item.as_str().is_some_and(is_network);
                match list.iter().find(|item| !network(item)) {
                    Some(item) => Err(broken(item)),
                    None => Ok(value),
                }
            }
            (Self::Ports, Value::Array(list)) => {
                let ports = |item: &Value| ports(item).ok_or_else(|| broken(item));
                list.iter().map(ports).collect()
            }
            (Self::Folder | Self::File, Value::String(text)) if !text.trim().is_empty() => {
                Ok(value)
            }
            (Self::Text { max }, Value::String(text))
                if (1..=*max).contains(&text.len()) && !text.chars().any(char::is_control) =>
            {
                Ok(value)
            }
            (Self::Dsn, Value::String(text)) => Dsn::parse(text).map(|_| value),
            (Self::SecretsKeys, Value::String(text)) => {
                SecretsKeys::check(text).map(|()| value).map_err(|message| {
                    format!("the value is not allowed: {message}; it must be {self}")
                })
            }
            // What is not even text may still hold a password.
            (Self::Dsn | Self::SecretsKeys, _) => {
                Err(format!("the value is not allowed: it must be {self}"))
            }
            _ => Err(broken(&value)),
        }
    }
}

/// With room for a service and its group before it: a name has 255 bytes (RFC 1035 2.3.4).
fn is_domain(text: &str) -> bool {
    text.len() <= 120 && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(legal)
}

fn is_network(text: &str) -> bool {
    text.parse::<Network>().is_ok()
}

/// A number, or a text of ports.
fn ports(value: &Value) -> Option<Value> {
    let text = value.as_u64().map(|port| port.to_string());
    let text = text.as_deref().or(value.as_str())?;
    text.parse::<Ports>().ok().map(|ports| ports.to_string().into())
}

/// A number, or one with a unit.
fn bytes(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else { return value.as_u64() };
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit: u64 = match text[end..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return None,
    };
    text[..end].parse::<u64>().ok()?.checked_mul(unit)
}

/// `*`, or scheme, host and port without a path, as browsers send it.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    text == "*"
        || host.is_some_and(|host| {
            !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || "/?#@*".contains(c))
        })
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Switch => f.write_str("true or false"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Span { min, max } => {
                let (min, max) = (duration::format(*min), duration::format(*max));
                write!(f, "a duration from {min} to {max}, as 500ms, 30s or 1m30s")
            }
            Self::Size { min, max } => {
                write!(f, "a number of bytes from {min} to {max}, as 100MB or 512KiB")
            }
            Self::LogLevels => f.write_str(LogLevels::RULE),
            Self::Host => f.write_str("an IP address or a host name"),
            Self::Domain => f.write_str("a domain, as consul or hub.example.org"),
            Self::Label => f.write_str("1 to 63 letters, digits, - and _"),
            Self::Tenant => f.write_str("a tenant of 1 to 32 characters"),
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::Origins => {
                f.write_str("a list of origins, as https://console.example.org, or \"*\" for any")
            }
            Self::Networks => {
                f.write_str("a list of address ranges, as 10.0.0.0/8, fd00::/8 or 10.0.0.1")
            }
            Self::Ports => f.write_str("a list of ports and ranges of ports, as 443 or 8000-8999"),
            Self::Folder => f.write_str("a folder"),
            Self::File => f.write_str("a file"),
            Self::Text { max } => write!(f, "text of 1 to {max} bytes"),
            Self::Dsn => f.write_str("a database address"),
            Self::SecretsKeys => f.write_str("keys of 32 bytes in base64, separated by commas"),
        }
    }
}
