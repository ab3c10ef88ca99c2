//! A service to check.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The head of the last request for each path.
type Asked = Arc<Mutex<BTreeMap<String, String>>>;

/// A server whose paths are behaviours.
pub(super) struct Service {
    pub(super) port: u16,
    /// What was asked, by path.
    pub(super) asked: Asked,
    /// How much of an endless body was taken.
    pub(super) flooded: Arc<AtomicUsize>,
    /// Connections to where a redirect leads.
    pub(super) elsewhere: Arc<AtomicUsize>,
}

impl Service {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let metadata = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self {
            port: listener.local_addr().unwrap().port(),
            asked: Arc::default(),
            flooded: Arc::default(),
            elsewhere: Arc::default(),
        };
        let location = format!("http://{}/latest/meta-data", metadata.local_addr().unwrap());
        let count = Arc::clone(&service.elsewhere);
        tokio::spawn(async move {
            while metadata.accept().await.is_ok() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let (asked, flooded) = (Arc::clone(&service.asked), Arc::clone(&service.flooded));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (asked, flooded) = (Arc::clone(&asked), Arc::clone(&flooded));
                tokio::spawn(answer(stream, asked, flooded, location.clone()));
            }
        });
        service
    }
}

async fn answer(mut stream: TcpStream, asked: Asked, flooded: Arc<AtomicUsize>, location: String) {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(read) if read > 0 => head.extend_from_slice(&chunk[..read]),
            _ => return,
        }
        // A greeting of TLS.
        if head[0] == 0x16 {
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.ok();
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().insert(path.clone(), head.clone());
    let status = |line: &str| {
        format!("HTTP/1.1 {line}\r\ncontent-length: 6\r\nset-cookie: a=b\r\n\r\nsecret")
    };
    let text = match path.as_str() {
        "/ok" | "/ok?deep=1" => status("200 OK"),
        "/created" => {
            status("204 No Content").replace("content-length: 6\r\n", "").replace("secret", "")
        }
        "/busy" => status("429 Too Many Requests"),
        "/500" => status("500 Oh No"),
        "/404" => status("404 Not Found"),
        "/redirect" => {
            format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n")
        }
        "/slow" => {
            tokio::time::sleep(Duration::from_millis(100)).await;
            status("200 OK")
        }
        "/never" => return std::future::pending().await,
        "/drip" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx").await.ok();
            return std::future::pending().await;
        }
        "/redirect-metadata" => {
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
                .to_owned()
        }
        "/reset" => return stream.set_zero_linger().unwrap(),
        "/garbage" => "* OK IMAP4rev1 ready\r\n".to_owned(),
        "/head" => format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000)),
        "/flood" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
            let block = [b'x'; 4096];
            let mut sent = 0;
            while stream.write_all(&block).await.is_ok() {
                sent += block.len();
            }
            flooded.fetch_max(sent, Ordering::Relaxed);
            return;
        }
        other => panic!("{other}"),
    };
    stream.write_all(text.as_bytes()).await.ok();
}
