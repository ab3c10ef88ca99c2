use super::*;

fn server(text: &str) -> ServerDsn {
    match Dsn::parse(text) {
        Ok(Dsn::Server(server)) => server,
        other => panic!("{text} is no server: {other:?}"),
    }
}

fn sqlite(text: &str) -> SqliteDsn {
    match Dsn::parse(text) {
        Ok(Dsn::Sqlite(sqlite)) => sqlite,
        other => panic!("{text} is no file: {other:?}"),
    }
}

#[test]
fn the_form_of_go_is_read() {
    let dsn = server(
        "root:password@tcp(localhost:3306)/registry?charset=utf8mb4&parseTime=True&loc=Local",
    );
    assert_eq!(dsn.kind, DatabaseType::Mysql);
    assert_eq!((dsn.user.as_str(), dsn.password.expose()), ("root", "password"));
    assert_eq!((dsn.host.as_str(), dsn.port), ("localhost", 3306));
    assert_eq!(dsn.database, "registry");
    let names: Vec<_> = dsn.parameters.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["charset", "parseTime", "loc"]);
}

#[test]
fn odd_passwords_are_read() {
    for password in ["p@ss", "a:b:c", "a/b", "x(y)", "@tcp(", "100%25", "#?&", "pä ß"] {
        let dsn = server(&format!("hub:{password}@tcp(db.example.org)/registry"));
        assert_eq!(dsn.password.expose(), password);
        assert_eq!((dsn.user.as_str(), dsn.host.as_str()), ("hub", "db.example.org"));
    }
    for (written, password) in
        [("p@ss", "p@ss"), ("a%2Fb%3F", "a/b?"), ("a:b", "a:b"), ("5%", "5%")]
    {
        let dsn = server(&format!("mysql://hub:{written}@db:3307/registry"));
        assert_eq!(dsn.password.expose(), password);
        assert_eq!((dsn.host.as_str(), dsn.port), ("db", 3307));
    }
}

#[test]
fn short_forms_of_go_are_read() {
    let dsn = server("root:pw@/registry");
    assert_eq!((dsn.host.as_str(), dsn.port), ("localhost", 3306));
    assert_eq!(server("root@tcp/registry").user, "root");
    assert_eq!(server("tcp([::1]:33)/registry").host, "::1");
    assert_eq!(
        server("me:pw@unix(/run/mysqld/mysqld.sock)/registry").host,
        "/run/mysqld/mysqld.sock"
    );
}

#[test]
fn postgres_is_read() {
    let dsn = server("postgres://hub:pw@[fd00::1]/registry?sslmode=disable");
    assert_eq!((dsn.kind, dsn.port), (DatabaseType::Postgres, 5432));
    assert_eq!(dsn.host, "fd00::1");
    let dsn =
        server("host=db user=hub password='a b\\'c' dbname=registry port=5433 sslmode=disable");
    assert_eq!((dsn.host.as_str(), dsn.port), ("db", 5433));
    assert_eq!((dsn.password.expose(), dsn.database.as_str()), ("a b'c", "registry"));
    assert_eq!(dsn.parameters, [("sslmode".to_owned(), "disable".to_owned())]);
}

#[test]
fn files_are_read() {
    for (text, path) in [
        ("./data/registry.db", "./data/registry.db"),
        ("registry.db", "registry.db"),
        ("sqlite://data/registry.db", "data/registry.db"),
        ("sqlite:///var/lib/registry.db", "/var/lib/registry.db"),
        ("sqlite:registry.db?mode=rwc", "registry.db"),
        ("file:data/registry.db?cache=shared", "data/registry.db"),
        ("C:\\hub\\registry.db", "C:\\hub\\registry.db"),
    ] {
        assert_eq!(sqlite(text).path, Some(PathBuf::from(path)), "{text}");
    }
    for text in ["sqlite::memory:", ":memory:", "file::memory:?cache=shared", "file:x?mode=memory"]
    {
        assert_eq!(sqlite(text).path, None, "{text}");
    }
}

#[test]
fn what_is_no_address_is_refused_without_repeating_it() {
    for text in [
        "",
        "sqlite://",
        "root:hunter2@localhost/registry",
        "oracle://root:hunter2@db/registry",
        "mysql://root:hunter2@db",
        "mysql://root:hunter2@db:port/registry",
        "mysql://root:hunter2/x@db/registry",
        "root:hunter2@tcp(db:3306)/",
        "root:hunter2@tcp(db:3306/registry",
        "user=hub password=hunter2",
    ] {
        let error = Dsn::parse(text).expect_err(text);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn passwords_are_masked() {
    for text in [
        "root:hunter2@tcp(localhost:3306)/registry?parseTime=True",
        "postgres://hub:hunter2@db/registry?sslpassword=hunter2",
        "host=db password=hunter2 dbname=registry",
        "mysql://:hunter2@db/registry",
    ] {
        let dsn = Dsn::parse(text).unwrap();
        let shown = format!("{dsn} {dsn:?} {}", serde_json::to_string(&dsn).unwrap());
        assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
        assert_eq!(Dsn::parse(&dsn.to_string()).unwrap().to_string(), dsn.to_string());
    }
}
