//! The same as messages of a WebSocket.

use std::time::Duration;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::serve::{FAREWELL, PATIENCE};
use super::follower::{End, Follower};
use crate::events::Item;
use crate::task::TaskGroup;

/// A subscriber has nothing to say but that it is there.
const MOST: usize = 4 * 1024;
/// How much is kept for a subscriber before it is waited for.
const BUFFER: usize = 16 * 1024;
/// How often a silent one is asked for a sign of life, so that proxies keep the line open.
const PING: Duration = Duration::from_secs(15);
/// One that gave no sign of life for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);

/// The answer that turns the connection into a WebSocket. `streams` waits for its end.
pub(super) fn answer(
    upgrade: WebSocketUpgrade,
    follower: Follower,
    streams: TaskGroup,
) -> Response {
    let (held, stopping) = (streams.hold(), streams.stop_signal());
    upgrade
        .max_message_size(MOST)
        .max_frame_size(MOST)
        // By default 128 KiB for each subscriber, of whom nothing is read but pongs.
        .read_buffer_size(MOST)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(64 * BUFFER)
        .on_upgrade(async move |socket| {
            Line { socket, stopping }.run(follower).await;
            drop(held);
        })
}

struct Line {
    socket: WebSocket,
    stopping: CancellationToken,
}

impl Line {
    async fn run(mut self, mut follower: Follower) {
        let (mut heard_at, mut ping_at) = (Instant::now(), Instant::now() + PING);
        loop {
            tokio::select! {
                biased;
                heard = self.socket.recv() => match heard {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => heard_at = Instant::now(),
                },
                item = follower.next() => {
                    let sent = match item {
                        Ok(item) => self.send_all(item).await,
                        Err(end) => return self.close(end).await,
                    };
                    if !sent {
                        return;
                    }
                }
                () = tokio::time::sleep_until(ping_at) => {
                    if heard_at.elapsed() > SILENCE
                        || !self.send(Message::Ping(Bytes::new())).await
                    {
                        return;
                    }
                    ping_at = Instant::now() + PING;
                }
            }
        }
    }

    async fn send_all(&mut self, item: Item) -> bool {
        match item {
            Item::Notice(notice) => self.send_json(notice.json()).await,
            Item::Events(frames) => {
                for frame in frames {
                    if !self.send_json(frame.json()).await {
                        return false;
                    }
                }
                true
            }
        }
    }

    async fn send_json(&mut self, json: Bytes) -> bool {
        match Utf8Bytes::try_from(json) {
            Ok(text) => self.send(Message::Text(text)).await,
            Err(_) => false,
        }
    }

    /// Whether it was taken in time.
    async fn send(&mut self, message: Message) -> bool {
        let stopping = &self.stopping;
        let patience = async {
            let stopped = async {
                stopping.cancelled().await;
                tokio::time::sleep(FAREWELL).await;
            };
            tokio::time::timeout(PATIENCE, stopped).await.ok();
        };
        tokio::select! {
            biased;
            sent = self.socket.send(message) => sent.is_ok(),
            () = patience => false,
        }
    }

    async fn close(mut self, end: End) {
        let (code, reason) = match end {
            End::Stopping => (close_code::AWAY, "the server stops"),
            End::Credential => (close_code::POLICY, "the credential has ended"),
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        self.send(Message::Close(Some(frame))).await;
    }
}
