//! The access token: given, or fetched by a login and renewed.

use std::time::Duration;

use hub_registry_core::http::{Call, HttpClient};
use hub_registry_core::spec::Credentials;
use hub_registry_core::{Error, ErrorKind, Result, Secret};
use parking_lot::RwLock;
use reqwest::Method;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::dialect::{self, Dialect};
use crate::wire::LoginAnswer;

/// In the order of trying: 3.2 still has the first one, and of the older ones 2.2 answers the
/// second 500 for an unknown user.
const PATHS: [&str; 3] = [Dialect::V1.login_path(), "/v1/auth/login", Dialect::V3.login_path()];

/// What 3.0.3 answers to a wrong password, by v3 and by v1 (seen on the real server: nothing there
/// turns its `AccessException` into a 403).
const REFUSED_WITH_500: [&str; 2] = [
    r#""message":"No message available","path""#,
    r#""message":"Handle API Compatibility failed, "#,
];

const OPERATION: &str = "log in";

#[derive(Debug)]
pub(crate) struct Login {
    credentials: Credentials,
    held: RwLock<Option<Held>>,
    // One login at a time: whoever waited finds the token of the one before.
    busy: Mutex<()>,
}

#[derive(Clone, Debug)]
struct Held {
    token: Secret,
    renew_at: Instant,
}

impl Login {
    pub(super) fn new(credentials: &Credentials) -> Self {
        Self { credentials: credentials.clone(), held: RwLock::new(None), busy: Mutex::new(()) }
    }

    /// Whether a refused token can be replaced by a new one.
    pub(super) fn renews(&self) -> bool {
        self.credentials.access_token.is_empty() && !self.credentials.username.is_empty()
    }

    /// The token at hand, whatever its age.
    pub(crate) fn current(&self) -> Option<Secret> {
        if !self.credentials.access_token.is_empty() {
            return Some(self.credentials.access_token.clone());
        }
        self.held.read().as_ref().map(|held| held.token.clone())
    }

    /// A token that holds, after a login if need be; `None` when there are no credentials.
    pub(super) async fn token(
        &self,
        http: &HttpClient,
        deadline: Duration,
        dialect: Option<Dialect>,
    ) -> Result<Option<Secret>> {
        if !self.renews() {
            return Ok(self.current());
        }
        if let Some(token) = self.fresh() {
            return Ok(Some(token));
        }
        let _busy = self.busy.lock().await;
        if let Some(token) = self.fresh() {
            return Ok(Some(token));
        }
        let answer = self.ask(http, deadline, dialect).await?;
        let token = Secret::new(&answer.access_token);
        let renew_after = Duration::from_secs(answer.token_ttl.min(10_000_000)).mul_f64(0.8);
        *self.held.write() =
            Some(Held { token: token.clone(), renew_at: Instant::now() + renew_after });
        Ok(Some(token))
    }

    /// Drops this token, unless it was replaced already.
    pub(super) fn forget(&self, refused: Option<&Secret>) {
        let mut held = self.held.write();
        if held.as_ref().map(|held| &held.token) == refused {
            *held = None;
        }
    }

    fn fresh(&self) -> Option<Secret> {
        let held = self.held.read();
        let held = held.as_ref()?;
        (Instant::now() < held.renew_at).then(|| held.token.clone())
    }

    fn is_named(&self, body: &[u8]) -> bool {
        holds(body, &self.credentials.username)
    }

    async fn ask(
        &self,
        http: &HttpClient,
        deadline: Duration,
        dialect: Option<Dialect>,
    ) -> Result<LoginAnswer> {
        let form = [
            ("username", self.credentials.username.as_str()),
            ("password", self.credentials.password.expose()),
        ];
        let own = dialect.map(Dialect::login_path);
        let others = PATHS.into_iter().filter(|path| Some(*path) != own);
        for path in own.into_iter().chain(others) {
            let call = Call {
                method: Method::POST,
                form: &form,
                ..Call::get(OPERATION, path).deadline(deadline)
            };
            let answer = http.send(call).await?;
            match answer.status.as_u16() {
                _ if dialect::is_missing(answer.status) => {}
                // Nacos says 403 for a wrong password; a body could echo what was sent.
                status @ (400 | 401 | 403) => {
                    let message = format!("the user name or password was refused ({status})");
                    return Err(Error::new(ErrorKind::Unauthorized, OPERATION, message));
                }
                // And 2.2 says 500, "caused: NAME;", for an unknown user.
                500 if answer.body.starts_with(b"caused: ") && self.is_named(&answer.body) => {
                    let message = "the user name is not known";
                    return Err(Error::new(ErrorKind::Unauthorized, OPERATION, message));
                }
                500 if REFUSED_WITH_500.iter().any(|body| holds(&answer.body, body)) => {
                    let message = "the login fails with 500, as 3.0 says that a password is wrong";
                    return Err(Error::new(ErrorKind::Unauthorized, OPERATION, message));
                }
                200..=299 => return parse(&answer.body),
                _ => return answer.json(),
            }
        }
        let message = "the server has no login";
        Err(Error::new(ErrorKind::NotFound, OPERATION, message))
    }
}

fn holds(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

// Not Answer::json: its error shows the beginning of the body, which may hold a token that is not
// known as a secret yet. So may serde's, which quotes a value of the wrong type.
fn parse(body: &[u8]) -> Result<LoginAnswer> {
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = format!("the answer is not the expected JSON (line {line} column {column})");
        Error::new(ErrorKind::Protocol, OPERATION, message)
    })
}
