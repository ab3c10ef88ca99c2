//! The log: one event, one line, to standard output and to a file.
//!
//! Whoever logs never waits: lines go into a bounded queue per place, and a thread of its own
//! writes each. What does not fit, or cannot be written, is dropped and counted.
//!
//! | file | what |
//! |---|---|
//! | `filter` | which events are written |
//! | `levels` | the levels, changed while the server runs |
//! | `line` | an event on its way to a line |
//! | `json`, `text` | the forms of a line |
//! | `request` | which request is being answered |
//! | `layer` | from events to sinks |
//! | `sink` | the queue and its thread |
//! | `stdout`, `file` | places |
//! | `archive` | what the file was before: names, compression, bounds |

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use self::archive::Archive;
use self::file::LogFile;
use self::layer::Lines;
use self::sink::{Place, Sink};
use self::stdout::Stdout;
use super::metrics::LogMetrics;
use crate::clock::Clock;
use crate::config::{LogConfig, LogFileConfig, LogFormat};

mod archive;
mod file;
mod filter;
mod json;
mod layer;
mod levels;
mod line;
mod request;
mod sink;
mod stdout;
mod text;

pub use filter::{ACCESS, AUDIT};
pub use levels::{LevelState, Levels};
pub use request::within_request;

/// The running log.
#[derive(Clone, Debug)]
pub struct Log {
    levels: Levels,
    sinks: Vec<Sink>,
}

impl Log {
    /// Starts the log of this process. A file that cannot be written is no reason not to start:
    /// standard output is used then, and says so.
    ///
    /// # Errors
    /// When the process has a log already, or no thread can be made.
    pub fn start(config: &LogConfig, metrics: &LogMetrics, clock: Clock) -> Result<Self, String> {
        let mut sinks = Vec::new();
        let mut no_file = None;
        let mut layers = Vec::new();
        if let Some(path) = &config.file.path {
            match open(path, &config.file, clock.clone()) {
                Ok(file) => {
                    let form = Form::new(config.format, false);
                    let sink = Sink::start(Place::File, file, form, clock.clone(), metrics);
                    let sink = sink.map_err(|error| error.to_string())?;
                    sinks.push(sink.clone());
                    layers.push(Lines::new(sink, form, clock.clone()));
                }
                Err(error) => no_file = Some((path, error)),
            }
        }
        if config.stdout || no_file.is_some() {
            let form = Form::new(config.format, std::io::stdout().is_terminal());
            let sink = Sink::start(Place::Stdout, Stdout, form, clock.clone(), metrics);
            let sink = sink.map_err(|error| error.to_string())?;
            sinks.push(sink.clone());
            layers.push(Lines::new(sink, form, clock.clone()));
        }
        let (filter, handle) = reload::Layer::new(filter::of(&config.level, config.access));
        let subscriber =
            tracing_subscriber::registry().with(filter).with(layers).with(metrics.clone());
        subscriber.try_init().map_err(|error| error.to_string())?;
        log_panics();
        if let Some((path, error)) = no_file {
            tracing::warn!(path = %path.display(), %error,
                "the log file cannot be written: standard output is used");
        }
        let levels = Levels::new(handle, config.level.clone(), config.access, clock);
        Ok(Self { levels, sinks })
    }

    /// How much is logged.
    #[must_use]
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Opens the file anew, since something else moved it away.
    pub fn reopen(&self) {
        self.sinks.iter().for_each(Sink::reopen);
    }

    /// Waits until what was logged is written, at most so long.
    pub fn flush(&self, within: Duration) {
        self.sinks.iter().for_each(|sink| sink.flush(within));
    }
}

fn open(path: &Path, config: &LogFileConfig, clock: Clock) -> std::io::Result<LogFile> {
    LogFile::open(Archive::new(path, config)?, config, clock)
}

/// How lines are written to one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Text { coloured: bool },
}

impl Form {
    fn new(format: LogFormat, terminal: bool) -> Self {
        match format {
            LogFormat::Json => Self::Json,
            LogFormat::Auto if !terminal => Self::Json,
            LogFormat::Auto | LogFormat::Text => Self::Text { coloured: terminal },
        }
    }

    fn write(self, line: &line::Line<'_>) -> String {
        match self {
            Self::Json => json::write(line),
            Self::Text { coloured } => text::write(line, coloured),
        }
    }
}

/// A panic is a line like any other. It still ends what it ends.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a value that is no text");
        tracing::error!(place, message, "a panic");
    }));
}
