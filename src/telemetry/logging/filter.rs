//! Which events are written.

use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::config::{LogLevel, LogLevels};

/// The target of the line of each request, at `debug`.
pub const ACCESS: &str = "hub_registry::access";
/// The target of what somebody did to the server itself, at `info`: written whatever the level.
pub const AUDIT: &str = "hub_registry::audit";

/// Libraries that say much, and say at `debug` what may be somebody's secret: addresses with
/// tokens in them, headers, statements.
const NOISY: &[&str] =
    &["h2", "hyper", "hyper_util", "reqwest", "rustls", "sqlx", "tonic", "tower"];

/// What these levels let through, and with `access` the line of each request too.
pub(super) fn of(levels: &LogLevels, access: bool) -> Targets {
    let level = level(levels.default);
    let noisy = NOISY.iter().map(|name| (*name, level.min(LevelFilter::WARN)));
    // nacos-sdk 0.8.3 logs the user's password at `debug` when it logs in
    // (src/api/plugin/auth/auth_by_http.rs: "Http login with username={username},password=..."),
    // so nothing below `info` of it is written, whatever the level.
    // At the usual levels it is silent: it reports each pushed list as a failure to write its
    // cache, which it is kept from writing, and what matters of it the adapter reports itself.
    let sdk = if level > LevelFilter::INFO { LevelFilter::INFO } else { LevelFilter::OFF };
    let targets = levels.targets.iter().map(|(target, level)| (target, self::level(*level)));
    let filter = Targets::new()
        .with_default(level)
        .with_targets(noisy)
        .with_target("nacos_sdk", sdk)
        .with_targets(targets)
        .with_target(AUDIT, LevelFilter::INFO);
    if access && levels.default != LogLevel::Off {
        return filter.with_target(ACCESS, LevelFilter::DEBUG);
    }
    filter
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Off => LevelFilter::OFF,
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn filter(levels: &str) -> Targets {
        of(&levels.parse().unwrap(), false)
    }

    #[test]
    fn no_level_lets_libraries_tell_secrets() {
        let trace = filter("trace");
        assert!(trace.would_enable("hub_registry::catalog", &Level::TRACE));
        assert!(!trace.would_enable("nacos_sdk::api::plugin::auth", &Level::DEBUG));
        assert!(trace.would_enable("nacos_sdk::naming", &Level::INFO));
        assert!(!trace.would_enable("hyper_util::client", &Level::INFO));
        let info = filter("info");
        assert!(!info.would_enable("nacos_sdk", &Level::ERROR));
        assert!(info.would_enable("sqlx::query", &Level::WARN));
        assert!(!filter("error").would_enable("sqlx::query", &Level::WARN));
    }

    #[test]
    fn a_part_may_have_a_level_of_its_own() {
        let some = filter("warn,hub_registry::federation=debug,hub_registry::federation::plan=off");
        assert!(some.would_enable("hub_registry::federation::source", &Level::DEBUG));
        assert!(!some.would_enable("hub_registry::federation::plan", &Level::ERROR));
        assert!(!some.would_enable("hub_registry::catalog", &Level::INFO));
    }

    #[test]
    fn what_somebody_did_to_the_server_is_always_written() {
        for levels in ["off", "error", "info,hub_registry::audit=off"] {
            assert!(filter(levels).would_enable(AUDIT, &Level::INFO), "{levels}");
        }
    }

    #[test]
    fn requests_are_lines_from_debug_on_or_when_asked_for() {
        assert!(!filter("info").would_enable(ACCESS, &Level::DEBUG));
        assert!(filter("debug").would_enable(ACCESS, &Level::DEBUG));
        assert!(of(&"error".parse().unwrap(), true).would_enable(ACCESS, &Level::DEBUG));
        assert!(!of(&"off".parse().unwrap(), true).would_enable(ACCESS, &Level::DEBUG));
    }
}
