//! Instances as `XStream` writes and reads them.
//!
//! Keys of metadata are names of elements there. What no name may have is written `_.XXXX`, four
//! hexadecimal digits of UTF-16 each; `_` is doubled and `$` is `_-`
//! (`XmlFriendlyNameCoder`, of which eureka-client's `XmlXStream` uses the replacements).

mod names;
mod read;
mod write;

pub(super) use read::read;
pub(super) use write::{instance, mini, text};
