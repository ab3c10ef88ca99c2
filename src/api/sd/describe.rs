//! What service discovery for others takes and answers.

use axum::http::StatusCode;
use serde_json::json;

use crate::api::openapi::params::{Param, filter, group_or_all};
use crate::api::openapi::shape::{list_of, map, named, object, text, word};
use crate::api::openapi::{Describe, Tag, describe};

/// `GET /api/v1/sd/prometheus`
pub(in crate::api) fn prometheus() -> Describe {
    let example = json!([{
        "targets": ["10.0.0.7:8080"],
        "labels": {
            "__meta_hub_registry_service": "order-service",
            "__meta_hub_registry_group": "DEFAULT_GROUP",
            "__meta_hub_registry_sources": ",consul-a,native,",
            "__meta_hub_registry_status": "UP",
            "__meta_hub_registry_health": "HEALTHY",
            "__meta_hub_registry_metadata_version": "1.4.2",
        },
    }]);
    let group = object([
        ("targets", list_of(text().about("Host and port."))),
        ("labels", map(text()).about("What relabelling works with.")),
    ]);
    describe(Tag::Discovery, "prometheusTargets", "Every instance as a target for Prometheus")
        .text(
            "For `http_sd_configs`. The whole list each time, one target group for each instance. \
             While a source was never heard it is 503, on which Prometheus keeps the targets it \
             has.",
        )
        .takes([group_or_all("Only instances of this group.")])
        .takes([Param::query("name", "Only services whose name matches this glob.", text())])
        .takes(filter())
        .takes([Param::query(
            "onPartial",
            "While a source was never heard: `use` what there is, or `fail` [default: fail].",
            word(&["use", "fail"]),
        )])
        .answers(StatusCode::OK, "The targets.", list_of(named("TargetGroup", group)))
        .for_example(StatusCode::OK, example)
        .may(StatusCode::NOT_FOUND, "It is switched off (`facades.httpSd.enabled`).")
        .may(StatusCode::SERVICE_UNAVAILABLE, "A source was never heard; or not now.")
}
