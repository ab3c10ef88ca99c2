//! Keys.

use std::{fmt, io};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use sha2::{Digest, Sha256};

use crate::config::{KeyBytes, SecretsKeys};

/// Which key: eight hex digits of a digest of it, so that nobody has to give it a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl KeyId {
    fn of(bytes: &KeyBytes) -> Self {
        let mut digest = Sha256::new();
        digest.update(b"hub-registry secrets key\0");
        digest.update(bytes);
        Self(digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect())
    }

    /// The id that somebody wrote down.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        (text.len() == 8 && text.chars().all(hex)).then(|| Self(text.to_owned()))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A new key.
pub(super) fn generate() -> io::Result<KeyBytes> {
    let mut bytes = KeyBytes::default();
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system has no random numbers"))?;
    Ok(bytes)
}

/// One key; `Debug` shows its id.
pub(super) struct Key {
    id: KeyId,
    bytes: KeyBytes,
}

impl Key {
    fn new(bytes: KeyBytes) -> Self {
        Self { id: KeyId::of(&bytes), bytes }
    }

    pub(super) fn id(&self) -> &KeyId {
        &self.id
    }

    // Made for each use: a secret is sealed or opened when a row changes, not when it is read.
    fn cipher(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.bytes).ok()
    }

    /// Nonce, cipher text and tag in one; `None` when the library fails.
    pub(super) fn seal(&self, text: &[u8], seat: &[u8]) -> Option<Vec<u8>> {
        let mut sealed = text.to_vec();
        let nonce = self.cipher()?.seal_in_place_append_tag(Aad::from(seat), &mut sealed).ok()?;
        Some([&nonce.as_ref()[..], &sealed].concat())
    }

    /// What was sealed; `None` when it was not by this key for this seat.
    pub(super) fn open(&self, sealed: &[u8], seat: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut rest = rest.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.cipher()?.open_in_place(nonce, Aad::from(seat), &mut rest).ok()?;
        Some(text.to_vec())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Keys: the first seals, each opens what it sealed.
#[derive(Debug, Default)]
pub struct Ring(Vec<Key>);

impl Ring {
    pub(super) fn new(keys: &SecretsKeys) -> Self {
        Self::of(keys.bytes())
    }

    pub(super) fn of(keys: &[KeyBytes]) -> Self {
        Self(keys.iter().copied().map(Key::new).collect())
    }

    /// The ids, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.0.iter().map(|key| &key.id)
    }

    pub(super) fn first(&self) -> Option<&Key> {
        self.0.first()
    }

    pub(super) fn find(&self, id: &KeyId) -> Option<&Key> {
        self.0.iter().find(|key| key.id == *id)
    }

    /// The bytes of the keys that satisfy, in their order.
    pub(super) fn bytes(&self, wanted: impl Fn(&KeyId) -> bool) -> Vec<KeyBytes> {
        self.0.iter().filter(|key| wanted(&key.id)).map(|key| key.bytes).collect()
    }
}
