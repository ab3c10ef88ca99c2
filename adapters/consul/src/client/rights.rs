//! What the token may read: Consul leaves out what it may not, without an error.

use hub_registry_core::http::Call;
use hub_registry_core::{Error, ErrorKind, Result, ServiceName};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Before, Client, refused};
use crate::driver::Settings;
use crate::wire::{Permission, Token};

/// Tells any token which of the things it asks about it may do: what Consul's own pages ask. It stands
/// in no documentation; seen on 1.8.7.
const AUTHORIZE: &str = "/v1/internal/acl/authorize";
/// "Refusing to process more than 64 authorizations at once".
const AT_ONCE: usize = 64;
/// What the servers register themselves as.
const SERVERS: &str = "consul";

impl Client {
    /// Those of the services that the token may not read. Where Consul does not say (before 1.7,
    /// or with access control off), none.
    pub(crate) async fn denied(&self, names: &[ServiceName]) -> Result<Vec<ServiceName>> {
        let mut denied = Vec::new();
        for names in names.chunks(AT_ONCE) {
            let segments: Vec<_> = names.iter().map(ServiceName::as_str).collect();
            let Some(allowed) = self.allowed("list services", &segments).await? else {
                return Ok(Vec::new());
            };
            let hidden = names.iter().zip(allowed).filter(|(_, allowed)| !allowed);
            denied.extend(hidden.map(|(name, _)| name.clone()));
        }
        Ok(denied)
    }

    /// The error of a list that lacks all it had, since the token may not read it any more.
    pub(crate) fn lost_its_rights(&self, names: &[ServiceName]) -> Error {
        let name = names.first().map(ServiceName::as_str).unwrap_or_default();
        let message = format!("the list is empty, and the token may not read {name} any more");
        Error::new(ErrorKind::Forbidden, "list services", self.http.mask(&message))
    }

    /// Asks why the list of services is empty, since a Consul whose servers have registered always
    /// lists at least `consul`: it hides what a token may not read, without an error, and shortly
    /// after a restart it has not registered itself yet.
    pub(super) async fn confirm_empty(
        &self,
        operation: &'static str,
        before: Before,
    ) -> Result<()> {
        let call = Call::get(operation, "/v1/acl/token/self");
        let query = self.settings.datacenter();
        let answer = self.send(call.query(&query)).await?;
        // The servers are listed in the default namespace only.
        let elsewhere = [&self.settings.namespace, &self.settings.partition]
            .into_iter()
            .any(|name| name.as_deref().is_some_and(|name| name != "default"));
        match answer.status {
            // "ACL support disabled": nothing is hidden.
            StatusCode::UNAUTHORIZED if elsewhere => Ok(()),
            StatusCode::UNAUTHORIZED => {
                let problem = "lists no service, not even its own, while nothing hides any";
                Err(answer.error(ErrorKind::NotReady, problem))
            }
            StatusCode::OK => {
                let token: Token = answer.json()?;
                if token.is_powerless() {
                    let message =
                        "the list is empty, and the token has no right to read any service";
                    return Err(Error::new(ErrorKind::Forbidden, operation, message));
                }
                if elsewhere || before == Before::Services {
                    return Ok(());
                }
                self.need_sight(operation).await
            }
            StatusCode::FORBIDDEN => {
                let problem = "lists no service to a client without a valid token";
                Err(answer.error(ErrorKind::Forbidden, problem))
            }
            _ => Err(refused(answer).err().unwrap_or_else(|| {
                Error::new(ErrorKind::Protocol, operation, "an empty list, unexplained")
            })),
        }
    }

    /// A token whose policies give it nothing gets the same empty list as one whose services are all
    /// gone. What tells that somebody sees is the one service that is always there.
    async fn need_sight(&self, operation: &'static str) -> Result<()> {
        match self.allowed(operation, &[SERVERS]).await?.as_deref() {
            Some([false]) => {
                let message = "the list is empty to a token that may not read the service `consul`, \
                               which is always there: it proves nothing. Let the token read it, or \
                               any service that is there";
                Err(Error::new(ErrorKind::Forbidden, operation, message))
            }
            _ => Ok(()),
        }
    }

    async fn allowed(&self, operation: &'static str, names: &[&str]) -> Result<Option<Vec<bool>>> {
        let (body, query) = (question(&self.settings, names), self.settings.datacenter());
        let answer = self.send(Call::post(operation, AUTHORIZE, &body).query(&query)).await?;
        match answer.status {
            StatusCode::OK => {
                let all: Vec<Permission> = answer.json()?;
                if all.len() == names.len() {
                    return Ok(Some(all.into_iter().map(|one| one.allow).collect()));
                }
                let message = "an answer about other rights than were asked about";
                Err(Error::new(ErrorKind::Protocol, operation, message))
            }
            // No such path, not this method, no access control.
            StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED => Ok(None),
            _ => Err(refused(answer).err().unwrap_or_else(|| {
                Error::new(ErrorKind::Protocol, operation, "rights, unexplained")
            })),
        }
    }
}

/// Whether each of the services may be read. Namespace and partition go with each question, not
/// with the query (`ACLAuthorizationRequest` has them embedded, hashicorp/consul
/// `agent/structs/acl.go`).
fn question(settings: &Settings, names: &[&str]) -> Value {
    let ask = |name: &&str| {
        let mut ask = json!({ "Resource": "service", "Access": "read", "Segment": name });
        for (key, place) in [("Namespace", &settings.namespace), ("Partition", &settings.partition)]
        {
            if let Some(place) = place {
                ask[key] = json!(place);
            }
        }
        ask
    };
    Value::Array(names.iter().map(ask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_asked_about_services_where_they_are() {
        let mut settings = Settings::default();
        let plain = question(&settings, &["web", "a/b"]);
        assert_eq!(plain[1], json!({"Resource": "service", "Access": "read", "Segment": "a/b"}));
        settings.namespace = Some("team".to_owned());
        settings.partition = Some("east".to_owned());
        let placed = question(&settings, &["web"]);
        assert_eq!(placed[0]["Namespace"], "team");
        assert_eq!(placed[0]["Partition"], "east");
    }
}
