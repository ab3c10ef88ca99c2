//! What reads messages, for fuzzing.

use hub_registry_core::{GroupName, ServiceKey, ServiceName};
use prost::Message;

use super::message::Payload;
use crate::facades::nacos::register::{Stay, address};

pub(in crate::facades::nacos) fn message(bytes: &[u8]) {
    let Ok(payload) = Payload::decode(bytes) else { return };
    payload.token();
    let Ok(said) = payload.read() else { return };
    let Ok(name) = ServiceName::parse(said.service_name.as_deref().unwrap_or_default()) else {
        return;
    };
    let service = ServiceKey::new(GroupName::default_group(), name);
    for instance in said.instance.into_iter().chain(said.instances.unwrap_or_default()) {
        let ip = instance.ip.clone().unwrap_or_default();
        if let Ok(key) = address(service.clone(), &ip, instance.port) {
            instance.told().registration(key, Stay::Connected("1_1_1".to_owned())).ok();
        }
    }
}
