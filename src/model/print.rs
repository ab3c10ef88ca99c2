//! Numbers that tell whether two states are the same.
//!
//! A print is a sum, so that it follows each change at the cost of that change: what left is
//! taken away, what came is added. Two states with the same content have the same print, in
//! whatever order they came about; two with different content do not, but for one chance in 2^64.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Add, AddAssign, Sub, SubAssign};

use hub_registry_core::{Instance, ServiceKey};

/// The print of a state. Programs built with another compiler may count otherwise: then a state
/// looks changed that is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Print(u64);

impl Print {
    /// Of a service, without its instances.
    #[must_use]
    pub fn service(key: &ServiceKey) -> Self {
        Self::of(&("service", key))
    }

    /// Of an instance that one source alone knows, by its name, and that is not waited for.
    #[must_use]
    pub fn instance(source: &str, instance: &Instance) -> Self {
        Self::of(&(source, instance))
    }

    /// Of an instance that several sources know, or that is waited for: what readers see, and
    /// what each source says by itself.
    #[must_use]
    pub fn shared<'a>(
        shown: &Instance,
        held: bool,
        origins: impl Iterator<Item = (&'a str, &'a Instance)>,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (held, shown).hash(&mut hasher);
        for origin in origins {
            origin.hash(&mut hasher);
        }
        Self(hasher.finish())
    }

    fn of(what: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// As a table keeps it.
    #[must_use]
    pub fn to_column(self) -> i64 {
        self.0.cast_signed()
    }

    /// From a table.
    #[must_use]
    pub fn from_column(number: i64) -> Self {
        Self(number.cast_unsigned())
    }
}

impl Add for Print {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl Sub for Print {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

impl AddAssign for Print {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Print {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl std::fmt::LowerHex for Print {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::LowerHex::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use hub_registry_core::{GroupName, Host, InstanceKey, ServiceName};

    use super::*;

    fn instance(port: u16) -> Instance {
        let service = ServiceKey::new(GroupName::default_group(), ServiceName::parse("s").unwrap());
        Instance::new(InstanceKey { service, host: Host::parse("h").unwrap(), port })
    }

    #[test]
    fn a_state_has_the_same_print_however_it_came_about() {
        let [one, two, three] = [1, 2, 3].map(|port| Print::instance("native", &instance(port)));
        let mut print = Print::default();
        for part in [one, three, two] {
            print += part;
        }
        print -= three;
        assert_eq!(print, two + one);
        assert_ne!(print, one + three);
        assert_eq!(Print::from_column(print.to_column()), print);
    }

    #[test]
    fn what_is_not_the_same_has_another_print() {
        let plain = instance(1);
        let heavy = Instance { weight: hub_registry_core::Weight::new(7), ..plain.clone() };
        let shared = |held, sources: &[&str]| {
            Print::shared(&plain, held, sources.iter().map(|name| (*name, &plain)))
        };
        let all = [
            Print::instance("native", &plain),
            Print::instance("consul", &plain),
            Print::instance("native", &heavy),
            shared(false, &["native"]),
            shared(true, &["native"]),
            shared(false, &["native", "consul"]),
            shared(false, &["consul", "native"]),
            Print::service(&plain.key.service),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| other != one), "{at}");
        }
    }
}
