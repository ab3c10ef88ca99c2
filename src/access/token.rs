//! A token as its holder has it.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorCode, Result};

/// How every token begins, so that people and secret scanners know one when they see it.
const MARK: &str = "hubr_";
/// Enough of a token to tell it from others, far too little to guess the rest.
const SHOWN: usize = MARK.len() + 6;

/// A token: 256 random bits as text. Only its hash is ever kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// SHA-256 of a token. A slow hash is for secrets that people think up; these bits cannot be
/// guessed however fast one tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn random() -> Result<Self> {
        Ok(Self(format!("{MARK}{}", hex(&random::<32>()?))))
    }

    /// The text for its holder: shown once, never kept or logged.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// How it begins.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.0[..SHOWN]
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}***)", self.prefix())
    }
}

impl TokenHash {
    /// The hash of what a caller showed. Found by its hash, a token is compared in a time that
    /// tells nothing about it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// From a table.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// A new id of a token: 32 hexadecimal digits.
///
/// # Errors
/// When the system has no randomness to give.
pub(super) fn random_id() -> Result<String> {
    Ok(hex(&random::<16>()?))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random bytes");
        Error::new(ErrorCode::Internal, "no random bytes for a token")
    })?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
