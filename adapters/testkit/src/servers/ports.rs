//! Free ports.

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Below the range from which systems take the ports of outgoing connections. A port from that
/// range can be taken by any client while its server is down; worse, on the loopback address a
/// client that keeps trying such a port ends up connected to itself.
const RANGE: std::ops::Range<u16> = 15_000..30_000;

/// How many tries; on a machine with free ports the first few hit.
const TRIES: usize = 1_000;

/// What this process has given away: a server needs its ports again after its restart.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A free port, and with it those at the given distances from it. None is given twice.
pub(super) fn free(distances: &[i32]) -> Option<Vec<u16>> {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..TRIES {
        let first = fastrand::u16(RANGE);
        let others = distances.iter().map(|distance| u16::try_from(i32::from(first) + distance));
        let Ok(others) = others.collect::<Result<Vec<_>, _>>() else {
            continue;
        };
        let ports: Vec<u16> = std::iter::once(first).chain(others).collect();
        if ports.iter().all(|port| !given.contains(port) && is_free(*port)) {
            given.extend(&ports);
            return Some(ports);
        }
    }
    None
}

/// On every address, since some servers listen on all of them; gossip is over UDP too.
fn is_free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok()
}
