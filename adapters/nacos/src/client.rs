//! The HTTP calls, in whichever dialect the server speaks.

mod clusters;
mod detect;
mod dialect;
mod login;
mod paging;
mod write;

use std::time::Duration;

use hub_registry_core::http::{Answer, Call, HttpClient};
use hub_registry_core::{ConnectSpec, Error, ErrorKind, Result, Secret, ServiceKey, SpecError};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use detect::Spoken;
use dialect::Dialect;
pub(crate) use login::Login;
pub(crate) use write::LEASE;

use crate::wire::{Host, ServiceView};

/// No read may take longer, whatever the settings allow: a silent registry is to be noticed
/// within 30 s.
const LONGEST: Duration = Duration::from_secs(20);

/// From 2.0 on Nacos takes the token as a header too, where no proxy writes it into its log.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("accesstoken");

/// The reads of one namespace.
#[derive(Debug)]
pub(crate) struct NacosClient {
    name: String,
    http: HttpClient,
    login: Login,
    namespace: String,
    deadline: Duration,
    spoken: Spoken,
}

impl NacosClient {
    pub(crate) fn new(spec: &ConnectSpec, namespace: &str) -> Result<Self, SpecError> {
        Ok(Self {
            name: spec.name.clone(),
            http: HttpClient::new(spec, HeaderMap::new())?,
            login: Login::new(&spec.credentials),
            namespace: namespace.to_owned(),
            deadline: spec.read_timeout.min(LONGEST),
            spoken: Spoken::default(),
        })
    }

    /// The token in use, for nacos-sdk.
    pub(crate) fn login(&self) -> &Login {
        &self.login
    }

    /// What a server said, without our secrets.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.http.mask(text)
    }

    /// Every service of the namespace, in all groups.
    pub(crate) async fn services(&self) -> Result<Vec<ServiceView>> {
        let dialect = self.dialect().await?;
        match self.services_in(dialect, "").await {
            Err(error) => self.services_in(self.another(dialect, error).await?, "").await,
            read => read,
        }
    }

    /// The cheapest read of the same kind.
    pub(crate) async fn ping(&self) -> Result<()> {
        let dialect = self.dialect().await?;
        match self.ping_in(dialect).await {
            Err(error) => self.ping_in(self.another(dialect, error).await?).await,
            read => read,
        }
    }

    /// Every instance of the service in all clusters, the disabled ones too; none when the
    /// service is unknown.
    pub(crate) async fn instances(&self, service: &ServiceKey) -> Result<Vec<Host>> {
        let dialect = self.dialect().await?;
        match self.instances_in(dialect, service).await {
            Err(error) => self.instances_in(self.another(dialect, error).await?, service).await,
            read => read,
        }
    }

    async fn services_in(&self, dialect: Dialect, pattern: &str) -> Result<Vec<ServiceView>> {
        paging::whole("list services", |page| async move {
            let answer = self.service_page(dialect, (page, paging::SIZE), pattern).await?;
            dialect.services(answer)
        })
        .await
    }

    async fn ping_in(&self, dialect: Dialect) -> Result<()> {
        let answer = self.service_page(dialect, (1, "1"), "").await?;
        dialect.services(answer).map(|_| ())
    }

    async fn instances_in(&self, dialect: Dialect, service: &ServiceKey) -> Result<Vec<Host>> {
        if dialect != Dialect::V2 {
            return self.by_clusters(dialect, service).await;
        }
        let operation = "list instances";
        paging::whole(operation, |page| async move {
            let path = (operation, dialect.instances_path());
            let page = [("pageNo", page.to_string()), ("pageSize", paging::SIZE.to_owned())];
            dialect.instances(self.of_service(dialect, path, service, page).await?)
        })
        .await
    }

    /// One page of the services of the namespace whose name holds the pattern.
    async fn service_page(
        &self,
        dialect: Dialect,
        (page, size): (u32, &str),
        pattern: &str,
    ) -> Result<Answer> {
        let page = page.to_string();
        let query = [
            ("namespaceId", self.namespace.as_str()),
            ("withInstances", "false"),
            ("serviceNameParam", pattern),
            ("pageNo", page.as_str()),
            ("pageSize", size),
        ];
        self.get(dialect, ("list services", dialect.services_path()), &query).await
    }

    /// A call about one service.
    async fn of_service(
        &self,
        dialect: Dialect,
        call: (&'static str, &str),
        service: &ServiceKey,
        more: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Answer> {
        let mut query = vec![("namespaceId", self.namespace.clone())];
        query.extend(dialect.names(service));
        query.extend(more);
        let query: Vec<_> = query.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.get(dialect, call, &query).await
    }

    async fn get(
        &self,
        dialect: Dialect,
        call: (&'static str, &str),
        query: &[(&str, &str)],
    ) -> Result<Answer> {
        self.send(dialect, Method::GET, call, query).await
    }

    /// One call with these parameters and the access token, which is renewed once if it was
    /// refused. A POST has them in its body, since metadata may be longer than a server takes in a
    /// line of a request.
    async fn send(
        &self,
        dialect: Dialect,
        method: Method,
        (operation, path): (&'static str, &str),
        parameters: &[(&str, &str)],
    ) -> Result<Answer> {
        let token = self.token().await?;
        let call = |token: Option<&Secret>| -> Result<Call<'_>> {
            let headers = headers(operation, dialect, token)?;
            let call = Call::get(operation, path).method(method.clone()).deadline(self.deadline);
            let call = match method {
                Method::POST => Call { form: parameters, ..call },
                _ => call.query(parameters),
            };
            Ok(Call { headers, ..call })
        };
        let mut answer = self.http.send(call(token.as_ref())?).await?;
        if matches!(answer.status.as_u16(), 401 | 403) && self.login.renews() {
            // The token may have been taken back (a restarted server has a new key): once more
            // with a fresh one.
            self.login.forget(token.as_ref());
            if let Some(token) = self.token().await? {
                answer = self.http.send(call(Some(&token))?).await?;
            }
        }
        self.spoken.answered(server(&answer, path));
        Ok(answer)
    }

    async fn token(&self) -> Result<Option<Secret>> {
        self.login.token(&self.http, self.deadline, self.spoken.last()).await
    }
}

/// The server that gave the answer to a call of this path.
fn server<'a>(answer: &'a Answer, path: &str) -> &'a str {
    let url = answer.url();
    url.strip_suffix(path).unwrap_or(url)
}

/// The token as this dialect's servers take it.
fn headers(operation: &'static str, dialect: Dialect, token: Option<&Secret>) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let Some(token) = token else {
        return Ok(headers);
    };
    headers.insert(TOKEN_HEADER, secret_header(operation, token.expose())?);
    if dialect.wants_bearer() {
        let bearer = format!("Bearer {}", token.expose());
        headers.insert(AUTHORIZATION, secret_header(operation, &bearer)?);
    }
    Ok(headers)
}

fn secret_header(operation: &'static str, text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = "the access token has characters that no header can carry";
        Error::new(ErrorKind::Invalid, operation, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}
