//! `registry-server`: arguments, configuration, logs, and then [`App`].

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use hub_registry::app::{self, App, Host};
use hub_registry::cli;
use hub_registry::clock::Clock;
use hub_registry::config::{self, Args, Command, Config, Env};
use hub_registry::error::{Error, ErrorCode};
use hub_registry::process::{Signals, Stop, Supervisor, Wish};
use hub_registry::storage::{StorageError, StorageErrorKind, sql};
use hub_registry::telemetry::logging::Log;
use hub_registry::telemetry::metrics::Metrics;

/// Requests are many small allocations, made by one thread and given back by another
/// (docs/performance.md).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration or the command line is wrong.
const USAGE: u8 = 2;
/// There is no such thing.
const NOT_FOUND: u8 = 3;
/// The server or the database does not answer.
const UNREACHABLE: u8 = 4;
/// How long the last lines of the log get to be written.
const LAST_LINES: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os(), cli::ctl::parser()) {
        Ok(args) => args,
        Err(error) => error.exit(),
    };
    let env = Env::process();
    // These need no configuration.
    match &args.command {
        Command::PrintTables(database) => {
            print!("{}", sql::script(*database));
            return ExitCode::SUCCESS;
        }
        Command::Completions(shell) => {
            let mut parser = Args::parser(cli::ctl::parser());
            clap_complete::generate(*shell, &mut parser, "registry-server", &mut std::io::stdout());
            return ExitCode::SUCCESS;
        }
        Command::Ctl(said) => return ctl(said, &env),
        _ => {}
    }
    let config = match config::load(&args, &env) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(USAGE);
        }
    };
    if let Some(outcome) = about_config(&args.command, &config) {
        return outcome;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match args.command {
        Command::Serve => runtime.block_on(serve(config, &env)),
        Command::Health => runtime.block_on(health(&config)),
        Command::Migrate => runtime.block_on(migrate(&config)),
        Command::CheckConfig
        | Command::PrintConfig(_)
        | Command::PrintTables(_)
        | Command::Completions(_)
        | Command::Ctl(_) => ExitCode::SUCCESS,
        Command::Secrets(command) => ended(runtime.block_on(app::secrets(&config, command))),
        Command::Token(command) => ended(runtime.block_on(app::token(&config, command))),
    };
    // Whatever still runs had its time.
    runtime.shutdown_background();
    code
}

/// Speaks to a running hub: one thing after the other, so that one thread is enough.
fn ctl(said: &ArgMatches, env: &Env) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli::ctl::run(said, env)),
        Err(error) => {
            eprintln!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is to be done with the configuration alone, if that is what was asked for.
fn about_config(command: &Command, config: &Config) -> Option<ExitCode> {
    match command {
        Command::CheckConfig => {
            println!("OK");
            Some(ExitCode::SUCCESS)
        }
        Command::PrintConfig(args) => Some(match cli::config::printed(config, args.sources) {
            Ok(text) => {
                print!("{text}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        }),
        _ => None,
    }
}

/// The end of a command that does one thing.
fn ended(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            failed(&error)
        }
    }
}

/// The exit code that says what a script can do about it.
fn failed(error: &anyhow::Error) -> ExitCode {
    let code = error.chain().find_map(|cause| {
        let ours = cause.downcast_ref::<Error>().map(|error| error.code);
        ours.or_else(|| {
            let away = StorageErrorKind::Unavailable;
            let kind = cause.downcast_ref::<StorageError>().map(StorageError::kind);
            (kind == Some(away)).then_some(ErrorCode::Unavailable)
        })
    });
    match code {
        Some(ErrorCode::NotFound) => ExitCode::from(NOT_FOUND),
        Some(ErrorCode::Unavailable) => ExitCode::from(UNREACHABLE),
        _ => ExitCode::FAILURE,
    }
}

async fn serve(config: Config, env: &Env) -> ExitCode {
    let metrics = Metrics::new();
    let log = match Log::start(&config.log, &metrics.log, Clock::System) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("cannot start the log: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = serve_logged(config, metrics, &log, env).await;
    log.flush(LAST_LINES);
    code
}

async fn serve_logged(config: Config, metrics: Metrics, log: &Log, env: &Env) -> ExitCode {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => {
            tracing::error!(%error, "cannot listen for signals");
            return ExitCode::FAILURE;
        }
    };
    let supervisor = Supervisor::new(env).unwrap_or_else(|error| {
        tracing::warn!(%error, "the service manager cannot be told how this server fares");
        Supervisor::default()
    });
    let host = Host { metrics, log: log.clone(), supervisor };
    let app = tokio::select! {
        app = App::start(config, host) => app,
        _ = asked_to_stop(&mut signals, log) => return ExitCode::SUCCESS,
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot start");
            return ExitCode::FAILURE;
        }
    };
    asked_to_stop(&mut signals, log).await;
    tracing::info!("stopping: requests under way are answered; a second signal ends at once");
    tokio::select! {
        in_time = app.stop() => {
            tracing::info!(in_time, "stopped");
            ExitCode::SUCCESS
        }
        stop = asked_to_stop(&mut signals, log) => {
            tracing::warn!("ended at once, by a second signal");
            ExitCode::from(stop.exit_code())
        }
    }
}

async fn asked_to_stop(signals: &mut Signals, log: &Log) -> Stop {
    loop {
        match signals.next().await {
            Wish::Stop(stop) => return stop,
            Wish::Reopen => log.reopen(),
        }
    }
}

/// Brings the tables up to date and says what it did.
async fn migrate(config: &Config) -> ExitCode {
    match app::migrate(&config.database).await {
        Ok(migrated) => {
            for script in &migrated.applied {
                println!("applied {script}");
            }
            let (now, before) = (migrated.applied.len(), migrated.before);
            println!("{}: {now} applied, {before} had been before", config.database.dsn);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            failed(&error)
        }
    }
}

/// Asks the server that runs with this configuration how it is: for container health checks.
async fn health(config: &Config) -> ExitCode {
    let http = &config.server.http;
    // A server that listens on every address is asked on this machine's own.
    let host = match http.host.as_str() {
        "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let url = format!("http://{host}:{}/health", http.port);
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build();
    let Ok(client) = client else {
        return ExitCode::FAILURE;
    };
    match client.get(&url).send().await {
        Ok(answer) if answer.status().is_success() => ExitCode::SUCCESS,
        Ok(answer) => {
            eprintln!("{url}: {}", answer.status());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{url}: {error}");
            ExitCode::from(UNREACHABLE)
        }
    }
}
