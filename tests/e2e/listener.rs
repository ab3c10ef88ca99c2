//! A subscriber, by server-sent events or by WebSocket.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::hub::Hub;

/// What a subscriber is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    Event(Value),
    Resync(i64),
    Bookmark(i64),
}

impl Word {
    pub(crate) fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text:?}"));
        let revision = value["revision"].as_i64().unwrap_or_else(|| panic!("no revision: {text}"));
        match value["eventType"].as_str().unwrap() {
            "RESYNC" => Self::Resync(revision),
            "BOOKMARK" => Self::Bookmark(revision),
            _ => Self::Event(value),
        }
    }
}

pub(crate) struct Listener {
    words: Pin<Box<dyn Stream<Item = Word> + Send>>,
}

impl Listener {
    pub(crate) async fn sse(hub: &Hub, query: &str, last: Option<&str>) -> Self {
        Self::sse_as(hub, query, last, None).await
    }

    pub(crate) async fn sse_as(
        hub: &Hub,
        query: &str,
        last: Option<&str>,
        token: Option<&str>,
    ) -> Self {
        let mut request = hub.client.get(hub.url(&format!("/api/v1/events/subscribe{query}")));
        request = request.header("accept", "text/event-stream");
        if let Some(id) = last {
            request = request.header("last-event-id", id);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        assert_eq!(status, 200, "{}", answer.text().await.unwrap());
        assert_eq!(headers["content-type"], "text/event-stream");
        assert!(headers.contains_key("x-registry-index"));
        let state = (Box::pin(answer.bytes_stream()), String::new());
        let words = futures_util::stream::unfold(state, |(mut bytes, mut text)| async move {
            loop {
                while let Some(end) = text.find("\n\n") {
                    let block: String = text.drain(..end + 2).collect();
                    let data = block.lines().find_map(|line| line.strip_prefix("data: "));
                    if let Some(data) = data {
                        let word = Word::read(data);
                        if let Word::Event(event) = &word {
                            let id = block.lines().find_map(|line| line.strip_prefix("id: "));
                            assert_eq!(id, event["id"].as_str(), "{block}");
                        }
                        return Some((word, (bytes, text)));
                    }
                }
                text.push_str(std::str::from_utf8(&bytes.next().await?.ok()?).unwrap());
            }
        });
        Self { words: Box::pin(words) }
    }

    pub(crate) async fn websocket(hub: &Hub, query: &str) -> Self {
        Self::websocket_as(hub, query, None).await
    }

    pub(crate) async fn websocket_as(hub: &Hub, query: &str, token: Option<&str>) -> Self {
        let url = hub.url(&format!("/api/v1/events/subscribe{query}")).replace("http", "ws");
        let mut request = url.into_client_request().unwrap();
        if let Some(token) = token {
            let bearer = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert("authorization", bearer);
        }
        let (socket, answer) = tokio_tungstenite::connect_async(request).await.unwrap();
        assert!(answer.headers().contains_key("x-registry-index"));
        let words = futures_util::stream::unfold(socket, |mut socket| async move {
            loop {
                match socket.next().await?.ok()? {
                    Message::Text(text) => return Some((Word::read(&text), socket)),
                    Message::Close(_) => return None,
                    _ => {}
                }
            }
        });
        Self { words: Box::pin(words) }
    }

    /// The next word; `None`: the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Word> {
        self.words.next().await
    }

    /// So many events; anything else but bookmarks is a failure.
    pub(crate) async fn events(&mut self, count: usize, within: Duration) -> Vec<Value> {
        let end = tokio::time::Instant::now() + within;
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            let word = tokio::time::timeout_at(end, self.next()).await;
            let kinds =
                || events.iter().map(|e: &Value| e["eventType"].clone()).collect::<Vec<_>>();
            match word.unwrap_or_else(|_| panic!("{} of {count}: {:?}", events.len(), kinds())) {
                Some(Word::Event(event)) => events.push(event),
                Some(Word::Bookmark(_)) => {}
                other => panic!("{other:?} after {} of {count} events", events.len()),
            }
        }
        events
    }
}
