//! What is said of the hub itself: as far as clients look at it, it is an agent and its server.

use std::sync::Arc;

use axum::extract::State;
use serde_json::{Value, json};

use super::Face;
use super::call::{Answered, Call, read, text};
use super::render::{NODE, node_id};

/// The address a server has for others: there are none.
const PEER: &str = "127.0.0.1:8300";

/// `GET agent/self`
pub(super) async fn agent(State(face): State<Arc<Face>>, _: Call) -> Answered {
    let body = json!({
        "Config": {
            "Datacenter": face.settings.datacenter, "NodeName": NODE, "NodeID": node_id(NODE), "Server": true,
            "Revision": "", "Version": env!("CARGO_PKG_VERSION"),
        },
        "DebugConfig": {},
        "Coord": Value::Null,
        "Member": member(&face.settings.datacenter),
        "Stats": {},
        "Meta": {},
    });
    Ok(read(1, true, text(&body)))
}

/// `GET agent/members`
pub(super) async fn members(State(face): State<Arc<Face>>, _: Call) -> Answered {
    Ok(read(1, true, text(&[member(&face.settings.datacenter)])))
}

fn member(datacenter: &str) -> Value {
    json!({
        "Name": NODE, "Addr": "127.0.0.1", "Port": 8301,
        "Tags": { "dc": datacenter, "role": "consul" }, "Status": 1, "ProtocolMin": 1,
        "ProtocolMax": 5, "ProtocolCur": 2, "DelegateMin": 2, "DelegateMax": 5, "DelegateCur": 4,
    })
}

/// `GET status/leader`
pub(super) async fn leader(State(_): State<Arc<Face>>, _: Call) -> Answered {
    Ok(read(1, true, text(&PEER)))
}

/// `GET status/peers`
pub(super) async fn peers(State(_): State<Arc<Face>>, _: Call) -> Answered {
    Ok(read(1, true, text(&[PEER])))
}
