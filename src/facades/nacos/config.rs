//! Configurations, of which the hub keeps none: whoever reads one is told so, as by a Nacos that has none.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::Face;
use super::call::Call;

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

/// `GET cs/configs`
pub(super) async fn get(_: Call) -> Response {
    (StatusCode::NOT_FOUND, "config data not exist").into_response()
}

/// `POST cs/configs/listener`: none of them changes. Whoever waits for a change waits: a client asks again
/// as soon as it is answered.
pub(super) async fn listen(
    State(face): State<Arc<Face>>,
    headers: HeaderMap,
    _: Call,
) -> StatusCode {
    if let Some(wait) = wait(&headers) {
        tokio::select! {
            () = face.stopping.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    StatusCode::OK
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
