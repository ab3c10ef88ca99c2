//! What reads a registration, for fuzzing.

use bytes::Bytes;
use hub_registry_core::{GroupName, ServiceKey, ServiceName};

use super::form::Form;
use super::register;

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
        if register::check(&info.app.clone(), &info).is_err() {
            continue;
        }
        let Ok(name) = ServiceName::parse(&register::name_of(&info.app.clone(), &info)) else {
            continue;
        };
        let key = ServiceKey::new(GroupName::default_group(), name);
        if let Ok(registration) = register::registration(key, info, None) {
            registration.check().ok();
        }
    }
}
