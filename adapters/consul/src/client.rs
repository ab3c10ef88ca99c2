//! The HTTP calls.

mod cursor;
mod pace;
mod rights;
mod send;

use futures_util::{StreamExt, TryStreamExt, stream};
use hub_registry_core::http::{Answer, Call, HttpClient};
use hub_registry_core::{Error, ErrorKind, Result, ServiceName};
use reqwest::StatusCode;

pub(crate) use cursor::Cursor;
use pace::Pace;

use crate::driver::Settings;
use crate::unreadable::{self, Unreadable};
use crate::wire::{Check, ServiceEntry, Services};
use crate::write::Writer;

/// Services asked for at a time when many are no longer listed.
const PARALLEL: usize = 8;

/// What one read found.
#[derive(Debug)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    /// Consul says that the token may not see all there is (`X-Consul-Results-Filtered-By-ACLs`,
    /// 1.11 on).
    pub(crate) filtered: bool,
}

/// What was known before a read of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    Nothing,
    /// That there are services; which of them the token may still read is asked one by one.
    Services,
}

/// What one read of a service found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing new.
    Unchanged,
    /// Its instances, with their checks; `filtered`: and others that the token may not see.
    Entries { entries: Vec<ServiceEntry>, filtered: bool },
    /// It is listed, and all its instances are hidden.
    Hidden,
}

/// One Consul.
#[derive(Debug)]
pub(crate) struct Client {
    http: HttpClient,
    settings: Settings,
    unreadable: Unreadable,
    pace: Pace,
}

impl Client {
    pub(crate) fn new(registry: &str, http: HttpClient, settings: Settings) -> Self {
        Self { http, settings, unreadable: Unreadable::new(registry), pace: Pace::new() }
    }

    /// What writes as the settings say.
    pub(crate) fn writer(&self) -> Writer {
        Writer::new(&self.settings)
    }

    /// Whether the service is left out of the names.
    pub(crate) fn leaves_out(&self, name: &ServiceName) -> bool {
        self.unreadable.has(name.as_str())
    }

    async fn send(&self, call: Call<'_>) -> Result<Answer> {
        self.pace.turn().await;
        self.http.send(call).await
    }

    /// Asks whether there is a leader.
    pub(crate) async fn leader(&self) -> Result<()> {
        let call = Call::get("ping", "/v1/status/leader");
        let answer = refused(self.send(call).await?)?;
        if answer.body.trim_ascii() == br#""""# {
            self.http.leave(&answer);
            return Err(answer.error(ErrorKind::NotReady, "names no leader"));
        }
        answer.json::<String>().map(|_| ())
    }

    /// The names of all services that can be read, or nothing new.
    /// With nothing seen `before`, an empty list is believed only from a token that would see
    /// something.
    pub(crate) async fn names(
        &self,
        cursor: &mut Cursor,
        before: Before,
    ) -> Result<Option<Read<Vec<String>>>> {
        let operation = "list services";
        let path = "/v1/catalog/services";
        let Some(read) = cursor.read::<Services>(self, operation, path, &[]).await? else {
            return Ok(None);
        };
        let Services(all) = read.value;
        if all.is_empty() {
            self.confirm_empty(operation, before).await?;
        }
        self.unreadable.keep(&all);
        let tag = self.settings.tag.as_ref();
        let wanted = all.into_iter().filter(|(_, tags)| {
            tag.is_none_or(|tag| tags.iter().any(|t| t.eq_ignore_ascii_case(tag)))
        });
        let names = wanted.map(|(name, _)| name);
        let value = names.filter(|name| !self.unreadable.has(name)).collect();
        Ok(Some(Read { value, filtered: read.filtered }))
    }

    /// Of services that a list no longer has while it hides some: those that may be there all the
    /// same. A token that may read a service learns from its own answer that it is gone.
    pub(crate) async fn may_be_there(&self, names: Vec<ServiceName>) -> Result<Vec<ServiceName>> {
        let reads = stream::iter(names).map(|name| async move {
            let read = self.read_entries(&mut Cursor::reading(), &name).await?;
            let there = read.is_none_or(|read| read.filtered || !read.value.is_empty());
            Ok::<_, Error>(there.then_some(name))
        });
        let there: Vec<_> = reads.buffer_unordered(PARALLEL).try_collect().await?;
        Ok(there.into_iter().flatten().collect())
    }

    /// The instances of one service with their checks, or nothing new.
    pub(crate) async fn entries(&self, cursor: &mut Cursor, name: &ServiceName) -> Result<Found> {
        let Some(Read { value: entries, filtered }) = self.read_entries(cursor, name).await? else {
            return Ok(Found::Unchanged);
        };
        if !entries.is_empty() || (self.settings.only_passing && !filtered) {
            return Ok(Found::Entries { entries, filtered });
        }
        if filtered {
            return Ok(Found::Hidden);
        }
        // A service is listed exactly as long as it has instances, so one that is listed without
        // any hides them: a token with service:read but not node:read gets such answers, without
        // an error (seen on 1.8.7). The second read is for a service that came in between.
        let listed = self.names(&mut Cursor::reading(), Before::Services).await?;
        let listed = listed.is_some_and(|read| read.value.iter().any(|n| n == name.as_str()));
        if !listed {
            // Up to 1.10 nothing in the answer tells that a service is hidden.
            return match self.denied(std::slice::from_ref(name)).await?.is_empty() {
                true => Ok(Found::Entries { entries, filtered }),
                false => Ok(Found::Hidden),
            };
        }
        match self.read_entries(&mut Cursor::reading(), name).await? {
            Some(again) if !again.value.is_empty() => {
                let Read { value: entries, filtered } = again;
                Ok(Found::Entries { entries, filtered })
            }
            _ => Ok(Found::Hidden),
        }
    }

    /// The error of a service whose instances are all hidden.
    pub(crate) fn hidden(&self, name: &ServiceName) -> Error {
        let message = format!("{name} is listed, but its instances are hidden from this token");
        Error::new(ErrorKind::Forbidden, "list instances", self.http.mask(&message))
    }

    async fn read_entries(
        &self,
        cursor: &mut Cursor,
        name: &ServiceName,
    ) -> Result<Option<Read<Vec<ServiceEntry>>>> {
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
        Ok(entries.map(|mut read: Read<Vec<ServiceEntry>>| {
            // Consul looks names up without regard to case and lists them with it: the answer for
            // `web` has the instances of `Web` too (seen on 1.8.7).
            read.value.retain(|entry| entry.service.service == name.as_str());
            read
        }))
    }

    /// Every check, or nothing new.
    pub(crate) async fn checks(&self, cursor: &mut Cursor) -> Result<Option<Vec<Check>>> {
        let path = "/v1/health/state/any";
        Ok(cursor.read(self, "list checks", path, &[]).await?.map(|read| read.value))
    }
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
