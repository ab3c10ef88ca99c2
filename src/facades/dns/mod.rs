//! The view, asked by DNS: addresses and ports of what may be sent traffic, by the names of Consul's
//! and by `SERVICE.GROUP`.
//!
//! | module | what |
//! |---|---|
//! | `question` | what a name asks for |
//! | `zone` | what there is of it |
//! | `message` | from bytes to bytes |
//! | `transport` | datagrams and connections |

#[cfg(any(fuzzing, test))]
pub(in crate::facades) mod fuzzing;
mod message;
mod question;
mod transport;
mod zone;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use hickory_proto::op::ResponseCode;
use hub_registry_core::TenantId;
use tokio::net::{TcpListener, UdpSocket};

use self::message::Way;
use self::zone::Zone;
use crate::access::{Authenticator, Caller, Grant, Role, Tenants};
use crate::config::DnsConfig;
use crate::facades::Doors;
use crate::task::TaskGroup;
use crate::telemetry::metrics::DnsMetrics;

/// Who asks, for the lists of groups: a question by DNS shows no credential.
const USER: &str = "dns";

/// The names of the zone.
#[derive(Clone, Debug)]
struct Names {
    /// The labels of its domain.
    domain: Vec<String>,
    datacenter: String,
    /// How long an answer may be kept, in seconds.
    ttl: u32,
}

impl Names {
    fn new(domain: &str, datacenter: &str) -> Self {
        let labels = domain.split('.').filter(|label| !label.is_empty());
        let domain = labels.map(str::to_owned).collect();
        Self { domain, datacenter: datacenter.to_owned(), ttl: 0 }
    }
}

#[derive(Debug)]
struct Face {
    zone: Zone,
    names: Names,
    metrics: DnsMetrics,
}

impl Face {
    fn answer(&self, question: &[u8], way: Way) -> Option<Vec<u8>> {
        // One question must not be the last.
        let answer = AssertUnwindSafe(|| message::answer(&self.zone, &self.names, question, way));
        let answer = std::panic::catch_unwind(answer).unwrap_or_else(|_| {
            tracing::error!("a question by DNS ended in a panic; the asker got SERVFAIL");
            message::refused(question, ResponseCode::ServFail)
        })?;
        self.metrics.answered(answer.kind, answer.code);
        Some(answer.bytes)
    }
}

/// Listens on a UDP and a TCP port of one number; nothing where none is configured.
///
/// # Errors
/// The port cannot be listened on.
pub async fn start(
    config: &DnsConfig,
    doors: &Doors,
    tasks: &TaskGroup,
) -> std::io::Result<Option<SocketAddr>> {
    let Some(port) = config.port else { return Ok(None) };
    let listener = TcpListener::bind((config.host.as_str(), port)).await?;
    let address = listener.local_addr()?;
    let socket = UdpSocket::bind(address).await?;
    let ttl = u32::try_from(config.ttl.as_secs()).unwrap_or(u32::MAX);
    let names = Names { ttl, ..Names::new(&config.domain, &config.datacenter) };
    let caller = caller(&doors.authenticator, config.tenant.clone());
    let zone = Zone { view: doors.view.clone(), native: Arc::clone(&doors.native), caller };
    let face = Arc::new(Face { zone, names, metrics: doors.metrics.dns.clone() });
    tasks.spawn_until_stopped(transport::datagrams(socket, Arc::clone(&face)));
    tasks.spawn_until_stopped(transport::connections(listener, face, tasks.clone()));
    tracing::info!(%address, domain = %config.domain, "questions by DNS are answered");
    Ok(Some(address))
}

/// With security on, what a reader of the tenant sees who is on no list of a group.
fn caller(authenticator: &Authenticator, tenant: TenantId) -> Caller {
    if !authenticator.is_on() {
        return Caller::unlimited(tenant, USER);
    }
    let tenants = Tenants::One(tenant.clone());
    let grant = Grant { role: Role::Reader, groups: None::<BTreeSet<_>>, tenants };
    Caller::granted(tenant, Arc::from(USER), Arc::new(grant))
}
