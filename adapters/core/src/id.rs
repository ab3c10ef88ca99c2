//! Validated names.
//!
//! Every name is a cheap-to-clone, immutable string that was checked once, when it was made. The
//! rules here are those for names that *arrive from registries*: generous, since a foreign
//! registry's rules are its own. The stricter rule for names the hub accepts itself
//! (`[A-Za-z0-9._:-]{1,100}`) lives with the hub's API.

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest group or service name taken from a registry, in bytes.
pub const MAX_NAME: usize = 512;
/// The longest host taken from a registry, in bytes (RFC 1035 names are at most 255).
pub const MAX_HOST: usize = 255;
/// The longest tenant or configuration id, in bytes.
pub const MAX_ID: usize = 32;

/// A name that breaks a rule: which kind of name, what was given, and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {rule}")]
pub struct InvalidName {
    /// What the name was meant to be: `service name`, `host`, ...
    pub what: &'static str,
    /// The offending value, cut to a printable length.
    pub value: String,
    /// The rule it breaks.
    pub rule: String,
}

impl InvalidName {
    fn new(what: &'static str, value: &str, rule: impl Into<String>) -> Self {
        Self { what, value: value.chars().take(80).collect(), rule: rule.into() }
    }
}

fn check(what: &'static str, value: &str, max: usize) -> Result<(), InvalidName> {
    if value.is_empty() {
        return Err(InvalidName::new(what, value, "must not be empty"));
    }
    if value.len() > max {
        return Err(InvalidName::new(what, value, format!("must be at most {max} bytes long")));
    }
    if value.chars().any(char::is_control) {
        return Err(InvalidName::new(what, value, "must not contain control characters"));
    }
    Ok(())
}

/// What a name is made of. Names are compared all day, most often with themselves: of one
/// allocation it is known without a look that it equals itself.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Text(Arc<str>);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Arc::from(text))
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        // `Arc` does as much for `==`, but not here.
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Text);

        impl $name {
            /// Checks the rule and keeps the name.
            ///
            /// # Errors
            /// When it is empty, too long or has control characters.
            pub fn parse(value: &str) -> Result<Self, InvalidName> {
                check($what, value, $max)?;
                Ok(Self(Text::from(value)))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::parse(value)
            }
        }

        // Lets a map keyed by the name be asked with a plain `&str`; sound because `Hash`, `Eq`
        // and `Ord` of `Text` are those of `str`.
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let value = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                Self::parse(&value).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// Whose data it is; 1 to 32 bytes.
    TenantId,
    "tenant id",
    MAX_ID
);
name!(
    /// The id of an external registry's configuration row; 1 to 32 bytes.
    ConfigId,
    "config id",
    MAX_ID
);
name!(
    /// A group of services; 1 to 512 bytes. Registries without groups use the configured default.
    GroupName,
    "group name",
    MAX_NAME
);
name!(
    /// A service; 1 to 512 bytes, case kept.
    ServiceName,
    "service name",
    MAX_NAME
);

impl GroupName {
    /// `DEFAULT_GROUP`, Nacos' name for "no group said".
    #[must_use]
    pub fn default_group() -> Self {
        static DEFAULT: LazyLock<GroupName> =
            LazyLock::new(|| GroupName(Text::from("DEFAULT_GROUP")));
        DEFAULT.clone()
    }
}

impl TenantId {
    /// `default`, the tenant of requests that name none.
    #[must_use]
    pub fn default_tenant() -> Self {
        static DEFAULT: LazyLock<TenantId> = LazyLock::new(|| TenantId(Text::from("default")));
        DEFAULT.clone()
    }
}

/// An instance's address: an IP in canonical form or a lower-case host name, 1 to 255 bytes.
///
/// Canonical, so that one instance known to two registries is one row: `010.0.0.1` is refused as
/// an IP and stays a name, `::FFFF` style spellings become the form of RFC 5952, an IPv4 address
/// written as IPv6 (`::ffff:10.5.0.9`) becomes the IPv4 address it is, `Web-1.Example` becomes
/// `web-1.example`, and `web-1.example.` loses the dot that only says that the name is whole.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Text);

impl Host {
    /// Checks and canonicalises.
    ///
    /// # Errors
    /// When it is empty, too long, or has white space, control characters or one of `/?#@[]`
    /// (brackets around an IPv6 address are taken off).
    pub fn parse(value: &str) -> Result<Self, InvalidName> {
        check("host", value, MAX_HOST)?;
        let bare = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(value);
        let bare = match bare.strip_suffix('.') {
            // More than one dot is no name's end; it stays, so that a canonical name stays itself.
            Some(rest) if !rest.is_empty() && !rest.ends_with('.') => rest,
            _ => bare,
        };
        if let Ok(ip) = bare.parse::<IpAddr>() {
            return Ok(Self(Text::from(&*ip.to_canonical().to_string())));
        }
        if bare.chars().any(|c| c.is_whitespace() || "/?#@[]\"\\".contains(c)) {
            let rule = "must be an IP address or a host name";
            return Err(InvalidName::new("host", value, rule));
        }
        Ok(Self(Text::from(&*bare.to_ascii_lowercase())))
    }

    /// The host as text, an IPv6 address without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        Self::parse(&value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_canonical() {
        let canonical = |value: &str| Host::parse(value).unwrap().to_string();
        assert_eq!(canonical("Web-1.Example"), "web-1.example");
        assert_eq!(canonical("[2001:DB8:0:0::1]"), "2001:db8::1");
        assert_eq!(canonical("10.0.0.1"), "10.0.0.1");
        assert_eq!(canonical("010.0.0.1"), "010.0.0.1");
    }

    #[test]
    fn one_address_has_one_spelling() {
        let canonical = |value: &str| Host::parse(value).unwrap().to_string();
        for mapped in ["::ffff:10.5.0.9", "[::FFFF:10.5.0.9]", "::ffff:a05:9", "10.5.0.9."] {
            assert_eq!(canonical(mapped), "10.5.0.9", "{mapped}");
        }
        // Compatible is not mapped, and translated is another address.
        assert_eq!(canonical("::10.5.0.9"), "::a05:9");
        assert_eq!(canonical("64:ff9b::10.5.0.9"), "64:ff9b::a05:9");
        assert_eq!(canonical("Foo.Example.org."), "foo.example.org");
        for odd in [".", "..", "foo..", "foo"] {
            assert_eq!(canonical(odd), odd);
        }
    }

    #[test]
    fn bad_names_say_what_and_why() {
        let error = ServiceName::parse("").unwrap_err();
        assert_eq!(error.to_string(), "service name \"\" must not be empty");
        assert!(ServiceName::parse(&"x".repeat(513)).is_err());
        assert!(GroupName::parse("a\nb").is_err());
        assert!(Host::parse("a b").is_err());
        assert!(Host::parse("http://a").is_err());
    }
}
