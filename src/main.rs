//! `registry-server`: arguments, configuration, logs, and then [`App`].

use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use hub_registry::app::{self, App};
use hub_registry::cli;
use hub_registry::config::{self, Args, Command, Config, Env};
use hub_registry::storage::sql;
use hub_registry::telemetry::logging;
use tokio::signal::unix::{SignalKind, signal};

/// The configuration or the command line is wrong.
const USAGE: u8 = 2;

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
    match args.command {
        Command::Serve => runtime.block_on(serve(config)),
        Command::Health => runtime.block_on(health(&config)),
        Command::Migrate => runtime.block_on(migrate(&config)),
        Command::CheckConfig
        | Command::PrintConfig(_)
        | Command::PrintTables(_)
        | Command::Completions(_)
        | Command::Ctl(_) => ExitCode::SUCCESS,
        Command::Secrets(command) => ended(runtime.block_on(app::secrets(&config, command))),
        Command::Token(command) => ended(runtime.block_on(app::token(&config, command))),
    }
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
            for key in config.not_yet_effective() {
                eprintln!("{key}: accepted, and without effect in this version");
            }
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
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> ExitCode {
    if let Err(error) = logging::init(&config.log) {
        eprintln!("cannot start the log: {error}");
        return ExitCode::FAILURE;
    }
    for key in config.not_yet_effective() {
        tracing::warn!(key, "this key is accepted and has no effect in this version");
    }
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        tracing::error!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    let app = tokio::select! {
        app = App::start(config) => app,
        _ = terminate.recv() => return ExitCode::SUCCESS,
        _ = interrupt.recv() => return ExitCode::SUCCESS,
    };
    let app = match app {
        Ok(app) => app,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cannot start");
            return ExitCode::FAILURE;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping: requests under way are answered; a second signal ends at once");
    tokio::select! {
        in_time = app.stop() => {
            tracing::info!(in_time, "stopped");
            ExitCode::SUCCESS
        }
        _ = terminate.recv() => ExitCode::FAILURE,
        _ = interrupt.recv() => ExitCode::FAILURE,
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
            ExitCode::FAILURE
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
            ExitCode::FAILURE
        }
    }
}
