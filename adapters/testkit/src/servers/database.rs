//! What database servers have in common: they do not run as root, and need a folder made for them.

use std::path::Path;
use std::process::Stdio;

use super::environment;
use super::plan::{Plan, Setup, text};

/// The user of the tests.
pub(super) const USER: &str = "hub";
/// Its password: with what needs care in an address.
pub(super) const PASSWORD: &str = "pass-word";
/// The database of the tests.
pub(super) const DATABASE: &str = "registry";

/// Somebody who is not root.
#[derive(Debug)]
pub(super) struct Account(String);

/// Who is to run the server: nobody else when this is not root, else the first of these accounts
/// that there is.
pub(super) fn account(names: &[&str]) -> Result<Option<Account>, String> {
    if !environment::is_root() {
        return Ok(None);
    }
    if environment::program("setpriv").is_none() {
        return Err("there is no `setpriv` on the PATH, and it does not run as root".to_owned());
    }
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let is_known = |name: &&&str| known.lines().any(|line| line.starts_with(&format!("{name}:")));
    match names.iter().find(is_known) {
        Some(name) => Ok(Some(Account((*name).to_owned()))),
        None => Err(format!("it does not run as root, and there is none of {}", names.join(", "))),
    }
}

/// How a script calls others: `own FILES` gives them to the account, `as` runs a program as the
/// account, `become` does not return.
const AS_ACCOUNT: &str = r#"
own() { chown -R "$account" "$@"; }
as() { setpriv --reuid="$account" --regid="$group" --clear-groups -- "$@"; }
become() { exec setpriv --reuid="$account" --regid="$group" --clear-groups -- "$@"; }
group=$(id -g "$account")
"#;
const AS_OURSELVES: &str = r#"
own() { :; }
as() { "$@"; }
become() { exec "$@"; }
"#;

/// A script with these variables, which becomes the server with these arguments.
pub(super) fn plan(
    account: Option<&Account>,
    setup: &Setup,
    script: &str,
    variables: &[(&str, String)],
    arguments: &[String],
) -> Plan {
    let mut text_of = String::from("umask 077\n");
    for (name, value) in variables {
        text_of.push_str(&format!("{name}={}\n", quoted(value)));
    }
    match account {
        Some(Account(name)) => {
            let folder = setup.data.parent().map(text).unwrap_or_default();
            text_of.push_str(&format!("account={}{AS_ACCOUNT}", quoted(name)));
            // The account must be able to go through the folder above.
            text_of.push_str(&format!("own {}\n", quoted(&folder)));
        }
        None => text_of.push_str(AS_OURSELVES),
    }
    text_of.push_str(script);
    let mut all = vec!["-c".to_owned(), text_of, "database".to_owned()];
    all.extend_from_slice(arguments);
    Plan { program: "/bin/sh".into(), arguments: all }
}

fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Whether this program ends well.
pub(super) async fn says_yes(program: &Path, arguments: &[&str]) -> bool {
    let asked = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .status();
    let answer = tokio::time::timeout(std::time::Duration::from_secs(5), asked).await;
    matches!(answer, Ok(Ok(status)) if status.success())
}
