//! Lists, applications, instances.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::Face;
use super::app::write;
use super::body::{Joined, Piece};
use super::call::{Answered, Call, Refused};
use super::form::Form;
use super::render;
use crate::catalog::Row;

/// `GET apps`
pub(super) async fn apps(State(face): State<Arc<Face>>, call: Call) -> Answered {
    face.all_heard(&call)?;
    let (list, visible) = (face.list(call.caller.tenant()), face.native.visible(&call.caller));
    let (version, hash) = (list.version().to_string(), list.hash(&visible));
    if call.carried {
        let apps = list.apps(&visible).map(|app| write(call.form, &app.name, app.infos(true)));
        let apps: Vec<_> = apps.collect();
        return Ok(applications(&call, (&version, &hash), &apps.iter().collect::<Vec<_>>()));
    }
    let apps: Vec<&Piece> = list.apps(&visible).map(|app| app.piece(call.form)).collect();
    Ok(applications(&call, (&version, &hash), &apps))
}

/// `GET apps/delta`: what changed within the last three minutes, with the hash of everything.
pub(super) async fn delta(State(face): State<Arc<Face>>, call: Call) -> Answered {
    face.all_heard(&call)?;
    let (list, visible) = (face.list(call.caller.tenant()), face.native.visible(&call.caller));
    let (version, hash) = (list.version().to_string(), list.hash(&visible));
    Ok(list.delta(call.form, call.carried, &visible, |changed| {
        applications(&call, (&version, &hash), &changed.iter().collect::<Vec<_>>())
    }))
}

/// `GET apps/{app}`
pub(super) async fn app(State(face): State<Arc<Face>>, call: Call) -> Answered {
    face.looked(&call, || {
        let app = face.app(&call.caller, call.segment("app"))?;
        let (before, after) = wrapper(call.form, "application");
        if call.carried {
            let piece = write(call.form, &app.name, app.infos(true));
            return Some(respond(&call, &[&before, &piece, &after]));
        }
        Some(respond(&call, &[&before, app.piece(call.form), &after]))
    })
}

/// `GET apps/{app}/{id}`
pub(super) async fn app_instance(State(face): State<Arc<Face>>, call: Call) -> Answered {
    face.looked(&call, || {
        let app = face.app(&call.caller, call.segment("app"))?;
        Some(one(&face, &call, &app.name, app.find(call.segment("id"))?))
    })
}

/// `GET instances/{id}`: looks through all applications.
pub(super) async fn instance(State(face): State<Arc<Face>>, call: Call) -> Answered {
    let visible = face.native.visible(&call.caller);
    face.looked(&call, || {
        let list = face.list(call.caller.tenant());
        let mut apps = list.apps(&visible);
        let (app, row) = apps.find_map(|app| Some((app, app.find(call.segment("id"))?)))?;
        Some(one(&face, &call, &app.name, row))
    })
}

/// `GET vips/{vip}`
pub(super) async fn vip(State(face): State<Arc<Face>>, call: Call) -> Answered {
    by_vip(&face, &call, false)
}

/// `GET svips/{vip}`
pub(super) async fn secure_vip(State(face): State<Arc<Face>>, call: Call) -> Answered {
    by_vip(&face, &call, true)
}

fn by_vip(face: &Face, call: &Call, secure: bool) -> Answered {
    face.all_heard(call)?;
    let (list, visible) = (face.list(call.caller.tenant()), face.native.visible(&call.caller));
    let wanted = call.segment("vip");
    let named =
        |row: &&Arc<Row>| render::vips(row, secure).split(',').any(|vip| vip.trim() == wanted);
    let mut counts = super::app::Counts::new();
    let mut found = Vec::new();
    for app in list.apps(&visible) {
        let rows: Vec<_> = app.rows().filter(named).collect();
        for row in &rows {
            *counts.entry(render::word(&row.instance).to_owned()).or_default() += 1;
        }
        if !rows.is_empty() {
            let infos =
                rows.into_iter().map(|row| render::info(row, &app.name, "ADDED", call.carried));
            found.push(write(call.form, &app.name, infos));
        }
    }
    let hash: String = counts.iter().map(|(status, count)| format!("{status}_{count}_")).collect();
    // As the real server has it: such a list has no version.
    Ok(applications(call, ("-1", &hash), &found.iter().collect::<Vec<_>>()))
}

/// One instance, with its last heartbeat if the hub hears them.
fn one(face: &Face, call: &Call, app: &str, row: &Row) -> Response {
    let mut info = render::info(row, app, "ADDED", call.carried);
    let own = face.native.get(call.caller.tenant(), &row.id.to_string());
    if let (Ok(own), Some(lease)) = (own, info.lease_info.as_mut()) {
        let heard = own.last_heartbeat.map(|time| time.timestamp_millis());
        lease.last_renewal_timestamp = heard.or(lease.last_renewal_timestamp);
    }
    let mut out = Vec::new();
    call.form.full().instance(&info, &mut out);
    let (before, after) = wrapper(call.form, "instance");
    respond(call, &[&before, &Piece::new(out), &after])
}

/// What stands around one thing: JSON names it once more.
fn wrapper(form: Form, name: &str) -> (Piece, Piece) {
    match form {
        Form::Json | Form::MiniJson => (Piece::new(format!("{{\"{name}\":")), Piece::new("}")),
        Form::Xml | Form::MiniXml => (Piece::new(""), Piece::new("")),
    }
}

fn applications(call: &Call, (version, hash): (&str, &str), apps: &[&Piece]) -> Response {
    let (head, tail, comma) = match call.form {
        Form::Json | Form::MiniJson => {
            let (version, hash) = (Value::from(version), Value::from(hash));
            let head = format!(
                "{{\"applications\":{{\"versions__delta\":{version},\"apps__hashcode\":{hash},\
                 \"application\":["
            );
            (head, "]}}", ",")
        }
        Form::Xml | Form::MiniXml => {
            let head = format!(
                "<applications><versions__delta>{version}</versions__delta>\
                 <apps__hashcode>{hash}</apps__hashcode>"
            );
            (head, "</applications>", "")
        }
    };
    let (head, tail, comma) = (Piece::new(head), Piece::new(tail), Piece::new(comma));
    let mut pieces = vec![&head];
    for (index, app) in apps.iter().enumerate() {
        if index > 0 {
            pieces.push(&comma);
        }
        pieces.push(app);
    }
    pieces.push(&tail);
    respond(call, &pieces)
}

pub(super) fn respond(call: &Call, pieces: &[&Piece]) -> Response {
    let mut headers = HeaderMap::with_capacity(3);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(call.form.content_type()));
    headers.insert(
        header::VARY,
        HeaderValue::from_static("accept, accept-encoding, x-eureka-accept, x-registry-carry"),
    );
    if call.gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    (headers, Body::new(Joined::new(pieces, call.gzip))).into_response()
}

impl Face {
    /// A client drops what a list leaves out. While a source was never heard no list is whole, and
    /// a Eureka that cannot tell yet says 403: clients keep what they have
    /// (`ApplicationsResource`, `shouldAllowAccess`).
    fn all_heard(&self, call: &Call) -> Answered<()> {
        match self.unheard(call.caller.tenant()) {
            None => Ok(()),
            Some(names) => {
                let text = format!("the list would be too short: never heard yet: {names}");
                Err(Refused::new(StatusCode::FORBIDDEN, text))
            }
        }
    }

    /// Nothing found is "there is none" only if all that might know it were heard.
    fn looked(&self, call: &Call, look: impl Fn() -> Option<Response>) -> Answered {
        if let Some(found) = look() {
            return Ok(found);
        }
        // Before it is looked for once more, in what each of them said.
        let unheard = self.unheard(call.caller.tenant());
        match (look(), unheard) {
            (Some(found), _) => Ok(found),
            (None, None) => Err(Refused::not_found()),
            (None, Some(names)) => {
                let text = format!("not known, and never heard yet: {names}");
                Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text))
            }
        }
    }
}
