//! What reads messages and heartbeats, for fuzzing.

use super::{beat, grpc};

/// A message by gRPC, and what it says.
pub(in crate::facades) fn message(bytes: &[u8]) {
    grpc::fuzzing::message(bytes);
}

/// A heartbeat by HTTP.
pub(in crate::facades) fn heartbeat(bytes: &[u8]) {
    beat::fuzzing(bytes);
}
