//! What reads messages and heartbeats, for fuzzing.

use super::{beat, config, grpc, register, udp};
use crate::model::labels::check_metadata;

/// A message by gRPC, and what it says.
pub(in crate::facades) fn message(bytes: &[u8]) {
    grpc::fuzzing::message(bytes);
}

/// A heartbeat by HTTP.
pub(in crate::facades) fn heartbeat(bytes: &[u8]) {
    beat::fuzzing(bytes);
}

/// Metadata by HTTP, in either of their forms.
pub(in crate::facades) fn metadata(bytes: &[u8]) {
    if let Some(pairs) = std::str::from_utf8(bytes).ok().and_then(register::pairs) {
        check_metadata("metadata", &pairs).ok();
    }
}

/// What is sent by UDP to acknowledge a push.
pub(in crate::facades) fn acknowledgement(bytes: &[u8]) {
    udp::acknowledged(bytes);
}

/// Which configurations a client says that it has.
pub(in crate::facades) fn configurations(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        config::gone(text);
    }
}
