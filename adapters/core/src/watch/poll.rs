//! Watching by asking again and again.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::diff;
use crate::change::{Change, ChangeStream, ServiceState};
use crate::error::{Error, ErrorKind, Result};
use crate::instance::{Instance, ServiceKey};

/// Fetches everything at once and then every `interval`: the first answer becomes a `Reset`, a
/// later one the `Put`s and `Gone`s that lead to it, or `Unchanged`. The first failed fetch ends
/// the stream with its error.
///
/// The pause runs from the end of one fetch to the start of the next, so a slow registry is never
/// asked twice at a time.
pub fn poll<F, Fut>(interval: Duration, mut fetch: F) -> ChangeStream
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Vec<ServiceState>>> + Send,
{
    poll_if_changed(interval, move || {
        let answer = fetch();
        async { answer.await.map(Some) }
    })
}

/// The same for a fetch that can tell by itself that nothing changed: `None` becomes `Unchanged`
/// without comparing everything. The first answer must be `Some`.
pub fn poll_if_changed<F, Fut>(interval: Duration, fetch: F) -> ChangeStream
where
    F: FnMut() -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<Vec<ServiceState>>>> + Send,
{
    let state = Polling { fetch, known: None, ready: VecDeque::new(), failed: false };
    stream::unfold(state, move |mut state| async move {
        if state.failed {
            return None;
        }
        if let Some(change) = state.ready.pop_front() {
            return Some((Ok(change), state));
        }
        if state.known.is_some() {
            tokio::time::sleep(interval).await;
        }
        let services = match (state.fetch)().await {
            Ok(Some(services)) => services,
            Ok(None) if state.known.is_some() => return Some((Ok(Change::Unchanged), state)),
            Ok(None) => {
                let problem = "the first look found nothing changed";
                state.failed = true;
                let error = Error::new(ErrorKind::Protocol, "watch", problem);
                return Some((Err(error), state));
            }
            Err(error) => {
                state.failed = true;
                return Some((Err(error), state));
            }
        };
        let Some(known) = &mut state.known else {
            let known = services.iter().map(|s| (s.key.clone(), s.instances.clone())).collect();
            state.known = Some(known);
            return Some((Ok(Change::Reset(services)), state));
        };
        state.ready = diff(known, services).into();
        let first = state.ready.pop_front().unwrap_or(Change::Unchanged);
        Some((Ok(first), state))
    })
    .boxed()
}

struct Polling<F> {
    fetch: F,
    known: Option<BTreeMap<ServiceKey, Vec<Arc<Instance>>>>,
    ready: VecDeque<Change>,
    failed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::{GroupName, Host, Instance, InstanceKey, ServiceKey, ServiceName};

    fn service(name: &str, ports: &[u16]) -> ServiceState {
        let key = ServiceKey::new(GroupName::default_group(), ServiceName::parse(name).unwrap());
        let host = Host::parse("10.0.0.1").unwrap();
        let instances: Vec<_> = ports
            .iter()
            .map(|&port| {
                Instance::new(InstanceKey { service: key.clone(), host: host.clone(), port })
            })
            .collect();
        ServiceState::new(key, instances)
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_resets_then_tells_differences_and_ends_with_the_error() {
        let mut answers = VecDeque::from([
            Ok(vec![service("a", &[1]), service("b", &[1])]),
            Ok(vec![service("a", &[1]), service("b", &[1])]),
            Ok(vec![service("a", &[1, 2])]),
            Err(Error::new(ErrorKind::Server, "list", "500")),
        ]);
        let stream = poll(Duration::from_secs(1), move || {
            let answer = answers.pop_front();
            async move { answer.unwrap() }
        });
        let items: Vec<_> = stream.map(|item| item.map_err(|e| e.kind())).collect().await;
        assert_eq!(
            items,
            [
                Ok(Change::Reset(vec![service("a", &[1]), service("b", &[1])])),
                Ok(Change::Unchanged),
                Ok(Change::Gone(service("b", &[]).key)),
                Ok(Change::Put(service("a", &[1, 2]))),
                Err(ErrorKind::Server),
            ]
        );
    }
}
