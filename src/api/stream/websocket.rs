//! The same as messages of a WebSocket.

use std::time::Duration;

use axum::extract::WebSocketUpgrade;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use axum::response::Response;
use bytes::Bytes;
use tokio::time::Instant;

use super::follower::{End, Follower};
use crate::events::Item;
use crate::task::TaskGroup;

/// A subscriber has nothing to say but that it is there.
const MOST: usize = 4 * 1024;
/// How much is kept for a subscriber before it is waited for.
const BUFFER: usize = 16 * 1024;
/// A subscriber that takes nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(30);
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
    let held = streams.hold();
    upgrade
        .max_message_size(MOST)
        .max_frame_size(MOST)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(64 * BUFFER)
        .on_upgrade(async move |socket| {
            run(socket, follower).await;
            drop(held);
        })
}

async fn run(mut socket: WebSocket, mut follower: Follower) {
    let (mut heard_at, mut ping_at) = (Instant::now(), Instant::now() + PING);
    loop {
        tokio::select! {
            biased;
            heard = socket.recv() => match heard {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => heard_at = Instant::now(),
            },
            item = follower.next() => {
                let sent = match item {
                    Ok(item) => send_all(&mut socket, item).await,
                    Err(end) => return close(&mut socket, end).await,
                };
                if !sent {
                    return;
                }
            }
            () = tokio::time::sleep_until(ping_at) => {
                if heard_at.elapsed() > SILENCE
                    || !send(&mut socket, Message::Ping(Bytes::new())).await
                {
                    return;
                }
                ping_at = Instant::now() + PING;
            }
        }
    }
}

async fn send_all(socket: &mut WebSocket, item: Item) -> bool {
    let messages = match item {
        Item::Notice(notice) => vec![notice.json()],
        Item::Events(frames) => frames.iter().map(|frame| frame.json()).collect(),
    };
    for message in messages {
        // It is JSON.
        let Ok(text) = Utf8Bytes::try_from(message) else { return false };
        if !send(socket, Message::Text(text)).await {
            return false;
        }
    }
    true
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    matches!(tokio::time::timeout(PATIENCE, socket.send(message)).await, Ok(Ok(())))
}

async fn close(socket: &mut WebSocket, end: End) {
    let (code, reason) = match end {
        End::Stopping => (close_code::AWAY, "the server stops"),
        End::Credential => (close_code::POLICY, "the credential has ended"),
    };
    let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
    send(socket, Message::Close(Some(frame))).await;
}
