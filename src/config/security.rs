//! `security`: who may do what.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::rule::Rule;
use super::secrets_key::SecretsKeys;

/// Who may do what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SecurityConfig {
    /// Whether a credential is asked for; `None`: where the server can be reached from elsewhere.
    pub enabled: Option<bool>,
    /// The file of keys that secrets of external registries are sealed with.
    pub secrets_key_file: Option<PathBuf>,
    /// These keys themselves.
    pub secrets_key: Option<SecretsKeys>,
    /// JSON Web Tokens of an identity provider.
    pub jwt: JwtConfig,
}

/// JSON Web Tokens of an identity provider. Without a key file none is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct JwtConfig {
    /// The secret of an HMAC, or the public key of a signature as PEM.
    pub key_file: Option<PathBuf>,
    /// How they are signed.
    pub algorithm: JwtAlgorithm,
    /// Who must have issued them (`iss`).
    pub issuer: Option<String>,
    /// For whom they must be (`aud`).
    pub audience: String,
}

impl Default for JwtConfig {
    fn default() -> Self {
        Self {
            key_file: None,
            algorithm: JwtAlgorithm::default(),
            issuer: None,
            audience: "hub-registry".to_owned(),
        }
    }
}

/// How a JSON Web Token is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of RFC 7518")]
pub enum JwtAlgorithm {
    Hs256,
    Hs512,
    #[default]
    Rs256,
    Es256,
    EdDsa,
}

const WORD: Rule = Rule::Text { max: 255 };

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "security.enabled",
        Rule::Switch,
        "Asks every request for a credential. null: on when server.http.host can be reached from \
         other machines, off on 127.0.0.1. Off, everybody who reaches the port may do everything.",
    )
    .optional(),
    Key::new(
        "security.secretsKeyFile",
        Rule::File,
        "The file of keys that the secrets of external registries are sealed with in the database: 32 \
         bytes each, in base64, one a line; the first seals. null: secrets.key beside a SQLite file, \
         else ./data/secrets.key, made at the first start. All hubs on one database need the same keys.",
    )
    .optional(),
    Key::new(
        "security.secretsKey",
        Rule::SecretsKeys,
        "The keys themselves instead of a file, for the environment \
         (REGISTRY__SECURITY__SECRETSKEY).",
    )
    .optional(),
    Key::new(
        "security.jwt.keyFile",
        Rule::File,
        "The key that JSON Web Tokens are checked with: a secret of at least 32 bytes for hs256 \
         and hs512, else a public key as PEM. null: none are taken.",
    )
    .optional(),
    Key::new(
        "security.jwt.algorithm",
        Rule::OneOf(&["hs256", "hs512", "rs256", "es256", "eddsa"]),
        "How they are signed; what they say of it themselves does not count.",
    ),
    Key::new(
        "security.jwt.issuer",
        WORD,
        "Who must have issued them (claim iss); needed with a key file.",
    )
    .optional(),
    Key::new("security.jwt.audience", WORD, "For whom they must be (claim aud)."),
];
