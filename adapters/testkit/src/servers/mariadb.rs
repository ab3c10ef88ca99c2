//! MariaDB: one server on the loopback address, durable as it comes.

use super::database::{self, DATABASE, PASSWORD, USER};
use super::environment;
use super::plan::{Plan, Setup, text};

/// Some distributions have the server where only root looks.
const FOLDERS: &str = "/usr/sbin";

/// Makes the system tables if there are none, then becomes the server. What the first statements
/// make stays, and they may run again at each start.
const START: &str = r#"
# A start deletes what looks like left-over tables in there, the start that makes the system tables
# too: not those of another server.
mkdir -p "$data.tmp"
own "$data.tmp"
if [ ! -d "$data/mysql" ]; then
    own "$data"
    as "$install" --no-defaults --datadir="$data" --tmpdir="$data.tmp" \
        --auth-root-authentication-method=normal --skip-test-db >/dev/null || exit 1
fi
printf '%s' "$first" >"$data.first.sql"
own "$data.first.sql"
become "$mariadbd" --no-defaults --datadir="$data" --tmpdir="$data.tmp" --init-file="$data.first.sql" "$@"
"#;

/// The reason why it cannot be started here.
pub(super) fn missing() -> Option<String> {
    for name in ["mariadbd", "mariadb-install-db", "mariadb-admin"] {
        if environment::program_or_in(name, FOLDERS).is_none() {
            return Some(format!("there is no `{name}` on the PATH"));
        }
    }
    database::account(&["mysql", "nobody"]).err()
}

pub(super) fn plan(setup: &Setup) -> Result<Plan, String> {
    let program = |name| {
        let found = environment::program_or_in(name, FOLDERS);
        found.map(|path| text(&path)).ok_or_else(|| missing().unwrap_or_default())
    };
    let account = database::account(&["mysql", "nobody"])?;
    let first = format!(
        "CREATE DATABASE IF NOT EXISTS {DATABASE};\n\
         CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
         GRANT ALL ON *.* TO '{USER}'@'%';\n"
    );
    let variables = [
        ("data", text(&setup.data)),
        ("mariadbd", program("mariadbd")?),
        ("install", program("mariadb-install-db")?),
        ("first", first),
    ];
    let arguments = [
        "--bind-address=127.0.0.1".to_owned(),
        format!("--port={}", setup.http_port()),
        format!("--socket={}.sock", text(&setup.data)),
        format!("--pid-file={}.pid", text(&setup.data)),
        "--skip-name-resolve".to_owned(),
    ];
    Ok(database::plan(account.as_ref(), setup, START, &variables, &arguments))
}

/// It takes queries.
pub(super) async fn is_ready(setup: &Setup) -> bool {
    let Some(program) = environment::program_or_in("mariadb-admin", FOLDERS) else {
        return false;
    };
    let port = format!("--port={}", setup.http_port());
    let (user, password) = (format!("--user={USER}"), format!("--password={PASSWORD}"));
    let arguments =
        ["--no-defaults", "--protocol=tcp", "--host=127.0.0.1", &port, &user, &password, "status"];
    database::says_yes(&program, &arguments).await
}

/// The address of its database, in the form of Go's driver.
pub(super) fn dsn(setup: &Setup) -> String {
    let port = setup.http_port();
    format!("{USER}:{PASSWORD}@tcp(127.0.0.1:{port})/{DATABASE}?charset=utf8mb4&parseTime=True")
}
