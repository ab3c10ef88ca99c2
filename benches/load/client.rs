//! One client with one connection: as little work as can be, since it shares the cores with what
//! it measures.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// How long each request took, in microseconds.
    pub(crate) times: Vec<u32>,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: vec![0; 16 * 1024], times: Vec::new() }
    }

    pub(crate) async fn ask(&mut self, request: &[u8], expected: u16) {
        let start = Instant::now();
        self.stream.write_all(request).await.unwrap();
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.unwrap();
            assert!(read > 0, "the server hung up");
            filled += read;
            if is_whole(&self.buffer[..filled]) {
                break;
            }
        }
        let status = std::str::from_utf8(&self.buffer[9..12]).unwrap();
        let text = || String::from_utf8_lossy(&self.buffer[..filled]).into_owned();
        assert_eq!(status.parse::<u16>().ok(), Some(expected), "{}", text());
        self.times.push(u32::try_from(start.elapsed().as_micros()).unwrap());
    }
}

fn is_whole(answer: &[u8]) -> bool {
    const LENGTH: &[u8] = b"content-length: ";
    let Some(head) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return false;
    };
    let place = answer[..head].windows(LENGTH.len()).position(|part| part == LENGTH);
    let digits = &answer[place.expect("an answer says its length") + LENGTH.len()..head];
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    answer.len() >= head + 4 + length
}

/// What came of a run.
pub(crate) struct Figures {
    rate: f64,
    median: Duration,
    slow: Duration,
}

impl Figures {
    pub(crate) fn new(mut times: Vec<u32>, took: Duration) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let place = (times.len() as f64 * share) as usize;
            Duration::from_micros(u64::from(times[place.min(times.len() - 1)]))
        };
        let rate = times.len() as f64 / took.as_secs_f64();
        Self { rate, median: at(0.5), slow: at(0.99) }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        write!(f, "{:.0} | {:.2} | {:.2}", self.rate, ms(self.median), ms(self.slow))
    }
}
