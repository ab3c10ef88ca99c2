//! Credentials: tokens from a table that fails, ends and is written by hand; JWTs of all sorts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock;
use crate::error::{Error, ErrorCode};
use crate::storage::{Result, StorageError, StorageErrorKind, TokenRow, TokenStore};
use crate::task::TaskGroup;

#[derive(Debug, Default)]
struct Table {
    rows: Mutex<Vec<TokenRow>>,
    away: Mutex<bool>,
    reads: Mutex<usize>,
}

impl Table {
    fn here(&self) -> Result<()> {
        match *self.away.lock() {
            true => Err(StorageError::new(StorageErrorKind::Unavailable, "away")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl TokenStore for Table {
    async fn list_all(&self) -> Result<Vec<TokenRow>> {
        *self.reads.lock() += 1;
        self.here().map(|()| self.rows.lock().clone())
    }

    async fn insert(&self, row: &TokenRow) -> Result<()> {
        self.here().map(|()| self.rows.lock().push(row.clone()))
    }

    async fn delete(&self, token_id: &str) -> Result<bool> {
        self.here()?;
        let mut rows = self.rows.lock();
        let before = rows.len();
        rows.retain(|row| row.token_id != token_id);
        Ok(rows.len() < before)
    }
}

struct World {
    table: Arc<Table>,
    tokens: Arc<Tokens>,
    authenticator: Authenticator,
    time: Arc<std::sync::atomic::AtomicI64>,
    _tasks: TaskGroup,
}

async fn world(jwt: Option<Jwt>) -> World {
    let (table, tasks) = (Arc::new(Table::default()), TaskGroup::new());
    let (clock, time) = Clock::fixed(1_800_000_000_000);
    let store: Arc<dyn TokenStore> = Arc::clone(&table) as _;
    let tokens = Tokens::start(store, clock, Duration::from_secs(5), &tasks).await.unwrap();
    let authenticator = Authenticator::On { tokens: Arc::clone(&tokens), jwt: jwt.map(Arc::new) };
    World { table, tokens, authenticator, time, _tasks: tasks }
}

fn new(role: Role, tenant: &str, lives: Option<TimeDelta>) -> NewToken {
    let tenants = Tenants::parse(tenant).unwrap();
    let user = format!("{role}-of-{tenant}").chars().take(MAX_USER).collect();
    NewToken { name: String::new(), tenants, user, role, groups: None, lives }
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

impl World {
    async fn make(&self, role: Role, tenant: &str) -> String {
        let made = self.tokens.create(&new(role, tenant, None), "t").await.unwrap();
        made.0.reveal().to_owned()
    }

    async fn ask(&self, bearer: Option<&str>) -> std::result::Result<Caller, Error> {
        self.authenticator.caller(Said { bearer, ..Said::default() }).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_its_holder_and_nothing_else_is() {
    let world = world(None).await;
    let token = world.make(Role::Writer, "acme").await;
    let caller = world.ask(Some(&token)).await.unwrap();
    assert_eq!((caller.tenant().as_str(), caller.user()), ("acme", "writer-of-acme"));
    let half = &token[..token.len() - 1];
    for wrong in [None, Some(""), Some(half), Some("hubr_"), Some("a.b.c"), Some("null")] {
        assert_eq!(world.ask(wrong).await.unwrap_err().code, ErrorCode::Unauthorized, "{wrong:?}");
    }
    let row = world.table.rows.lock()[0].clone();
    let kept = format!("{row:?}");
    assert!(!kept.contains(&token[12..]), "the table has the hash and the beginning, no more");
    let twice = world.ask(Some(&row.token_hash)).await;
    assert_eq!(twice.unwrap_err().code, ErrorCode::Unauthorized, "the hash is no token");
}

#[tokio::test(start_paused = true)]
async fn what_a_request_says_of_itself_grants_nothing() {
    let world = world(None).await;
    let own = world.make(Role::Admin, "acme").await;
    let all = world.make(Role::Reader, "*").await;
    let ask = async |token: &str, tenant: Option<&str>, user: Option<&str>| {
        let tenant = tenant.map(|name| TenantId::parse(name).unwrap());
        let said = Said { bearer: Some(token), tenant, user, forwarded: true };
        world.authenticator.caller(said).await.map_err(|error| error.code)
    };
    assert!(ask(&own, Some("acme"), Some("admin-of-acme")).await.is_ok());
    assert_eq!(ask(&own, Some("other"), None).await.unwrap_err(), ErrorCode::Forbidden);
    assert_eq!(ask(&own, None, Some("root")).await.unwrap_err(), ErrorCode::Forbidden);
    assert_eq!(ask(&all, Some("other"), None).await.unwrap().tenant().as_str(), "other");
    assert_eq!(ask(&all, None, None).await.unwrap().tenant().as_str(), "default");
}

#[tokio::test(start_paused = true)]
async fn an_ended_a_revoked_and_a_switched_off_token_count_no_more() {
    let world = world(None).await;
    let lives = Some(TimeDelta::minutes(1));
    let (short, _) = world.tokens.create(&new(Role::Reader, "a", lives), "t").await.unwrap();
    assert!(world.ask(Some(short.reveal())).await.is_ok());
    world.time.fetch_add(60_000, std::sync::atomic::Ordering::Relaxed);
    assert!(world.ask(Some(short.reveal())).await.is_err());

    let (gone, row) = world.tokens.create(&new(Role::Reader, "a", None), "t").await.unwrap();
    let of = Tenants::One(tenant("b"));
    assert!(!world.tokens.revoke(&row.token_id, &tenant("b"), &of, "t").await.unwrap());
    let of = Tenants::One(tenant("a"));
    assert!(world.tokens.revoke(&row.token_id, &tenant("a"), &of, "t").await.unwrap());
    assert!(world.ask(Some(gone.reveal())).await.is_err());

    let off = world.make(Role::Reader, "a").await;
    let spoilt = world.make(Role::Admin, "a").await;
    for row in world.table.rows.lock().iter_mut() {
        match row.role.as_str() {
            "admin" => row.group_names = Some("not a list".to_owned()),
            _ => row.common.active_flag = Some("N".to_owned()),
        }
    }
    // The clock stands still and jumps: past the next look at the table.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(world.ask(Some(&off)).await.is_err());
    assert!(world.ask(Some(&spoilt)).await.is_err(), "an unreadable limit is not no limit");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_away_takes_nothing_from_those_who_are_known() {
    let world = world(None).await;
    let known = world.make(Role::Reader, "a").await;
    *world.table.away.lock() = true;
    // The clock jumps past a dozen looks at the table, which all fail.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(world.ask(Some(&known)).await.is_ok());
    let unknown = world.ask(Some("hubr_x")).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::Unavailable, "an error is not 'no such token'");
    // However many wrong tokens come, the database is asked once a second.
    let reads = *world.table.reads.lock();
    let guesses: Vec<_> = (0..1000).map(|n| format!("hubr_{n}")).collect();
    let asked = guesses.iter().map(|guess| world.ask(Some(guess)));
    let outcomes = futures_util::future::join_all(asked).await;
    assert!(outcomes.iter().all(std::result::Result::is_err));
    assert!(*world.table.reads.lock() <= reads + 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_another_process_made_counts_at_once() {
    let world = world(None).await;
    let tasks = TaskGroup::new();
    let other =
        Tokens::start(Arc::clone(&world.table) as _, Clock::System, Duration::from_secs(5), &tasks);
    assert!(world.ask(Some("hubr_wrong")).await.is_err(), "the table was read this very moment");
    let made = other.await.unwrap().create(&new(Role::Reader, "a", None), "cli").await.unwrap();
    assert!(world.ask(Some(made.0.reveal())).await.is_ok());
}

#[tokio::test]
async fn without_security_a_proxied_request_is_refused_with_a_hint() {
    let said = Said { tenant: Some(tenant("t")), user: Some("u"), ..Said::default() };
    let caller = Authenticator::Off.caller(said.clone()).await.unwrap();
    assert_eq!((caller.tenant().as_str(), caller.user()), ("t", "u"));
    let error = Authenticator::Off.caller(Said { forwarded: true, ..said }).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Forbidden);
    assert!(error.details["hint"].as_str().unwrap().contains("security.enabled"));
}

const KEY: &[u8] = b"a secret of this test, longer than 32 bytes";

fn rules() -> JwtRules {
    JwtRules {
        algorithm: Algorithm::HS256,
        key: KEY.to_vec(),
        issuer: "idp".to_owned(),
        audience: "hub".to_owned(),
    }
}

fn claims() -> Value {
    let exp = Clock::System.now().timestamp() + 600;
    json!({
        "sub": "jo", "role": "writer", "tenant": "acme", "groups": ["g"], "iss": "idp",
        "aud": "hub", "exp": exp,
    })
}

fn signed(algorithm: Algorithm, key: &[u8], claims: &Value) -> String {
    encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
}

#[tokio::test]
async fn a_jwt_counts_when_everything_about_it_is_right() {
    let world = world(Some(Jwt::new(&rules()).unwrap())).await;
    let good = signed(Algorithm::HS256, KEY, &claims());
    let caller = world.ask(Some(&good)).await.unwrap();
    assert_eq!((caller.tenant().as_str(), caller.user()), ("acme", "jo"));
    let (inside, outside) = (GroupName::parse("g").unwrap(), GroupName::parse("h").unwrap());
    assert!(caller.may(Action::Write, &inside, None) && !caller.may(Action::Read, &outside, None));

    let with = |field: &str, value: Value| {
        let mut claims = claims();
        claims[field] = value;
        signed(Algorithm::HS256, KEY, &claims)
    };
    let without = |field: &str| {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(field);
        signed(Algorithm::HS256, KEY, &claims)
    };
    let past = Clock::System.now().timestamp() - 60;
    // {"alg":"none"}, and our claims, without a signature.
    let body = good.split('.').nth(1).unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
    let wrong = [
        ("another key", signed(Algorithm::HS256, &[b'k'; 40], &claims())),
        ("another algorithm", signed(Algorithm::HS512, KEY, &claims())),
        ("no signature", unsigned),
        ("ended", with("exp", json!(past))),
        ("an end that is text", with("exp", json!("9999999999"))),
        ("not begun", with("nbf", json!(past + 600))),
        ("another issuer", with("iss", json!("other"))),
        ("another audience", with("aud", json!("other"))),
        ("no role", with("role", json!("root"))),
        ("a bad tenant", with("tenant", json!(""))),
        ("bad groups", with("groups", json!([1]))),
        ("no user", with("sub", json!(""))),
        ("a long user", with("sub", json!("x".repeat(33)))),
    ];
    for (what, text) in wrong {
        let outcome = world.ask(Some(&text)).await;
        assert_eq!(outcome.unwrap_err().code, ErrorCode::Unauthorized, "{what}");
    }
    for field in ["exp", "iss", "aud", "sub", "role", "tenant"] {
        assert!(world.ask(Some(&without(field))).await.is_err(), "without {field}");
    }
    assert!(world.ask(Some(&without("groups"))).await.is_ok());
}

#[test]
fn a_key_that_can_be_guessed_or_read_as_none_is_refused() {
    let short = JwtRules { key: b"SecretKey012345678901234567".to_vec(), ..rules() };
    assert!(Jwt::new(&short).unwrap_err().contains("32 bytes"));
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
        assert!(Jwt::new(&JwtRules { algorithm, ..rules() }).is_err(), "{algorithm:?}");
    }
}

#[test]
fn a_new_token_says_which_field_is_wrong() {
    let default = TenantId::default_tenant();
    let good =
        json!({ "userId": "ci", "role": "writer", "groupNames": ["g"], "expiresIn": "720h" });
    let token = NewToken::from_value(good.clone(), &default).unwrap();
    assert_eq!((token.tenants.as_str(), token.lives), ("default", Some(TimeDelta::hours(720))));
    for (field, value) in [
        ("userId", json!("x".repeat(33))),
        ("userId", json!("")),
        ("userId", Value::Null),
        ("role", json!("root")),
        ("role", Value::Null),
        ("groupNames", json!([])),
        ("groupNames", json!("g")),
        ("groupNames", json!([7])),
        ("expiresIn", json!("0s")),
        ("expiresIn", json!("1000000h")),
        ("expiresIn", json!("soon")),
        ("tenantId", json!("x".repeat(33))),
        ("colour", json!("red")),
    ] {
        let mut body = good.clone();
        body[field] = value.clone();
        let error = NewToken::from_value(body, &default).unwrap_err();
        assert_eq!(error.details["field"], field, "{value}");
    }
}
