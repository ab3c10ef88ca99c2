//! `health`: what there is, with its checks.

use std::sync::Arc;

use axum::extract::State;

use super::Face;
use super::call::{Answered, Call, Refused, read, text};
use super::catalog::rows;
use super::filter::{fields, kept};
use super::render;

/// `GET health/service/{name}`
pub(super) async fn service(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let (filter, passing) = (call.filter(&fields::ENTRY)?, call.switch("passing")?);
    let (index, whole, view) = face.watched(&call).await?;
    let Some(view) = view else { return Ok(read(index, whole, "[]")) };
    let datacenter = &face.settings.datacenter;
    let tags: Vec<_> = call.all("tag").collect();
    if filter.is_none() && tags.is_empty() && !call.carried {
        let entries = face.entries(call.caller.tenant(), &view);
        return Ok(read(index, whole, entries.health(passing, datacenter)));
    }
    let rows = render::with_tags(&view, &tags);
    let rows = rows.filter(|row| !passing || render::is_passing(&row.instance));
    let entries = rows.map(|row| {
        let mut entry = render::entry(row, datacenter, view.revision);
        render::besides(row, &mut entry["Service"]["Meta"], call.carried);
        entry
    });
    let entries = entries.collect();
    Ok(read(index, whole, text(&kept(entries, filter.as_ref()))))
}

/// `GET health/checks/{name}`
pub(super) async fn checks(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let filter = call.filter(&fields::CHECK)?;
    let (index, whole, view) = face.watched(&call).await?;
    let rows = view.iter().flat_map(|view| view.rows.iter().map(move |row| (view, row)));
    let checks = rows.flat_map(|(view, row)| render::checks(row, view.revision));
    let checks = checks.filter(|check| !render::is_of_node(check)).collect();
    Ok(read(index, whole, text(&kept(checks, filter.as_ref()))))
}

/// `GET health/state/{state}`: checks in this state, or in any.
pub(super) async fn state(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let wanted = call.segment("state");
    if !matches!(wanted, "any" | "passing" | "warning" | "critical") {
        return Err(Refused::bad("state must be any, passing, warning or critical"));
    }
    let (filter, snapshot) = (call.filter(&fields::CHECK)?, face.changed(&call).await?);
    let visible = face.native.visible(&call.caller);
    let all = rows(&snapshot, &visible).flat_map(|(view, row)| render::checks(row, view.revision));
    let all = all.filter(|check| wanted == "any" || check["Status"] == wanted);
    let checks = render::distinct(all);
    Ok(read(snapshot.revision, true, text(&kept(checks, filter.as_ref()))))
}

/// `GET health/node/{name}`: the checks of a node's services.
pub(super) async fn node(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let (filter, snapshot) = (call.filter(&fields::CHECK)?, face.changed(&call).await?);
    let (visible, name) = (face.native.visible(&call.caller), call.segment("name"));
    let there = rows(&snapshot, &visible).filter(|(_, row)| render::node_of(&row.instance) == name);
    let checks = render::distinct(there.flat_map(|(view, row)| render::checks(row, view.revision)));
    Ok(read(snapshot.revision, true, text(&kept(checks, filter.as_ref()))))
}
