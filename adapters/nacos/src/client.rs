//! The HTTP calls.

mod login;
mod paging;

use std::time::Duration;

use hub_registry_core::http::{Answer, Call, HttpClient};
use hub_registry_core::{ConnectSpec, Error, ErrorKind, Result, ServiceKey, SpecError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;

pub(crate) use login::Login;

use crate::wire::{Envelope, Host, InstancePage, ServicePage, ServiceView};

/// No read may take longer, whatever the settings allow: a silent registry is to be noticed
/// within 30 s.
const LONGEST: Duration = Duration::from_secs(20);

/// Nacos 2.2 takes the token as a header too, where no proxy writes it into its log.
const TOKEN_HEADER: HeaderName = HeaderName::from_static("accesstoken");

/// The reads of one namespace.
#[derive(Debug)]
pub(crate) struct NacosClient {
    http: HttpClient,
    login: Login,
    namespace: String,
    deadline: Duration,
}

impl NacosClient {
    pub(crate) fn new(spec: &ConnectSpec, namespace: &str) -> Result<Self, SpecError> {
        Ok(Self {
            http: HttpClient::new(spec, HeaderMap::new())?,
            login: Login::new(&spec.credentials),
            namespace: namespace.to_owned(),
            deadline: spec.read_timeout.min(LONGEST),
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
        paging::whole("list services", |page| async move {
            let ServicePage { count, service_list } = self.service_page(page, paging::SIZE).await?;
            Ok((count, service_list))
        })
        .await
    }

    /// The cheapest read of the same kind.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.service_page(1, "1").await.map(|_| ())
    }

    async fn service_page(&self, page: u32, size: &str) -> Result<ServicePage> {
        let page = page.to_string();
        let query = [
            ("namespaceId", self.namespace.as_str()),
            ("withInstances", "false"),
            ("pageNo", page.as_str()),
            ("pageSize", size),
        ];
        let call = ("list services", "/v1/ns/catalog/services");
        self.get(call, &query).await?.json()
    }

    /// Every instance of the service in all clusters, the disabled ones too; none when the
    /// service is unknown.
    pub(crate) async fn instances(&self, service: &ServiceKey) -> Result<Vec<Host>> {
        let operation = "list instances";
        // 2.2.4 does not look at `groupName` here: a bare name is looked up in the default group
        // (seen on the real server), so the group goes into the name.
        let grouped = format!("{}@@{}", service.group, service.name);
        let grouped = grouped.as_str();
        paging::whole(operation, |page| async move {
            let page = page.to_string();
            let query = [
                ("namespaceId", self.namespace.as_str()),
                ("serviceName", grouped),
                ("pageNo", page.as_str()),
                ("pageSize", paging::SIZE),
            ];
            let answer = self.get((operation, "/v2/ns/catalog/instances"), &query);
            let page: InstancePage = opened(answer.await?)?;
            Ok((page.count, page.instances))
        })
        .await
    }

    async fn get(
        &self,
        (operation, path): (&'static str, &str),
        query: &[(&str, &str)],
    ) -> Result<Answer> {
        let token = self.login.token(&self.http, self.deadline).await?;
        let call = || Call::get(operation, path).query(query).deadline(self.deadline);
        let mut headers = HeaderMap::new();
        if let Some(token) = &token {
            headers.insert(TOKEN_HEADER, secret_header(operation, token.expose())?);
        }
        let answer = self.http.send(Call { headers, ..call() }).await?;
        if !matches!(answer.status.as_u16(), 401 | 403) || !self.login.renews() {
            return Ok(answer);
        }
        // The token may have been taken back (a restarted server has a new key): once more with
        // a fresh one.
        self.login.forget(token.as_ref());
        let Some(token) = self.login.token(&self.http, self.deadline).await? else {
            return Ok(answer);
        };
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN_HEADER, secret_header(operation, token.expose())?);
        self.http.send(Call { headers, ..call() }).await
    }
}

fn secret_header(operation: &'static str, text: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        let message = "the access token has characters that no header can carry";
        Error::new(ErrorKind::Invalid, operation, message)
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What a 2.x call wrapped, if it succeeded: some errors come as 200 with a code inside.
fn opened<T: DeserializeOwned>(answer: Answer) -> Result<T> {
    let answer = answer.success()?;
    let problem = |error| format!("is not the expected JSON ({error})");
    let envelope: Envelope<T> = serde_json::from_slice(&answer.body)
        .map_err(|error| answer.error(ErrorKind::Protocol, &problem(error)))?;
    match (envelope.code, envelope.data) {
        (0, Some(data)) => Ok(data),
        (401, _) => Err(answer.error(ErrorKind::Unauthorized, "was refused")),
        (403, _) => Err(answer.error(ErrorKind::Forbidden, "was refused")),
        (0, None) => Err(answer.error(ErrorKind::Protocol, "has no data")),
        _ => Err(answer.error(ErrorKind::Server, "was refused")),
    }
}
