use std::path::PathBuf;

use hub_registry_core::Secret;

use super::{Dsn, ServerDsn, SqliteDsn};
use crate::config::database::DatabaseType;

const UNKNOWN: &str = "this is no database address: use a file, as ./data/registry.db, a URL, as \
                       mysql://USER:PASSWORD@HOST:PORT/NAME or postgres://..., or \
                       USER:PASSWORD@tcp(HOST:PORT)/NAME";
const BAD_HOST: &str = "the host and port cannot be read: write HOST or HOST:PORT, and in a URL \
                        the characters / ? # % of a password as %2F %3F %23 %25";
const NO_NAME: &str = "the name of the database is missing: write it behind the last /";

pub(super) fn dsn(text: &str) -> Result<Dsn, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err(UNKNOWN.to_owned());
    }
    for (scheme, kind) in [
        ("mysql://", DatabaseType::Mysql),
        ("mariadb://", DatabaseType::Mysql),
        ("postgres://", DatabaseType::Postgres),
        ("postgresql://", DatabaseType::Postgres),
    ] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return url(kind, rest).map(Dsn::Server).map_err(str::to_owned);
        }
    }
    for scheme in ["sqlite://", "sqlite:", "file://", "file:"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return sqlite(rest).map_err(str::to_owned);
        }
    }
    if let Some(parts) = go_mysql(text) {
        return parts.map(Dsn::Server).map_err(str::to_owned);
    }
    if let Some(words) = keywords(text) {
        return from_keywords(words).map(Dsn::Server).map_err(str::to_owned);
    }
    // A mistyped server address must not become a file whose name is shown with the password.
    if text.contains("://") || text.contains('@') || text.contains("password=") {
        return Err(UNKNOWN.to_owned());
    }
    sqlite(text).map_err(str::to_owned)
}

fn sqlite(rest: &str) -> Result<Dsn, &'static str> {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let parameters = pairs(query);
    let in_memory = path == ":memory:" || parameters.contains(&("mode".into(), "memory".into()));
    if path.is_empty() && !in_memory {
        return Err("the path of the database file is missing");
    }
    let path = (!in_memory).then(|| PathBuf::from(path));
    Ok(Dsn::Sqlite(SqliteDsn { path, parameters }))
}

/// What follows `mysql://` or `postgres://`. Only `/`, `?` and `#` end the host part, so a
/// password may hold `@` and `:` as they are.
fn url(kind: DatabaseType, rest: &str) -> Result<ServerDsn, &'static str> {
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let (user, password, database) = (decode(user), decode(password), decode(path));
    let database = database.strip_prefix('/').unwrap_or_default();
    server(kind, (&user, &password), &decode(address), database, pairs(query))
}

/// `[user[:password]@][net[(address)]]/name[?parameters]`, taken apart as
/// [go-sql-driver](https://github.com/go-sql-driver/mysql#dsn-data-source-name) does: the last `/`
/// first, then the last `@` before it, then the first `:`. So the password may hold anything.
fn go_mysql(text: &str) -> Option<Result<ServerDsn, &'static str>> {
    let (front, back) = text.rsplit_once('/')?;
    let (login, net) = front.rsplit_once('@').unwrap_or(("", front));
    let address = match net.split_once('(') {
        Some(("tcp" | "tcp4" | "tcp6" | "unix", address)) => address.strip_suffix(')')?,
        None if matches!(net, "tcp" | "tcp4" | "tcp6") => "",
        None if net.is_empty() && login.contains(':') => "",
        _ => return None,
    };
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (database, query) = back.split_once('?').unwrap_or((back, ""));
    let login = (user, password);
    Some(server(DatabaseType::Mysql, login, address, &decode(database), pairs(query)))
}

/// `host=localhost user=me password='a b'`, the form of libpq and Go's PostgreSQL drivers.
fn keywords(text: &str) -> Option<Vec<(String, String)>> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, value) = rest.split_once('=')?;
        let name = name.trim();
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
            return None;
        }
        let start = value.trim_start();
        let quoted = start.starts_with('\'');
        let (mut taken, mut end) = (String::new(), start.len());
        let mut letters = start.char_indices().skip(usize::from(quoted));
        while let Some((index, c)) = letters.next() {
            match c {
                '\\' => taken.extend(letters.next().map(|(_, escaped)| escaped)),
                '\'' if quoted => {
                    end = index + 1;
                    break;
                }
                c if c.is_whitespace() && !quoted => {
                    end = index;
                    break;
                }
                c => taken.push(c),
            }
        }
        words.push((name.to_owned(), taken));
        rest = start[end..].trim_start();
    }
    words.iter().any(|(name, _)| matches!(name.as_str(), "host" | "dbname")).then_some(words)
}

fn from_keywords(words: Vec<(String, String)>) -> Result<ServerDsn, &'static str> {
    let (known, parameters): (Vec<_>, Vec<_>) = words.into_iter().partition(|(name, _)| {
        matches!(name.as_str(), "host" | "port" | "user" | "password" | "dbname")
    });
    let get = |wanted: &str| {
        let found = known.iter().rev().find(|(name, _)| name == wanted);
        found.map_or("", |(_, value)| value.as_str())
    };
    let (user, host, port) = (get("user"), get("host"), get("port"));
    let name = if get("dbname").is_empty() { user } else { get("dbname") };
    let mut dsn = server(DatabaseType::Postgres, (user, get("password")), host, name, parameters)?;
    if !port.is_empty() {
        dsn.port = port.parse().map_err(|_| BAD_HOST)?;
    }
    Ok(dsn)
}

fn server(
    kind: DatabaseType,
    (user, password): (&str, &str),
    address: &str,
    database: &str,
    parameters: Vec<(String, String)>,
) -> Result<ServerDsn, &'static str> {
    if database.is_empty() {
        return Err(NO_NAME);
    }
    let (host, port) = if address.starts_with('/') {
        (address, None)
    } else if let Some((host, port)) = address.strip_prefix('[').and_then(|a| a.split_once(']')) {
        (host, port.strip_prefix(':'))
    } else {
        address.rsplit_once(':').map_or((address, None), |(host, port)| (host, Some(port)))
    };
    if !host.starts_with('/') && host.contains(|c: char| c.is_whitespace() || "/?#@()".contains(c))
    {
        return Err(BAD_HOST);
    }
    let usual = if kind == DatabaseType::Postgres { 5432 } else { 3306 };
    Ok(ServerDsn {
        kind,
        user: user.to_owned(),
        password: Secret::new(password),
        host: if host.is_empty() { "localhost" } else { host }.to_owned(),
        port: port.map_or(Ok(usual), str::parse).map_err(|_| BAD_HOST)?,
        database: database.to_owned(),
        parameters,
    })
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.to_owned(), decode(value)))
        .collect()
}

/// Takes `%2F` as `/`; a `%` that begins no such code stays.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        let code = code.filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
