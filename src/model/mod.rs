//! The nouns of the hub and their rules; no I/O.
//!
//! | module | what |
//! |---|---|
//! | [`names`] | what the hub calls things it accepts itself, and their ids |
//! | [`words`] | enumerations |
//! | [`instance`], [`service`], [`group`] | the native registry's nouns |
//! | [`check`] | checks that an instance brought with it |
//! | [`health_url`] | what an HTTP check asks |
//! | [`external`] | the configuration of an external registry |
//! | [`migration`] | what is moved from one registry to another, and its steps |
//! | [`terms`] | what a protocol says of an instance besides |
//! | [`row`] | what every table has |
//! | [`audit`] | who changed a thing, and when |
//! | [`fields`] | reading a request body field by field |
//! | [`json`] | JSON from outside, read strictly |
//! | [`mod@print`] | numbers that tell whether two states are the same |

pub mod audit;
pub mod check;
pub mod external;
pub mod fields;
pub mod group;
pub mod health_url;
pub mod instance;
pub mod json;
pub mod labels;
pub mod migration;
pub mod names;
pub mod patch;
pub mod print;
pub mod registration;
pub mod row;
pub mod service;
pub mod terms;
pub mod words;

#[cfg(test)]
mod tests;
