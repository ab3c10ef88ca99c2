//! The calls.

use std::sync::Arc;
use std::time::Duration;

use hub_registry_core::http::{Answer, Call, HttpClient};
use hub_registry_core::{Error, ErrorKind, Result};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use crate::wire::{
    Application, Applications, InstanceBody, InstanceInfo, read_application, read_applications,
};

/// A client of one Eureka. Clones share its connections.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: HttpClient,
    deadline: Duration,
    // Separated by commas; empty: none is asked for.
    regions: Arc<str>,
    // A full fetch makes the server build the whole registry as text: with many of them at a time
    // 10,000 instances drove a server of 512 MB out of memory.
    full: Arc<Mutex<()>>,
}

/// An answer, and which address gave it.
#[derive(Debug)]
pub(crate) struct From<T> {
    pub(crate) address: String,
    pub(crate) content: T,
}

impl Client {
    /// A client whose calls end within `deadline`. Its lists are those of these remote regions and
    /// the server's own.
    pub(crate) fn new(http: HttpClient, deadline: Duration, regions: &[String]) -> Self {
        Self { http, deadline, regions: regions.join(",").into(), full: Arc::default() }
    }

    async fn get(&self, operation: &'static str, path: &str) -> Result<Answer> {
        self.send(Call::get(operation, path)).await
    }

    /// One call within the deadline.
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Answer> {
        self.http.send(call.deadline(self.deadline)).await
    }

    /// A list, with the regions.
    async fn list(&self, operation: &'static str, path: &str) -> Result<Answer> {
        let query = [("regions", &*self.regions)];
        let query = if self.regions.is_empty() { &[] } else { &query[..] };
        let call = Call::get(operation, path).query(query).deadline(self.deadline);
        self.http.send(call).await
    }

    /// Whether an application can be read by itself, as the list has it. Of an application that it
    /// has itself, a server never shows there what remote regions have
    /// (`AbstractInstanceRegistry.getApplication`).
    pub(crate) fn has_apps(&self) -> bool {
        self.regions.is_empty()
    }

    /// Everything, while no other full fetch is under way.
    pub(crate) async fn full(&self) -> Result<From<Applications>> {
        let operation = "list all applications";
        let turn = tokio::time::timeout(self.deadline, self.full.lock()).await;
        let _turn = turn.map_err(|_| {
            let problem = "another full fetch takes too long";
            Error::new(ErrorKind::Timeout, operation, problem)
        })?;
        let answer = ready(self.list(operation, "/apps").await?)?;
        let content = applications(&answer)?;
        let apps = content.application.as_deref();
        let count = apps.map_or(0, |apps| apps.iter().map(|app| app.instance.len()).sum());
        // An empty registry says so, by an empty hash (XStream leaves the list out) or an empty
        // list. Whatever else holds no instance is a broken answer.
        let empty = content.hash.as_deref().unwrap_or_default().is_empty();
        let unsaid = content.application.is_none() && content.hash.is_none();
        if count == 0 && (unsaid || !empty) {
            let problem = "lists no instance and does not say that there is none";
            return Err(answer.error(ErrorKind::Protocol, problem));
        }
        Ok(from(&answer, "/apps", content))
    }

    /// What changed of late; `None` when this server gives no deltas.
    pub(crate) async fn delta(&self) -> Result<Option<From<Applications>>> {
        let path = "/apps/delta";
        let answer = self.list("list changed applications", path).await?;
        if matches!(
            answer.status,
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
        ) {
            return Ok(None);
        }
        let answer = answer.success()?;
        let content = applications(&answer)?;
        Ok(Some(from(&answer, path, content)))
    }

    /// Asks whether Eureka is here: for the delta, whose size is that of the last changes; where
    /// there is none, for all.
    pub(crate) async fn probe(&self, use_delta: bool) -> Result<()> {
        if use_delta {
            let delta = self.delta().await?;
            if delta.is_some_and(|delta| delta.content.hash.is_some()) {
                return Ok(());
            }
        }
        self.full().await.map(drop)
    }

    /// An answer had Eureka's form but not its sense.
    pub(crate) fn senseless(&self, operation: &'static str, problem: &str) -> Error {
        let problem = self.http.mask(&format!("the answer {problem}"));
        Error::new(ErrorKind::Protocol, operation, problem)
    }

    /// One application; `None` for a 404, which a wrong address gives too.
    pub(crate) async fn app(&self, name: &str) -> Result<Option<Application>> {
        if !is_segment(name) || !self.has_apps() {
            let apps = self.full().await?.content.application;
            let mut apps = apps.into_iter().flatten();
            return Ok(apps.find(|app| app.name.to_uppercase() == name));
        }
        let path = format!("/apps/{}", HttpClient::segment(name));
        let answer = self.get("list instances", &path).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = ready(answer)?;
        let read = read_application(&answer.body);
        read.map(Some).map_err(|problem| answer.error(ErrorKind::Protocol, &problem))
    }

    /// One instance, as it is now; `None` when it is not there, or cannot be asked for by path.
    pub(crate) async fn instance(&self, app: &str, id: &str) -> Result<Option<InstanceInfo>> {
        if !is_segment(app) || !is_segment(id) {
            return Ok(None);
        }
        let path = format!("/apps/{}/{}", HttpClient::segment(app), HttpClient::segment(id));
        let answer = self.get("look at an instance", &path).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let InstanceBody { instance } = answer.json()?;
        Ok(Some(instance))
    }
}

/// Whether the name can be asked for by path. Eureka takes any text as a name, while dots alone
/// lead to another path, and a Tomcat refuses escaped slashes; those are looked up in the list.
pub(crate) fn is_segment(name: &str) -> bool {
    !matches!(name, "." | "..") && !name.contains(['/', '\\']) && !name.contains(char::is_control)
}

/// A successful answer; a 403 is Eureka's way to say that it is still loading.
fn ready(answer: Answer) -> Result<Answer> {
    if answer.status == StatusCode::FORBIDDEN {
        let problem = "is refused, as Eureka does while it, or a remote region, is loading";
        return Err(answer.error(ErrorKind::NotReady, problem));
    }
    answer.success()
}

fn applications(answer: &Answer) -> Result<Applications> {
    read_applications(&answer.body).map_err(|problem| answer.error(ErrorKind::Protocol, &problem))
}

fn from<T>(answer: &Answer, path: &str, content: T) -> From<T> {
    let url = answer.url();
    let address = url.strip_suffix(path).unwrap_or(url).to_owned();
    From { address, content }
}
