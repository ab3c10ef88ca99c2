//! A place lines are written to: a bounded queue, and a thread that writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tokio::time::Instant;
use tracing::Level;

use super::Form;
use super::line::{Line, Value};
use crate::clock::Clock;
use crate::telemetry::metrics::{LogMetrics, Lost};

/// The most lines that wait to be written: a few seconds of a busy `debug` log.
const LINES: usize = 16 * 1024;
/// The most bytes that wait to be written.
const BYTES: usize = 16 << 20;
/// How often a thread without lines looks after its place: time may have come for a new file.
const TICK: Duration = Duration::from_secs(1);
/// How often it is said at most that lines were lost.
const BETWEEN_NOTICES: Duration = Duration::from_secs(1);

/// Where lines go.
pub(super) trait Output: Send + 'static {
    /// Writes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<()>;

    /// Looks after what is due without a line, too.
    fn tick(&mut self) {}

    /// Begins anew, since something else moved it away.
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Which place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Stdout,
    File,
}

impl Place {
    /// The word for metrics.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::File => "file",
        }
    }
}

/// The end of the queue that takes lines.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    place: Place,
    metrics: LogMetrics,
    /// Bytes in the queue.
    waiting: AtomicUsize,
    /// Lines lost that no line told of yet.
    untold: AtomicU64,
    reopen: AtomicBool,
}

impl Shared {
    fn lose(&self, why: Lost) {
        self.metrics.lost(self.place.as_str(), why);
        self.untold.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Message {
    Line(String),
    /// Everything before it is written.
    Flush(SyncSender<()>),
}

impl Sink {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has none to give.
    pub(super) fn start(
        place: Place,
        output: impl Output,
        form: Form,
        clock: Clock,
        metrics: &LogMetrics,
    ) -> io::Result<Self> {
        let (queue, lines) = sync_channel(LINES);
        let (waiting, untold) = (AtomicUsize::new(0), AtomicU64::new(0));
        let (metrics, reopen) = (metrics.clone(), AtomicBool::new(false));
        let shared = Arc::new(Shared { place, metrics, waiting, untold, reopen });
        let writer = Writer {
            lines,
            output,
            form,
            clock,
            shared: Arc::clone(&shared),
            failing: false,
            told: None,
        };
        let name = format!("log-{}", place.as_str());
        std::thread::Builder::new().name(name).spawn(|| writer.run())?;
        Ok(Self { queue, shared })
    }

    /// Puts a line into the queue, or drops it: nobody waits for the log.
    pub(super) fn send(&self, line: String) {
        let bytes = line.len();
        if self.shared.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes <= BYTES
            && self.queue.try_send(Message::Line(line)).is_ok()
        {
            return;
        }
        self.shared.waiting.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.lose(Lost::QueueFull);
    }

    /// Begins anew before the next line.
    pub(super) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Relaxed);
    }

    /// Waits until what is in the queue is written, at most so long.
    pub(super) fn flush(&self, within: Duration) {
        let end = Instant::now() + within;
        let (done, wait) = sync_channel(1);
        let mut message = Message::Flush(done);
        while let Err(TrySendError::Full(back)) = self.queue.try_send(message) {
            if Instant::now() >= end {
                return;
            }
            std::thread::yield_now();
            message = back;
        }
        // Whether it was in time makes no difference: the process ends.
        wait.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
    }
}

/// What the thread works with.
struct Writer<O> {
    lines: Receiver<Message>,
    output: O,
    form: Form,
    clock: Clock,
    shared: Arc<Shared>,
    /// The last line could not be written.
    failing: bool,
    /// When it was last said that lines were lost.
    told: Option<Instant>,
}

impl<O: Output> Writer<O> {
    fn run(mut self) {
        loop {
            let next = self.lines.recv_timeout(TICK);
            if self.shared.reopen.swap(false, Ordering::Relaxed)
                && let Err(error) = self.output.reopen()
            {
                tracing::error!(%error, "the log file cannot be opened anew; the old one is used");
            }
            match next {
                Ok(Message::Line(line)) => {
                    self.shared.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                    self.write(&line);
                    self.tell(BETWEEN_NOTICES);
                }
                Ok(Message::Flush(done)) => {
                    self.tell(Duration::ZERO);
                    // The one who asked may have gone.
                    done.try_send(()).ok();
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.output.tick();
                    self.tell(BETWEEN_NOTICES);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, line: &str) {
        let outcome = self.output.write(line.as_bytes());
        if outcome.is_err() {
            self.shared.lose(Lost::WriteFailed);
        }
        let failed_before = std::mem::replace(&mut self.failing, outcome.is_err());
        if let Err(error) = outcome
            && !failed_before
        {
            // Once, for the other place and for this one when it works again.
            let place = self.shared.place.as_str();
            tracing::error!(place, %error, "the log cannot be written: lines are lost");
        }
    }

    /// Says how many lines were lost, where they would have stood.
    fn tell(&mut self, between: Duration) {
        if self.shared.untold.load(Ordering::Relaxed) == 0
            || self.told.is_some_and(|told| told.elapsed() < between)
        {
            return;
        }
        let lost = self.shared.untold.swap(0, Ordering::Relaxed);
        let line = Line {
            time: self.clock.now(),
            level: Level::WARN,
            target: module_path!(),
            message: "log lines were lost here".to_owned(),
            fields: vec![("lost", Value::Plain(lost.to_string()))],
        };
        if self.output.write(self.form.write(&line).as_bytes()).is_err() {
            self.shared.untold.fetch_add(lost, Ordering::Relaxed);
        }
        self.told = Some(Instant::now());
    }
}

#[cfg(test)]
mod tests;
