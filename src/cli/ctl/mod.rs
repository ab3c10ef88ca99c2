//! `registry-server ctl`: a running hub on the command line.
//!
//! | module | what |
//! |---|---|
//! | `verb` | what a verb is |
//! | `services`, `instances`, `groups`, `external`, `migration`, `events`, `stats` | the verbs of each noun: every one a route of the API |
//! | `parser` | the command line, made from them |
//! | `request` | the request, made from both |
//! | `client` | one hub, asked over HTTP |
//! | `follow`, `blocks` | the stream of events, over lost connections |
//! | `output` | the answer, for people or for programs |
//! | `failure` | what goes wrong, and the exit code |

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;
use serde_json::Value;

mod blocks;
mod client;
mod events;
mod external;
mod failure;
mod follow;
mod groups;
mod instances;
mod migration;
mod output;
mod parser;
mod request;
mod services;
mod stats;
#[cfg(test)]
mod tests;
mod verb;

use client::Client;
use failure::Failure;
use follow::Follower;
use output::Output;
pub use parser::parser;
use request::{Request, request};
use verb::{Noun, Verb, Watched};

use crate::config::Env;

/// Everything that can be spoken of.
const NOUNS: &[Noun] = &[
    services::NOUN,
    instances::NOUN,
    groups::NOUN,
    external::NOUN,
    migration::NOUN,
    events::NOUN,
    stats::NOUN,
];

/// What may be named by what people call it: the variable of a path, the list that has them, and
/// what in it is the list, the id and the name.
const NAMED: [[&str; 5]; 2] = [
    ["configId", "/api/v1/external/configs", "configs", "configId", "configName"],
    ["migrationId", "/api/v1/migrations", "migrations", "migrationId", "name"],
];

/// How often is asked whether something changed.
const ASKED: Duration = Duration::from_secs(2);
/// How long a waiting question waits; the longest a server takes is 10 minutes.
const WAIT: Duration = Duration::from_secs(300);
/// After an answer was not to be had while watching.
const AGAIN: Duration = Duration::from_secs(2);

/// Does what the matches of [`parser`] say, and prints what came of it.
pub async fn run(said: &ArgMatches, env: &Env) -> ExitCode {
    match obey(said, env).await {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("registry-server ctl: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

async fn obey(said: &ArgMatches, env: &Env) -> Result<ExitCode, Failure> {
    let Some((verb, said)) = chosen(said) else {
        return Err(Failure::Usage("nothing to do".to_owned()));
    };
    let (client, output) = (Client::new(said, env)?, Output::new(said, env));
    let mut request = request(verb, said)?;
    named(&client, verb, said, &mut request).await?;
    if verb.watched != Watched::No && said.get_flag("watch") {
        let changes = said.get_one::<u64>("changes").copied();
        if verb.watched == Watched::Following {
            return Follower::new(&client, output, request, changes)?.run().await;
        }
        watch(&client, output, verb, request, changes).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let answer = client.send(&request, None, Duration::ZERO).await?.body;
    print(&output.text(verb.shows, &answer, false)?)?;
    let failed = answer["success"] == false || has_failures(&answer);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The verb that was said, and what was said with it.
fn chosen(said: &ArgMatches) -> Option<(&'static Verb, &ArgMatches)> {
    let (noun, said) = said.subcommand()?;
    let noun = NOUNS.iter().find(|known| known.name == noun)?;
    if let Some(only) = noun.only_verb() {
        return Some((only, said));
    }
    let (verb, said) = said.subcommand()?;
    Some((noun.verbs.iter().find(|known| known.name == verb)?, said))
}

/// Whether one of many registrations was refused.
fn has_failures(answer: &Value) -> bool {
    let results = answer["results"].as_array().into_iter().flatten();
    results.into_iter().any(|result| result["status"].as_u64().is_some_and(|code| code >= 400))
}

/// Configurations and migrations are named by their id, or by the name people gave them.
async fn named(
    client: &Client,
    verb: &Verb,
    said: &ArgMatches,
    request: &mut Request,
) -> Result<(), Failure> {
    let known = |named: &&[&str; 5]| verb.variables().any(|name| name == named[0]);
    let Some([variable, path, list, id, called]) = NAMED.iter().find(known) else {
        return Ok(());
    };
    let name = said.get_one::<String>(variable).map(String::as_str).unwrap_or_default();
    let is_id = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        return Ok(());
    }
    let query = vec![("pageSize".to_owned(), "1000".to_owned())];
    let all = Request { method: "GET", path: (*path).to_owned(), query, body: None };
    let answer = client.send(&all, None, Duration::ZERO).await?.body;
    let all = answer[*list].as_array().into_iter().flatten();
    let ids: Vec<_> =
        all.filter(|one| one[*called] == name).filter_map(|one| one[*id].as_str()).collect();
    match ids[..] {
        // An id of another form, or nothing of that name: the server says which.
        [] => Ok(()),
        [id] => {
            let (from, to) = (request::encoded(name), request::encoded(id));
            request.path = request.path.replace(&format!("/{from}"), &format!("/{to}"));
            Ok(())
        }
        _ => {
            let message =
                format!("{name} is the name of several: say the id, one of {}", ids.join(", "));
            Err(Failure::Usage(message))
        }
    }
}

/// Shows it again whenever it changes, `changes` times or until somebody ends it.
async fn watch(
    client: &Client,
    output: Output,
    verb: &Verb,
    request: Request,
    changes: Option<u64>,
) -> Result<(), Failure> {
    let (mut tag, mut index, mut shown) = (None, None::<String>, 0);
    loop {
        let mut asked = request.clone();
        let mut wait = Duration::ZERO;
        if let (Watched::Waiting, Some(index)) = (verb.watched, &index) {
            wait = WAIT;
            asked.query.push(("index".to_owned(), index.clone()));
            asked.query.push(("wait".to_owned(), format!("{}s", WAIT.as_secs())));
        }
        let answer = match client.send(&asked, tag.as_ref(), wait).await {
            Ok(answer) => answer,
            // What was seen once is waited for; at first a fault is told.
            Err(failure @ Failure::Unreachable(_)) if shown > 0 => {
                eprintln!("registry-server ctl: {failure}; trying again");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        if !answer.unchanged {
            print(&output.text(verb.shows, &answer.body, true)?)?;
            shown += 1;
            if changes.is_some_and(|changes| shown >= changes) {
                return Ok(());
            }
        }
        let waits = verb.watched == Watched::Waiting && answer.index.is_some();
        (tag, index) = (answer.tag.or(tag), answer.index);
        if !waits {
            tokio::time::sleep(ASKED).await;
        }
    }
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::Local(format!("the answer cannot be written: {error}")))
}
