//! A request: who asks, what for, and how long it may wait.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hub_registry_core::duration;
use serde::Serialize;

use super::Face;
use super::filter::Filter;
use super::filter::fields::Kind;
use crate::access::{Action, Caller, Said};
use crate::error::{Error, ErrorCode};
use crate::http::Meant;
use crate::http::shown::{asks_for_carried, bearer, is_forwarded};

/// The result of a handler.
pub(super) type Answered<T = Response> = Result<T, Refused>;

/// How long a blocking query waits that does not say how long, and the longest wait
/// (api-docs/features/blocking).
const DEFAULT_WAIT: Duration = Duration::from_secs(300);
const MAX_WAIT: Duration = Duration::from_secs(600);

/// A refusal, as plain text.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    status: StatusCode,
    text: String,
    /// Whether Consul's protocol has it so.
    meant: bool,
}

impl Refused {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), meant: true }
    }

    pub(super) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// What a server says that cannot tell: clients keep what they have.
    pub(super) fn unheard(names: &str) -> Self {
        let text = format!("No cluster leader: never heard yet: {names}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let (status, text) = match error.code {
            ErrorCode::Unauthorized => (StatusCode::FORBIDDEN, "ACL not found".to_owned()),
            ErrorCode::Forbidden => {
                (StatusCode::FORBIDDEN, format!("Permission denied: {}", error.message))
            }
            code => (code.status(), error.sentence()),
        };
        Self { status, text, meant: false }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let meant = self.meant.then_some(Extension(Meant));
        let kind = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        (self.status, meant, kind, self.text).into_response()
    }
}

/// Who asks for what.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    /// Where the request comes from.
    pub(super) peer: IpAddr,
    /// Whether it asks for what Consul has no word for.
    pub(super) carried: bool,
    path: HashMap<String, String>,
    query: Vec<(String, String)>,
}

/// What is waited for: a change after this index, for so long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    pub(super) index: i64,
    pub(super) wait: Duration,
}

impl Call {
    /// A variable of the path; empty where its route has none of the name.
    pub(super) fn segment(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The first value of this name in the query.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let mut values = self.query.iter().filter(|(key, _)| key == name);
        values.next().map(|(_, value)| value.as_str())
    }

    /// Every value of this name.
    pub(super) fn all<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c str> {
        let values = self.query.iter().filter(move |(key, _)| key == name);
        values.map(|(_, value)| value.as_str())
    }

    /// A switch, on where it is named without a value.
    pub(super) fn switch(&self, name: &str) -> Answered<bool> {
        match self.query(name) {
            None | Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some("" | "true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some(_) => Err(Refused::bad(format!("Invalid value for ?{name}"))),
        }
    }

    /// The expression, if there is one, over rows of this kind.
    pub(super) fn filter(&self, row: &'static Kind) -> Answered<Option<Filter>> {
        let text = self.query("filter").filter(|text| !text.is_empty());
        let read = text.map(|text| Filter::read(text, row)).transpose();
        read.map_err(|error| {
            Refused::bad(format!("Failed to create boolean expression evaluator: {error}"))
        })
    }

    /// Whether it wants only what is on nodes with some metadata, which none here has.
    pub(super) fn asks_for_node_meta(&self) -> bool {
        self.all("node-meta").any(|pair| !pair.is_empty())
    }

    /// Whether it may wait, and for what.
    pub(super) fn blocking(&self) -> Answered<Option<Blocking>> {
        let index = match self.query("index").filter(|text| !text.is_empty()) {
            None => 0,
            Some(text) => text.parse::<u64>().map_err(|_| Refused::bad("Invalid index"))?,
        };
        let wait = match self.query("wait").filter(|text| !text.is_empty()) {
            None => Duration::ZERO,
            Some(text) => duration::parse(text).map_err(|_| Refused::bad("Invalid wait time"))?,
        };
        let wait = if wait.is_zero() { DEFAULT_WAIT } else { wait.min(MAX_WAIT) };
        // Clients that came at once shall not come back at once; never more than this, for some
        // give up soon after.
        let jitter = wait.mul_f64(fastrand::f64() / 16.0);
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        Ok((index > 0).then_some(Blocking { index, wait: wait + jitter }))
    }
}

impl FromRequestParts<Arc<Face>> for Call {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, face: &Arc<Face>) -> Answered<Self> {
        let bad = |part: &str| Refused::bad(format!("{part} must be UTF-8, in percent-encoding"));
        let Path(path) = Path::<HashMap<String, String>>::from_request_parts(parts, face)
            .await
            .map_err(|_| bad("path"))?;
        let Query(query) =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|_| bad("query"))?;
        let headers = &parts.headers;
        let in_header = headers.get("x-consul-token").and_then(|value| value.to_str().ok());
        let in_query = query.iter().find(|(key, _)| key == "token").map(|(_, value)| &**value);
        let shown = in_query.or(in_header).filter(|token| !token.is_empty());
        let shown = shown.or_else(|| bearer(headers));
        // A token says its tenant itself.
        let tenant = face.settings.tenant.clone().filter(|_| !face.authenticator.is_on());
        let said = Said { bearer: shown, tenant, user: None, forwarded: is_forwarded(headers) };
        let caller = face.authenticator.caller(said).await?;
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        caller.need(if reads { Action::Read } else { Action::Write })?;
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or_else(|| IpAddr::from([127, 0, 0, 1]), |ConnectInfo(peer)| peer.ip());
        let (peer, carried) = (peer.to_canonical(), asks_for_carried(headers));
        let call = Self { caller, peer, carried, path, query };
        let datacenter = call.query("dc").filter(|dc| !dc.is_empty());
        if datacenter.is_some_and(|dc| !dc.eq_ignore_ascii_case(&face.settings.datacenter)) {
            let text = "No path to datacenter";
            return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text));
        }
        Ok(call)
    }
}

/// JSON with the headers of a read: `index` is what a client waits from, `whole` whether all that
/// might know something were heard.
pub(super) fn read(index: i64, whole: bool, body: impl Into<Bytes>) -> Response {
    const INDEX: HeaderName = HeaderName::from_static("x-consul-index");
    const LEADER: HeaderName = HeaderName::from_static("x-consul-knownleader");
    // The client in Go fails without it.
    const CONTACT: HeaderName = HeaderName::from_static("x-consul-lastcontact");
    const CONSISTENCY: HeaderName = HeaderName::from_static("x-consul-effective-consistency");
    let whole = if whole { "true" } else { "false" };
    let headers = [
        // Some clients take 0 for an error.
        (INDEX, HeaderValue::from(index.max(1))),
        (LEADER, HeaderValue::from_static(whole)),
        (CONTACT, HeaderValue::from_static("0")),
        (CONSISTENCY, HeaderValue::from_static("leader")),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
    ];
    (headers, body.into()).into_response()
}

/// The text of JSON that cannot fail to be written.
pub(super) fn text(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use hub_registry_core::TenantId;

    use super::*;

    fn blocking(query: &[(&str, &str)]) -> Option<Blocking> {
        let said = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let call = Call {
            caller: Caller::unlimited(TenantId::default_tenant(), "walt"),
            peer: IpAddr::from([127, 0, 0, 1]),
            carried: false,
            path: HashMap::new(),
            query: query.iter().map(said).collect(),
        };
        call.blocking().ok().unwrap()
    }

    #[test]
    fn a_wait_is_five_minutes_ten_at_most_and_a_sixteenth_more() {
        for (said, expected) in [
            ("", 300.0),
            ("0s", 300.0),
            ("0", 300.0),
            ("1ms", 0.001),
            ("4s", 4.0),
            ("120000ms", 120.0),
            ("5m", 300.0),
            ("10m", 600.0),
            ("601s", 600.0),
            ("24h", 600.0),
        ] {
            let waits = || blocking(&[("index", "7"), ("wait", said)]).unwrap().wait.as_secs_f64();
            let all: Vec<_> = (0..1000).map(|_| waits()).collect();
            let least = all.iter().copied().fold(f64::MAX, f64::min);
            let most = all.iter().copied().fold(0.0, f64::max);
            assert!(
                least >= expected && most <= expected * 17.0 / 16.0 + 1e-6,
                "{said}: {least} to {most}"
            );
            // Who came at once does not come back at once.
            assert!(most - least > expected / 32.0, "{said}: {least} to {most}");
        }
        let unsaid = blocking(&[("index", "7")]).unwrap().wait.as_secs_f64();
        assert!((300.0..=318.75).contains(&unsaid), "{unsaid}");
    }

    #[test]
    fn without_an_index_nobody_waits() {
        for query in [&[][..], &[("wait", "5m")], &[("index", "0")], &[("index", "")]] {
            assert!(blocking(query).is_none(), "{query:?}");
        }
        let index = |text| blocking(&[("index", text)]).unwrap().index;
        assert_eq!((index("1"), index("18446744073709551615")), (1, i64::MAX));
    }
}
