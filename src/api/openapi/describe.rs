//! What a route takes and answers. What follows from the route itself (path, right) or from what
//! every request goes through (credential, body reader) is added when the document is made.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::Value;
use utoipa::openapi::content::Content;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::Response;
use utoipa::openapi::{RefOr, Required};

use super::failures;
use super::params::Param;
use super::shape::{self, Named, Shape};

/// JSON, which nearly everything is.
const JSON: &str = "application/json";

/// The parts the document is divided into, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::api) enum Tag {
    /// Reading instances over all registries.
    Discovery,
    /// Registering instances.
    Instances,
    /// Services.
    Services,
    /// Groups.
    Groups,
    /// What happens.
    Events,
    /// External registries.
    External,
    /// Moving services from one registry to another.
    Migrations,
    /// Numbers.
    Statistics,
    /// Tokens.
    Tokens,
    /// The server itself.
    Server,
}

impl Tag {
    /// Every tag.
    pub(super) const ALL: [Self; 10] = [
        Self::Discovery,
        Self::Instances,
        Self::Services,
        Self::Groups,
        Self::Events,
        Self::External,
        Self::Migrations,
        Self::Statistics,
        Self::Tokens,
        Self::Server,
    ];

    /// Its name and what it holds.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Discovery => (
                "Discovery",
                "The instances of a service over all registries, from memory. An error is never \
                 an empty list: what is not known yet is 503, and how fresh an answer is stands \
                 in it.",
            ),
            Self::Instances => (
                "Instances",
                "Registering, renewing, changing and removing instances of the hub's own \
                 registry, and listing those of all registries. 201 and 200 mean: on disk.",
            ),
            Self::Services => ("Services", "The services of all registries; changing native ones."),
            Self::Groups => ("Groups", "Groups of services, and who may read and write them."),
            Self::Events => ("Events", "What happened, and what happens as it does."),
            Self::External => (
                "External registries",
                "Nacos, Consul and Eureka: their configurations, how they fare, and what \
                 operators do with them.",
            ),
            Self::Migrations => (
                "Migrations",
                "Moving services from one registry to another, step by step, each with its \
                 conditions and its way back.",
            ),
            Self::Statistics => ("Statistics", "How much there is, and how it fares."),
            Self::Tokens => ("Tokens", "Access tokens: who may do what."),
            Self::Server => ("Server", "The process itself: probes, metrics, this description."),
        }
    }
}

/// What a route takes and answers.
#[derive(Clone, Debug)]
pub(in crate::api) struct Describe {
    operation: Operation,
    params: Vec<Parameter>,
    body: Option<RequestBody>,
    answers: BTreeMap<u16, Response>,
    named: Named,
}

/// A route, by the id that generated clients name their function after, and by what it does in a
/// few words.
pub(in crate::api) fn describe(tag: Tag, id: &str, summary: &str) -> Describe {
    let mut operation = Operation::new();
    operation.tags = Some(vec![tag.words().0.to_owned()]);
    operation.operation_id = Some(id.to_owned());
    operation.summary = Some(summary.to_owned());
    Describe {
        operation,
        params: Vec::new(),
        body: None,
        answers: BTreeMap::new(),
        named: Named::new(),
    }
}

impl Describe {
    /// What else there is to say, in Markdown.
    pub(in crate::api) fn text(mut self, text: &str) -> Self {
        self.operation.description = Some(text.to_owned());
        self
    }

    /// Takes these parameters.
    pub(in crate::api) fn takes(mut self, params: impl IntoIterator<Item = Param>) -> Self {
        for param in params {
            let (param, named) = param.into_parts();
            self.named.extend(named);
            self.params.push(param);
        }
        self
    }

    /// Takes a JSON body.
    pub(in crate::api) fn body(self, shape: Shape, example: Value) -> Self {
        self.any_body(shape, example, Required::True)
    }

    /// Takes a JSON body or none.
    pub(in crate::api) fn maybe_body(self, shape: Shape, example: Value) -> Self {
        self.any_body(shape, example, Required::False)
    }

    fn any_body(mut self, shape: Shape, example: Value, required: Required) -> Self {
        let mut content = self.content(shape);
        content.example = Some(example);
        let mut body = RequestBody::new();
        body.required = Some(required);
        body.content.insert(JSON.to_owned(), RefOr::T(content));
        self.body = Some(body);
        self
    }

    fn content(&mut self, shape: Shape) -> Content {
        let (schema, named) = shape.into_parts();
        self.named.extend(named);
        Content::new(Some(schema))
    }

    /// Answers so, in JSON.
    pub(in crate::api) fn answers(self, status: StatusCode, about: &str, shape: Shape) -> Self {
        self.answers_as(JSON, status, about, shape)
    }

    /// Answers so, in this media type. Several may have one status.
    pub(in crate::api) fn answers_as(
        mut self,
        media: &str,
        status: StatusCode,
        about: &str,
        shape: Shape,
    ) -> Self {
        let content = self.content(shape);
        let answer = self.answers.entry(status.as_u16()).or_insert_with(|| Response::new(about));
        answer.content.insert(media.to_owned(), RefOr::T(content));
        self
    }

    /// An answer of this status as an example.
    pub(in crate::api) fn for_example(mut self, status: StatusCode, example: Value) -> Self {
        let answer = self.answers.get_mut(&status.as_u16());
        if let Some(RefOr::T(content)) = answer.and_then(|answer| answer.content.get_mut(JSON)) {
            content.example = Some(example);
        }
        self
    }

    /// Has this header in every answer of these statuses.
    pub(in crate::api) fn header(
        mut self,
        statuses: &[StatusCode],
        name: &str,
        about: &str,
        shape: Shape,
    ) -> Self {
        let (schema, named) = shape.into_parts();
        self.named.extend(named);
        for status in statuses {
            if let Some(answer) = self.answers.get_mut(&status.as_u16()) {
                let mut header = Header::new(schema.clone());
                header.description = Some(about.to_owned());
                answer.headers.insert(name.to_owned(), RefOr::T(header));
            }
        }
        self
    }

    /// Has an entity tag, and answers 304 to who has it already.
    pub(in crate::api) fn tagged(mut self) -> Self {
        let not_modified = StatusCode::NOT_MODIFIED;
        let response = Response::new("What `If-None-Match` names is still right.");
        self.answers.insert(not_modified.as_u16(), response);
        let about = "A weak entity tag: changes with what the answer says.";
        let tag = || shape::pattern("^W/\"[^\"]+\"$");
        self.takes([Param::header("If-None-Match", "Entity tags the caller has.", shape::text())])
            .header(&[StatusCode::OK, not_modified], "ETag", about, tag())
    }

    /// May fail so, for this reason.
    pub(in crate::api) fn may(mut self, status: StatusCode, when: &str) -> Self {
        let (response, named) = failures::response(status, when);
        self.named.extend(named);
        self.answers.insert(status.as_u16(), response);
        self
    }

    /// The parts, for the document.
    pub(super) fn into_parts(self) -> Parts {
        let Self { mut operation, params, body, answers, named } = self;
        operation.request_body = body.map(RefOr::T);
        Parts { operation, params, answers, named }
    }
}

/// What a description is made of.
pub(super) struct Parts {
    pub operation: Operation,
    pub params: Vec<Parameter>,
    pub answers: BTreeMap<u16, Response>,
    pub named: Named,
}

impl Parts {
    /// Whether the path says this variable is described here.
    pub(super) fn has_path_param(&self, name: &str) -> bool {
        let is_path = |param: &Parameter| param.parameter_in == ParameterIn::Path;
        self.params.iter().any(|param| is_path(param) && param.name == name)
    }
}
