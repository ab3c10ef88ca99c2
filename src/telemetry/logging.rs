//! The log: one event, one line, to standard output.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Libraries that say much, and say at `debug` what may be somebody's secret: addresses with
/// tokens in them, headers, statements.
const NOISY: &[&str] =
    &["h2", "hyper", "hyper_util", "reqwest", "rustls", "sqlx", "tonic", "tower"];

/// Changes a running log.
#[derive(Clone, Debug)]
pub struct LogHandle(reload::Handle<Targets, Registry>);

impl LogHandle {
    /// Logs from now on at this level.
    ///
    /// # Errors
    /// When there is no such level; the message names those there are.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let filter = filter(level.parse()?);
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Starts the log of this process.
///
/// # Errors
/// When it has one already.
pub fn init(config: &LogConfig) -> Result<LogHandle, TryInitError> {
    let terminal = std::io::stdout().is_terminal();
    let (subscriber, handle) = subscriber(config, terminal, std::io::stdout);
    subscriber.try_init()?;
    Ok(handle)
}

fn subscriber<W>(
    config: &LogConfig,
    terminal: bool,
    writer: W,
) -> (impl Subscriber + Send + Sync + 'static, LogHandle)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(filter(config.level));
    let lines = lines(config.format, terminal, writer);
    (tracing_subscriber::registry().with(filter).with(lines), LogHandle(handle))
}

fn lines<S, W>(format: LogFormat, terminal: bool, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer);
    if format == LogFormat::Json || (format == LogFormat::Auto && !terminal) {
        layer.json().flatten_event(true).with_span_list(false).boxed()
    } else {
        layer.with_ansi(terminal).boxed()
    }
}

fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Off => LevelFilter::OFF,
    };
    let noisy = NOISY.iter().map(|name| (*name, level.min(LevelFilter::WARN)));
    // nacos-sdk 0.8.3 logs the user's password at `debug` when it logs in
    // (src/api/plugin/auth/auth_by_http.rs: "Http login with username={username},password=..."),
    // so nothing below `info` of it is written, whatever the level.
    // At the usual levels it is silent: it reports each pushed list as a failure to write its
    // cache, which it is kept from writing, and what matters of it the adapter reports itself.
    let sdk = if level > LevelFilter::INFO { LevelFilter::INFO } else { LevelFilter::OFF };
    Targets::new().with_default(level).with_targets(noisy).with_target("nacos_sdk", sdk)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::Level;

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Page {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn write(format: LogFormat, terminal: bool) -> String {
        let page = Page::default();
        let copy = page.clone();
        let config = LogConfig { level: LogLevel::Info, format };
        let (subscriber, handle) = subscriber(&config, terminal, move || copy.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(source.id = "consul-a", age_ms = 12, "source went stale");
            tracing::debug!("not yet");
            handle.set_level("debug").unwrap();
            tracing::debug!("now it is");
            assert!(handle.set_level("loud").unwrap_err().contains("trace, debug, info"));
        });
        page.text()
    }

    #[test]
    fn json_is_one_object_a_line() {
        for format in [LogFormat::Json, LogFormat::Auto] {
            let text = write(format, format == LogFormat::Json);
            let lines: Vec<serde_json::Value> =
                text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines.len(), 2, "{text}");
            assert_eq!(lines[0]["message"], "source went stale");
            assert_eq!(
                (&lines[0]["source.id"], &lines[0]["age_ms"]),
                (&"consul-a".into(), &12.into())
            );
            assert_eq!(lines[1]["level"], "DEBUG");
        }
    }

    #[test]
    fn text_is_coloured_on_a_terminal_only() {
        assert!(write(LogFormat::Auto, true).contains("\u{1b}["));
        let plain = write(LogFormat::Text, false);
        assert!(plain.contains("source went stale") && !plain.contains('\u{1b}'), "{plain}");
    }

    #[test]
    fn no_level_lets_libraries_tell_secrets() {
        let trace = filter(LogLevel::Trace);
        assert!(trace.would_enable("hub_registry::catalog", &Level::TRACE));
        assert!(!trace.would_enable("nacos_sdk::api::plugin::auth", &Level::DEBUG));
        assert!(trace.would_enable("nacos_sdk::naming", &Level::INFO));
        assert!(!trace.would_enable("hyper_util::client", &Level::INFO));
        let info = filter(LogLevel::Info);
        assert!(!info.would_enable("nacos_sdk", &Level::ERROR));
        assert!(info.would_enable("sqlx::query", &Level::WARN));
        assert!(!filter(LogLevel::Error).would_enable("sqlx::query", &Level::WARN));
    }
}
