//! The decoders of the faces by their names.

use hub_registry::facades::fuzzing::DECODERS;

/// Reads the bytes with the decoder of this name.
///
/// # Panics
/// There is none, or it does: that is what is looked for.
pub fn decode(name: &str, bytes: &[u8]) {
    let found = DECODERS.iter().find(|(known, _)| *known == name);
    let (_, decode) = found.expect("a decoder of this name");
    decode(bytes);
}
