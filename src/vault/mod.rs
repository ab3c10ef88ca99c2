//! Secrets at rest: keys, and texts sealed with them.
//!
//! ```text
//! key file or environment ─ Vault ─ Ring of keys ─┬ seal: the first key      ─ sealed:v1:KEY:BASE64
//!                                                 └ open: the key that is named
//! ```
//!
//! A sealed text is bound to its [`Seat`]: tenant, configuration, column and the server it is for. It opens
//! nowhere else, so that neither a copy in another row nor a row that was pointed at another server
//! makes the hub give a secret away.

mod file;
mod keeper;
mod key;
mod sealed;
pub mod setup;
#[cfg(test)]
mod tests;

pub use keeper::{NoKey, Sealing, Vault};
pub use key::{KeyId, Ring};
pub use sealed::{PREFIX, Seat, Unopened, is_sealed, key_of};
