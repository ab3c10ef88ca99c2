//! The document: every route with what follows from it.

use axum::http::{Method, StatusCode};
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::response::ResponsesBuilder;
use utoipa::openapi::schema::Components;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Info, License, OpenApi, OpenApiBuilder, Paths, Ref, RefOr, Server, Tag as TagOf,
};

use super::describe::{Parts, Tag};
use super::failures;
use super::params::{self, Param};
use super::shape::{self, Named};
use crate::api::routes::{Described, Need, Route};

/// The one way to show a credential.
const BEARER: &str = "bearer";
const TENANT: &str = "tenant";
const USER: &str = "user";

const ABOUT: &str = "\
One view over Nacos, Consul, Eureka and the hub's own registry.

- **Tenant**: header `X-Tenant-Id`, else query `tenantId`, else that of the credential, else \
`default`. With security off, header `X-User-Id`, else query `userId`, says who changes something.
- **Lists** answer `{\"<noun>s\":[...],\"count\":N}` with `page`, `pageSize` and `sort`. Discovery is \
never paged.
- **Errors** have one shape; with `Accept: application/problem+json` they are those of RFC 9457. \
Parameters and fields that a path does not have are 400, but a GET answer put back is taken: \
fields that are `readOnly` have no effect.
- **Flags** are `\"Y\"` and `\"N\"`. Fields that hold JSON take it as a value or as text.
- **PUT** changes only the fields it names; `currentVersion` makes it a compare-and-set.
- Every GET answers HEAD too. Every answer has an `X-Request-Id`.
";

/// The description of these routes.
pub(in crate::api) fn document<'a>(routes: impl Iterator<Item = &'a Described>) -> OpenApi {
    let (mut paths, mut named) = (Paths::new(), Named::new());
    for Described { route, describe } in routes {
        let (operation, more) = operation(route, describe().into_parts());
        named.extend(more);
        let item = PathItem::new(method(&route.method), operation);
        match paths.paths.get_mut(route.path) {
            Some(before) => before.merge_operations(item),
            None => {
                paths.paths.insert(route.path.to_owned(), item);
            }
        }
    }
    let mut info = Info::new("Hub Registry", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.to_owned());
    info.license = Some(License::new("MIT"));
    let tags = Tag::ALL.map(|tag| {
        let (name, about) = tag.words();
        let mut described = TagOf::new(name);
        described.description = Some(about.to_owned());
        described
    });
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .paths(paths)
        .tags(Some(tags))
        .components(Some(components(named)))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match *method {
        Method::POST => HttpMethod::Post,
        Method::PUT => HttpMethod::Put,
        Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// What is described, with what follows from the route.
fn operation(route: &Route, parts: Parts) -> (Operation, Named) {
    let variables: Vec<_> = variables(route.path).collect();
    let mut named = Named::new();
    let mut path_params = Vec::new();
    for name in variables.iter().filter(|name| !parts.has_path_param(name)) {
        if let Some(param) = params::of_path(name) {
            let (param, more) = param.into_parts();
            named.extend(more);
            path_params.push(param);
        }
    }
    let Parts { mut operation, mut params, answers, named: more } = parts;
    named.extend(more);
    path_params.append(&mut params);
    let place = |param: &Parameter| match param.parameter_in {
        ParameterIn::Path => 0,
        ParameterIn::Header => 2,
        _ => 1,
    };
    path_params.sort_by_key(place);
    let mut params: Vec<RefOr<Parameter>> = path_params.into_iter().map(RefOr::T).collect();
    let mut failures = Vec::new();
    operation.security = Some(match route.need {
        Need::Nothing => Vec::new(),
        Need::Right(action) => {
            let shared =
                |name: &str| RefOr::Ref(Ref::new(format!("#/components/parameters/{name}")));
            params.extend([shared(TENANT), shared(USER)]);
            failures.extend([
                StatusCode::BAD_REQUEST,
                StatusCode::UNAUTHORIZED,
                StatusCode::FORBIDDEN,
                StatusCode::SERVICE_UNAVAILABLE,
            ]);
            vec![SecurityRequirement::new(BEARER, [action.as_str()])]
        }
    });
    if !variables.is_empty() {
        failures.push(StatusCode::NOT_FOUND);
    }
    if operation.request_body.is_some() {
        failures.extend([StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE]);
    }
    let mut responses = ResponsesBuilder::new();
    for (status, name, _) in failures::SHARED.iter().filter(|(one, ..)| failures.contains(one)) {
        responses = responses.response(status.as_str(), Ref::from_response_name(*name));
    }
    // What the route says itself comes in place of what is generally so.
    for (status, answer) in answers {
        responses = responses.response(status.to_string(), answer);
    }
    operation.responses = responses.build();
    operation.parameters = (!params.is_empty()).then_some(params);
    (operation, named)
}

/// The names in braces.
fn variables(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn components(mut named: Named) -> Components {
    let mut components = Components::new();
    for (status, name, when) in failures::SHARED {
        let (response, more) = failures::response(status, when);
        named.extend(more);
        components.responses.insert(name.to_owned(), RefOr::T(response));
    }
    let tenant = "Whose view, and whose things. Left out: query `tenantId`, else the credential's \
                  tenant, else `default`.";
    let user = "Who changes something, while security is off. Left out: query `userId`, else \
                `system`. With security on the credential says it.";
    for (name, param) in [
        (TENANT, Param::header("X-Tenant-Id", tenant, shape::pattern("^[A-Za-z0-9._:-]{1,32}$"))),
        (USER, Param::header("X-User-Id", user, shape::pattern("^[ -~]{1,32}$"))),
    ] {
        let (param, more) = param.into_parts();
        named.extend(more);
        components.parameters.insert(name.to_owned(), RefOr::T(param));
    }
    for (name, schema) in named {
        components.schemas.insert(name.to_owned(), schema);
    }
    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.description = Some(
        "`Authorization: Bearer TOKEN`: an access token of the hub, or a JSON Web Token of the \
         identity provider it is set up with. Asked for while security is on. What stands beside \
         it is the right the route needs."
            .to_owned(),
    );
    components.security_schemes.insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer)));
    components
}
