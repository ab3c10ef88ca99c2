//! Configurations, of which the hub keeps none: whoever reads one is told so, as by a Nacos that has none.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Face;
use super::call::{Answered, Call};

/// How long a client of 1.x waits for a change, in milliseconds. The sic is Nacos'.
const TIMEOUT: &str = "long-pulling-timeout";
/// Whether it does not want to wait.
const NO_HANGUP: &str = "long-pulling-timeout-no-hangup";
/// A server answers so much before the client gives up, and lets nobody ask more often than this
/// (`LongPollingService.addLongPollingClient`).
const EARLIER: Duration = Duration::from_millis(500);
const SHORTEST: Duration = Duration::from_secs(10);
/// Nobody is kept waiting for longer.
const LONGEST: Duration = Duration::from_secs(60);
/// What ends a word and a line of what a client says that it has (`MD5Util`).
const WORD: char = '\u{2}';
const LINE: char = '\u{1}';

/// `GET cs/configs`
pub(super) async fn get(_: Call) -> Response {
    (StatusCode::NOT_FOUND, "config data not exist").into_response()
}

/// `POST cs/configs/listener`: who has a configuration is told at once that it changed, and reads that
/// there is none. None of the others changes: whoever waits for a change waits, since a client asks
/// again as soon as it is answered.
pub(super) async fn listen(
    State(face): State<Arc<Face>>,
    headers: HeaderMap,
    call: Call,
) -> Answered {
    let gone = call.said("Listening-Configs").and_then(gone);
    let gone = gone.ok_or_else(|| call.bad("invalid probeModify"))?;
    if !gone.is_empty() {
        let text: String = form_urlencoded::byte_serialize(gone.as_bytes()).collect();
        return Ok(format!("{text}\n").into_response());
    }
    if let Some(wait) = wait(&headers) {
        tokio::select! {
            () = face.stopping.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(StatusCode::OK.into_response())
}

/// Of what a client says that it has, as `data id, group, MD5, tenant`, what is not empty, in the same
/// form without the MD5; what is not ended does not count. `None`: it is not of this form
/// (`MD5Util.getClientMd5Map`).
pub(super) fn gone(text: &str) -> Option<String> {
    let mut gone = String::new();
    let Some((ended, _)) = text.rsplit_once(LINE) else { return Some(gone) };
    for line in ended.split(LINE) {
        let words: Vec<_> = line.split(WORD).collect();
        let (id, group, md5, tenant) = match words[..] {
            [id, group, md5] => (id, group, md5, ""),
            [id, group, md5, tenant] => (id, group, md5, tenant),
            _ => return None,
        };
        if id.is_empty() || group.is_empty() {
            return None;
        }
        if md5.is_empty() {
            continue;
        }
        gone.extend([id, "\u{2}", group]);
        if !tenant.is_empty() {
            gone.extend(["\u{2}", tenant]);
        }
        gone.push(LINE);
    }
    Some(gone)
}

/// How long it is let wait; `None`: it does not want to.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let said = |name: &str| headers.get(name)?.to_str().ok();
    if said(NO_HANGUP).is_some_and(|word| word.eq_ignore_ascii_case("true")) {
        return None;
    }
    let timeout = Duration::from_millis(said(TIMEOUT)?.parse().ok()?);
    Some(timeout.saturating_sub(EARLIER).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_what_is_gone_is_told() {
        let said = |text: &str| gone(&text.replace(';', "\u{1}").replace(',', "\u{2}"));
        let told = |text: &str| Some(text.replace(';', "\u{1}").replace(',', "\u{2}"));
        assert_eq!(said("a,g,;b,g,abc;c,g,abc,t;d,g,,t;"), told("b,g;c,g,t;"));
        assert_eq!(said("a,g,abc"), told(""));
        for odd in [";", "a;", "a,g;", "a,g,m,t,x;", ",g,m;", "a,,m;", "a,g,;x;"] {
            assert_eq!(said(odd), None, "{odd}");
        }
    }

    #[test]
    fn it_waits_as_long_as_at_a_nacos() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            wait(&pairs.collect())
        };
        let seconds = |seconds| Some(Duration::from_millis(seconds));
        assert_eq!(of(&[(TIMEOUT, "30000")]), seconds(29_500));
        assert_eq!(of(&[(TIMEOUT, "1")]), seconds(10_000));
        assert_eq!(of(&[(TIMEOUT, "99999999")]), seconds(60_000));
        assert_eq!(of(&[(TIMEOUT, "30000"), (NO_HANGUP, "true")]), None);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(TIMEOUT, "soon")]), None);
    }
}
