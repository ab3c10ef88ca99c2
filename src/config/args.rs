//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, Command as Parser, value_parser};

use super::database::DatabaseType;

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Command {
    /// Run the server.
    #[default]
    Serve,
    /// Ask a running server how it is, and answer with the exit code.
    Health,
    /// Bring the tables of the database up to date.
    Migrate,
    /// Print the scripts that make the tables of this kind of database.
    PrintTables(DatabaseType),
}

/// The command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// What to do.
    pub command: Command,
    /// The configuration file, if one was named.
    pub config: Option<PathBuf>,
}

impl Args {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// What to print; `clap::Error::exit` prints it and ends with 2, or with 0 for `--help` and
    /// `--version`.
    pub fn parse(line: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let matches = parser().try_get_matches_from(line.into_iter().map(two_dashes))?;
        let command = match matches.subcommand_name() {
            Some("health") => Command::Health,
            Some("migrate") => {
                let word = matches.subcommand_matches("migrate");
                let word = word.and_then(|migrate| migrate.get_one::<String>("print"));
                let known = word.and_then(|word| DatabaseType::from_word(word));
                known.map_or(Command::Migrate, Command::PrintTables)
            }
            _ => Command::Serve,
        };
        Ok(Self { command, config: matches.get_one("config").cloned() })
    }
}

/// Go programs take long options with one dash, and so did the first Hub Registry.
fn two_dashes(argument: OsString) -> OsString {
    let text = argument.to_str().unwrap_or_default();
    let name = text.split('=').next().unwrap_or_default();
    if matches!(name, "-config" | "-help" | "-version") {
        [OsStr::new("-"), argument.as_os_str()].into_iter().collect()
    } else {
        argument
    }
}

fn parser() -> Parser {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .global(true)
        .help("The configuration file [default: REGISTRY_CONFIG_FILE, else built-in defaults]");
    let health = Parser::new("health")
        .hide(true)
        .about("Asks the server of this configuration for /health; exit code 0 when it is up");
    let print = Arg::new("print")
        .long("print")
        .value_name("DATABASE")
        .value_parser(DatabaseType::WORDS)
        .help("Prints the SQL that makes the tables, and touches no database");
    let migrate = Parser::new("migrate")
        .about("Brings the tables of the configured database up to date")
        .arg(print);
    Parser::new("registry-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .arg(config)
        .subcommand(health)
        .subcommand(migrate)
        .disable_help_subcommand(true)
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::parse(["registry-server"].iter().chain(line).map(OsString::from))
    }

    #[test]
    fn every_way_to_name_the_file_is_taken() {
        for line in [
            &["--config", "a.yaml"][..],
            &["--config=a.yaml"],
            &["-config", "a.yaml"],
            &["-config=a.yaml"],
        ] {
            assert_eq!(parse(line).unwrap().config, Some(PathBuf::from("a.yaml")), "{line:?}");
        }
        assert_eq!(parse(&[]).unwrap(), Args::default());
        // A file may have that name.
        let odd = parse(&["--config", "./-config"]).unwrap();
        assert_eq!(odd.config, Some(PathBuf::from("./-config")));
    }

    #[test]
    fn health_takes_the_file_on_either_side() {
        for line in [["health", "-config", "a.yaml"], ["--config", "a.yaml", "health"]] {
            let args = parse(&line).unwrap();
            assert_eq!(args.command, Command::Health);
            assert_eq!(args.config, Some(PathBuf::from("a.yaml")));
        }
    }

    #[test]
    fn tables_are_migrated_or_printed() {
        let command = |line: &[&str]| parse(line).unwrap().command;
        assert_eq!(command(&["migrate"]), Command::Migrate);
        for (word, kind) in [
            ("sqlite", DatabaseType::Sqlite),
            ("mysql", DatabaseType::Mysql),
            ("postgres", DatabaseType::Postgres),
        ] {
            assert_eq!(command(&["migrate", "--print", word]), Command::PrintTables(kind));
        }
        assert_eq!(parse(&["migrate", "--print", "oracle"]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn what_is_unknown_is_an_error_with_code_2() {
        for line in [&["--confg", "a"][..], &["serve"], &["--config"], &["-c", "a"]] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
        for (word, kind) in [
            ("--version", ErrorKind::DisplayVersion),
            ("-version", ErrorKind::DisplayVersion),
            ("--help", ErrorKind::DisplayHelp),
        ] {
            let shown = parse(&[word]).unwrap_err();
            assert_eq!((shown.kind(), shown.exit_code()), (kind, 0));
            assert!(!shown.to_string().contains("health"));
        }
    }
}
