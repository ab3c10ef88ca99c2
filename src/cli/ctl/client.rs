//! One hub, asked over HTTP.

use std::time::Duration;

use clap::ArgMatches;
use reqwest::header::{ACCEPT, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use super::failure::Failure;
use super::request::Request;
use crate::config::Env;

const SERVER: &str = "http://127.0.0.1:8080";
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer: `connect` waits for the registry's own time-outs.
const ANSWER: Duration = Duration::from_secs(60);
const EVENTS: &str = "text/event-stream";

/// A hub, and who asks it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    server: Url,
}

/// An answer that is not an error.
#[derive(Debug)]
pub(super) struct Answer {
    /// Whether it is as it was.
    pub unchanged: bool,
    /// Its body.
    pub body: Value,
    /// Its entity tag.
    pub tag: Option<HeaderValue>,
    /// The revision to wait for a change of.
    pub index: Option<String>,
}

/// An answer that goes on.
#[derive(Debug)]
pub(super) struct Opened {
    /// What is read from.
    pub answer: reqwest::Response,
    /// The revision after which it begins.
    pub index: Option<String>,
}

impl Client {
    /// As the command line says, else the environment.
    ///
    /// # Errors
    /// An address that is none, a token file that cannot be read.
    pub(super) fn new(said: &ArgMatches, env: &Env) -> Result<Self, Failure> {
        let text = |name: &str| said.get_one::<String>(name).map(String::as_str);
        let server = text("server").or_else(|| env.get("REGISTRY_SERVER")).unwrap_or(SERVER);
        let server = Url::parse(server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| Failure::Usage(format!("--server {server}: must be http(s)://HOST")))?;
        let file = said.get_one::<std::path::PathBuf>("token-file");
        let file = file.map(|path| {
            let read = std::fs::read_to_string(path);
            read.map_err(|error| {
                Failure::Usage(format!("--token-file {}: {error}", path.display()))
            })
        });
        let file = file.transpose()?;
        let token = text("token").or(file.as_deref()).or_else(|| env.get("REGISTRY_TOKEN"));
        let mut headers = HeaderMap::new();
        let bad = |what: &str| Failure::Usage(format!("the {what} has characters that none has"));
        if let Some(token) = token.map(str::trim) {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| bad("token"))?;
            value.set_sensitive(true);
            headers.insert(reqwest::header::AUTHORIZATION, value);
        }
        if let Some(tenant) = text("tenant").or_else(|| env.get("REGISTRY_TENANT")) {
            let tenant = HeaderValue::from_str(tenant).map_err(|_| bad("tenant"))?;
            headers.insert("x-tenant-id", tenant);
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .default_headers(headers)
            .build()
            .map_err(|error| Failure::Local(error.to_string()))?;
        Ok(Self { http, server })
    }

    /// Asks; `known`: the entity tag of what is known, `wait`: how much longer than usual it may take.
    ///
    /// # Errors
    /// No answer, or one that is an error.
    pub(super) async fn send(
        &self,
        request: &Request,
        known: Option<&HeaderValue>,
        wait: Duration,
    ) -> Result<Answer, Failure> {
        let base = self.server.as_str().trim_end_matches('/');
        let method = Method::from_bytes(request.method.as_bytes()).unwrap_or(Method::GET);
        let mut sent = self
            .http
            .request(method, format!("{base}{}", request.path))
            .query(&request.query)
            .timeout(ANSWER + wait);
        if let Some(body) = &request.body {
            sent = sent.json(body);
        }
        if let Some(tag) = known {
            sent = sent.header(IF_NONE_MATCH, tag);
        }
        let broken = |error| unreachable(base, error);
        let answer = sent.send().await.map_err(broken)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = answer.text().await.map_err(broken)?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_client_error() || status.is_server_error() {
            return Err(Failure::Refused(status, body));
        }
        let unchanged = status == StatusCode::NOT_MODIFIED;
        if !unchanged && !body.is_object() {
            return Err(no_hub(base, status));
        }
        Ok(Answer { unchanged, body, tag: headers.get(ETAG).cloned(), index: index(&headers) })
    }

    /// Opens a stream of events, after this one.
    ///
    /// # Errors
    /// No answer, or one that is an error or none of events.
    pub(super) async fn open(
        &self,
        path: &str,
        query: &[(String, String)],
        last: Option<&str>,
    ) -> Result<Opened, Failure> {
        let base = self.server.as_str().trim_end_matches('/');
        let mut sent = self.http.get(format!("{base}{path}")).query(query).header(ACCEPT, EVENTS);
        if let Some(last) = last {
            sent = sent.query(&[("since", last)]);
        }
        let late = |_| Failure::Unreachable(format!("{base} does not answer in time"));
        let answer = tokio::time::timeout(ANSWER, sent.send()).await.map_err(late)?;
        let answer = answer.map_err(|error| unreachable(base, error))?;
        let (status, headers) = (answer.status(), answer.headers());
        if status.is_client_error() || status.is_server_error() {
            let text = answer.text().await.unwrap_or_default();
            let body = serde_json::from_str(&text).unwrap_or(Value::Null);
            return Err(Failure::Refused(status, body));
        }
        if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != EVENTS) {
            return Err(no_hub(base, status));
        }
        let index = index(headers);
        Ok(Opened { answer, index })
    }
}

fn unreachable(base: &str, error: reqwest::Error) -> Failure {
    // Its own text ends before the reason.
    let mut reason = error.without_url().to_string();
    if reason == "error sending request" || reason.is_empty() {
        reason = "no connection".to_owned();
    }
    Failure::Unreachable(format!("{base} does not answer: {reason}"))
}

fn no_hub(base: &str, status: StatusCode) -> Failure {
    Failure::Unreachable(format!("{base} does not speak as a hub does (status {status})"))
}

fn index(headers: &HeaderMap) -> Option<String> {
    headers.get("x-registry-index").and_then(|value| value.to_str().ok()).map(str::to_owned)
}
