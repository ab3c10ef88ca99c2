//! `ctl` on the command line, made from the verbs.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command as Parser, value_parser};

use super::NOUNS;
use super::verb::{Kind, Noun, Take, Verb, Watched};

/// Exit codes, for whoever writes scripts.
const AFTER: &str = "\
Exit codes: 0 done; 1 refused or failed; 2 the command line is wrong; 3 there is no such thing; 4 the server cannot be reached, or cannot \
answer now; 130 ended by Ctrl-C.

A table has borders and colours only on a terminal (NO_COLOR turns colours off); json and yaml are the server's answer, whole.";

/// `ctl` and everything behind it.
#[must_use]
pub fn parser() -> Parser {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).global(true).help(help)
    };
    let server =
        text("server", "URL", "The hub [default: REGISTRY_SERVER, else http://127.0.0.1:8080]");
    let token =
        text("token", "TOKEN", "The access token; better in REGISTRY_TOKEN or in --token-file");
    let token_file = text("token-file", "FILE", "A file with the access token")
        .value_parser(value_parser!(PathBuf))
        .conflicts_with("token");
    let tenant = text("tenant", "TENANT", "The tenant [default: that of the token]");
    let output = text("output", "FORM", "table, json or yaml [default: table]")
        .short('o')
        .value_parser(["table", "json", "yaml"]);
    Parser::new("ctl")
        .about("Speaks to a running hub: reads, registers, changes, operates")
        .after_help(AFTER)
        .args([server, token, token_file, tenant, output])
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(NOUNS.iter().map(noun))
}

fn noun(noun: &Noun) -> Parser {
    if let Some(only) = noun.only_verb() {
        return verb(only);
    }
    Parser::new(noun.name)
        .about(noun.about)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(noun.verbs.iter().map(verb))
}

fn verb(verb: &'static Verb) -> Parser {
    let mut parser = Parser::new(verb.name).about(verb.about);
    for variable in verb.variables() {
        parser = parser.arg(Arg::new(variable).value_name(placeholder(variable)).required(true));
    }
    for take in verb.takes {
        parser = parser.arg(option(verb, take));
    }
    if verb.has_body() {
        let help = "More fields, or all of them: a YAML or JSON file; - is standard input. Options win over it";
        let file = Arg::new("file").long("file").short('f').value_name("FILE").help(help);
        parser = parser.arg(file.value_parser(value_parser!(PathBuf)));
    }
    if verb.watched != Watched::No {
        let (help, often) = match verb.watched {
            Watched::Following => {
                ("Shows what happens from now on, or since --since", "Ends after so many events")
            }
            _ => (
                "Goes on, and shows it again whenever it changes",
                "Ends after it was shown so often",
            ),
        };
        let watch = Arg::new("watch").long("watch").short('w').action(ArgAction::SetTrue);
        let count = Arg::new("changes").long("changes").value_name("N").requires("watch");
        parser = parser
            .arg(watch.help(help))
            .arg(count.value_parser(value_parser!(u64).range(1..)).help(often));
    }
    parser
}

fn option(verb: &Verb, take: &Take) -> Arg {
    let arg = Arg::new(take.name).long(take.name).help(take.help);
    let arg = match take.kind {
        Kind::Text => arg.value_name("TEXT"),
        Kind::Number => arg.value_name("N").value_parser(value_parser!(i64)),
        Kind::Switch => arg.action(ArgAction::SetTrue),
        Kind::Word(words) => {
            arg.value_name("WORD").ignore_case(true).value_parser(PossibleValuesParser::new(words))
        }
        Kind::Many => arg.value_name("TEXT").action(ArgAction::Append),
        Kind::Pairs => arg.value_name("KEY=VALUE").action(ArgAction::Append),
    };
    match take.required {
        true if verb.has_body() => arg.required_unless_present("file"),
        required => arg.required(required),
    }
}

/// What stands for a variable of a path.
fn placeholder(variable: &str) -> &'static str {
    match variable {
        "groupName" => "GROUP",
        "serviceName" => "SERVICE",
        "instanceId" => "INSTANCE_ID",
        "configId" | "migrationId" => "ID_OR_NAME",
        _ => "NAME",
    }
}
