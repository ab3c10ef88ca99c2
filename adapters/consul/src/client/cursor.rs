//! The rules of a blocking read.

use std::time::Duration;

use hub_registry_core::http::{Answer, Call};
use hub_registry_core::{ErrorKind, Result};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::{Client, Read, refused};

/// How long Consul may hold a blocking read: under the 30 s in which a watch must say something.
const WAIT: &str = "20s";
/// When a held read counts as lost. Consul adds up to a sixteenth to the wait.
const DEADLINE: Duration = Duration::from_secs(26);
/// How often an index that never rests is followed.
const CHURN: Duration = Duration::from_millis(100);

/// Where one blocking read stands.
#[derive(Debug)]
pub(crate) struct Cursor {
    // The last index seen; 0: none yet.
    index: u64,
    // What an index does not tell: what the token may see can change without it.
    sight: Sight,
    waits: bool,
    consistent: bool,
    bucket: Bucket,
}

/// How much of the content the last answer showed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sight {
    empty: bool,
    filtered: bool,
}

impl Cursor {
    /// For reads that answer at once.
    pub(crate) fn reading() -> Self {
        let (index, sight) = (0, Sight::default());
        Self { index, sight, waits: false, consistent: false, bucket: Bucket::new() }
    }

    /// For reads that answer at once, with what a majority of the servers stands behind now.
    pub(crate) fn consistent() -> Self {
        Self { consistent: true, ..Self::reading() }
    }

    /// For reads that wait for something newer than the last one saw.
    pub(crate) fn waiting() -> Self {
        Self { waits: true, ..Self::reading() }
    }

    /// Makes the next reads wait.
    pub(crate) fn wait_from_now(&mut self) {
        self.waits = true;
    }

    /// Whether a read succeeded before.
    pub(crate) fn has_read(&self) -> bool {
        self.index > 0
    }

    /// One read; nothing when nothing changed.
    pub(super) async fn read<T: DeserializeOwned>(
        &mut self,
        client: &Client,
        operation: &'static str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<Read<T>>> {
        self.bucket.take().await;
        let index = self.index.to_string();
        let mut query = query.to_vec();
        let settings = &client.settings;
        for (key, value) in [
            ("dc", &settings.datacenter),
            ("ns", &settings.namespace),
            ("partition", &settings.partition),
        ] {
            query.extend(value.as_deref().map(|value| (key, value)));
        }
        if self.consistent {
            query.push(("consistent", ""));
        }
        let mut call = Call::get(operation, path);
        if self.waits && self.index > 0 {
            query.extend([("index", index.as_str()), ("wait", WAIT)]);
            call = call.deadline(DEADLINE);
        }
        let answer = refused(client.send(call.query(&query)).await?)?;
        let seen = checked_index(&answer).inspect_err(|_| client.http.leave(&answer))?;
        let sight = Sight {
            empty: matches!(answer.body.trim_ascii(), b"[]" | b"{}"),
            filtered: header(&answer, "x-consul-results-filtered-by-acls") == Some("true"),
        };
        if seen == self.index && sight == self.sight {
            return Ok(None);
        }
        let known = std::mem::replace(&mut self.index, 0);
        if seen < known && !is_streamed(&answer) {
            // A server that lost its data, or another one, behind the same address. What it says
            // now is no news about the old one's services: whoever follows begins anew.
            let problem = format!("went back from index {known} to {seen}: restarted or restored");
            return Err(answer.error(ErrorKind::NotReady, &problem));
        }
        if sight.filtered && answer.body.trim_ascii() == b"{}" {
            let problem = "hid everything there is from this token";
            return Err(answer.error(ErrorKind::Forbidden, problem));
        }
        let value = answer.json()?;
        (self.index, self.sight) = (seen, sight);
        Ok(Some(Read { value, filtered: sight.filtered }))
    }
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok()
}

/// The streaming backend (1.10 on) always says that it knows no leader
/// (hashicorp/consul issue 9776), and its indexes may begin anew.
fn is_streamed(answer: &Answer) -> bool {
    header(answer, "x-consul-query-backend") == Some("streaming")
}

fn checked_index(answer: &Answer) -> Result<u64> {
    let index = header(answer, "x-consul-index").and_then(|text| text.parse::<u64>().ok());
    let Some(index) = index else {
        let problem = "has no X-Consul-Index: this is not a Consul";
        return Err(answer.error(ErrorKind::Protocol, problem));
    };
    if header(answer, "x-consul-knownleader") == Some("false") && !is_streamed(answer) {
        return Err(answer.error(ErrorKind::NotReady, "knows no leader"));
    }
    // An index of 0 would turn the next read into one that does not wait.
    Ok(index.max(1))
}

/// Lets two reads through at once, then one per [`CHURN`].
#[derive(Debug)]
struct Bucket {
    // When the bucket is full again.
    full_at: Instant,
}

impl Bucket {
    fn new() -> Self {
        let full_at = Instant::now();
        Self { full_at }
    }

    async fn take(&mut self) {
        let now = Instant::now();
        let free_at = self.full_at.checked_sub(CHURN).unwrap_or(now);
        tokio::time::sleep_until(free_at).await;
        self.full_at = self.full_at.max(now) + CHURN;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_churning_index_is_followed_ten_times_a_second() {
        let start = Instant::now();
        let mut bucket = Bucket::new();
        for _ in 0..2 {
            bucket.take().await;
        }
        assert_eq!(start.elapsed(), Duration::ZERO, "two pass at once");
        for _ in 0..10 {
            bucket.take().await;
        }
        let second = Duration::from_secs(1);
        assert!((second..second + CHURN).contains(&start.elapsed()));
        tokio::time::sleep(second).await;
        let rested = Instant::now();
        for _ in 0..2 {
            bucket.take().await;
        }
        assert_eq!(rested.elapsed(), Duration::ZERO, "rest fills it");
    }
}
