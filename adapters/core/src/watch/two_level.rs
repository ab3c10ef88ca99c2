//! Watching a list of names, and each named service by itself.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, AbortHandle, BoxStream, FuturesUnordered, SelectAll};
use futures_util::{FutureExt, StreamExt};

use crate::change::{Change, ChangeStream, ServiceState};
use crate::error::{Error, ErrorKind, Result};
use crate::instance::{Instance, ServiceKey};

/// What one look at a service found.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// All its instances.
    Whole(Vec<Instance>),
    /// Some of them: the registry says that it hides others, which a look before had shown.
    Partial(Vec<Instance>),
}

/// The instances of one service, again after every change; the first reading is whole. Ends with
/// an error or not at all.
pub type ServiceStream = BoxStream<'static, Result<Reading>>;

/// The two levels of a registry.
#[async_trait]
pub trait TwoLevel: fmt::Debug + Send + Sync + 'static {
    /// The names now, or, given the ones known, when they changed or a look found them unchanged.
    /// It returns at least every 30 s; it is also the probe that the registry lives.
    async fn names(&self, known: Option<&BTreeSet<ServiceKey>>) -> Result<BTreeSet<ServiceKey>>;

    /// Follows one service: its instances at once, then after each change. Dropping it stops it.
    fn service(&self, key: &ServiceKey) -> ServiceStream;
}

/// Joins the two levels into one watch.
///
/// The first `Reset` waits until every named service has answered once, at most `parallel` of
/// them asked at a time. After it, new names are followed as they appear (their `Put` comes with
/// their first answer), and names that leave become `Gone` and are followed no more. Any error on
/// either level ends the watch.
pub fn two_level(levels: Arc<dyn TwoLevel>, parallel: usize) -> ChangeStream {
    let start = async move {
        match Joined::start(levels, parallel).await {
            Ok((states, joined)) => {
                let first = stream::once(async { Ok(Change::Reset(states)) });
                first.chain(joined.follow()).boxed()
            }
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    };
    start.flatten_stream().boxed()
}

type Names = Result<BTreeSet<ServiceKey>>;
type KeyedStream = BoxStream<'static, (ServiceKey, Result<Reading>)>;

struct Joined {
    levels: Arc<dyn TwoLevel>,
    known: Arc<BTreeSet<ServiceKey>>,
    // Of thousands of streams only the woken ones are polled.
    services: SelectAll<KeyedStream>,
    stops: HashMap<ServiceKey, AbortHandle>,
    last: HashMap<ServiceKey, Vec<Arc<Instance>>>,
    gone: Vec<ServiceKey>,
    next_names: Option<BoxStream<'static, Names>>,
    failed: bool,
}

impl Joined {
    async fn start(
        levels: Arc<dyn TwoLevel>,
        parallel: usize,
    ) -> Result<(Vec<ServiceState>, Self)> {
        let known = levels.names(None).await?;
        let mut streams = Vec::with_capacity(known.len());
        let mut states = Vec::with_capacity(known.len());
        let mut waiting = known.iter();
        let mut asked = FuturesUnordered::new();
        loop {
            while asked.len() < parallel.max(1) {
                let Some(key) = waiting.next() else { break };
                let mut stream = levels.service(key);
                asked.push(async move { (key, stream.next().await, stream) });
            }
            let Some((key, first, stream)) = asked.next().await else {
                break;
            };
            let (Reading::Whole(instances) | Reading::Partial(instances)) =
                first.unwrap_or_else(|| Err(ended()))?;
            states.push(ServiceState::new(key.clone(), instances));
            streams.push((key.clone(), stream));
        }
        drop(asked);
        states.sort_by(|a, b| a.key.cmp(&b.key));
        let last = states.iter().map(|s| (s.key.clone(), s.instances.clone())).collect();
        let known = Arc::new(known);
        let mut joined = Self {
            levels,
            known,
            services: SelectAll::new(),
            stops: HashMap::new(),
            last,
            gone: Vec::new(),
            next_names: None,
            failed: false,
        };
        for (key, stream) in streams {
            joined.add(key, stream);
        }
        Ok((states, joined))
    }

    fn add(&mut self, key: ServiceKey, stream: ServiceStream) {
        let end = stream::once(async { Err(ended()) });
        let (stream, stop) = stream::abortable(stream.chain(end));
        self.stops.insert(key.clone(), stop);
        self.services.push(stream.map(move |item| (key.clone(), item)).boxed());
    }

    fn follow(self) -> impl futures_util::Stream<Item = Result<Change>> + Send {
        stream::unfold(self, |mut joined| async move {
            if joined.failed {
                return None;
            }
            let item = joined.next().await;
            joined.failed = item.is_err();
            Some((item, joined))
        })
    }

    async fn next(&mut self) -> Result<Change> {
        loop {
            if let Some(key) = self.gone.pop() {
                if let Some(stop) = self.stops.remove(&key) {
                    stop.abort();
                }
                self.last.remove(&key);
                return Ok(Change::Gone(key));
            }
            let names = self.next_names.get_or_insert_with(|| {
                let (levels, known) = (Arc::clone(&self.levels), Arc::clone(&self.known));
                // A pending call is kept across turns of this loop: dropping it on every push
                // would restart the wait and let a busy service starve the list of names.
                async move { levels.names(Some(&known)).await }.into_stream().boxed()
            });
            tokio::select! {
                answer = names.next() => {
                    self.next_names = None;
                    let Some(answer) = answer else { continue };
                    if self.take_names(answer?) {
                        continue;
                    }
                    return Ok(Change::Unchanged);
                }
                Some((key, reading)) = self.services.next(), if !self.services.is_empty() => {
                    match reading? {
                        Reading::Whole(instances) => {
                            let state = ServiceState::new(key, instances);
                            if self.last.get(&state.key) == Some(&state.instances) {
                                continue;
                            }
                            self.last.insert(state.key.clone(), state.instances.clone());
                            return Ok(Change::Put(state));
                        }
                        Reading::Partial(instances) => {
                            // The next whole look ends the doubt, also when it finds what was
                            // known before.
                            self.last.remove(&key);
                            return Ok(Change::Partial(ServiceState::new(key, instances)));
                        }
                    }
                }
            }
        }
    }

    /// Follows what is new, marks what left; whether there was any difference.
    fn take_names(&mut self, names: BTreeSet<ServiceKey>) -> bool {
        if names == *self.known {
            return false;
        }
        let known = Arc::clone(&self.known);
        for key in names.difference(&known) {
            let stream = self.levels.service(key);
            self.add(key.clone(), stream);
        }
        self.gone = known.difference(&names).cloned().collect();
        self.known = Arc::new(names);
        true
    }
}

/// A service's stream has no reason to end: silence would look like "nothing changes".
fn ended() -> Error {
    Error::new(ErrorKind::Protocol, "watch", "the watch of a service ended without a reason")
}
