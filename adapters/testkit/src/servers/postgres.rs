//! PostgreSQL: one server on the loopback address, durable as it comes.

use super::database::{self, DATABASE, PASSWORD, USER};
use super::environment;
use super::plan::{Plan, Setup, text};

/// Where Debian keeps the programs, which are on nobody's PATH.
const FOLDERS: &str = "/usr/lib/postgresql";

/// Makes the cluster if there is none, then becomes the server.
const START: &str = r#"
if [ ! -e "$data/PG_VERSION" ]; then
    printf '%s' "$password" >"$data.password"
    own "$data" "$data.password"
    as "$initdb" -D "$data" -U "$user" --pwfile="$data.password" -A scram-sha-256 -E UTF8 \
        --locale=C.UTF-8 >/dev/null || exit 1
    echo "CREATE DATABASE $database;" | as "$postgres" --single -D "$data" postgres >/dev/null || exit 1
fi
become "$postgres" -D "$data" "$@"
"#;

/// The reason why it cannot be started here.
pub(super) fn missing() -> Option<String> {
    let reason = |name: &str| Some(format!("there is no `{name}` on the PATH or in {FOLDERS}"));
    for name in ["postgres", "initdb", "pg_isready"] {
        if environment::program_or_in(name, FOLDERS).is_none() {
            return reason(name);
        }
    }
    database::account(&["postgres", "nobody"]).err()
}

pub(super) fn plan(setup: &Setup) -> Result<Plan, String> {
    let program = |name| {
        let found = environment::program_or_in(name, FOLDERS);
        found.map(|path| text(&path)).ok_or_else(|| missing().unwrap_or_default())
    };
    let account = database::account(&["postgres", "nobody"])?;
    let variables = [
        ("data", text(&setup.data)),
        ("postgres", program("postgres")?),
        ("initdb", program("initdb")?),
        ("user", USER.to_owned()),
        ("password", PASSWORD.to_owned()),
        ("database", DATABASE.to_owned()),
    ];
    let port = setup.http_port();
    let arguments = [
        "-p".to_owned(),
        port.to_string(),
        "-k".to_owned(),
        String::new(),
        "-c".to_owned(),
        "listen_addresses=127.0.0.1".to_owned(),
    ];
    Ok(database::plan(account.as_ref(), setup, START, &variables, &arguments))
}

/// It takes queries: while it starts it says that it does not yet.
pub(super) async fn is_ready(setup: &Setup) -> bool {
    let Some(program) = environment::program_or_in("pg_isready", FOLDERS) else {
        return false;
    };
    let port = setup.http_port().to_string();
    database::says_yes(&program, &["-q", "-h", "127.0.0.1", "-p", &port]).await
}

/// The address of its database.
pub(super) fn dsn(setup: &Setup) -> String {
    format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{DATABASE}", setup.http_port())
}
