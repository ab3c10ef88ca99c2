//! What reads a registration, for fuzzing.

use bytes::Bytes;
use hub_registry_core::{GroupName, ServiceKey, ServiceName};
use hub_registry_eureka::wire::InstanceInfo;

use super::form::Form;
use super::{register, replicate};

/// A body, as JSON and as XML; what was read is written, and read again.
pub(in crate::facades) fn registration(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    for form in [Form::Json, Form::Xml] {
        let Ok(info) = form.read(&body) else { continue };
        let mut written = Vec::new();
        form.instance(&info, &mut written);
        if form == Form::Json {
            written = [&b"{\"instance\":"[..], &written, b"}"].concat();
        }
        form.read(&written.into()).expect("what was written can be read");
        taken(info);
    }
}

/// What another Eureka sends.
pub(in crate::facades) fn replication(bytes: &[u8]) {
    replicate::registrations(bytes).into_iter().for_each(taken);
}

fn taken(info: InstanceInfo) {
    let app = info.app.clone();
    if register::check(&app, &info).is_err() {
        return;
    }
    let Ok(name) = ServiceName::parse(&register::name_of(&app, &info)) else { return };
    let key = ServiceKey::new(GroupName::default_group(), name);
    if let Ok(registration) = register::registration(key, info, None) {
        registration.check().ok();
    }
}
