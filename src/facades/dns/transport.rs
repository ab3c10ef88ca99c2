//! The two ways a question comes.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use super::Face;
use super::message::Way;
use crate::task::TaskGroup;

/// No question is longer: a name has 255 bytes at most.
const LONGEST: usize = 4096;
/// So many connections are answered at once; more wait until one ends.
const CONNECTIONS: usize = 256;
/// A connection that says nothing for so long is closed (RFC 7766 6.2.3), and so is one that does
/// not take its answer.
const IDLE: Duration = Duration::from_secs(10);
/// After an error of the socket, so that one that lasts does not keep a core busy.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers datagrams, one after the other: an answer is made in microseconds.
pub(super) async fn datagrams(socket: UdpSocket, face: Arc<Face>) {
    let mut buffer = vec![0; LONGEST];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, peer)) => {
                if let Some(answer) = face.answer(&buffer[..length], Way::Udp)
                    && let Err(error) = socket.send_to(&answer, peer).await
                {
                    tracing::debug!(%error, %peer, "an answer by DNS could not be sent");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no question by DNS can be read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers connections.
pub(super) async fn connections(listener: TcpListener, face: Arc<Face>, tasks: TaskGroup) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let face = Arc::clone(&face);
                tasks.spawn_until_stopped(async move {
                    // It ends with an error as it would without: nobody is there to be told.
                    connection(stream, &face).await.ok();
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "no connection for DNS can be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Questions and answers, each after its length in two bytes.
async fn connection(mut stream: TcpStream, face: &Face) -> std::io::Result<()> {
    loop {
        let question = tokio::time::timeout(IDLE, async {
            let length = stream.read_u16().await?;
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await?;
            std::io::Result::Ok(question)
        });
        let question = question.await??;
        let Some(answer) = face.answer(&question, Way::Tcp) else { return Ok(()) };
        let Ok(length) = u16::try_from(answer.len()) else { return Ok(()) };
        let whole = [&length.to_be_bytes()[..], &answer].concat();
        tokio::time::timeout(IDLE, stream.write_all(&whole)).await??;
    }
}
