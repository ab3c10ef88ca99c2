//! From names to addresses.

use std::fmt;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Names looked up at once, over the whole process. A lookup occupies a thread until the system
/// gives up, also when nobody waits for it any more; without a bound a dead name server would
/// take every thread there is for blocking work.
static LOOKUPS: Semaphore = Semaphore::const_new(64);

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: fmt::Debug + Send + Sync + 'static {
    /// Every address, in the order to try them.
    ///
    /// # Errors
    /// Whatever the system says.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let permit = LOOKUPS.acquire().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let found = spawn_blocking(move || {
            let _permit = permit;
            let found = (name.as_str(), 0).to_socket_addrs();
            found.map(|addresses| addresses.map(|address| address.ip()).collect())
        });
        found.await.map_err(io::Error::other)?
    }
}
