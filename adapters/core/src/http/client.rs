//! Sending calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode, redirect};

use super::secrets::Secrets;
use super::{Answer, Endpoints};
use crate::egress::Egress;
use crate::error::{Error, ErrorKind, Result};
use crate::spec::{ConnectSpec, SpecError};

/// The largest body taken from a registry: about 60,000 instances of a Eureka, whose list is the
/// largest answer there is. A buffer that grows is there twice for a moment, so that one bad
/// registry takes twice this.
const MAX_BODY: usize = 96 * 1024 * 1024;
/// How much of a masked text is kept; a path with the longest escaped name fits.
const MAX_TEXT: usize = 2000;

/// How many connections are kept for later calls. A registry counts connections per client (Consul
/// refuses more than 200), and without a bound a burst of calls leaves as many behind as it had.
const MAX_IDLE: usize = 16;

/// One call: what, where, and how long it may take.
#[derive(Debug)]
pub struct Call<'a> {
    /// For errors and metrics: `"list services"`.
    pub operation: &'static str,
    /// The method.
    pub method: Method,
    /// The path below the base URL, beginning with `/`; its variable parts percent-encoded
    /// (see [`HttpClient::segment`]).
    pub path: &'a str,
    /// Query parameters, not yet encoded. They are kept out of errors.
    pub query: &'a [(&'a str, &'a str)],
    /// Further headers; those marked as sensitive are kept out of errors.
    pub headers: HeaderMap,
    /// A body of `application/x-www-form-urlencoded` pairs.
    pub form: &'a [(&'a str, &'a str)],
    /// A body of JSON, where there is no form.
    pub json: Option<&'a serde_json::Value>,
    /// Bound of the whole call; `None`: the read time-out of the settings.
    pub deadline: Option<Duration>,
}

impl<'a> Call<'a> {
    /// A GET of this path.
    #[must_use]
    pub fn get(operation: &'static str, path: &'a str) -> Self {
        let (query, form): (&[_], &[_]) = (&[], &[]);
        let (method, headers) = (Method::GET, HeaderMap::new());
        Self { operation, method, path, query, headers, form, json: None, deadline: None }
    }

    /// The same with this method.
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// A POST of this JSON to this path.
    #[must_use]
    pub fn post(operation: &'static str, path: &'a str, json: &'a serde_json::Value) -> Self {
        Self { method: Method::POST, json: Some(json), ..Self::get(operation, path) }
    }

    /// The same with these query parameters.
    #[must_use]
    pub fn query(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }

    /// The same with this deadline.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..self }
    }
}

/// A client for one registry. Cheap to clone; clones share connections and the address in use.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    endpoints: Arc<Endpoints>,
    secrets: Arc<Secrets>,
    read_timeout: Duration,
}

impl HttpClient {
    /// A client for these settings that sends `headers` (credentials, `Accept`) with each call.
    ///
    /// # Errors
    /// When the settings' certificate is not PEM, or an endpoint is an IP address that
    /// [`egress`](ConnectSpec::egress) does not let through.
    pub fn new(spec: &ConnectSpec, headers: HeaderMap) -> Result<Self, SpecError> {
        let secrets = Arc::new(Secrets::new(&spec.credentials, &headers));
        // Names are judged by the resolver, which reqwest does not ask about these.
        spec.check_egress()?;
        let mut builder = reqwest::Client::builder()
            .dns_resolver(Egress::new(Arc::clone(&spec.egress)))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(spec.connect_timeout)
            .pool_max_idle_per_host(MAX_IDLE)
            .tcp_keepalive(Duration::from_secs(10))
            .default_headers(headers)
            .tls_danger_accept_invalid_certs(spec.tls.insecure_skip_verify)
            .tls_danger_accept_invalid_hostnames(spec.tls.insecure_skip_verify);
        if let Some(pem) = &spec.tls.ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| SpecError::new("specificConfig.caPem", error.to_string()))?;
            if certificates.is_empty() {
                let rule = "holds no certificate";
                return Err(SpecError::new("specificConfig.caPem", rule));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().map_err(|error| {
            // The only setting that is looked into no sooner than here.
            let field = match spec.tls.ca_pem {
                Some(_) => "specificConfig.caPem",
                None => "serverScheme",
            };
            SpecError::new(field, format!("no client: {error}"))
        })?;
        let urls = spec.endpoints.iter().map(|endpoint| spec.url_of(endpoint)).collect();
        let endpoints = Arc::new(Endpoints::new(urls));
        Ok(Self { client, endpoints, secrets, read_timeout: spec.read_timeout })
    }

    /// The text, which may quote what a server said, without our secrets: stars stand for those of
    /// the settings and of sensitive headers.
    ///
    /// Secrets of less than four characters cannot be told from other text; with one of them the
    /// text ends where the first quotation (`"` or a backtick) begins.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        self.secrets.mask(text, MAX_TEXT)
    }

    /// Percent-encodes a name for use as one path segment.
    #[must_use]
    pub fn segment(name: &str) -> String {
        let mut text = String::with_capacity(name.len());
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        text
    }

    /// Sends the call to the address in use and takes the whole answer, of any status.
    ///
    /// An address that cannot be reached, keeps silent, answers by half or with 5xx is left for the
    /// next one of the list (501 but says that a call is not there, as Nacos does); trying again is
    /// the caller's (a [layer's](crate::layers::Retry)) choice.
    ///
    /// # Errors
    /// `Unreachable`, `Timeout`, `TooLarge`, or `Protocol` for an answer cut in half.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer> {
        let (number, base) = self.endpoints.current();
        self.secrets.learn(&call.headers);
        let url = format!("{base}{}", call.path);
        // A path can hold a name that the server gave.
        let shown = format!("{base}{}", self.mask(call.path));
        let deadline = call.deadline.unwrap_or(self.read_timeout);
        let outcome =
            tokio::time::timeout(deadline, self.exchange(&call, number, (url, &shown))).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let message = format!("{shown} gave no answer within {} ms", deadline.as_millis());
            Err(Error::new(ErrorKind::Timeout, call.operation, message))
        });
        let dead = match &outcome {
            Ok(answer) => {
                answer.status.is_server_error() && answer.status != StatusCode::NOT_IMPLEMENTED
            }
            // Half an answer is as good as none: somebody dies there.
            Err(error) => error.is_retryable() || error.kind() == ErrorKind::Protocol,
        };
        if dead {
            self.endpoints.move_on(number);
        }
        outcome
    }

    /// Leaves the address that gave this answer for the next one: for a good status whose content
    /// shows that this server cannot serve now (a Consul without a leader).
    pub fn leave(&self, answer: &Answer) {
        self.endpoints.move_on(answer.endpoint);
    }

    async fn exchange(
        &self,
        call: &Call<'_>,
        endpoint: usize,
        (url, shown): (String, &str),
    ) -> Result<Answer> {
        let operation = call.operation;
        let mut request = self
            .client
            .request(call.method.clone(), &url)
            .headers(call.headers.clone())
            .query(call.query);
        if !call.form.is_empty() {
            request = request.form(call.form);
        } else if let Some(json) = call.json {
            request = request.json(json);
        }
        let response = request.send().await.map_err(|error| failure(operation, shown, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                let message = format!("{shown} sent half an answer ({} bytes)", body.len());
                let error = error.without_url();
                Error::new(ErrorKind::Protocol, operation, format!("{message}: {error}"))
            })?;
            if body.len() + chunk.len() > MAX_BODY {
                let message = format!("{shown} sent more than {MAX_BODY} bytes");
                return Err(Error::new(ErrorKind::TooLarge, operation, message));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer {
            operation,
            url,
            shown: shown.to_owned(),
            secrets: Arc::clone(&self.secrets),
            endpoint,
            status,
            headers,
            body: body.freeze(),
        })
    }
}

/// The error of a call that got no answer. The query string, which can hold a token, is left out.
fn failure(operation: &'static str, url: &str, error: reqwest::Error) -> Error {
    let kind = if error.is_timeout() {
        ErrorKind::Timeout
    } else if error.is_builder() {
        ErrorKind::Invalid
    } else {
        ErrorKind::Unreachable
    };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Error::new(kind, operation, format!("{url}: {cause}"))
}
