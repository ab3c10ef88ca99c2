//! What commands do and print.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the configuration: checked, printed |
//! | [`ctl`] | a running hub, asked and changed over its API |
//! | [`secrets`] | the keys of secrets |
//! | [`token`] | tokens, in the database |

pub mod config;
pub mod ctl;
pub mod secrets;
pub mod token;
