//! One subscriber: a place in a tenant's events, and a filter.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{SemaphorePermit, broadcast};
use tokio::time::Instant;

use super::tenant::{Found, Place, Tenant};
use super::{Feed, Wanted};
use crate::access::Visible;
use crate::events::frame::{Frame, Notice};
use crate::events::id::EventId;
use crate::model::words::EventType;
use crate::storage::{Cursor, EventQuery, Take};
use crate::telemetry::metrics::{Metrics, Resync};

/// A subscriber that is given nothing for so long is told how far it is.
const BOOKMARK: Duration = Duration::from_secs(15);
/// So many change sets are taken out of the buffer at a time.
const SETS: usize = 64;
/// So many events are read from the log at a time. A subscriber that takes nothing more holds them.
const PAGE: u32 = 128;
/// The log is waited for no longer; reading all anew is then the quicker way.
const PATIENCE: Duration = Duration::from_secs(10);
/// One that has not been up to date for so long when the buffer leaves it behind is slow, and not
/// just surprised by a storm.
const SLOW: Duration = Duration::from_secs(5);

/// What a subscriber is to be sent next.
#[derive(Debug)]
pub enum Item {
    /// Events.
    Events(Vec<Arc<Frame>>),
    /// A word about the stream.
    Notice(Notice),
}

/// A subscriber's stream. Leaving it gives its place to another.
#[derive(Debug)]
pub struct Subscription {
    feed: Arc<Feed>,
    tenant: Arc<Tenant>,
    wanted: Wanted,
    visible: Visible,
    place: Arc<Place>,
    /// Everything before it was sent.
    cursor: Cursor,
    state: State,
    beats: Option<broadcast::Receiver<Arc<Frame>>>,
    bookmark_at: Instant,
    up_to_date_at: Instant,
    metrics: Metrics,
    _seat: super::Seat,
}

#[derive(Debug)]
enum State {
    /// Where it begins is to be found out.
    Begins(EventId),
    /// It reads the log until it meets what is buffered.
    Resumes,
    /// It is given what comes.
    Follows,
    /// It is told to begin anew, and then follows.
    Lost(Resync),
}

impl Subscription {
    pub(super) fn new(
        feed: Arc<Feed>,
        tenant: Arc<Tenant>,
        wanted: Wanted,
        visible: Visible,
        metrics: Metrics,
        seat: super::Seat,
    ) -> Self {
        let place = tenant.join(wanted.filter.service.as_deref());
        let beats = wanted.filter.types.contains(&EventType::InstanceHeartbeat);
        let beats = beats.then(|| tenant.beats.subscribe());
        let now = Instant::now();
        let cursor = Cursor::after(tenant.go_live(&place));
        let state = wanted.since.map_or(State::Follows, State::Begins);
        Self {
            feed,
            tenant,
            wanted,
            visible,
            place,
            cursor,
            state,
            beats,
            bookmark_at: now + BOOKMARK,
            up_to_date_at: now,
            metrics,
            _seat: seat,
        }
    }

    /// The revision after which it begins, unless it resumes.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.cursor.revision
    }

    /// What is to be sent next. May be given up at any time: nothing is lost for it.
    pub async fn next(&mut self) -> Item {
        loop {
            let item = match &mut self.state {
                State::Begins(since) => {
                    let since = *since;
                    self.begin(since).await;
                    None
                }
                State::Resumes => self.resume().await,
                State::Lost(why) => {
                    self.metrics.events.resync(*why);
                    self.cursor = Cursor::after(self.tenant.go_live(&self.place));
                    self.state = State::Follows;
                    self.up_to_date_at = Instant::now();
                    Some(Item::Notice(Notice::Resync(self.cursor.revision)))
                }
                State::Follows => match self.read() {
                    Some(item) => Some(item),
                    None if matches!(self.state, State::Follows) => self.wait().await,
                    None => None,
                },
            };
            if let Some(item) = item {
                self.bookmark_at = Instant::now() + BOOKMARK;
                return item;
            }
        }
    }

    /// Finds out whether everything after the place it names is known.
    async fn begin(&mut self, since: EventId) {
        let (start, at) = (self.tenant.start(), since.cursor());
        let revision = at.revision;
        let known = if revision > self.tenant.given() {
            Err(Resync::Unknown)
        } else if revision >= start.base {
            Ok(())
        } else {
            match start.earlier {
                None => Err(Resync::Restart),
                Some(last) if revision > last => Err(Resync::Unknown),
                Some(last) if revision == last => Ok(()),
                // Only what was once told names a place that can be found again.
                Some(_) => self.is_in_the_log(revision).await,
            }
        };
        // Those between name the view as this run found it: nothing was told of them.
        let found = (start.base..=start.quiet).contains(&revision);
        self.cursor = if found { Cursor::after(start.quiet) } else { at };
        self.state = known.map_or_else(State::Lost, |()| State::Resumes);
    }

    async fn is_in_the_log(&self, revision: i64) -> Result<(), Resync> {
        let Some(store) = &self.feed.store else { return Err(Resync::Restart) };
        if revision == 0 {
            // Before everything: the floor decides.
            return Ok(());
        }
        let _turn = turn(&self.feed).await;
        let look = store.has_revision(self.wanted.tenant.as_str(), revision);
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Resync::Unknown),
            Ok(Err(_)) | Err(_) => Err(Resync::LogAway),
        }
    }

    /// Follows from here on if what comes next is buffered, else reads some of the log.
    async fn resume(&mut self) -> Option<Item> {
        if self.goes_on() {
            return None;
        }
        let feed = Arc::clone(&self.feed);
        let Some(store) = &feed.store else {
            self.state = State::Lost(Resync::Buffer);
            return None;
        };
        // Over with this page, before it is sent: whoever takes it slowly keeps nobody waiting.
        let _turn = turn(&feed).await;
        if self.goes_on() {
            return None;
        }
        let logged = *self.tenant.logged.borrow();
        let query = EventQuery {
            tenant: self.wanted.tenant.as_str(),
            filter: &self.wanted.filter,
            after: self.cursor,
            before: Cursor::after(logged),
            since: None,
            until: None,
        };
        let page = tokio::time::timeout(PATIENCE, store.events(&query, Take::First(PAGE))).await;
        let page = match page {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                tracing::warn!(%error, "events cannot be read: a subscriber is told to begin anew");
                self.state = State::Lost(Resync::LogAway);
                return None;
            }
            Err(_) => {
                self.state = State::Lost(Resync::LogAway);
                return None;
            }
        };
        if self.cursor.revision < page.floor {
            self.state = State::Lost(Resync::Retention);
            return None;
        }
        if page.rows.len() < PAGE as usize {
            if self.cursor.revision >= logged && self.tenant.told() > logged {
                // What follows was told while the database was away, and is buffered no more.
                self.state = State::Lost(Resync::LogAway);
                return None;
            }
            self.cursor = self.cursor.max(Cursor::after(logged));
        } else if let Some(last) = page.rows.last() {
            self.cursor = Cursor { revision: last.revision, place: last.place };
        }
        let frames = page.rows.iter().map(Frame::of).filter(|frame| frame.is_for(&self.visible));
        let frames: Vec<_> = frames.map(Arc::new).collect();
        (!frames.is_empty()).then_some(Item::Events(frames))
    }

    /// Whether what comes next is buffered: from here on it follows.
    fn goes_on(&mut self) -> bool {
        let follows = self.tenant.go_on(&self.place, self.cursor);
        if follows {
            self.state = State::Follows;
            self.up_to_date_at = Instant::now();
        }
        follows
    }

    /// What is buffered for it.
    fn read(&mut self) -> Option<Item> {
        loop {
            match self.tenant.read(&self.place, self.wanted.filter.service.as_deref(), SETS) {
                Found::Nothing(told) => {
                    self.cursor = self.cursor.max(Cursor::after(told));
                    self.up_to_date_at = Instant::now();
                    return None;
                }
                Found::Lost => {
                    let is_slow = self.up_to_date_at.elapsed() > SLOW;
                    self.state = match is_slow || self.feed.store.is_none() {
                        true => State::Lost(Resync::Slow),
                        false => State::Resumes,
                    };
                    return None;
                }
                Found::Sets(sets) => {
                    let frames: Vec<_> = sets.iter().flat_map(|set| &set.frames).collect();
                    let last = frames.last().and_then(|frame| frame.cursor);
                    let new = |frame: &&&Arc<Frame>| {
                        frame.cursor > Some(self.cursor)
                            && frame.passes(&self.wanted.filter)
                            && frame.is_for(&self.visible)
                    };
                    let frames: Vec<_> =
                        frames.iter().filter(new).map(|frame| Arc::clone(frame)).collect();
                    self.cursor = self.cursor.max(last.unwrap_or(self.cursor));
                    if !frames.is_empty() {
                        return Some(Item::Events(frames));
                    }
                }
            }
        }
    }

    /// Waits for something new, a heartbeat that it asked for, or the time of a bookmark.
    async fn wait(&mut self) -> Option<Item> {
        let beats = &mut self.beats;
        let beat = async move {
            match beats {
                Some(beats) => beats.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.place.wake.notified() => None,
            () = tokio::time::sleep_until(self.bookmark_at) => {
                match self.read() {
                    Some(item) => Some(item),
                    None if !matches!(self.state, State::Follows) => None,
                    None => Some(Item::Notice(Notice::Bookmark(self.cursor.revision))),
                }
            }
            beat = beat => match beat {
                Ok(frame) if frame.passes(&self.wanted.filter) && frame.is_for(&self.visible) => {
                    Some(Item::Events(vec![frame]))
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    self.metrics.events.beats_missed(missed);
                    None
                }
                _ => None,
            },
        }
    }
}

/// Few read the log at a time; the others wait in the order in which they came.
async fn turn(feed: &Feed) -> Option<SemaphorePermit<'_>> {
    // Fails when it is closed, which it never is.
    feed.readers.acquire().await.ok()
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.tenant.leave(self.wanted.filter.service.as_deref(), &self.place);
        self.feed.left(&self.wanted.tenant);
    }
}
