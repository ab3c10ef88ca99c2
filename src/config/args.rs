//! The command line.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command as Parser, value_parser};
use clap_complete::Shell;

use super::database::DatabaseType;

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Look after tokens, in the database of the configuration.
    Token(TokenCommand),
    /// Look after the keys of secrets.
    Secrets(SecretsCommand),
    /// Say whether the configuration is right.
    CheckConfig,
    /// Print the configuration that a start would have.
    PrintConfig(PrintArgs),
    /// Print what makes this shell complete the command line.
    Completions(Shell),
    /// Speak to a running hub; what is to be said to it.
    Ctl(Box<ArgMatches>),
}

/// What to do about the keys of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretsCommand {
    /// Say which key opens how many secrets.
    List,
    /// Make a new key, seal everything with it, and take the old ones away.
    Rotate,
    /// Seal everything with the first key.
    Rewrap,
}

/// How to print the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrintArgs {
    /// With where each value comes from, in place of a file.
    pub sources: bool,
}

/// What to do about tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCommand {
    /// Make one and print it.
    Create(TokenArgs),
    /// List them.
    List,
    /// Make one of this id count no more.
    Revoke(String),
}

/// A token to make, as it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenArgs {
    /// Whose.
    pub user: String,
    /// What for.
    pub role: String,
    /// For which tenant; `*` is every one.
    pub tenant: String,
    /// For which groups; none is all of them.
    pub groups: Vec<String>,
    /// What people call it.
    pub name: Option<String>,
    /// How long it counts.
    pub expires: Option<String>,
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
    /// Reads a command line, the program's name first; `ctl`: how the command of that name is read.
    ///
    /// # Errors
    /// What to print; `clap::Error::exit` prints it and ends with 2, or with 0 for `--help` and
    /// `--version`.
    pub fn parse(
        line: impl IntoIterator<Item = OsString>,
        ctl: Parser,
    ) -> Result<Self, clap::Error> {
        let matches = Self::parser(ctl).try_get_matches_from(line.into_iter().map(two_dashes))?;
        let command = match matches.subcommand() {
            Some(("health", _)) => Command::Health,
            Some(("secrets", matches)) => secrets(matches).map_or(Command::Serve, Command::Secrets),
            Some(("token", matches)) => token(matches).map_or(Command::Serve, Command::Token),
            Some(("migrate", matches)) => {
                let word = matches.get_one::<String>("print");
                let known = word.and_then(|word| DatabaseType::from_word(word));
                known.map_or(Command::Migrate, Command::PrintTables)
            }
            Some(("check-config", _)) => Command::CheckConfig,
            Some(("print-config", matches)) => {
                Command::PrintConfig(PrintArgs { sources: matches.get_flag("sources") })
            }
            Some(("completions", matches)) => {
                matches.get_one("shell").copied().map_or(Command::Serve, Command::Completions)
            }
            Some(("ctl", matches)) => Command::Ctl(Box::new(matches.clone())),
            _ => Command::Serve,
        };
        Ok(Self { command, config: matches.get_one("config").cloned() })
    }

    /// The whole command line.
    #[must_use]
    pub fn parser(ctl: Parser) -> Parser {
        parser().subcommand(ctl)
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
    let token = Parser::new("token")
        .about("Makes, lists and revokes access tokens, in the database of the configuration")
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(token_create())
        .subcommand(Parser::new("list").about("Lists the tokens; their text is not kept"))
        .subcommand(
            Parser::new("revoke")
                .about("Makes a token count no more")
                .arg(Arg::new("id").value_name("TOKEN_ID").required(true)),
        );
    let print = Arg::new("print")
        .long("print")
        .value_name("DATABASE")
        .value_parser(DatabaseType::WORDS)
        .help("Prints the SQL that makes the tables, and touches no database");
    let migrate = Parser::new("migrate")
        .about("Brings the tables of the configured database up to date")
        .arg(print);
    let check = Parser::new("check-config")
        .about("Says whether the configuration is right, and everything that is wrong with it");
    let sources = Arg::new("sources")
        .long("sources")
        .action(ArgAction::SetTrue)
        .help("Prints each key with its value and where that comes from, in place of a file");
    let print_config = Parser::new("print-config")
        .about("Prints the configuration that a start would have, as a file; secrets are ***")
        .arg(sources);
    let shell = Arg::new("shell").value_name("SHELL").required(true);
    let completions = Parser::new("completions")
        .about("Prints what makes a shell complete this command line")
        .after_help("bash: source <(registry-server completions bash)")
        .arg(shell.value_parser(value_parser!(Shell)));
    Parser::new("registry-server")
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .after_help("Without a command it is the server.")
        .arg(config)
        .subcommand(check)
        .subcommand(print_config)
        .subcommand(migrate)
        .subcommand(token)
        .subcommand(secrets_parser())
        .subcommand(health)
        .subcommand(completions)
        .disable_help_subcommand(true)
}

fn secrets_parser() -> Parser {
    Parser::new("secrets")
        .about(
            "Looks after the keys that secrets of external registries are sealed with; the server may run",
        )
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .subcommand(Parser::new("list").about("Says which key opens how many secrets"))
        .subcommand(Parser::new("rotate").about(
            "Makes a new key, seals everything with it, and takes keys nothing needs out of the file",
        ))
        .subcommand(Parser::new("rewrap").about("Seals everything with the first key"))
}

fn secrets(matches: &ArgMatches) -> Option<SecretsCommand> {
    match matches.subcommand_name()? {
        "list" => Some(SecretsCommand::List),
        "rotate" => Some(SecretsCommand::Rotate),
        "rewrap" => Some(SecretsCommand::Rewrap),
        _ => None,
    }
}

fn token_create() -> Parser {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Parser::new("create")
        .about("Makes a token and prints it; it is shown only now")
        .arg(
            text("user", "USER", "Whose it is: what changes made with it are signed with")
                .required(true),
        )
        .arg(
            text("role", "ROLE", "What it allows: admin, operator, writer or reader")
                .required(true),
        )
        .arg(text("tenant", "TENANT", "For which tenant; * is every one").default_value("default"))
        .arg(
            text("group", "GROUP", "For which group, may be given several times [default: all]")
                .action(ArgAction::Append),
        )
        .arg(text("name", "NAME", "What people call it"))
        .arg(text("expires", "DURATION", "How long it counts, as 720h [default: until revoked]"))
}

fn token(matches: &ArgMatches) -> Option<TokenCommand> {
    let (name, matches) = matches.subcommand()?;
    let text = |name: &str| matches.get_one::<String>(name).cloned();
    match name {
        "create" => Some(TokenCommand::Create(TokenArgs {
            user: text("user")?,
            role: text("role")?,
            tenant: text("tenant")?,
            groups: matches.get_many("group").map(|all| all.cloned().collect()).unwrap_or_default(),
            name: text("name"),
            expires: text("expires"),
        })),
        "list" => Some(TokenCommand::List),
        "revoke" => text("id").map(TokenCommand::Revoke),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        let ctl = Parser::new("ctl").subcommand(Parser::new("stats"));
        Args::parse(["registry-server"].iter().chain(line).map(OsString::from), ctl)
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
    fn a_token_is_described_by_options() {
        let line =
            ["token", "create", "--user", "ci", "--role=writer", "--group", "a", "--group=b"];
        let Command::Token(TokenCommand::Create(made)) = parse(&line).unwrap().command else {
            panic!("no token to make");
        };
        assert_eq!((made.user.as_str(), made.role.as_str()), ("ci", "writer"));
        assert_eq!(
            (made.tenant.as_str(), made.groups.as_slice()),
            ("default", &["a", "b"].map(str::to_owned)[..])
        );
        for line in [&["token"][..], &["token", "create"], &["token", "revoke"]] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }

    #[test]
    fn secrets_have_three_commands() {
        for (word, command) in [
            ("list", SecretsCommand::List),
            ("rotate", SecretsCommand::Rotate),
            ("rewrap", SecretsCommand::Rewrap),
        ] {
            assert_eq!(parse(&["secrets", word]).unwrap().command, Command::Secrets(command));
        }
        assert_eq!(parse(&["secrets"]).unwrap_err().exit_code(), 2);
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
    fn the_configuration_is_checked_and_printed() {
        let command = |line: &[&str]| parse(line).unwrap().command;
        assert_eq!(command(&["check-config"]), Command::CheckConfig);
        let print = |sources| Command::PrintConfig(PrintArgs { sources });
        assert_eq!(command(&["print-config"]), print(false));
        assert_eq!(command(&["print-config", "--sources"]), print(true));
        assert_eq!(command(&["completions", "fish"]), Command::Completions(Shell::Fish));
        assert!(matches!(command(&["ctl", "stats"]), Command::Ctl(_)));
        let args = parse(&["check-config", "-config", "a.yaml"]).unwrap();
        assert_eq!(args.config, Some(PathBuf::from("a.yaml")));
        assert_eq!(parse(&["completions", "cmd.exe"]).unwrap_err().exit_code(), 2);
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
