//! `GET /metrics`: what can be told only when it is asked for is measured here, then all is written.

pub(super) mod describe;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::health::DATABASE;
use super::state::Api;
use crate::events::Events;
use crate::storage::Connections;
use crate::telemetry::metrics::{DatabaseSample, SourceSample, ViewSample};

/// Prometheus' text format.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`
pub(super) async fn metrics(State(api): State<Api>) -> Response {
    let answers = tokio::time::timeout(DATABASE, api.database.ping()).await;
    let up = matches!(answers, Ok(Ok(())));
    let text = api.metrics.scrape(|| {
        api.metrics.build.set_uptime(api.started.elapsed());
        measure_view(&api);
        measure_sources(&api);
        measure_database(&api, up);
        api.metrics.runtime.measure();
        measure_system(&api);
        let (_, buffered) = api.events.as_ref().map(Events::load).unwrap_or_default();
        api.metrics.events.set_buffered(buffered);
    });
    ([(header::CONTENT_TYPE, FORMAT)], text).into_response()
}

fn measure_view(api: &Api) {
    let mut sample =
        ViewSample { services: 0, instances: 0, waiting: api.view.waiting(), revision: 0 };
    for (_, snapshot) in api.view.all() {
        sample.services += snapshot.service_count();
        sample.instances += snapshot.instances;
        sample.revision = sample.revision.max(snapshot.revision);
    }
    api.metrics.view.set(sample);
}

fn measure_sources(api: &Api) {
    let mut samples = Vec::new();
    for (tenant, _) in api.view.all() {
        for cell in api.view.sources(&tenant).iter() {
            let counts = api.catalog.counts(&tenant, &cell.info.id);
            samples.push(SourceSample {
                id: cell.info.id.as_str().to_owned(),
                name: cell.info.name.clone(),
                kind: cell.info.kind.as_str(),
                state: cell.state().as_str(),
                age_ms: cell.age_ms(),
                instances: counts.instances,
                held: counts.held,
            });
        }
    }
    api.metrics.sources.set(&samples);
    api.metrics.removals.keep(&samples);
}

fn measure_database(api: &Api, up: bool) {
    let Connections { open, idle, most } = api.database.connections();
    let used = open.saturating_sub(idle);
    api.metrics.database.set(DatabaseSample { up, idle, used, most });
}

fn measure_system(api: &Api) {
    let system = &api.metrics.system;
    system.measure();
    for (name, folder) in &api.folders {
        system.measure_disk(name, folder);
    }
}
