//! What happened: the log of events.

pub(super) mod describe;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use chrono::{DateTime, Utc};
use hub_registry_core::GroupName;

use super::error::ApiResult;
use super::params::Params;
use super::state::Api;
use crate::access::{Caller, Visible};
use crate::error::{Error, Result};
use crate::events::{EventId, Events, Frame, ID_RULE};
use crate::storage::{Cursor, EventCount, EventFilter, EventQuery, EventStore, Take};

/// How long it is waited for what happened just now.
const SETTLE: Duration = Duration::from_secs(1);
const LIMIT: u32 = 100;
const MAX_LIMIT: i64 = 1000;
/// A caller who may not read every group is looked for so many times a full page at most.
const PAGES: usize = 20;

/// `GET /api/v1/events`: the newest, or with `afterId` those that follow; in the order of
/// revisions.
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
) -> ApiResult<Response> {
    let filter = filter(&mut params)?;
    let after = params.take("afterId")?;
    let limit = params.number("limit", 1, MAX_LIMIT)?.map_or(LIMIT, |limit| limit as u32);
    let (since, until) = (time(&mut params, "startTime")?, time(&mut params, "endTime")?);
    params.finish()?;
    let after = after.map(|id| event_id("afterId", &id)).transpose()?;
    if let (Some(since), Some(until)) = (since, until)
        && until <= since
    {
        return Err(Error::invalid("endTime", until.to_rfc3339(), "must be after startTime").into());
    }
    let visible = visible(&api, &caller, &filter)?;
    let log = log(&api)?;
    let query = EventQuery {
        tenant: caller.tenant().as_str(),
        filter: &filter,
        after: after.map_or(Cursor::after(0), EventId::cursor),
        before: Cursor::END,
        since,
        until,
    };
    let take = match after {
        Some(_) => Take::First(limit),
        None => Take::Last(limit),
    };
    // Who was told that something is done finds it here. A log that is away is asked all the same.
    told(&api)?.settled(caller.tenant(), SETTLE).await;
    let counts = log.count(&query).await?;
    let count: u64 = counts.iter().filter(|of| sees(&visible, of)).map(|of| of.events).sum();
    let frames = if count == 0 {
        Vec::new()
    } else {
        page(log, &visible, query, take, limit as usize).await?
    };
    let revision = told(&api)?.told(caller.tenant());
    Ok(answer(&frames, count, revision))
}

/// Some of those that are visible. Where all are, this is one look.
async fn page(
    log: &Arc<dyn EventStore>,
    visible: &Visible,
    mut query: EventQuery<'_>,
    take: Take,
    limit: usize,
) -> Result<Vec<Frame>> {
    let (size, newest) = match take {
        Take::First(limit) => (limit as usize, false),
        Take::Last(limit) => (limit as usize, true),
    };
    let mut found: Vec<Frame> = Vec::new();
    for _ in 0..PAGES {
        let page = log.events(&query, take).await?;
        let (Some(first), Some(last)) = (page.rows.first(), page.rows.last()) else { break };
        if newest {
            query.before = Cursor { revision: first.revision, place: first.place };
        } else {
            query.after = Cursor { revision: last.revision, place: last.place };
        }
        let full = page.rows.len() == size;
        let mut seen: Vec<_> =
            page.rows.iter().map(Frame::of).filter(|frame| frame.is_for(visible)).collect();
        if newest {
            seen.append(&mut found);
            found = seen;
        } else {
            found.append(&mut seen);
        }
        if found.len() >= limit || !full {
            break;
        }
    }
    let surplus = found.len().saturating_sub(limit);
    if newest {
        found.drain(..surplus);
    } else {
        found.truncate(limit);
    }
    Ok(found)
}

fn sees(visible: &Visible, count: &EventCount) -> bool {
    let Some(group) = &count.group_name else { return true };
    let Ok(group) = GroupName::parse(group) else { return visible.is_everything() };
    visible.sees(&group)
        && count.readers.as_deref().is_none_or(|readers| visible.saw(&group, readers))
}

fn answer(frames: &[Frame], count: u64, revision: i64) -> Response {
    let mut body = BytesMut::with_capacity(64 + frames.len() * 512);
    body.put_slice(b"{\"events\":[");
    for (number, frame) in frames.iter().enumerate() {
        if number > 0 {
            body.put_u8(b',');
        }
        body.put_slice(&frame.json());
    }
    body.put_slice(format!("],\"count\":{count},\"revision\":{revision}}}").as_bytes());
    ([(header::CONTENT_TYPE, "application/json")], body.freeze()).into_response()
}

/// The events, if there are any.
pub(super) fn told(api: &Api) -> Result<&Events> {
    api.events.as_ref().ok_or_else(|| Error::not_found("events are switched off (event.enabled)"))
}

fn log(api: &Api) -> Result<&Arc<dyn EventStore>> {
    let none = || Error::not_found("events are not kept (event.enablePersistence)");
    told(api)?.log().ok_or_else(none)
}

/// The groups the caller may read; the one that is asked for must be among them.
pub(super) fn visible(api: &Api, caller: &Caller, filter: &EventFilter) -> Result<Visible> {
    let visible = api.native.visible(caller);
    if let Some(group) = &filter.group {
        let group = GroupName::parse(group)
            .map_err(|error| Error::invalid("groupName", error.value, &error.rule))?;
        visible.need(&group)?;
    }
    Ok(visible)
}

/// Takes what filters events: `eventType` (several, or with commas), `groupName`, `serviceName`,
/// `source`.
pub(super) fn filter(params: &mut Params) -> Result<EventFilter> {
    let text = |params: &mut Params, name: &str| {
        let value = params.take(name)?;
        match value {
            Some(value) if value.is_empty() || value.len() > 512 => {
                Err(Error::invalid(name, value, "must be 1 to 512 bytes"))
            }
            value => Ok(value),
        }
    };
    Ok(EventFilter {
        types: params.words("eventType")?,
        group: text(params, "groupName")?.filter(|group| group != "*"),
        service: text(params, "serviceName")?,
        source: text(params, "source")?,
    })
}

/// An id of an event, or a revision.
pub(super) fn event_id(field: &str, text: &str) -> Result<EventId> {
    text.parse().map_err(|_| Error::invalid(field, text, ID_RULE))
}

fn time(params: &mut Params, name: &str) -> Result<Option<DateTime<Utc>>> {
    let Some(text) = params.take(name)? else { return Ok(None) };
    let rule = "must be a time of RFC 3339, as 2026-01-31T12:00:00Z";
    // A plus sign that was not written %2B is a space by now.
    let read = DateTime::parse_from_rfc3339(&text.replace(' ', "+"));
    read.map(|time| Some(time.to_utc())).map_err(|_| Error::invalid(name, text, rule))
}
