//! What every registry owes its callers, as a test that any of them can run.
//!
//! The suite talks to the registry under test from two sides: as a *client of that registry*
//! through [`Subject`] (its own plain API), and as the hub through the
//! [`Registry`] trait. What the first side wrote, the second must
//! read and see, within the subject's stated lag. Cases use names of their own, so one server
//! serves them all.

mod canaries;
mod eventually;
mod faults;
mod reads;
mod sample;
mod subject;
mod watches;
mod writes;

use std::sync::Arc;

use hub_registry_core::layers::Mapped;
use hub_registry_core::{FieldMapping, Registry};

pub use canaries::complaints;
pub use eventually::{Follower, eventually};
pub use sample::Sample;
pub use subject::{Lags, Subject, Traits};

/// The registry as the hub reads it: with the layer that every adapter is under.
#[must_use]
pub fn in_the_hubs_terms(registry: Arc<dyn Registry>) -> Arc<dyn Registry> {
    Arc::new(Mapped::new(registry, FieldMapping::default()))
}

/// Runs every case against the subject; prints each case's name and, at the end, how long changes
/// took to be seen.
///
/// # Panics
/// When a case fails; the message names the case and what was expected.
pub async fn run(subject: &dyn Subject) {
    let lags = Lags::default();
    let case = |name: &str| println!("contract {}: {name}", subject.name());
    case("reads agree with what clients wrote");
    reads::agree(subject).await;
    case("an unknown service has no instances, and that is no error");
    reads::unknown_service(subject).await;
    case("every state is read as it is");
    reads::states(subject).await;
    case("a scope leaves out what it excludes");
    reads::scope(subject).await;
    case("what the capability denies is answered with Unsupported");
    reads::unsupported(subject).await;
    case("a watch begins with everything");
    watches::begins_with_reset(subject).await;
    case("a watch shows each change, whole services at a time");
    watches::shows_changes(subject, &lags).await;
    case("a watch shows the first instance of new services");
    watches::shows_new_services(subject, &lags).await;
    case("a quiet watch says that it still looks");
    watches::quiet(subject).await;
    case("many changes end in the right state");
    watches::churn(subject).await;
    let capability = subject.connect().await.capability();
    if capability.register {
        case("copies come back whole, in every state");
        writes::come_back_whole(subject).await;
        case("copies are updated in place");
        writes::are_updated_in_place(subject).await;
        case("copies are removed alone");
        writes::are_removed_alone(subject).await;
    }
    if capability.heartbeat {
        case("copies are renewed");
        writes::are_renewed(subject).await;
    }
    case("when the registry fails, reads fail and watches end; after it returns, both work");
    faults::outage(subject).await;
    lags.print(subject.name());
}
