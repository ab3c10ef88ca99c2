//! A connected registry with its layers.

use std::sync::Arc;

use hub_registry_core::layers::{Filtered, Mapped, Metered, Observer, Retry, Timeout};
use hub_registry_core::{Error, ErrorKind, FieldMapping, Registry};

use super::drivers::Drivers;
use crate::model::external::ExternalConfig;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To read what the configuration is about, in its terms.
    Reading,
    /// To write, and to see all that is there as it is.
    Writing,
}

/// Connects and puts the layers around the adapter.
///
/// # Errors
/// No such driver, a setting that breaks a rule, a failed or too slow login.
pub async fn connect(
    drivers: &Drivers,
    config: &ExternalConfig,
    observer: Arc<dyn Observer>,
    purpose: Purpose,
) -> Result<Arc<dyn Registry>, Error> {
    let invalid =
        |error: crate::error::Error| Error::new(ErrorKind::Invalid, "connect", error.message);
    let spec = &config.spec;
    let driver = drivers.get(spec.kind).map_err(invalid)?;
    let bound = spec.connect_timeout + spec.read_timeout;
    let registry =
        tokio::time::timeout(bound, driver.connect(spec)).await.unwrap_or_else(|_| {
            let message = format!("no connection within {} ms", bound.as_millis());
            Err(Error::new(ErrorKind::Timeout, "connect", message))
        })?;
    let registry: Arc<dyn Registry> = match purpose {
        Purpose::Reading => {
            let registry = Arc::new(Filtered::new(registry, config.scope()));
            Arc::new(Mapped::new(registry, config.mapping.clone()))
        }
        Purpose::Writing => Arc::new(Mapped::new(registry, FieldMapping::default())),
    };
    let registry: Arc<dyn Registry> = Arc::new(Timeout::new(registry, bound));
    let registry = Arc::new(Retry::new(registry, spec.max_retries, spec.retry_interval));
    Ok(Arc::new(Metered::new(registry, observer)))
}
