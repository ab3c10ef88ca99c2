//! Who may do what.
//!
//! A request comes with a credential, or with nothing where security is off. What it may do is
//! its [`Caller`]: a tenant, a user and rights. Whatever changes or reads a group asks the caller,
//! in the one place that does the thing, so that every surface (REST, facades) is held to the same
//! rules.
//!
//! | module | what |
//! |---|---|
//! | `role` | roles, and which actions each allows |
//! | `caller` | one caller's rights, and the lists of a group |
//! | `visible` | the groups a caller may read |
//! | `authenticator` | from what a request shows to its caller |
//! | `token`, `new_token`, `tokens` | the hub's own credentials |
//! | `jwt` | those of an identity provider |
//! | `setup` | security as the configuration wants it |
//! | `credential` | what either says of its holder |

mod authenticator;
mod caller;
mod credential;
mod jwt;
mod new_token;
mod role;
mod setup;
#[cfg(test)]
mod tests;
mod token;
mod tokens;
mod visible;

pub use authenticator::{Authenticator, Said};
pub use caller::{Caller, Grant, HUB};
pub use credential::{Credential, Tenants};
pub use jwt::{Jwt, JwtRules};
pub use new_token::{MAX_USER, NewToken, life};
pub use role::{Action, Role};
pub use setup::{authenticator, is_wanted};
pub use token::{Token, TokenHash};
pub use tokens::Tokens;
pub use visible::Visible;
