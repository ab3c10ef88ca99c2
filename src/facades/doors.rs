//! What every face works with.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hub_registry_core::TenantId;

use crate::access::Authenticator;
use crate::catalog::{SourceCell, View};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::http::body::read;
use crate::native::Native;
use crate::telemetry::metrics::Metrics;

/// The doors a face goes in and out by; a clone shares them.
#[derive(Clone, Debug)]
pub struct Doors {
    /// The readers' side of the view.
    pub view: View,
    /// The hub's own registry.
    pub native: Arc<Native>,
    /// Who may ask.
    pub authenticator: Authenticator,
    /// What is counted.
    pub metrics: Metrics,
    /// Wall time.
    pub clock: Clock,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// How long a body may take to come.
    pub body_time: Duration,
}

impl Doors {
    /// The names of the sources that were never heard, if there are any: until then nothing is all.
    /// To be asked before what there is is taken, which then has what each of them said.
    pub(super) fn unheard(&self, tenant: &TenantId) -> Option<String> {
        let cells = self.view.unloaded(tenant);
        (!cells.is_empty()).then(|| names(&cells))
    }

    /// A body, within its bounds.
    pub(super) async fn body(&self, body: Body) -> Result<Bytes> {
        let late = |_| Err(Error::unavailable("the body did not come in time"));
        tokio::time::timeout(self.body_time, read(body, self.body_limit)).await.unwrap_or_else(late)
    }
}

/// The names of these sources, for people.
pub(super) fn names(cells: &[Arc<SourceCell>]) -> String {
    cells.iter().map(|cell| cell.info.name.as_str()).collect::<Vec<_>>().join(", ")
}
