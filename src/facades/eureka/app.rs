//! One application: its services, and how it is written.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use hub_registry_eureka::wire::InstanceInfo;

use super::body::Piece;
use super::form::Form;
use super::render;
use super::xml;
use crate::catalog::{Row, ServiceView};

/// Instances by status, as the hash of a list counts them.
pub(super) type Counts = BTreeMap<String, usize>;

/// An application. Services whose names differ in case only are one to a Eureka, which knows names
/// in upper case.
#[derive(Debug)]
pub(super) struct App {
    pub(super) name: String,
    /// Sorted by name; never empty, and all of one group.
    pub(super) views: Vec<Arc<ServiceView>>,
    counts: OnceLock<Counts>,
    written: [OnceLock<Piece>; Form::COUNT],
}

impl App {
    pub(super) fn new(name: String, views: Vec<Arc<ServiceView>>) -> Self {
        Self { name, views, counts: OnceLock::new(), written: Default::default() }
    }

    pub(super) fn counts(&self) -> &Counts {
        self.counts.get_or_init(|| {
            let mut counts = Counts::new();
            for row in self.rows() {
                *counts.entry(render::word(&row.instance).to_owned()).or_default() += 1;
            }
            counts
        })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.views.iter().flat_map(|view| &view.rows)
    }

    /// Whether it is made of just these.
    pub(super) fn is_of(&self, views: &[Arc<ServiceView>]) -> bool {
        self.views.len() == views.len()
            && self.views.iter().zip(views).all(|(own, other)| Arc::ptr_eq(own, other))
    }

    /// The instance of this id.
    pub(super) fn find(&self, id: &str) -> Option<&Arc<Row>> {
        self.rows().find(|row| render::id_of(row) == id)
    }

    /// Whole, as lists have it.
    pub(super) fn piece(&self, form: Form) -> &Piece {
        self.written[form as usize].get_or_init(|| write(form, &self.name, self.infos(false)))
    }

    /// Its instances; `carried`: with what Eureka has no word for.
    pub(super) fn infos(&self, carried: bool) -> impl Iterator<Item = InstanceInfo> {
        self.rows().map(move |row| render::info(row, &self.name, "ADDED", carried))
    }
}

/// An application with these instances.
pub(super) fn write(form: Form, name: &str, infos: impl Iterator<Item = InstanceInfo>) -> Piece {
    let mut out = Vec::new();
    let around = form.full();
    match around {
        Form::Json | Form::MiniJson => {
            out.extend_from_slice(b"{\"name\":");
            out.extend_from_slice(serde_json::Value::from(name).to_string().as_bytes());
            out.extend_from_slice(b",\"instance\":[");
        }
        Form::Xml | Form::MiniXml => {
            out.extend_from_slice(b"<application><name>");
            xml::text(name, &mut out);
            out.extend_from_slice(b"</name>");
        }
    }
    for (index, info) in infos.enumerate() {
        if index > 0 && around == Form::Json {
            out.push(b',');
        }
        form.instance(&info, &mut out);
    }
    out.extend_from_slice(match around {
        Form::Json | Form::MiniJson => b"]}".as_slice(),
        Form::Xml | Form::MiniXml => b"</application>",
    });
    Piece::new(out)
}
