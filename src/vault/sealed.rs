//! Sealed texts: `sealed:v1:KEY:BASE64`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use hub_registry_core::Secret;

use super::key::{Key, KeyId, Ring};

/// How a sealed text begins. No secret may begin so.
pub const PREFIX: &str = "sealed:";
const VERSION: &str = "sealed:v1:";

/// Where a secret belongs. Each part is bound into the sealed text.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'s> {
    /// Whose.
    pub tenant: &'s str,
    /// Which configuration.
    pub config: &'s str,
    /// Which column.
    pub column: &'static str,
    /// Which server it is sent to, and what makes that one trusted.
    pub server: &'s str,
}

impl Seat<'_> {
    /// The parts so that no two seats give the same bytes. Never changed: what was sealed before
    /// could not be opened any more.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"hub-registry secret v1".to_vec();
        for part in [self.tenant, self.config, self.column, self.server] {
            bytes.extend((part.len() as u64).to_be_bytes());
            bytes.extend(part.as_bytes());
        }
        bytes
    }
}

/// Why a sealed text cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// Its key is not here.
    NoSuchKey(KeyId),
    /// Its key is here, and it is not what was sealed for this seat.
    NotForHere,
    /// It is no sealed text of a form that is known.
    Malformed,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchKey(id) => write!(
                f,
                "is sealed with the key {id}, which this hub does not have: put that key back, or \
                 give the secret again"
            ),
            Self::NotForHere => f.write_str(
                "was sealed for another server or another row, or is damaged: give the secret again",
            ),
            Self::Malformed => {
                f.write_str("begins with sealed: and is no sealed text: give the secret again")
            }
        }
    }
}

/// Whether a text is sealed, or claims to be.
#[must_use]
pub fn is_sealed(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// The key that a sealed text names.
#[must_use]
pub fn key_of(text: &str) -> Option<KeyId> {
    parts(text).map(|(id, _)| id)
}

fn parts(text: &str) -> Option<(KeyId, &str)> {
    let (id, rest) = text.strip_prefix(VERSION)?.split_once(':')?;
    Some((KeyId::parse(id)?, rest))
}

/// `None` when the library fails.
pub(super) fn seal(key: &Key, secret: &Secret, seat: &Seat<'_>) -> Option<Secret> {
    let sealed = key.seal(secret.expose().as_bytes(), &seat.bytes())?;
    Some(Secret::new(&format!("{VERSION}{}:{}", key.id(), STANDARD_NO_PAD.encode(sealed))))
}

pub(super) fn open(ring: &Ring, text: &str, seat: &Seat<'_>) -> Result<Secret, Unopened> {
    let (id, rest) = parts(text).ok_or(Unopened::Malformed)?;
    let sealed = STANDARD_NO_PAD.decode(rest).map_err(|_| Unopened::Malformed)?;
    let key = ring.find(&id).ok_or(Unopened::NoSuchKey(id))?;
    let bytes = key.open(&sealed, &seat.bytes()).ok_or(Unopened::NotForHere)?;
    let text = String::from_utf8(bytes).map_err(|_| Unopened::Malformed)?;
    Ok(Secret::new(&text))
}
