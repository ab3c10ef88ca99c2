//! Nacos' gRPC, which clients of 2.x and later speak: what a client registers is there as long as its
//! connection, and what it subscribes to is pushed.
//!
//! | module | what |
//! |---|---|
//! | `message` | what is said: types, and JSON |
//! | `transport` | connections, and calls on them |
//! | `connection` | a client |
//! | `held` | what goes with it |
//! | `answer` | what it asks |
//! | `push` | what it is told |
//! | `pulse` | whether this process stood still |

mod answer;
mod connection;
#[cfg(any(fuzzing, test))]
pub(super) mod fuzzing;
mod held;
mod message;
mod pulse;
mod push;
mod transport;

use std::sync::Arc;

use tokio::net::TcpListener;

pub(super) use self::held::Holders;
pub(super) use self::pulse::Pulse;
use super::Nacos;
use crate::task::TaskGroup;

/// How much higher the port for gRPC is than that for HTTP: clients reckon with it.
pub const PORT_OFFSET: u16 = 1000;

impl Nacos {
    /// Answers clients on this listener until the group stops, so many at a time.
    pub fn serve_grpc(&self, listener: TcpListener, connections: usize, tasks: &TaskGroup) {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "clients of Nacos are answered by gRPC");
        }
        let accepting =
            transport::accept(listener, Arc::clone(&self.0), connections, tasks.clone());
        tasks.spawn_until_stopped(accepting);
        tasks.spawn_until_stopped(pulse::run(Arc::clone(&self.0)));
    }
}
