//! A request: who asks, and what for. Parameters are taken from the query and from a form alike, as
//! a servlet does.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hub_registry_core::{GroupName, Secret, ServiceKey, ServiceName, TenantId};

use super::Face;
use super::version::{Code, Version};
use crate::access::{Action, Caller, Said};
use crate::error::{Error, ErrorCode};
use crate::http::Meant;
use crate::http::shown::{asks_for_carried, bearer, is_forwarded, named_tenant};

/// The result of a handler.
pub(super) type Answered<T = Response> = Result<T, Refused>;

/// Nacos' name of the namespace that is meant where none is said.
const PUBLIC: &str = "public";
/// Between the group and the name of a service.
pub(super) const GROUP_END: &str = "@@";

/// What requests of a route need, where their method does not say it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs(pub(super) Action);

/// A refusal.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    version: Version,
    status: StatusCode,
    code: Code,
    text: String,
    /// Whether Nacos' protocol has it so.
    meant: bool,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let answer = self.version.refusal(self.status, self.code, &self.text);
        (self.meant.then_some(Extension(Meant)), answer).into_response()
    }
}

/// Who asks for what.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) caller: Caller,
    pub(super) version: Version,
    /// Where it comes from.
    pub(super) peer: Option<IpAddr>,
    /// Whether it asks for what Nacos has no word for.
    pub(super) carried: bool,
    parameters: Vec<(String, String)>,
}

impl Call {
    /// What is said under this name; empty counts as not said.
    pub(super) fn said(&self, name: &str) -> Option<&str> {
        let mut values =
            self.parameters.iter().filter(|(key, value)| key == name && !value.is_empty());
        values.next().map(|(_, value)| value.as_str())
    }

    /// Says this as well, where it was not said already.
    pub(super) fn say(&mut self, more: Vec<(&'static str, String)>) {
        self.parameters.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }

    /// The same of what must be said.
    pub(super) fn required(&self, name: &str) -> Answered<&str> {
        self.said(name).ok_or_else(|| self.bad(format!("Param '{name}' is required.")))
    }

    /// A number; `usual` where none is said.
    pub(super) fn number(&self, name: &str, usual: usize) -> Answered<usize> {
        let parsed = self.said(name).map_or(Ok(usual), str::parse);
        parsed.map_err(|_| self.bad(format!("Param '{name}' must be a whole number")))
    }

    /// A switch; `usual` where none is said.
    pub(super) fn switch(&self, name: &str, usual: bool) -> bool {
        self.switched(name).unwrap_or(usual)
    }

    /// A switch, if it is said: on by any of the words that a Nacos takes for it (`ConvertUtils.toBoolean`).
    pub(super) fn switched(&self, name: &str) -> Option<bool> {
        const ON: [&str; 5] = ["true", "yes", "on", "y", "t"];
        let word = self.said(name)?;
        Some(ON.iter().any(|on| on.eq_ignore_ascii_case(word)))
    }

    /// The group that is asked for.
    pub(super) fn group(&self) -> Answered<GroupName> {
        let Some(name) = self.said("groupName") else { return Ok(GroupName::default_group()) };
        GroupName::parse(name)
            .map_err(|error| self.bad(format!("Param 'groupName': {}", error.rule)))
    }

    /// The service: `GROUP@@NAME`, or a name and a group.
    pub(super) fn service(&self) -> Answered<ServiceKey> {
        let name = self.required("serviceName")?;
        let (group, name) = match name.split_once(GROUP_END) {
            Some((group, name)) => (
                GroupName::parse(group)
                    .map_err(|error| self.bad(format!("Param 'groupName': {}", error.rule)))?,
                name,
            ),
            None => (self.group()?, name),
        };
        let name = ServiceName::parse(name);
        let name =
            name.map_err(|error| self.bad(format!("Param 'serviceName': {}", error.rule)))?;
        Ok(ServiceKey::new(group, name))
    }

    pub(super) fn bad(&self, text: impl Into<String>) -> Refused {
        self.refused(StatusCode::BAD_REQUEST, Code::Parameter, text)
    }

    pub(super) fn refused(
        &self,
        status: StatusCode,
        code: Code,
        text: impl Into<String>,
    ) -> Refused {
        Refused { version: self.version, status, code, text: text.into(), meant: true }
    }

    /// Whatever the hub says of it.
    pub(super) fn failed(&self, error: Error) -> Refused {
        refused(self.version, error)
    }

    /// What a client takes for "not now": it keeps what it has.
    pub(super) fn unheard(&self, names: &str) -> Refused {
        let text = format!("not known, and never heard yet: {names}");
        self.refused(StatusCode::INTERNAL_SERVER_ERROR, Code::Server, text)
    }
}

fn refused(version: Version, error: Error) -> Refused {
    let code = match error.code {
        ErrorCode::Invalid | ErrorCode::TooLarge | ErrorCode::UnsupportedMediaType => {
            Code::Parameter
        }
        ErrorCode::Unauthorized | ErrorCode::Forbidden => Code::Denied,
        ErrorCode::NotFound => Code::NoResource,
        _ => Code::Server,
    };
    // A Nacos knows one word for both.
    let status = match error.code {
        ErrorCode::Unauthorized => StatusCode::FORBIDDEN,
        code => code.status(),
    };
    Refused { version, status, code, text: error.sentence(), meant: false }
}

impl FromRequest<Arc<Face>> for Call {
    type Rejection = Refused;

    async fn from_request(request: Request, face: &Arc<Face>) -> Answered<Self> {
        let (parts, body) = request.into_parts();
        let carried = asks_for_carried(&parts.headers);
        let forwarded = is_forwarded(&parts.headers);
        // Behind a proxy it is nobody who wants to be told anything.
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().filter(|_| !forwarded);
        let peer = peer.map(|peer| peer.ip());
        let version = Version::of(parts.uri.path());
        let failed = |error| refused(version, error);
        let mut parameters = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        if !matches!(parts.method, Method::GET | Method::HEAD) && is_form(&parts.headers) {
            let read = face.body(body).await.map_err(failed)?;
            parameters.extend(pairs(&read));
        }
        let said = |name: &str| parameters.iter().find(|(key, _)| key == name);
        let token = said("accessToken").map(|(_, value)| value.clone());
        let in_header = || parts.headers.get("accesstoken")?.to_str().ok().map(str::to_owned);
        let token =
            token.filter(|token| !token.is_empty()).or_else(in_header).as_deref().map(Secret::new);
        let shown = token.as_ref().map(|token| token.expose()).or_else(|| bearer(&parts.headers));
        let namespace = said("namespaceId").map(|(_, value)| &**value).unwrap_or_default();
        let tenant = tenant(namespace).map_err(failed)?;
        let said = Said { bearer: shown, tenant, user: None, forwarded };
        let caller = face.authenticator.caller(said).await.map_err(failed)?;
        let needs = parts.extensions.get::<Needs>().map_or_else(
            || match parts.method {
                Method::GET | Method::HEAD => Action::Read,
                _ => Action::Write,
            },
            |needs| needs.0,
        );
        caller.need(needs).map_err(failed)?;
        Ok(Self { caller, version, peer, carried, parameters })
    }
}

/// The tenant of a namespace; `None`: the caller's own.
pub(super) fn tenant(namespace: &str) -> Result<Option<TenantId>, Error> {
    match namespace {
        "" | PUBLIC => Ok(None),
        other => named_tenant("namespaceId", other).map(Some),
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// The parameters of a form or a query.
pub(super) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}
