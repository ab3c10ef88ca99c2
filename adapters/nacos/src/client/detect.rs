//! Which dialect a server speaks.
//!
//! Found out at the first call, by asking; and again after whatever may be the sign of another
//! server or another version: a call that is not there any more, an error, another address.

use std::time::Duration;

use hub_registry_core::{Error, ErrorKind, Result};
use parking_lot::Mutex as Lock;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::dialect::{self, Dialect};
use super::{NacosClient, server};

const OPERATION: &str = "find the API";

/// Left for the probe's own deadline, which counts first: it makes the client leave the address.
const MARGIN: Duration = Duration::from_secs(1);

/// A service nobody has.
const NOBODY: &str = "DEFAULT_GROUP@@hub-registry-probe";

/// What is known of the server's dialect.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    known: Lock<Option<Known>>,
    last: Lock<Option<Dialect>>,
    // One at a time: whoever waited finds what the one before found.
    busy: Mutex<()>,
}

#[derive(Debug)]
struct Known {
    dialect: Dialect,
    address: String,
}

impl Spoken {
    /// The dialect of the last server that was asked, whatever happened since.
    pub(super) fn last(&self) -> Option<Dialect> {
        *self.last.lock()
    }

    fn known(&self) -> Option<Dialect> {
        self.known.lock().as_ref().map(|known| known.dialect)
    }

    /// An answer came from this address: what is known of another one's does not hold for it.
    pub(super) fn answered(&self, address: &str) {
        let mut known = self.known.lock();
        if known.as_ref().is_some_and(|known| known.address != address) {
            *known = None;
        }
    }

    /// It may have changed.
    fn doubt(&self) {
        *self.known.lock() = None;
    }
}

impl NacosClient {
    /// After a read in this dialect failed: the other one that the server speaks by now.
    ///
    /// # Errors
    /// The read's own, where that is not why it failed.
    pub(super) async fn another(&self, before: Dialect, error: Error) -> Result<Dialect> {
        // Too many calls are no sign of another version.
        if error.kind() != ErrorKind::RateLimited {
            self.spoken.doubt();
        }
        if error.kind() != ErrorKind::NotFound {
            return Err(error);
        }
        let now = self.dialect().await?;
        if now == before { Err(error) } else { Ok(now) }
    }

    /// The dialect of the server in use.
    pub(super) async fn dialect(&self) -> Result<Dialect> {
        if let Some(dialect) = self.spoken.known() {
            return Ok(dialect);
        }
        let found = timeout(self.deadline + MARGIN, async {
            let _turn = self.spoken.busy.lock().await;
            match self.spoken.known() {
                Some(dialect) => Ok(dialect),
                None => self.find().await,
            }
        });
        found.await.unwrap_or_else(|_| {
            let message = "nobody could say in time which API the server speaks";
            Err(Error::new(ErrorKind::Timeout, OPERATION, message))
        })
    }

    async fn find(&self) -> Result<Dialect> {
        let (dialect, address) = self.newest().await?;
        *self.spoken.known.lock() = Some(Known { dialect, address });
        let last = self.spoken.last.lock().replace(dialect);
        if last != Some(dialect) {
            let before = last.map_or_else(|| "unknown".to_owned(), |last| last.to_string());
            tracing::info!(
                config.name = self.name,
                nacos.api = %dialect,
                nacos.api.before = before,
                "the HTTP API this nacos is read by"
            );
        }
        Ok(dialect)
    }

    /// The newest dialect that works, and the address that speaks it.
    async fn newest(&self) -> Result<(Dialect, String)> {
        let newest = match self.first_page(Dialect::V3).await {
            Ok(address) => return Ok((Dialect::V3, address)),
            Err(error) if is_an_answer(&error) => error,
            Err(error) => return Err(error),
        };
        let address = match self.first_page(Dialect::V1).await {
            Ok(address) => address,
            // A 3.x that wants a login says so by v3 only.
            Err(error) if is_refusal(&newest) && is_an_answer(&error) => return Err(newest),
            Err(error) => return Err(error),
        };
        let query = [
            ("namespaceId", self.namespace.as_str()),
            ("serviceName", NOBODY),
            ("pageNo", "1"),
            ("pageSize", "1"),
        ];
        let path = Dialect::V2.instances_path();
        let answer = self.get(Dialect::V2, (OPERATION, path), &query).await?;
        match answer.status.as_u16() {
            _ if dialect::is_missing(answer.status) => Ok((Dialect::V1, address)),
            // This one service may be refused to who may read others.
            401 | 403 => Ok((Dialect::V2, address)),
            _ => Dialect::V2.instances(answer).map(|_| (Dialect::V2, address)),
        }
    }

    /// Reads one service; the address that answered.
    async fn first_page(&self, dialect: Dialect) -> Result<String> {
        let answer = self.service_page(dialect, (1, "1"), "").await?;
        let address = server(&answer, dialect.services_path()).to_owned();
        dialect.services(answer).map(|_| address)
    }
}

/// Whether the server is there, if not in this dialect or not for us. Something else than a Nacos,
/// such as a page for people, counts too.
fn is_an_answer(error: &Error) -> bool {
    is_refusal(error) || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Protocol)
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Forbidden)
}
