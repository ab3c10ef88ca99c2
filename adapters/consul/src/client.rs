//! The HTTP calls and the rules of a blocking read.

use std::time::Duration;

use hub_registry_core::http::{Answer, Call, HttpClient};
use hub_registry_core::{Error, ErrorKind, Result, ServiceName};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::driver::Settings;
use crate::unreadable::{self, Unreadable};
use crate::wire::{Check, ServiceEntry, Services, Token};

/// How long Consul may hold a blocking read: under the 30 s in which a watch must say something.
const WAIT: &str = "20s";
/// When a held read counts as lost. Consul adds up to a sixteenth to the wait.
const DEADLINE: Duration = Duration::from_secs(26);
/// How often an index that never rests is followed.
const CHURN: Duration = Duration::from_millis(100);

/// One Consul.
#[derive(Debug)]
pub(crate) struct Client {
    http: HttpClient,
    settings: Settings,
    unreadable: Unreadable,
}

impl Client {
    pub(crate) fn new(registry: &str, http: HttpClient, settings: Settings) -> Self {
        Self { http, settings, unreadable: Unreadable::new(registry) }
    }

    /// Whether the service is left out of the names.
    pub(crate) fn leaves_out(&self, name: &ServiceName) -> bool {
        self.unreadable.has(name.as_str())
    }

    /// Asks whether there is a leader.
    pub(crate) async fn leader(&self) -> Result<()> {
        let call = Call::get("ping", "/v1/status/leader");
        let answer = refused(self.http.send(call).await?)?;
        if answer.body.trim_ascii() == br#""""# {
            self.http.leave(&answer);
            return Err(answer.error(ErrorKind::NotReady, "names no leader"));
        }
        answer.json::<String>().map(|_| ())
    }

    /// The names of all services that can be read, or nothing new.
    pub(crate) async fn names(&self, cursor: &mut Cursor) -> Result<Option<Vec<String>>> {
        let operation = "list services";
        let path = "/v1/catalog/services";
        let all: Option<Services> = cursor.read(self, operation, path, &[]).await?;
        let Some(Services(all)) = all else {
            return Ok(None);
        };
        if all.is_empty() {
            self.confirm_empty(operation).await?;
        }
        self.unreadable.keep(&all);
        let tag = self.settings.tag.as_ref();
        let wanted = all.into_iter().filter(|(_, tags)| {
            tag.is_none_or(|tag| tags.iter().any(|t| t.eq_ignore_ascii_case(tag)))
        });
        let names = wanted.map(|(name, _)| name);
        Ok(Some(names.filter(|name| !self.unreadable.has(name)).collect()))
    }

    /// The instances of one service with their checks, or nothing new.
    pub(crate) async fn entries(
        &self,
        cursor: &mut Cursor,
        name: &ServiceName,
    ) -> Result<Option<Vec<ServiceEntry>>> {
        let entries = self.read_entries(cursor, name).await?;
        if entries.as_ref().is_none_or(|entries| !entries.is_empty()) || self.settings.only_passing
        {
            return Ok(entries);
        }
        // A service is listed exactly as long as it has instances, so one that is listed without
        // any hides them: a token with service:read but not node:read gets such answers, without
        // an error (seen on 1.8.7). The second read is for a service that came in between.
        let listed = self.names(&mut Cursor::reading()).await?.unwrap_or_default();
        if !listed.iter().any(|listed| listed == name.as_str()) {
            return Ok(entries);
        }
        let again = self.read_entries(&mut Cursor::reading(), name).await?;
        if again.as_ref().is_some_and(|entries| !entries.is_empty()) {
            return Ok(again);
        }
        let message = format!("{name} is listed, but its instances are hidden from this token");
        let message = self.http.mask(&message);
        Err(Error::new(ErrorKind::Forbidden, "list instances", message))
    }

    async fn read_entries(
        &self,
        cursor: &mut Cursor,
        name: &ServiceName,
    ) -> Result<Option<Vec<ServiceEntry>>> {
        let operation = "list instances";
        if !unreadable::is_path(name.as_str()) {
            let message = "no path leads to a service of this name";
            return Err(Error::new(ErrorKind::Invalid, operation, message));
        }
        let path = format!("/v1/health/service/{}", HttpClient::segment(name.as_str()));
        let mut query = Vec::new();
        if let Some(tag) = &self.settings.tag {
            query.push(("tag", tag.as_str()));
        }
        if self.settings.only_passing {
            query.push(("passing", "true"));
        }
        let entries = cursor.read(self, operation, &path, &query).await.inspect_err(|error| {
            if error.kind() == ErrorKind::Invalid && !cursor.has_read() {
                self.unreadable.refuse(name.as_str());
            }
        })?;
        Ok(entries.map(|mut entries: Vec<ServiceEntry>| {
            // Consul looks names up without regard to case and lists them with it: the answer for
            // `web` has the instances of `Web` too (seen on 1.8.7).
            entries.retain(|entry| entry.service.service == name.as_str());
            entries
        }))
    }

    /// Every check, or nothing new.
    pub(crate) async fn checks(&self, cursor: &mut Cursor) -> Result<Option<Vec<Check>>> {
        let path = "/v1/health/state/any";
        cursor.read(self, "list checks", path, &[]).await
    }

    /// Asks why the list of services is empty, since a Consul whose servers have registered always
    /// lists at least `consul`: it hides what a token may not read, without an error, and shortly
    /// after a restart it has not registered itself yet.
    async fn confirm_empty(&self, operation: &'static str) -> Result<()> {
        let call = Call::get(operation, "/v1/acl/token/self");
        let answer = self.http.send(call).await?;
        // The servers are listed in the default namespace only.
        let elsewhere = [&self.settings.namespace, &self.settings.partition]
            .into_iter()
            .any(|name| name.as_deref().is_some_and(|name| name != "default"));
        match answer.status {
            // "ACL support disabled": nothing is hidden.
            StatusCode::UNAUTHORIZED if elsewhere => Ok(()),
            StatusCode::UNAUTHORIZED => {
                let problem = "lists no service, not even its own, while nothing hides any";
                Err(answer.error(ErrorKind::NotReady, problem))
            }
            StatusCode::OK => {
                let problem = "lists no service to a token without any right";
                let error = answer.error(ErrorKind::Forbidden, problem);
                let token: Token = answer.json()?;
                if token.is_powerless() { Err(without_body(operation, &error)) } else { Ok(()) }
            }
            StatusCode::FORBIDDEN => {
                let problem = "lists no service to a client without a valid token";
                Err(answer.error(ErrorKind::Forbidden, problem))
            }
            _ => Err(refused(answer).err().unwrap_or_else(|| {
                Error::new(ErrorKind::Protocol, operation, "an empty list, unexplained")
            })),
        }
    }
}

/// The error's class with a text that does not quote the answer: it holds the token's secret.
fn without_body(operation: &'static str, error: &Error) -> Error {
    let message = "the list is empty, and the token has no right to read any service";
    Error::new(error.kind(), operation, message)
}

/// Where one blocking read stands.
#[derive(Debug)]
pub(crate) struct Cursor {
    // The last index seen; 0: none yet.
    index: u64,
    waits: bool,
    bucket: Bucket,
}

impl Cursor {
    /// For reads that answer at once.
    pub(crate) fn reading() -> Self {
        Self { index: 0, waits: false, bucket: Bucket::new() }
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

    /// One read; nothing when the index says that nothing changed.
    async fn read<T: DeserializeOwned>(
        &mut self,
        client: &Client,
        operation: &'static str,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<T>> {
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
        let mut call = Call::get(operation, path);
        if self.waits && self.index > 0 {
            query.extend([("index", index.as_str()), ("wait", WAIT)]);
            call = call.deadline(DEADLINE);
        }
        let answer = refused(client.http.send(call.query(&query)).await?)?;
        let seen = checked_index(&answer).inspect_err(|_| client.http.leave(&answer))?;
        if seen == self.index {
            return Ok(None);
        }
        let known = std::mem::replace(&mut self.index, 0);
        if seen < known && !is_streamed(&answer) {
            // A server that lost its data, or another one, behind the same address. What it says
            // now is no news about the old one's services: whoever follows begins anew.
            let problem = format!("went back from index {known} to {seen}: restarted or restored");
            return Err(answer.error(ErrorKind::NotReady, &problem));
        }
        let filtered = header(&answer, "x-consul-results-filtered-by-acls") == Some("true");
        if filtered && matches!(answer.body.trim_ascii(), b"[]" | b"{}") {
            let problem = "hid everything there is from this token";
            return Err(answer.error(ErrorKind::Forbidden, problem));
        }
        let value = answer.json()?;
        self.index = seen;
        Ok(Some(value))
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

/// The answer, unless it is a refusal.
fn refused(answer: Answer) -> Result<Answer> {
    if answer.status.is_server_error() {
        let text = String::from_utf8_lossy(&answer.body);
        if text.contains("No cluster leader") {
            return Err(answer.error(ErrorKind::NotReady, "knows no leader"));
        }
    }
    if answer.status == StatusCode::BAD_REQUEST {
        // A parameter it does not know: `ns` to a Consul without namespaces, say.
        return Err(answer.error(ErrorKind::Invalid, "refused the settings"));
    }
    answer.success()
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
