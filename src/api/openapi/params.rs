//! Parameters that several routes have.

use serde_json::json;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::shape::{self, Named, Shape};
use super::shapes;
use crate::api::params::{MAX_PAGE_SIZE, PAGE_SIZE};
use crate::api::sort;

/// A parameter.
#[derive(Clone, Debug)]
pub(in crate::api) struct Param {
    parameter: Parameter,
    named: Named,
}

impl Param {
    fn new(place: ParameterIn, name: &str, about: &str, shape: Shape) -> Self {
        let (is_list, (schema, named)) = (shape.is_list(), shape.into_parts());
        let required = place == ParameterIn::Path;
        let mut parameter = Parameter::new(name);
        parameter.parameter_in = place;
        parameter.description = Some(about.to_owned());
        parameter.required = if required { Required::True } else { Required::False };
        parameter.schema = Some(schema);
        // `tag=a&tag=b`
        parameter.explode = is_list.then_some(true);
        Self { parameter, named }
    }

    /// In the query.
    pub(in crate::api) fn query(name: &str, about: &str, shape: Shape) -> Self {
        Self::new(ParameterIn::Query, name, about, shape)
    }

    /// In the path.
    pub(in crate::api) fn path(name: &str, about: &str, shape: Shape) -> Self {
        Self::new(ParameterIn::Path, name, about, shape)
    }

    /// In a header.
    pub(in crate::api) fn header(name: &str, about: &str, shape: Shape) -> Self {
        Self::new(ParameterIn::Header, name, about, shape)
    }

    pub(super) fn into_parts(self) -> (Parameter, Named) {
        (self.parameter, self.named)
    }
}

/// The variable of a path, for the names that paths have.
pub(super) fn of_path(name: &str) -> Option<Param> {
    let (about, shape) = match name {
        "groupName" => ("The group.", shapes::known_name()),
        "serviceName" => ("The service.", shapes::known_name()),
        "instanceId" => ("The instance.", shapes::instance_id()),
        "configId" => ("The configuration.", shapes::id()),
        "migrationId" => ("The migration.", shapes::id()),
        "tokenId" => ("The token.", shapes::id()),
        _ => return None,
    };
    Some(Param::path(name, about, shape))
}

/// `groupName` where one service is meant.
pub(in crate::api) fn group() -> Param {
    let about = "The group. Left out: `DEFAULT_GROUP` if it holds the name, else the one group \
                 that does, else 409 with `details.groups`.";
    Param::query("groupName", about, shapes::known_name())
}

/// `groupName` of something new.
pub(in crate::api) fn group_of_new() -> Param {
    let about = "The group, if the body does not say it; left out in both it is `DEFAULT_GROUP`.";
    Param::query("groupName", about, shapes::name())
}

/// `groupName` where all groups may be meant.
pub(in crate::api) fn group_or_all(about: &str) -> Param {
    Param::query("groupName", about, shapes::known_name())
}

/// `page` and `pageSize`.
pub(in crate::api) fn page() -> [Param; 2] {
    let number = shape::integer(1..=i64::from(u32::MAX)).default(json!(1));
    let size = shape::integer(1..=MAX_PAGE_SIZE as i64).default(json!(PAGE_SIZE));
    [
        Param::query("page", "Which page, from 1.", number),
        Param::query("pageSize", "How many entries a page has.", size),
    ]
}

/// `sort`, by one of these fields.
pub(in crate::api) fn sort<T>(fields: &sort::Fields<T>) -> Param {
    let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
    let pattern = format!("^(-?({0})|({0}),(asc|desc))$", names.join("|"));
    let about = "The order: a field; `-FIELD` or `FIELD,desc` for the reverse.";
    Param::query("sort", about, shape::pattern(&pattern).example(json!(names[0])))
}

/// `force`, with what it is for.
pub(in crate::api) fn force(about: &str) -> Param {
    Param::query("force", about, shape::boolean().default(json!(false)))
}

/// What filters instances.
pub(in crate::api) fn filter() -> Vec<Param> {
    use hub_registry_core::{HealthStatus, InstanceStatus};
    let meta = "`meta.KEY=VALUE` for any `KEY`, several for several: only instances with these \
                pairs in their metadata.";
    // Of the default style: each property is a parameter of its own.
    let pairs = shape::map(shape::text()).keys(r"^meta\..");
    vec![
        Param::query("status", "Only of this status.", shape::word(InstanceStatus::ALL)),
        Param::query(
            "health",
            "Only of this health. Lifted while the healthy share of the service is under its \
             `protectThreshold`; the answer then says `protected`.",
            shape::word(HealthStatus::ALL),
        ),
        Param::query(
            "source",
            "Only what this source knows: `native`, or the name of a configuration.",
            shape::text(),
        ),
        Param::query(
            "tag",
            "Only instances with this tag; several: with all of them.",
            shape::list_of(shape::text()),
        ),
        Param::query("zone", "Only instances whose metadata have this `zone`.", shape::text()),
        Param::query("meta", meta, pairs.example(json!({ "meta.version": "2" }))),
    ]
}
