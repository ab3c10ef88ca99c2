//! What happens, as it happens: server-sent events, or a WebSocket.

pub(super) mod describe;
mod follower;
mod sse;
mod websocket;

use axum::extract::{FromRequestParts, Request, State, WebSocketUpgrade};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use serde_json::{Value, json};

use self::follower::{Follower, Right};
use super::authenticate::Shown;
use super::error::{ApiError, ApiResult};
use super::events::{event_id, filter, told, visible};
use super::params::Params;
use super::state::Api;
use crate::access::Caller;
use crate::error::{Error, ErrorCode, Result};
use crate::events::{EventId, NoSeat, Subscription, Wanted};

/// The revision after which a stream begins, as discovery says it.
const INDEX: HeaderName = HeaderName::from_static("x-registry-index");
const LAST_EVENT_ID: &str = "last-event-id";
/// Whoever finds no room comes back after so many seconds, and a few more, so that not all come
/// together.
const COME_BACK: std::ops::RangeInclusive<u32> = 5..=15;

/// `GET /api/v1/events/subscribe`
pub(super) async fn subscribe(
    State(api): State<Api>,
    caller: Caller,
    mut params: Params,
    request: Request,
) -> ApiResult<Response> {
    let (mut parts, _) = request.into_parts();
    let upgrades = parts
        .headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !upgrades && !accepts_events(&parts.headers) {
        let rule = "must be text/event-stream, unless a WebSocket is asked for";
        let accept = parts.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        return Err(Error::invalid("Accept", accept, rule).into());
    }
    let wanted = wanted(&caller, &mut params, &parts.headers)?;
    params.finish()?;
    let upgrade = if upgrades {
        check_origin(&api, &parts.headers)?;
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &api).await;
        Some(
            upgrade
                .map_err(|refused| Error::invalid("Upgrade", "websocket", &refused.body_text()))?,
        )
    } else {
        None
    };
    let right = Right::new(&api, Shown::of(&parts)?, caller.clone());
    let subscription = seat(&api, &caller, wanted)?;
    let revision = subscription.revision();
    let follower = Follower::new(&api, subscription, right, upgrade.is_some());
    let mut response = match upgrade {
        Some(upgrade) => websocket::answer(upgrade, follower, api.streams.clone()),
        None => sse::answer(follower, revision),
    };
    response.headers_mut().insert(INDEX, HeaderValue::from(revision));
    Ok(response)
}

fn accepts_events(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT).iter().filter_map(|list| list.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// What the header says comes first: a browser that comes back sends it, and the old query.
fn wanted(caller: &Caller, params: &mut Params, headers: &HeaderMap) -> Result<Wanted> {
    let filter = filter(params)?;
    let given = params.take("since")?;
    let last = match headers.get(LAST_EVENT_ID) {
        None => None,
        // What a stream that told nothing yet makes of it.
        Some(id) if id.is_empty() => None,
        Some(id) => {
            let bad = || Error::invalid("Last-Event-ID", Value::Null, crate::events::ID_RULE);
            Some(event_id("Last-Event-ID", id.to_str().map_err(|_| bad())?)?)
        }
    };
    let since: Option<EventId> = match (last, given) {
        (Some(last), _) => Some(last),
        (None, Some(given)) => Some(event_id("since", &given)?),
        (None, None) => None,
    };
    let (tenant, user) = (caller.tenant().clone(), caller.user().to_owned());
    Ok(Wanted { tenant, user, filter, since })
}

fn seat(api: &Api, caller: &Caller, wanted: Wanted) -> ApiResult<Subscription> {
    let visible = visible(api, caller, &wanted.filter)?;
    told(api)?.subscribe(wanted, visible).map_err(|none| {
        api.metrics.events.refused();
        let (code, message, most) = match none {
            NoSeat::All(most) => (ErrorCode::Unavailable, "there is no room for subscribers", most),
            NoSeat::User(most) => {
                (ErrorCode::RateLimited, "this user has as many subscribers as it may", most)
            }
        };
        let error = Error::new(code, message).with_details(json!({ "subscribers": most }));
        ApiError { error, retry_after: Some(fastrand::u32(COME_BACK)) }
    })
}

/// Browsers let any page open a WebSocket to any server, and say only from where.
fn check_origin(api: &Api, headers: &HeaderMap) -> Result<()> {
    let Some(origin) = headers.get(header::ORIGIN) else { return Ok(()) };
    let allowed = api.settings.cors_origins.as_deref().unwrap_or_default();
    if allowed.iter().any(|one| one == "*" || one.as_bytes() == origin.as_bytes()) {
        return Ok(());
    }
    let message = "pages of this origin may not connect (server.http.corsOrigins)";
    let details = json!({ "origin": origin.to_str().ok() });
    Err(Error::new(ErrorCode::Forbidden, message).with_details(details))
}
