//! The keys that secrets of external registries are sealed with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is shown of them.
const STARS: &str = "***";

/// One key: 256 bits.
pub type KeyBytes = [u8; 32];

/// Keys, the one that seals first. `Debug` and `Serialize` are stars.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretsKeys(Vec<KeyBytes>);

impl SecretsKeys {
    /// Reads keys in base64, separated by commas or white space. What follows a `#` on its line is
    /// a note.
    ///
    /// # Errors
    /// Which key is none, in words that do not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let separator = |c: char| c == ',' || c.is_whitespace();
        let words = lines.flat_map(|line| line.split(separator)).filter(|word| !word.is_empty());
        let mut keys: Vec<KeyBytes> = Vec::new();
        for (index, word) in words.enumerate() {
            let number = index + 1;
            let bytes = STANDARD.decode(word).ok().and_then(|bytes| KeyBytes::try_from(bytes).ok());
            let key = bytes.ok_or_else(|| {
                format!("key {number} is not 32 bytes in base64 (openssl rand -base64 32)")
            })?;
            if keys.contains(&key) {
                return Err(format!("key {number} is there twice"));
            }
            if key.iter().all(|byte| *byte == key[0]) {
                return Err(format!("key {number} is one byte again and again: no key"));
            }
            keys.push(key);
        }
        Ok(Self(keys))
    }

    /// Each key, the one that seals first.
    #[must_use]
    pub fn bytes(&self) -> &[KeyBytes] {
        &self.0
    }

    /// What a rule says of a text: it holds at least one key, or it is what is shown of keys.
    pub(super) fn check(text: &str) -> Result<(), String> {
        match Self::parse(text) {
            _ if text == STARS => Ok(()),
            Ok(keys) if keys.0.is_empty() => Err("there is no key in it".to_owned()),
            Ok(_) => Ok(()),
            Err(message) => Err(message),
        }
    }
}

impl fmt::Debug for SecretsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(STARS)
    }
}

impl Serialize for SecretsKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(STARS)
    }
}

impl<'de> Deserialize<'de> for SecretsKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn keys_are_read_in_their_order() {
        let text = format!("# made by hand\n{ONE} # the new one\n\n{TWO}\n");
        let keys = SecretsKeys::parse(&text).unwrap();
        assert_eq!(keys.bytes().len(), 2);
        assert_eq!((keys.bytes()[0][0], keys.bytes()[1][0]), (0, 1));
        assert_eq!(SecretsKeys::parse(&format!("{ONE},{TWO}")).unwrap(), keys);
        assert_eq!(format!("{keys:?}"), "***");
        assert_eq!(serde_json::to_string(&keys).unwrap(), "\"***\"");
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let zeros = STANDARD.encode([0_u8; 32]);
        for text in ["hunter2", &ONE[1..], &format!("{ONE} {ONE}"), &zeros] {
            let message = SecretsKeys::parse(text).unwrap_err();
            assert!(message.starts_with("key "), "{message}");
            assert!(!message.contains("hunter2") && !message.contains(&ONE[1..]), "{message}");
        }
        assert!(SecretsKeys::check("# nothing").is_err());
        assert!(SecretsKeys::check(ONE).is_ok());
    }
}
