use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

fn load_text(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.yaml");
    std::fs::write(&path, text).unwrap();
    load(&args(&path), &variables(env))
}

fn args(path: &Path) -> Args {
    Args { config: Some(path.to_owned()), ..Args::default() }
}

fn variables(env: &[(&str, &str)]) -> Env {
    env.iter().copied().collect()
}

/// What is wrong, one line each, without the folder of the file.
fn errors(text: &str, env: &[(&str, &str)]) -> Vec<String> {
    let error = load_text(text, env).expect_err("it was taken");
    let lines = error.to_string();
    lines
        .lines()
        .map(|line| line.rsplit_once("/registry.yaml").map_or(line, |l| l.1).into())
        .collect()
}

#[test]
fn no_file_and_an_empty_file_are_the_defaults() {
    let none = load(&Args::default(), &Env::default()).unwrap();
    assert_eq!(none, Config::default());
    for text in ["", "# nothing\n", "server:\n", "server:\n  http:\n    port:\n", "{}"] {
        assert_eq!(load_text(text, &[]).unwrap(), Config::default(), "{text:?}");
    }
}

#[test]
fn the_defaults_pass_their_own_check() {
    Config::default().check().unwrap();
}

#[test]
fn the_file_of_the_seed_is_read() {
    let text = r#"
server:
  http:
    host: "0.0.0.0"
    port: 8080
    enableCORS: true
    enableGzip: true
database:
  type: "mysql"
  dsn: "root:password@tcp(localhost:3306)/registry?charset=utf8mb4&parseTime=True&loc=Local"
  maxOpenConns: 100
  maxIdleConns: 10
healthCheck:
  enabled: true
  interval: "30s"
  timeout: "5s"
  concurrentChecks: 10
event:
  enabled: true
  bufferSize: 1000
  workerCount: 5
  enablePersistence: true
external:
  enabled: true
  enableFailover: true
  enableSync: true
"#;
    assert_eq!(load_text(text, &[]).unwrap().database.kind, DatabaseType::Mysql);
    let config = load_text(text, &[("REGISTRY_DB_DSN", "./data/registry.db")]).unwrap();
    assert_eq!(config.server.http.host, "0.0.0.0");
    assert!(config.server.http.enable_cors);
    assert_eq!(config.database.kind, DatabaseType::Sqlite);
}

#[test]
fn every_wrong_key_is_named_with_its_line() {
    let text =
        "server:\n  http:\n    prot: 1\n    bodyLimit: 2048\ncolour:\n  on: true\nlog: loud\n";
    assert_eq!(
        errors(text, &[]),
        [
            ":3: server.http.prot: there is no such key; server.http has host, port, enableCORS, \
             corsOrigins, enableGzip, requestTimeout, bodyLimit, batchBodyLimit, maxConnections, \
             shutdownDelay, shutdownTimeout",
            ":5: colour: there is no such key; the file has server, security, database, registry, \
             external, facades, healthCheck, event, retention, log",
            ":7: log: is a section with the keys level, format, stdout, access, file",
        ]
    );
}

#[test]
fn wrong_values_are_named_with_their_rule() {
    for (text, message) in [
        (
            "server: {http: {port: 70000}}",
            "70000 is not allowed: it must be a whole number from 0 to 65535",
        ),
        (
            "server: {http: {port: -1}}",
            "-1 is not allowed: it must be a whole number from 0 to 65535",
        ),
        ("server: {http: {port: \"8080\"}}", "\"8080\" is not allowed: it must be a whole number"),
        ("server: {http: {port: {a: 1}}}", "must be a whole number from 0 to 65535"),
        ("server: {http: {host: \"a b\"}}", "\"a b\" is not allowed: it must be an IP address"),
        ("server: {http: {enableGzip: yes}}", "\"yes\" is not allowed: it must be true or false"),
        (
            "server: {http: {corsOrigins: [https://a, b]}}",
            "\"b\" is not allowed: it must be a list",
        ),
        ("external: {pollInterval: 5}", "5 is not allowed: it must be a duration from 50ms to 10m"),
        ("external: {pollInterval: 0s}", "\"0s\" is not allowed: it must be a duration"),
        ("log: {level: loud}", "\"loud\" is not a log level: use one of trace, debug"),
        ("log: {level: hyper=trace}", "\"hyper\" is no part of the hub"),
        ("log: {file: {maxSize: 1KB}}", "it must be a number of bytes from 4096 to 1099511627776"),
        ("log: {file: {maxSize: ten}}", "\"ten\" is not allowed: it must be a number of bytes"),
        ("log: {file: {maxTotalSize: 1MB}}", "1000000 is below log.file.maxSize"),
        ("log: {stdout: false}", "nothing would be written"),
        ("database: {type: oracle}", "\"oracle\" is not allowed: it must be one of sqlite, mysql"),
        ("database: {type: mysql}", "is mysql, but database.dsn leads to sqlite"),
        ("database: {dsn: 7}", "the value is not allowed: it must be a database address"),
        ("database: {maxIdleConns: 11}", "11 is above database.maxOpenConns, which is 10"),
        ("server: {metrics: {port: 8080}}", "8080 is the port of server.http too"),
    ] {
        let errors = errors(text, &[]);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(":1: ") && errors[0].contains(message), "{errors:?}");
    }
}

#[test]
fn bad_yaml_is_named_with_its_line_and_no_snippet() {
    for text in [
        "log:\n  level: info\ndatabase: {dsn: \"root:hunter2@tcp(db)/x\"\n",
        "log:\n  level: info\n  level: warn\n",
        "log:\n\tlevel: info\n",
        "- log\n",
    ] {
        let errors = errors(text, &[]).join(" ");
        assert!(errors.starts_with(':') && !errors.starts_with(":0"), "{errors}");
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_missing_file_is_an_error() {
    let missing = Args { config: Some(PathBuf::from("no/such.yaml")), ..Args::default() };
    let error = load(&missing, &Env::default()).unwrap_err().to_string();
    assert!(error.starts_with("no/such.yaml: the configuration file cannot be read"), "{error}");
    let env = variables(&[("REGISTRY_CONFIG_FILE", "other.yaml")]);
    assert!(load(&Args::default(), &env).unwrap_err().to_string().starts_with("other.yaml: "));
    assert!(load(&missing, &env).unwrap_err().to_string().starts_with("no/such.yaml: "));
}

#[test]
fn durations_are_read_as_go_writes_them() {
    let text = "external: {pollInterval: 250ms, startupDeadline: 1m30s}\nserver: {http: {requestTimeout: 0.5h}}";
    let config = load_text(text, &[]).unwrap();
    assert_eq!(config.external.poll_interval, Duration::from_millis(250));
    assert_eq!(config.external.startup_deadline, Duration::from_secs(90));
    assert_eq!(config.server.http.request_timeout, Duration::from_secs(1800));
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "server: {http: {port: 1, enableGzip: true}}\nlog: {level: warn}\n";
    let env = [
        ("REGISTRY_HTTP_PORT", "9999"),
        ("REGISTRY_LOG_LEVEL", "DEBUG"),
        ("REGISTRY_DB_DSN", "sqlite://other.db"),
        ("REGISTRY__SERVER__HTTP__ENABLEGZIP", "False"),
        ("REGISTRY__server__http__corsOrigins", "https://a.example, https://b.example"),
        ("REGISTRY__EXTERNAL__POLLINTERVAL", "1s"),
        ("REGISTRY__EXTERNAL__CADIR", "/etc/hub/ca"),
        ("REGISTRY__SERVER__METRICS__PORT", "null"),
        ("REGISTRY__EVENT__ENABLED", ""),
        ("REGISTRY__LOG__FILE__MAXSIZE", "2MiB"),
        ("REGISTRY_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("PATH", "/bin"),
    ];
    let config = load_text(text, &env).unwrap();
    assert_eq!(config.server.http.port, 9999);
    assert!(!config.server.http.enable_gzip);
    assert_eq!(config.server.http.cors_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.server.metrics.port, None);
    assert_eq!(config.external.poll_interval, Duration::from_secs(1));
    assert_eq!(config.external.ca_dir, Some(PathBuf::from("/etc/hub/ca")));
    assert_eq!(config.log.file.max_size, 2 << 20);
    assert_eq!(config.log.level, LogLevels::all(LogLevel::Debug));
    assert_eq!(config.database.dsn.to_string(), "other.db");
    assert!(config.origins.contains("log.level"));
}

#[test]
fn wrong_variables_are_named() {
    let wrong = |name: &str, value: &str| errors("", &[(name, value)]).join("\n");
    assert_eq!(
        wrong("REGISTRY__SERVER__METRICS__PROT", "1"),
        "REGISTRY__SERVER__METRICS__PROT: there is no such key; behind \
         REGISTRY__SERVER__METRICS__ may stand HOST, PORT"
    );
    assert!(wrong("REGISTRY__HTTP__PORT", "1").contains("behind REGISTRY__ may stand SERVER, "));
    assert_eq!(
        wrong("REGISTRY_HTTP_PORT", "http"),
        "REGISTRY_HTTP_PORT: server.http.port: \"http\" is not allowed: it must be a whole number \
         from 0 to 65535"
    );
    assert!(!wrong("REGISTRY_DB_DSN", "root:hunter2@db/x").contains("hunter2"));
    let twice = [("REGISTRY_HTTP_PORT", "1"), ("REGISTRY__SERVER__HTTP__PORT", "2")];
    assert_eq!(
        errors("", &twice),
        [
            "REGISTRY__SERVER__HTTP__PORT: server.http.port: REGISTRY_HTTP_PORT sets it to another value"
        ]
    );
}

#[test]
fn what_is_printed_can_be_read_back_and_holds_no_secret() {
    let mut config = Config::default();
    config.database.dsn = Dsn::parse("root:hunter2@tcp(db)/registry").unwrap();
    let text = config.to_yaml().unwrap();
    assert!(text.contains("mysql://root:***@db:3306/registry"), "{text}");
    let defaults = Config::default().to_yaml().unwrap();
    assert_eq!(load_text(&defaults, &[]).unwrap().to_yaml().unwrap(), defaults);
    let env = variables(&[("REGISTRY_DB_DSN", "hunter2")]);
    assert!(!format!("{env:?}").contains("hunter2"));
}
